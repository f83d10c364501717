"""Codebooks: weights that share a few values, and codes that store often used ones in few bits."""

from efflab.quantize.codebook.clustering import STARTS, find_values, first_values
from efflab.quantize.codebook.techniques import Start, share_weights, train_centroids

__all__ = ["STARTS", "Start", "find_values", "first_values", "share_weights", "train_centroids"]
