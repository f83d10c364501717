"""What a lab says of bits: how many each layer of a network needs, and how to spend a budget of bytes on them."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence

from torch import nn

from efflab.data import Data
from efflab.measure import compute_size
from efflab.quantize import TRIED, BitPoint, Granularity, WeightObserver, allocate_bits, scan_bit_sensitivity
from efflab.recipe import Recipe
from efflab.training import Progress


class BitBudgets(ABC):
    """The part of a `Lab` that is about bits; the lab builds."""

    @property
    @abstractmethod
    def data(self) -> Data:
        """What the models are judged on."""

    @abstractmethod
    def build(self, recipe: Recipe, *, progress: Progress | None = None) -> nn.Module:
        """The network that a recipe makes."""

    def bit_sensitivity(
        self,
        recipe: Recipe = (),
        *,
        bits: Sequence[int] = TRIED,
        granularity: Granularity = "per channel",
        observer: WeightObserver = "min-max",
    ) -> Iterator[BitPoint]:
        """Each layer of the recipe's network quantized alone: the noise in the answers, and the bytes.

        Raises:
            TypeError, ValueError: as `scan_bit_sensitivity` and `build`.
        """
        model = self.build(recipe)
        return scan_bit_sensitivity(model, self.data, bits=bits, granularity=granularity, observer=observer)

    def allocate_bits(
        self,
        n_bytes: int,
        recipe: Recipe = (),
        *,
        bits: Sequence[int] = TRIED,
        granularity: Granularity = "per channel",
        observer: WeightObserver = "min-max",
    ) -> dict[str, int]:
        """The bits of each layer for `quantize_weights`, so that the recipe's network has at most `n_bytes` packed.

        What is not quantized (biases, normalisations) counts, too: `compute_size(network).packed_bytes` is what fits.

        Raises:
            TypeError, ValueError: the budget cannot be met, or as `scan_bit_sensitivity` and `build`.
        """
        points = tuple(self.bit_sensitivity(recipe, bits=bits, granularity=granularity, observer=observer))
        names = {f"{point.layer}.weight" if point.layer != "model" else "weight" for point in points}
        rest = sum(one.packed_bytes for one in compute_size(self.build(recipe)).tensors if one.name not in names)
        try:
            return allocate_bits(points, n_bytes - rest)
        except ValueError as error:
            raise ValueError(
                f"n_bytes={n_bytes} cannot be met: {rest} bytes are not quantized, and of the others, {error}"
            ) from error
