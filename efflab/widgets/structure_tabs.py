"""Tabs of a bench whose technique takes channels away: the network as blocks, and the filters that stay.

They stand where a bench of weights has its layers and its weights.
"""

from collections.abc import Callable, Iterator

import ipywidgets

from efflab.figures import blocks, channel_sensitivity, filters
from efflab.lab import Lab, Preview
from efflab.lab.channels import ChannelPoint
from efflab.prune import prune_filters, prune_neurons
from efflab.recipe import AnyTechnique
from efflab.widgets.parts import button, named_choice
from efflab.widgets.tabs import LayersTab, WeightsTab
from efflab.widgets.view import PictureView

STRUCTURED = (prune_neurons, prune_filters)
"""The techniques that take channels away."""
RATIOS = (0.5,)
"""What a group loses when it is cut alone."""
ALL = "none"
"""The choice of a group when none is picked out."""


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
        self._group = ipywidgets.Dropdown(options=(ALL,), value=ALL)
        self._group.observe(lambda _: again(), "value")
        self._blocks, self._sensitivity = PictureView(height=360), PictureView(height=380)
        self.button = button("Cut each group alone", scan, "evaluates and times the network once a group and ratio")
        super().__init__([named_choice("Group", self._group), self._blocks, self.button, self._sensitivity])

    def choose(self, group: str) -> None:
        """Pick out a group: its blocks stay strong, the others turn pale."""
        self._group.value = group

    def show(self, preview: Preview) -> None:
        """Draw the blocks of this preview; from any thread."""
        found = self._lab.blocks(preview.recipe)
        options = (ALL, *dict.fromkeys(block.group for block in found if not block.frozen))
        if self._group.options != options:
            self._group.options = options
        chosen = self._group.value
        self._blocks.show_picture(blocks(found, highlight=None if chosen == ALL else chosen))

    def macs(self, preview: Preview) -> tuple[int, int]:
        """The MACs of one image in the base and in what is shown."""
        return self._lab.macs(()), self._lab.macs(preview.recipe)

    def scan(self) -> Iterator[ChannelPoint]:
        """What the button asks for: each group cut alone, evaluated and timed."""
        return self._lab.channel_sensitivity(RATIOS, technique=self._technique)

    def show_points(self, points: list[ChannelPoint]) -> None:
        """Draw what is known of the groups; from any thread."""
        self._sensitivity.show_picture(channel_sensitivity(points, self._lab.baseline))


class FiltersTab(ipywidgets.VBox):
    """One layer's filters, the most important first, and which of them stayed."""

    title = "filters"

    def __init__(self, lab: Lab, again: Callable[[], object]) -> None:
        self._lab = lab
        names = [block.layer for block in lab.blocks(()) if not block.frozen]
        self._layer = ipywidgets.Dropdown(options=names, value=names[0])
        self._layer.observe(lambda _: again(), "value")
        self._filters = PictureView(height=420)
        super().__init__([named_choice("Layer", self._layer), self._filters])

    def choose(self, layer: str) -> None:
        """Show another layer."""
        self._layer.value = layer

    def show(self, preview: Preview) -> None:
        """Draw the chosen layer's filters; from any thread."""
        self._filters.show_picture(filters(self._lab.filters(preview.recipe, self._layer.value)))


def first_tabs(
    lab: Lab, technique: AnyTechnique, scan: Callable[[], object], again: Callable[[], object]
) -> tuple[LayersTab, WeightsTab] | tuple[NetworkTab, FiltersTab]:
    """What a bench shows first of its technique: layers and weights, or the network and its filters."""
    if technique in STRUCTURED:
        return NetworkTab(lab, technique, scan, again), FiltersTab(lab, again)
    return LayersTab(lab, scan), WeightsTab(lab, again)
