"""Controls from knobs, panels, the bench: the only room, besides the command line, that knows a screen."""

from efflab.widgets.bench import Bench
from efflab.widgets.chapter import Chapter
from efflab.widgets.live_figure import LiveFigure

__all__ = ["Bench", "Chapter", "LiveFigure"]
