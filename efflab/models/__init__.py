"""Networks a learner can read whole: build one by name and seed, load a shipped checkpoint, save one."""

from efflab.models.building import NETWORKS, build, build_from, channels_last, reset_weights
from efflab.models.checkpoint import Card, card, load, names, save
from efflab.models.files import CheckpointError
from efflab.models.networks import Architecture, Network
from efflab.models.shapes import layer_shapes, narrow
from efflab.models.transformer import SelfAttention
from efflab.models.weights import load_weights, save_weights

__all__ = [
    "NETWORKS",
    "Architecture",
    "Card",
    "CheckpointError",
    "Network",
    "SelfAttention",
    "build",
    "build_from",
    "card",
    "channels_last",
    "layer_shapes",
    "load",
    "load_weights",
    "names",
    "narrow",
    "reset_weights",
    "save",
    "save_weights",
]
