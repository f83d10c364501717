"""Structured pruning: whole neurons and filters go, with all that belongs to them, and the layers get smaller."""

from efflab.prune.structure.groups import Group, groups
from efflab.prune.structure.heads import head_scores, prune_heads
from efflab.prune.structure.importance import activation_mean, channel_scores, l1, l2, taylor
from efflab.prune.structure.ranking import channels_to_keep
from efflab.prune.structure.rules import find_groups, removable
from efflab.prune.structure.selection import Selection, select_channels
from efflab.prune.structure.spaces import Member
from efflab.prune.structure.surgery import remove, zero
from efflab.prune.structure.techniques import prune_filters, prune_neurons

__all__ = [
    "Group",
    "Member",
    "Selection",
    "activation_mean",
    "channel_scores",
    "channels_to_keep",
    "find_groups",
    "groups",
    "head_scores",
    "l1",
    "l2",
    "prune_filters",
    "prune_heads",
    "prune_neurons",
    "removable",
    "remove",
    "select_channels",
    "taylor",
    "zero",
]
