"""What a lab says of grids: the weights of a layer on theirs, which layer loses how much, and what layers read."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping

from torch import Tensor, nn

from efflab.data import Data
from efflab.knobs import Setting
from efflab.lab.activations_on_grid import ActivationsOnGrid, find_activations
from efflab.lab.bits_alone import BitsPoint, scan_bits
from efflab.lab.grid_errors import GridErrors, find_grid_errors
from efflab.lab.weights_on_grid import WeightsOnGrid, find_weights_on_grid
from efflab.quantize import quantizable_layers, quantize_weights
from efflab.recipe import AnyTechnique, Recipe
from efflab.training import Progress

N_IMAGES = 100
"""Calibration images that are shown to find what layers read and give."""


class Grids(ABC):
    """The part of a `Lab` that is about numbers on grids; the lab builds."""

    @property
    @abstractmethod
    def data(self) -> Data:
        """What the models are judged on."""

    @abstractmethod
    def build(self, recipe: Recipe, *, progress: Progress | None = None) -> nn.Module:
        """The network that a recipe makes."""

    def on_grid(self, recipe: Recipe, layer: str, channel: int | None = None) -> WeightsOnGrid:
        """The weights of a layer before and after they went onto their grid; of one channel (a row), or of all.

        Example:
            >>> from efflab import Lab, quantize_weights, step
            >>> found = Lab.open("mlp-digits").on_grid((step(quantize_weights, bits=4),), "output", 3)
            >>> found.line.values.size, int(found.line.held.sum()), found.line.clipped
            (15, 100, 0.0)

        Raises:
            ValueError, TypeError: the layer's weights lie on no grid, or it has no such channel.
        """
        return find_weights_on_grid(self.build, recipe, layer, channel)

    def grid_errors(self, recipe: Recipe) -> GridErrors:
        """Each layer's signal to noise, bits and bytes, against the network before anything lay on a grid.

        Raises:
            ValueError: nothing lies on a grid, or as `build`.
        """
        return find_grid_errors(self.build, recipe, self._shown)

    def activations(self, recipe: Recipe, layer: str) -> ActivationsOnGrid:
        """What a layer reads from calibration images, before and after its grid.

        Raises:
            ValueError: the layer reads from no grid, or as `build`.
        """
        return find_activations(self.build(recipe), layer, self._shown)

    def bits_alone(
        self, settings: Mapping[str, Setting] | None = None, *, technique: AnyTechnique = quantize_weights
    ) -> Iterator[BitsPoint]:
        """Each layer's weights alone in few bits: the score of each, in the order of the network.

        technique: what brings them there, `quantize_weights` or `share_weights`; settings: its other knobs.

        Raises:
            ValueError, TypeError: no layer can be quantized, or not with these settings.
        """
        return scan_bits(self.build(()), self.data, settings or {}, technique=technique)

    def quantizable(self) -> tuple[str, ...]:
        """The layers of the base that may have bits of their own; those that share a weight under the first of them.

        Raises:
            ValueError: there are none.
        """
        return tuple(quantizable_layers(self.build(())))

    @property
    def _shown(self) -> Tensor:
        return self.data.calibration.images[:N_IMAGES]
