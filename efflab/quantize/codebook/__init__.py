"""Codebooks: weights that share a few values, and codes that store often used ones in few bits."""

from efflab.quantize.codebook.clustering import STARTS, find_values, first_values
from efflab.quantize.codebook.file import Encoded, encode_model, read_encoded, write_encoded
from efflab.quantize.codebook.huffman import canonical_codes, code_lengths, decode, encode, entropy_bits
from efflab.quantize.codebook.streams import EncodedWeight, Stream, encode_weight
from efflab.quantize.codebook.techniques import Start, share_weights, train_centroids

__all__ = [
    "STARTS",
    "Encoded",
    "EncodedWeight",
    "Start",
    "Stream",
    "canonical_codes",
    "code_lengths",
    "decode",
    "encode",
    "encode_model",
    "encode_weight",
    "entropy_bits",
    "find_values",
    "first_values",
    "read_encoded",
    "share_weights",
    "train_centroids",
    "write_encoded",
]
