"""The tab of a bench whose technique lets weights share values: each layer, and on a button, each of them alone."""

from collections.abc import Callable, Iterator

import ipywidgets

from efflab.figures import bits_sensitivity, layers
from efflab.knobs import Setting
from efflab.lab import Lab, Preview
from efflab.lab.bits_alone import BitsPoint
from efflab.quantize.codebook import share_weights
from efflab.widgets.parts import button, line
from efflab.widgets.view import PictureView

ALONE = (
    "The button lets the weights of one layer share 256 to 4 values, 8 to 2 bits, while the others stay as they are."
)


class SharedTab(ipywidgets.VBox):
    """Each layer: what is left of it and what it weighs; on a button, how few values of it alone the network bears.

    scan: what the button does.
    """

    title = "layers"
    every = 1

    def __init__(self, lab: Lab, scan: Callable[[], object]) -> None:
        self._lab = lab
        self._settings: dict[str, Setting] = {}
        self._layers, self._alone = PictureView(height=300), PictureView(height=340)
        self.button = button("Share each layer alone", scan, "evaluates the network once a layer and number of bits")
        super().__init__([self._layers, self.button, line(ALONE), self._alone])

    def show(self, preview: Preview) -> None:
        """Draw the layers of this preview; from any thread."""
        values = next((one.values for one in preview.recipe if one.technique == share_weights), {})
        self._settings = {name: value for name, value in values.items() if name != "bits"}
        self._layers.show_picture(layers(preview.size, preview.base_size))

    def macs(self, preview: Preview) -> None:
        """Shared values take no multiplication away, so there is nothing to tell."""

    def scan(self, batch: int) -> Iterator[BitsPoint]:
        """What the button asks for, from the start that is shown; nothing is timed, whatever the batch."""
        return self._lab.bits_alone(self._settings, technique=share_weights)

    def show_points(self, points: list[BitsPoint]) -> None:
        """Draw what is known of the layers; from any thread."""
        self._alone.show_picture(bits_sensitivity(points, self._lab.baseline, where="in a codebook"))
