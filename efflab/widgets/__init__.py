"""Controls from knobs, panels, the bench: the only room, besides the command line, that knows a screen."""

from efflab.widgets.bench import Bench
from efflab.widgets.break_even import BreakEvenExplorer
from efflab.widgets.calculators import (
    decoding_calculator,
    llm_memory_calculator,
    serving_calculator,
    training_calculator,
)
from efflab.widgets.chapter import Chapter
from efflab.widgets.live_figure import LiveFigure

__all__ = [
    "Bench",
    "BreakEvenExplorer",
    "Chapter",
    "LiveFigure",
    "decoding_calculator",
    "llm_memory_calculator",
    "serving_calculator",
    "training_calculator",
]
