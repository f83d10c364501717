"""Which tabs a bench shows first: they belong to what its technique does."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

import ipywidgets

from efflab.lab import Lab, Preview
from efflab.quantize.codebook import share_weights
from efflab.recipe import AnyTechnique
from efflab.widgets.code_tabs import SharedTab
from efflab.widgets.grid_tabs import QUANTIZING, ActivationsTab, AskedErrors, BytesTab, ErrorsTab, GridTab
from efflab.widgets.structure_tabs import STRUCTURED, FiltersTab, NetworkTab
from efflab.widgets.tabs import LayersTab, WeightsTab


class ScanningTab(Protocol):
    """A tab with a button that looks at each layer, or group, alone; it draws every so many-th point that comes."""

    button: ipywidgets.Button
    every: int

    def macs(self, preview: Preview) -> tuple[int, int] | None:
        """The multiplications of one image in the base and now, where the technique changes them."""

    def scan(self, batch: int) -> Iterator[Any]:
        """What the button asks for, at a batch."""

    def show_points(self, points: list[Any]) -> None:
        """Draw what is known so far."""


def first_tabs(
    lab: Lab, technique: AnyTechnique, scan: Callable[[], object], again: Callable[[], object]
) -> tuple[ipywidgets.VBox, ...]:
    """Layers and weights; of channels the network and filters; of grids the number line, errors, bytes, activations.

    Of codebooks, too, layers and weights, but a layer alone shares values there.

    Each has a title; exactly one is a `ScanningTab`. scan: what its button does; again: draws the open tab once more.
    """
    if technique in STRUCTURED:
        return NetworkTab(lab, technique, scan, again), FiltersTab(lab, technique, again)
    if technique in QUANTIZING:
        errors = AskedErrors(lab)
        return GridTab(lab, again), ErrorsTab(lab, errors, scan), BytesTab(errors), ActivationsTab(lab, again)
    if technique == share_weights:
        return SharedTab(lab, scan), WeightsTab(lab, again)
    return LayersTab(lab, scan), WeightsTab(lab, again)


def layers_with_knobs(lab: Lab, technique: AnyTechnique) -> tuple[str, ...]:
    """The layers that a knob of the technique may be set for, one by one."""
    return lab.quantizable() if technique in (*QUANTIZING, share_weights) else tuple(lab.layers())


def scanning(tabs: Iterable[ipywidgets.VBox]) -> ScanningTab:
    """The one among the tabs that has a button."""
    found: ScanningTab = next(tab for tab in tabs if hasattr(tab, "scan"))
    return found
