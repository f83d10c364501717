"""Text behind a summary: opened by a click or the Enter key, and it stays open while the text changes."""

from pathlib import Path

import anywidget
import traitlets


class Fold(anywidget.AnyWidget):
    """A summary and the HTML behind it; both may be set from any thread."""

    _esm = Path(__file__).with_name("fold.js")

    summary = traitlets.Unicode().tag(sync=True)
    html = traitlets.Unicode().tag(sync=True)
