"""Tabs of a bench whose technique takes channels away: the network as blocks, and the filters that stay.

They stand where a bench of weights has its layers and its weights.
"""

from collections.abc import Callable, Iterator, Sequence

import ipywidgets

from efflab.figures import blocks, channel_sensitivity, filters
from efflab.figures.blocks import group_letters
from efflab.lab import Lab, Preview
from efflab.lab.blocks import Block
from efflab.lab.channels import ChannelPoint
from efflab.lab.filters import KINDS
from efflab.prune import prune_filters, prune_neurons
from efflab.recipe import AnyTechnique
from efflab.widgets.parts import button, line, line_text, named_choice, offer
from efflab.widgets.view import PictureView

STRUCTURED = (prune_neurons, prune_filters)
"""The techniques that take channels away."""
RATIOS = (0.5,)
"""What a group loses when it is cut alone."""
ALL = ""
"""The choice of a group when none is picked out."""
TOGETHER = (
    "Blocks with the same letter lose the same channels, for a sum or a reader ties them together. Point at a block, "
    "or choose a group, to see what goes with it."
)
ALONE = (
    "The button takes half of the channels of one group, the others stay whole, and measures: a second or two a group."
)


class NetworkTab(ipywidgets.VBox):
    """The network as blocks as wide as their channels; on a button, what each group costs and saves by itself.

    again: draws this tab once more.
    """

    title = "network"
    every = 1
    """A point takes a second to measure, so each is drawn."""

    def __init__(
        self, lab: Lab, technique: AnyTechnique, scan: Callable[[], object], again: Callable[[], object]
    ) -> None:
        self._lab, self._technique = lab, technique
        self._group = ipywidgets.Dropdown(options=[("all", ALL)])
        self._group.observe(lambda _: again(), "value")
        self._blocks, self._sensitivity = PictureView(height=360), PictureView(height=460)
        self.button = button("Cut each group alone", scan, "evaluates and times the network once a group and ratio")
        self._told = line(TOGETHER)
        above = [named_choice("Group", self._group), self._told, self._blocks]
        super().__init__([*above, self.button, line(ALONE), self._sensitivity])

    def choose(self, group: str) -> None:
        """Pick out a group by its name: its blocks stay strong, the others turn pale. "" for all."""
        self._group.value = group

    def show(self, preview: Preview) -> None:
        """Draw the blocks of this preview; from any thread."""
        found = self._lab.blocks(preview.recipe)
        offer(self._group, [("all", ALL), *_named_groups(found)])
        self._told.value = line_text(_with_group(found, self._group.value) if self._group.value else TOGETHER)
        self._blocks.show_picture(blocks(found, highlight=self._group.value or None))

    def macs(self, preview: Preview) -> tuple[int, int]:
        """The MACs of one image in the base and in what is shown."""
        return self._lab.macs(()), self._lab.macs(preview.recipe)

    def scan(self, batch: int) -> Iterator[ChannelPoint]:
        """What the button asks for: each group cut alone, evaluated and timed with so many images in a run."""
        return self._lab.channel_sensitivity(RATIOS, technique=self._technique, batch=batch)

    def show_points(self, points: list[ChannelPoint]) -> None:
        """Draw what is known of the groups; from any thread."""
        self._sensitivity.show_picture(channel_sensitivity(points, self._lab.baseline))


class FiltersTab(ipywidgets.VBox):
    """One layer's filters, or neurons, the most important first, and which of them stayed.

    again: draws this tab once more.
    """

    def __init__(self, lab: Lab, technique: AnyTechnique, again: Callable[[], object]) -> None:
        self._lab, self._technique = lab, technique
        self.title = "neurons" if technique is prune_neurons else "filters"
        self._rules: object = None
        self._layer = ipywidgets.Dropdown()
        self._layer.observe(lambda _: again(), "value")
        self._filters, self._said = PictureView(height=420), ipywidgets.HTML()
        super().__init__([named_choice("Layer", self._layer), self._said, self._filters])

    def choose(self, layer: str) -> None:
        """Show another layer."""
        self._layer.value = layer

    def show(self, preview: Preview) -> None:
        """Draw the chosen layer's filters; from any thread."""
        rules = [one.values.get("rules") for one in preview.recipe]
        if rules != self._rules:  # other settings leave the layers as they are, and asking takes a while
            self._rules = rules
            offer(self._layer, [(name, name) for name in self._ranked(self._lab.blocks(preview.recipe))])
        picture = filters(self._lab.filters(preview.recipe, self._layer.value))
        self._filters.show_picture(picture)
        self._said.value = line_text(picture.sentence)

    def _ranked(self, found: Sequence[Block]) -> list[str]:
        """The layers whose channels the technique ranks: those of groups that layers of its kind alone make."""
        model, kind = self._lab.build(()), KINDS[self._technique.name]
        others = {one.group for one in found if one.frozen or not isinstance(model.get_submodule(one.layer), kind)}
        return [one.layer for one in found if one.group not in others]


def _named_groups(found: Sequence[Block]) -> list[tuple[str, str]]:
    """Each group that may lose channels, with its letter and the layers that make it, and its name."""
    letters = group_letters(found)
    makers = {name: [one.layer for one in found if one.group == name] for name in letters}
    return [(f"{letter}: {' + '.join(makers[name])}", name) for name, letter in letters.items()]


def _with_group(found: Sequence[Block], group: str) -> str:
    """What loses its part of each channel of a group: "A channel of conv1 goes with its part of norm1, conv2"."""
    makers = [one.layer for one in found if one.group == group]
    layers = next(one.layers for one in found if one.group == group)
    others = [layer for layer in layers if layer not in makers]
    rest = f", and with its part of {', '.join(others)}" if others else ""
    return f"A channel of this group goes out of {' and '.join(makers)}{rest}."
