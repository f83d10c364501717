"""Tabs of a bench whose technique quantizes: the number line of a layer, errors and bytes by layer, and activations.

They stand where a bench of weights has its layers and its weights. What nobody sees is not computed: a tab asks the lab
when it is drawn.
"""

from collections.abc import Callable, Iterator

import ipywidgets
from torch import nn

from efflab.figures import activations, bits_by_layer, bits_sensitivity, grid_errors, number_line
from efflab.knobs import Setting
from efflab.lab import Lab, Preview
from efflab.lab.bits_alone import BitsPoint
from efflab.lab.grid_errors import GridErrors
from efflab.lab.limits import what_limits
from efflab.quantize import (
    learn_rounding,
    quantize_activations,
    quantize_weights,
    train_quantized,
)
from efflab.recipe import Recipe
from efflab.runtime.quantized import on_grid, quantized_layers
from efflab.widgets.parts import button, line, line_text, named_choice, offer
from efflab.widgets.view import PictureView

ROUNDING = (quantize_weights, learn_rounding)
"""The techniques that put float weights onto grids, and do not train them."""
QUANTIZING = (*ROUNDING, quantize_activations, train_quantized)
"""Those that put numbers onto grids."""
ROUNDED_FIRST = (learn_rounding, train_quantized)
"""Those that put float weights onto grids and then train: the network that they were given has float weights."""
MAX_CHANNELS = 512
"""Channels that can be chosen; nobody scrolls further."""
ALL = -1
"""The choice of all channels together; a Dropdown whose value is None shows nothing."""
NO_WEIGHTS = "The weights are float here: quantize_weights puts them onto grids."
NO_ACTIVATIONS = "What the layers read is float here: quantize_activations puts it onto grids."
LINES = (
    "Above, the float weights; below, the values of the grid and how many weights sit on each. "
    "With fewer bits the values move apart. All channels together are drawn in steps of their scales."
)
MOVED = (
    "Training gave these weights other values: a layer that gives something else than in the float network need not "
    "lose anything by it. The accuracy says what was lost."
)
ALONE = "The button puts the weights of one layer onto grids of 8 to 2 bits while the others stay float, and evaluates."


class AskedErrors:
    """The errors by layer of the network that was asked for last: two tabs show parts of one answer."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._last: tuple[nn.Module, GridErrors] | None = None

    def of(self, recipe: Recipe) -> GridErrors:
        """The errors of a recipe; not computed again while its network is the same one."""
        model = self._lab.build(recipe)
        if self._last is None or self._last[0] is not model:
            self._last = (model, self._lab.grid_errors(recipe))
        return self._last[1]


class GridTab(ipywidgets.VBox):
    """The weights of one layer, or of one of its channels, above the values of their grid.

    again: draws this tab once more.
    """

    title = "grid"

    def __init__(self, lab: Lab, again: Callable[[], object]) -> None:
        self._lab = lab
        self._layer, self._channel = ipywidgets.Dropdown(), ipywidgets.Dropdown(options=[("all", ALL)])
        for choice in (self._layer, self._channel):
            choice.observe(lambda _: again(), "value")
        self._line, self._said = PictureView(height=400), line(LINES)
        choices = [named_choice("Layer", self._layer), named_choice("Channel", self._channel)]
        super().__init__([*choices, self._line, self._said])

    def choose(self, layer: str, channel: int | None = None) -> None:
        """Show another layer, or one channel of it."""
        self._layer.value = layer
        offer(self._channel, _channels(MAX_CHANNELS))
        self._channel.value = ALL if channel is None else channel

    def show(self, preview: Preview) -> None:
        """Draw the chosen layer's weights; from any thread."""
        layers = quantized_layers(self._lab.build(preview.recipe))
        if not layers:
            _hide(self._line, self._said, NO_WEIGHTS)
            return
        offer(self._layer, [(name, name) for name in layers])
        layer = self._layer.value
        offer(self._channel, _channels(len(layers[layer].weight)))
        channel = None if self._channel.value == ALL else self._channel.value
        picture = number_line(self._lab.on_grid(preview.recipe, layer, channel))
        self._line.show_picture(picture)
        self._said.value = line_text(picture.sentence) + line_text(LINES)


class ErrorsTab(ipywidgets.VBox):
    """Which layer loses how much, and what limits the network; on a button, each layer's weights alone on grids."""

    title = "layers"
    every = 1

    def __init__(self, lab: Lab, errors: AskedErrors, scan: Callable[[], object]) -> None:
        self._lab, self._errors = lab, errors
        self._settings: dict[str, Setting] = {}
        self._drawn, self._limits, self._alone = PictureView(height=340), ipywidgets.HTML(), PictureView(height=340)
        self.button = button("Quantize each layer alone", scan, "evaluates the network once a layer and number of bits")
        super().__init__([self._drawn, self._limits, self.button, line(ALONE), self._alone])

    def show(self, preview: Preview) -> None:
        """Draw the errors of this preview, and say what limits it; from any thread."""
        values = next((one.values for one in preview.recipe if one.technique in ROUNDING), {})
        self._settings = {name: values[name] for name in quantize_weights.knobs if name in values and name != "bits"}
        found = self._errors.of(preview.recipe)
        self._drawn.show_picture(grid_errors(found))
        sentences = what_limits(found)
        if any(one.technique == train_quantized for one in preview.recipe):
            sentences = (MOVED, *sentences[1:])
        self._limits.value = "".join(line_text(sentence) for sentence in sentences)

    def macs(self, preview: Preview) -> None:
        """Grids take no multiplication away, so there is nothing to tell."""

    def scan(self, batch: int) -> Iterator[BitsPoint]:
        """What the button asks for, with grids of the kind that is shown; nothing is timed, whatever the batch."""
        return self._lab.bits_alone(self._settings)

    def show_points(self, points: list[BitsPoint]) -> None:
        """Draw what is known of the layers; from any thread."""
        self._alone.show_picture(bits_sensitivity(points, self._lab.baseline))


class BytesTab(ipywidgets.VBox):
    """The bits of each layer, and what its bytes are."""

    title = "bytes"

    def __init__(self, errors: AskedErrors) -> None:
        self._errors = errors
        self._bytes, self._said = PictureView(height=340), ipywidgets.HTML()
        super().__init__([self._bytes, self._said])

    def show(self, preview: Preview) -> None:
        """Draw the bytes of this preview; from any thread."""
        picture = bits_by_layer(self._errors.of(preview.recipe))
        self._bytes.show_picture(picture)
        self._said.value = line_text(picture.sentence)


class ActivationsTab(ipywidgets.VBox):
    """What one layer reads, above the values of the grid that it goes onto.

    again: draws this tab once more.
    """

    title = "activations"

    def __init__(self, lab: Lab, again: Callable[[], object]) -> None:
        self._lab = lab
        self._layer = ipywidgets.Dropdown()
        self._layer.observe(lambda _: again(), "value")
        self._read, self._said = PictureView(height=400), line(NO_ACTIVATIONS)
        super().__init__([named_choice("Layer", self._layer), self._read, self._said])

    def choose(self, layer: str) -> None:
        """Show another layer."""
        self._layer.value = layer

    def show(self, preview: Preview) -> None:
        """Draw what the chosen layer reads; from any thread."""
        layers = on_grid(self._lab.build(preview.recipe)).items()
        readers = [name for name, one in layers if one.reads is not None]
        if not readers:
            _hide(self._read, self._said, NO_ACTIVATIONS)
            return
        offer(self._layer, [(name, name) for name in readers])
        picture = activations(self._lab.activations(preview.recipe, self._layer.value))
        self._read.show_picture(picture)
        self._said.value = line_text(picture.sentence)


def _channels(n: int) -> list[tuple[str, int]]:
    """What can be chosen of n channels."""
    return [("all", ALL), *((str(channel), channel) for channel in range(min(n, MAX_CHANNELS)))]


def _hide(view: PictureView, said: ipywidgets.HTML, why: str) -> None:
    """A sentence in place of a picture."""
    view.hide()
    said.value = line_text(why)
