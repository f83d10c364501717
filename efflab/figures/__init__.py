"""Results in, pictures out: each a plotly figure, one sentence and a table. Never a model, never a clock."""

from efflab.figures.images import changed
from efflab.figures.layers import layers
from efflab.figures.picture import Picture
from efflab.figures.sensitivity import sensitivity
from efflab.figures.theme import templates
from efflab.figures.tradeoff import tradeoff
from efflab.figures.training import training_curve
from efflab.figures.weights import histogram, mask

__all__ = [
    "Picture",
    "changed",
    "histogram",
    "layers",
    "mask",
    "sensitivity",
    "templates",
    "tradeoff",
    "training_curve",
]
