"""Networks a learner can read whole: build one by name and seed, load a shipped checkpoint, save one."""

from efflab.models.building import NETWORKS, build, build_from, channels_last, reset_weights
from efflab.models.checkpoint import Card, CheckpointError, card, load, names, save
from efflab.models.networks import Architecture, Network

__all__ = [
    "NETWORKS",
    "Architecture",
    "Card",
    "CheckpointError",
    "Network",
    "build",
    "build_from",
    "card",
    "channels_last",
    "load",
    "names",
    "reset_weights",
    "save",
]
