"""Controls from knobs, panels, the bench: the only room, besides the command line, that knows a screen."""

from efflab.widgets.bench import Bench
from efflab.widgets.break_even import BreakEvenExplorer
from efflab.widgets.calculator_serving import ServingCalculator, serving_calculator
from efflab.widgets.calculators import (
    decoding_calculator,
    llm_memory_calculator,
    training_calculator,
)
from efflab.widgets.chapter import Chapter
from efflab.widgets.diagnosis import DiagnosisView
from efflab.widgets.encoded import EncodedView
from efflab.widgets.kernels import Kernels
from efflab.widgets.live_figure import LiveFigure
from efflab.widgets.loss_lab import LossLab
from efflab.widgets.missing import Missing
from efflab.widgets.recipe_bench import RecipeBench
from efflab.widgets.representations import Representations
from efflab.widgets.scoreboard import Scoreboard
from efflab.widgets.side_by_side import SideBySide
from efflab.widgets.softened import Softened
from efflab.widgets.states import FourStates

__all__ = [
    "Bench",
    "BreakEvenExplorer",
    "Chapter",
    "DiagnosisView",
    "EncodedView",
    "FourStates",
    "Kernels",
    "LiveFigure",
    "LossLab",
    "Missing",
    "RecipeBench",
    "Representations",
    "Scoreboard",
    "ServingCalculator",
    "SideBySide",
    "Softened",
    "decoding_calculator",
    "llm_memory_calculator",
    "serving_calculator",
    "training_calculator",
]
