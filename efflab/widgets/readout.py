"""One sentence that says what the screen shows, for everybody; and a name for every control.

The sentence lies in a polite live region, so that a screen reader speaks it when the hand is still. ipywidgets gives
the handle of a slider no name: the page's part (`readout.js`) copies each control's label to it.
"""

from pathlib import Path

import anywidget
import traitlets


class ReadOut(anywidget.AnyWidget):
    """The sentence of a panel, and its error line. `sentence` and `error` may be set from any thread.

    fills_window: the panel lies over the whole page, for a projector; set it before the panel is displayed.
    """

    _esm = Path(__file__).with_name("readout.js")
    _css = Path(__file__).with_name("panel.css")

    sentence = traitlets.Unicode().tag(sync=True)
    error = traitlets.Unicode().tag(sync=True)
    fills_window = traitlets.Bool(False).tag(sync=True)
