"""A recipe's network as the file of Deep Compression: written, weighed part by part, read back and judged.

The accuracy is that of the network that was read, so a byte that is missing would show.

Reference: Han et al., Deep Compression, 2016, arXiv 1510.00149.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import nn

from efflab.data import Data
from efflab.lab.shipping import passing_folder
from efflab.measure import Difference, Evaluation, compare, evaluate
from efflab.quantize.codebook import EncodedWeight, encode_model, read_encoded, write_encoded

if TYPE_CHECKING:
    import pandas as pd


COLUMNS = ["layer", "weights", "kept", "values", "codebook", "indices", "gaps or mask", "tables", "bytes", "no Huffman"]


@dataclass(frozen=True)
class EncodedLayer:
    """The bytes of one shared weight. `n_values`: of its codebook; `plain_bytes`: without Huffman's code."""

    name: str
    n: int
    n_kept: int
    n_values: int
    codebook_bytes: int
    index_bytes: int
    gap_bytes: int
    table_bytes: int
    plain_bytes: int

    @property
    def n_bytes(self) -> int:
        """Bytes in the file."""
        return self.codebook_bytes + self.index_bytes + self.gap_bytes + self.table_bytes


@dataclass(frozen=True)
class EncodedNetwork:
    """A file that was written and read back: its bytes by layer and part, and what the network that was read answers.

    `other_bytes` are biases, batch norms and layers without a codebook; `header_bytes` say what is where; `base_bytes`
    are the base's numbers as floats.
    """

    layers: tuple[EncodedLayer, ...]
    other_bytes: int
    header_bytes: int
    n_bytes: int
    base_bytes: int
    evaluation: Evaluation
    difference: Difference

    @property
    def times_smaller(self) -> float:
        """The base's bytes over those of the file."""
        return self.base_bytes / self.n_bytes

    @property
    def plain_bytes(self) -> int:
        """What the file would take without Huffman's code."""
        return self.n_bytes + sum(layer.plain_bytes - layer.n_bytes for layer in self.layers)

    def table(self) -> "pd.DataFrame":
        """A row for each layer, one for everything else, and their sum. Bytes; `kept` in percent.

        Gaps of one bit are a mask. What it would be without Huffman's code is computed.
        """
        import pandas as pd

        rows = [
            *(_row(layer) for layer in self.layers),
            {"layer": "biases and others", "bytes": self.other_bytes, "no Huffman": self.other_bytes},
            {"layer": "header", "bytes": self.header_bytes, "no Huffman": self.header_bytes},
            {"layer": "file", "bytes": self.n_bytes, "no Huffman": self.plain_bytes},
        ]
        return pd.DataFrame(rows, columns=COLUMNS).astype(dict.fromkeys(COLUMNS[3:], "Int64") | {"weights": "Int64"})


def encode_network(model: nn.Module, data: Data, base: Evaluation, base_bytes: int) -> EncodedNetwork:
    """Write a network to a file that goes away, read it back, and judge on validation data what was read.

    Raises:
        CheckpointError: the network cannot be written.
        ExportError: no temporary file can be written.
    """
    encoded = encode_model(model)
    with passing_folder() as folder:
        path = write_encoded(model, folder / "network.dc")
        n_bytes, back = path.stat().st_size, read_encoded(path, model)
    *_, evaluation = evaluate(back, data.validation, data.task)
    layers = tuple(map(_layer, encoded.weights))
    difference = compare(base, evaluation)
    return EncodedNetwork(
        layers, encoded.other_bytes, encoded.header_bytes, n_bytes, base_bytes, evaluation, difference
    )


def _layer(weight: EncodedWeight) -> EncodedLayer:
    return EncodedLayer(
        weight.name.removesuffix(".weight"),
        weight.n,
        weight.indices.n,
        len(weight.codebook),
        weight.codebook_bytes,
        len(weight.indices.content),
        len(weight.gaps.content),
        len(weight.indices.table) + len(weight.gaps.table),
        weight.plain_bytes,
    )


def _row(layer: EncodedLayer) -> dict[str, object]:
    return {
        "layer": layer.name,
        "weights": layer.n,
        "kept": round(100 * layer.n_kept / layer.n, 1),
        "values": layer.n_values,
        "codebook": layer.codebook_bytes,
        "indices": layer.index_bytes,
        "gaps or mask": layer.gap_bytes,
        "tables": layer.table_bytes,
        "bytes": layer.n_bytes,
        "no Huffman": layer.plain_bytes,
    }
