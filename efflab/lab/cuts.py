"""What a lab says of channels: the network as blocks, the filters that stay, what each group costs, and a budget."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence

from torch import nn

from efflab.data import Data
from efflab.knobs import Setting
from efflab.lab.answers import Report
from efflab.lab.blocks import Block, find_blocks
from efflab.lab.channels import RATIOS, ChannelPoint, scan_channels
from efflab.lab.filters import Filters, find_filters, split_at_cut
from efflab.lab.fitting import Fit, Limit, Search, find_fit
from efflab.measure.work import count_work
from efflab.prune import prune_filters
from efflab.recipe import AnyTechnique, Recipe
from efflab.training import Progress


class Cuts(ABC):
    """The part of a `Lab` that is about channels; the lab builds and measures."""

    @property
    @abstractmethod
    def data(self) -> Data:
        """What the models are judged on."""

    @property
    @abstractmethod
    def seed(self) -> int:
        """What random acts start from."""

    @abstractmethod
    def build(self, recipe: Recipe, *, progress: Progress | None = None) -> nn.Module:
        """The network that a recipe makes."""

    @abstractmethod
    def measure(
        self, recipe: Recipe, *, batch: int = 1, threads: int = 1, stale: Callable[[], bool] | None = None
    ) -> Report | None:
        """Weigh and time a recipe's network beside the base."""

    def macs(self, recipe: Recipe) -> int:
        """The multiplications, each with an addition, that one image takes in the recipe's network.

        Raises:
            ValueError: as `build`.
        """
        return count_work(self.build(recipe), self.data.shape).macs

    def blocks(self, recipe: Recipe) -> tuple[Block, ...]:
        """The layers of the base beside those of the recipe's network: widths, MACs, groups.

        The channels are followed by the rules of the recipe's last step that has some.

        Raises:
            ValueError: the base's channels cannot be followed, or as `build`.
        """
        rules = next((str(one.values["rules"]) for one in reversed(recipe) if "rules" in one.values), "efflab")
        return find_blocks(self.build(()), self.build(recipe), self.data.shape, rules)

    def filters(self, recipe: Recipe, layer: str) -> Filters:
        """The channels of a layer as the recipe's last cut saw them: weights, importance, and which stayed.

        Raises:
            ValueError: no step takes channels away, or not from this layer.
        """
        before, cut = split_at_cut(recipe)
        return find_filters(self.build(before), cut, layer, data=self.data, seed=self.seed)

    def channel_sensitivity(
        self,
        ratios: Sequence[float] = RATIOS,
        *,
        technique: AnyTechnique = prune_filters,
        batch: int = 1,
        threads: int = 1,
        stale: Callable[[], bool] | None = None,
    ) -> Iterator[ChannelPoint]:
        """Each group of the base cut alone: the score, the MACs (computed) and the milliseconds (measured).

        Raises:
            ValueError, ExportError, SpeedError: as `scan_channels`.
        """
        model = self.build(())
        return scan_channels(model, self.data, technique, ratios=ratios, batch=batch, threads=threads, stale=stale)

    def fit(
        self,
        technique: AnyTechnique,
        knob: str,
        limit: Limit,
        *,
        batch: int = 1,
        threads: int = 1,
        progress: Progress | None = None,
        stale: Callable[[], bool] = bool,
        **settings: Setting,
    ) -> Fit | None:
        """The mildest setting of a knob that meets a limit of MACs, bytes or milliseconds: see `lab/fitting.py`.

        None when `stale` became true, or the progress was stopped, before it was found. settings: the technique's
        other knobs.

        Example:
            >>> from efflab import Lab, prune_neurons
            >>> less = Lab.open("mlp-digits").fit(prune_neurons, "ratio", Limit("MACs", 25_000))
            >>> less.step.values["ratio"], less.reached
            (0.37, 24633)

        Raises:
            ValueError, TypeError: no such knob or setting, or as `build`.
        """
        search = Search(self.build, self.measure, self.data.shape, batch, threads, progress or Progress(), stale)
        return find_fit(search, technique, knob, limit, settings)
