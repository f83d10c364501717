"""Show an ordinary plotly figure that changes in place, with one plotly.js for the whole page.

`plotly.graph_objects.FigureWidget` brings its own 5 MB of JavaScript for every picture. Here one carrier
widget takes plotly.js, as installed with plotly and compressed, to the page once; all views share it. After
that an update is what is drawn and nothing else: the figure as JSON in one binary buffer, its arrays packed
as plotly packs them.

A picture never comes alone: `alt` says in one sentence what it shows, `table` has its numbers. The look
(light, dark, projector) is applied in the page, so a figure carries no template and no size.

At work, `FigureWidget` or Dash do more (zooming from Python, cross-filtering).
"""

import gzip
import json
import numbers
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anywidget
import plotly.graph_objects as go
import traitlets
from IPython.display import publish_display_data
from plotly.utils import PlotlyJSONEncoder

if TYPE_CHECKING:
    import pandas as pd

MAX_TABLE_ROWS = 200  # a table twin is read, not searched; longer ones belong in a DataFrame


@dataclass(frozen=True)
class Clicked:
    """The point that a learner clicked: its place, which trace (`curve`) and which point of it (`index`)."""

    x: float | str
    y: float | str
    curve: int
    index: int


def pack_figure(figure: go.Figure) -> bytes:
    """The figure as compact JSON (UTF-8) with base64-packed arrays, without template.

    500 points a trace make 30 kB in 1.5 ms.
    """
    if not isinstance(figure, go.Figure):
        raise TypeError(f"figure must be a plotly.graph_objects.Figure, got {type(figure).__name__}")
    content = figure.to_dict()
    content["layout"].pop("template", None)
    return json.dumps(content, cls=PlotlyJSONEncoder, separators=(",", ":")).encode()


def table_twin(table: "pd.DataFrame | None") -> dict[str, Any]:
    """The table as texts: `columns`, `rows` (at most 200) and how many rows were `left_out`; {} for None.

    The index is not shown: call `reset_index()` first if it says something.
    """
    if table is None:
        return {}
    shown = table.head(MAX_TABLE_ROWS)
    return {
        "columns": [str(name) for name in table.columns],
        "rows": [[_text(value) for value in row] for row in shown.itertuples(index=False)],
        "left_out": len(table) - len(shown),
    }


def _text(value: object) -> str:
    if value != value:  # NaN and NaT
        return "-"
    if isinstance(value, numbers.Integral) and not isinstance(value, bool):
        return f"{value:,}"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


@cache
def packed_plotly() -> bytes:
    """plotly.js of the installed plotly package, gzip-compressed: 4.8 MB become 1.7 in 80 ms."""
    source = files("plotly").joinpath("package_data", "plotly.min.js").read_bytes()
    return gzip.compress(source, compresslevel=1, mtime=0)


REOPENED = """<style>
.jp-OutputArea-output.jupyter-widgets:not(:has(*)) { font-size: 0; }
.jp-OutputArea-output.jupyter-widgets:not(:has(*))::after {
  content: "Run this cell to see the picture."; font-size: var(--jp-content-font-size1, 14px);
}
</style>"""  # an output that is itself a .jupyter-widgets without content is where JupyterLab lost the widget


class Reopened:
    """Mix this into a widget: a notebook opened again without its kernel then says "run this cell".

    JupyterLab alone would say "Error displaying widget: model not found". Saved with the output goes a style that
    replaces this text. Only the widget that is displayed needs it, not those inside.
    """

    def _ipython_display_(self) -> None:
        publish_display_data({"text/html": REOPENED, "text/plain": ""})  # type: ignore[no-untyped-call]  # IPython's
        shown = self._repr_mimebundle_()  # type: ignore[attr-defined]  # every widget has it
        data, metadata = shown if isinstance(shown, tuple) else (shown, {})  # ipywidgets: a dict; anywidget: a pair
        publish_display_data(data, metadata)  # type: ignore[no-untyped-call]  # IPython's


class _Carrier(anywidget.AnyWidget):
    """Takes plotly.js to the page, where it is loaded at once: pictures also appear while the kernel is busy."""

    _esm = Path(__file__).with_name("carrier.js")
    packed = traitlets.Bytes().tag(sync=True)


@cache
def _shared_carrier() -> _Carrier:
    return _Carrier(packed=packed_plotly())


def preload() -> None:
    """Begin to load plotly.js in the page, which takes a second or two, before the first picture asks for it."""
    _live_carrier()


def _live_carrier() -> _Carrier:
    if _shared_carrier().comm is None:  # a learner called Widget.close_all()
        _shared_carrier.cache_clear()
    return _shared_carrier()


class LiveFigure(Reopened, anywidget.AnyWidget):
    """A view of one figure that `show` replaces in place.

    figure: what to draw; its template, width and height are left out.
    alt: one sentence that says what the picture shows, for everyone who does not see it.
    table: the numbers of the picture, shown on demand below it; at most 200 rows.
    height: pixels; the width is that of the page.
    templates: plotly templates as JSON, by the names "light", "dark", "projector" and "projector_dark";
        None for plotly's own look.

    >>> view = LiveFigure(go.Figure(go.Bar(y=[561, 131])), alt="The file shrinks from 561 to 131 kB.")
    >>> view.show(go.Figure(go.Bar(y=[561, 90])), alt="The file shrinks from 561 to 90 kB.")
    >>> view.revision, view.alt
    (2, 'The file shrinks from 561 to 90 kB.')
    """

    _esm = Path(__file__).with_name("live_figure.js")
    _css = """
    .efflab-figure { margin: 0; min-width: 0; width: 100%; color: var(--jp-ui-font-color1, inherit); }
    .efflab-plot { contain: layout style; }
    .efflab-note { margin: 0.5em 0; }
    .efflab-table > div { max-height: 20em; overflow: auto; }
    .efflab-table th, .efflab-table td { padding: 0.1em 0.8em; text-align: right; }
    """

    picture = traitlets.Bytes().tag(sync=True)
    alt = traitlets.Unicode().tag(sync=True)
    table = traitlets.Dict().tag(sync=True)
    revision = traitlets.Int(0).tag(sync=True)
    height = traitlets.Int(360).tag(sync=True)
    projector = traitlets.Bool(False).tag(sync=True)
    templates = traitlets.Dict().tag(sync=True)
    message = traitlets.Unicode().tag(sync=True)
    bundle = traitlets.Unicode().tag(sync=True)

    def __init__(
        self,
        figure: go.Figure,
        *,
        alt: str,
        table: "pd.DataFrame | None" = None,
        height: int = 360,
        templates: Mapping[str, Any] | None = None,
    ) -> None:
        self.last_error: Exception | None = None
        self._showing = threading.Lock()
        self._on_clicked: list[Callable[[Clicked], object]] = []
        looks = dict(templates or {})
        bundle = f"IPY_MODEL_{_live_carrier().model_id}"
        super().__init__(**_content(figure, alt, table), revision=1, height=height, templates=looks, bundle=bundle)
        self.on_msg(self._received)

    def show(self, figure: go.Figure, *, alt: str, table: "pd.DataFrame | None" = None) -> None:
        """Replace the picture, its sentence and its table together; from any thread.

        Raises: TypeError for what is not a plotly Figure; ValueError for an empty `alt`.
        """
        content = _content(figure, alt, table)
        with self._showing, self.hold_sync():  # one message: never a new picture beside an old sentence
            for name, value in content.items():
                setattr(self, name, value)
            self.revision += 1

    def on_clicked(self, callback: Callable[[Clicked], object]) -> None:
        """Call `callback` with each point that is clicked. What it raises is shown under the picture."""
        self._on_clicked.append(callback)

    def _received(self, _: object, content: dict[str, Any], __: object) -> None:
        point = Clicked(content["x"], content["y"], content["curve"], content["index"])
        try:
            for callback in self._on_clicked:
                callback(point)
        except Exception as error:  # ipywidgets would only log it
            self.last_error, self.message = error, f"{type(error).__name__}: {error}"

    def __repr__(self) -> str:
        """What an export without JavaScript shows instead of the picture."""
        return f"LiveFigure: {self.alt}"


def _content(figure: go.Figure, alt: str, table: "pd.DataFrame | None") -> dict[str, Any]:
    if not alt.strip():
        raise ValueError(f"alt must be a sentence that says what the picture shows, got {alt!r}")
    return {"picture": pack_figure(figure), "alt": alt, "table": table_twin(table)}
