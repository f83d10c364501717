"""Results in, pictures out: each a plotly figure, one sentence and a table. Never a model, never a clock."""

from efflab.figures.activations import activations
from efflab.figures.bits_by_layer import bits_by_layer
from efflab.figures.bits_sensitivity import bits_sensitivity
from efflab.figures.blocks import blocks
from efflab.figures.break_even import sparse_speed
from efflab.figures.channel_sensitivity import channel_sensitivity
from efflab.figures.dark_knowledge import dark_knowledge
from efflab.figures.encoded import encoded
from efflab.figures.filters import filters
from efflab.figures.frontier import frontier_map
from efflab.figures.grid_errors import grid_errors
from efflab.figures.images import changed
from efflab.figures.layer_times import layer_times
from efflab.figures.layers import layers
from efflab.figures.loss_landscape import loss_landscapes
from efflab.figures.loss_terms import loss_sweep, loss_weights
from efflab.figures.missing import bias_curve, missing_recalls
from efflab.figures.number_line import number_line
from efflab.figures.pareto import pareto
from efflab.figures.picture import Picture
from efflab.figures.representations import aligned_points, cka_map
from efflab.figures.roofline import roofline
from efflab.figures.scoreboard import scoreboard
from efflab.figures.seed_differences import seed_differences
from efflab.figures.seed_scores import seed_scores
from efflab.figures.sensitivity import sensitivity
from efflab.figures.side_by_side import side_by_side_curves
from efflab.figures.soft_answer import soft_answer
from efflab.figures.theme import templates
from efflab.figures.tradeoff import tradeoff
from efflab.figures.training import training_curve
from efflab.figures.waterfall import waterfall
from efflab.figures.weights import histogram, mask

__all__ = [
    "Picture",
    "activations",
    "aligned_points",
    "bias_curve",
    "bits_by_layer",
    "bits_sensitivity",
    "blocks",
    "changed",
    "channel_sensitivity",
    "cka_map",
    "dark_knowledge",
    "encoded",
    "filters",
    "frontier_map",
    "grid_errors",
    "histogram",
    "layer_times",
    "layers",
    "loss_landscapes",
    "loss_sweep",
    "loss_weights",
    "mask",
    "missing_recalls",
    "number_line",
    "pareto",
    "roofline",
    "scoreboard",
    "seed_differences",
    "seed_scores",
    "sensitivity",
    "side_by_side_curves",
    "soft_answer",
    "sparse_speed",
    "templates",
    "tradeoff",
    "training_curve",
    "waterfall",
]
