"""Results in, pictures out: each a plotly figure, one sentence and a table. Never a model, never a clock."""

from efflab.figures.blocks import blocks
from efflab.figures.break_even import sparse_speed
from efflab.figures.channel_sensitivity import channel_sensitivity
from efflab.figures.filters import filters
from efflab.figures.frontier import frontier_map
from efflab.figures.images import changed
from efflab.figures.layer_times import layer_times
from efflab.figures.layers import layers
from efflab.figures.pareto import pareto
from efflab.figures.picture import Picture
from efflab.figures.roofline import roofline
from efflab.figures.sensitivity import sensitivity
from efflab.figures.theme import templates
from efflab.figures.tradeoff import tradeoff
from efflab.figures.training import training_curve
from efflab.figures.weights import histogram, mask

__all__ = [
    "Picture",
    "blocks",
    "changed",
    "channel_sensitivity",
    "filters",
    "frontier_map",
    "histogram",
    "layer_times",
    "layers",
    "mask",
    "pareto",
    "roofline",
    "sensitivity",
    "sparse_speed",
    "templates",
    "tradeoff",
    "training_curve",
]
