"""What a layer reads, above the values of the grid that it goes onto."""

from typing import TYPE_CHECKING

from efflab.costs.texts import plural, three
from efflab.figures.counts import LOGARITHM
from efflab.figures.number_line import error_text, line_layout, line_table, line_traces
from efflab.figures.picture import Picture, draw
from efflab.runtime.quantized import bits_text

if TYPE_CHECKING:
    from efflab.lab.activations_on_grid import ActivationsOnGrid


def activations(found: "ActivationsOnGrid") -> Picture:
    """The numbers that a layer reads as a histogram, and below each value of the grid how many sit on it.

    Counts are logarithmic, for a ReLU leaves a heap of zeros.
    """
    traces = line_traces(found.line, "read (before the grid)", f"on the grid of {bits_text(found.bits)}", LOGARITHM)
    title = f"what {found.layer} reads (steps of {three(found.scale)})"
    figure = draw(traces, line_layout(found.line, title, "numbers", LOGARITHM))
    return Picture(figure, _sentence(found), line_table(found.line, "read", "numbers"))


def _sentence(found: "ActivationsOnGrid") -> str:
    line = found.line
    seen, ends = (f"from {three(low)} to {three(high)}" for low, high in (found.seen, found.ends))
    dead = f"{line.n_dead} of its {len(line.values)} values are dead: no number sits on them"
    used = dead if line.n_dead else f"all of its {len(line.values)} values are used"
    return (
        f"On {plural(found.n_images, 'calibration image')} {found.layer} reads {plural(line.n, 'number')} {seen}; "
        f"its grid of {bits_text(found.bits)} goes {ends}, and {used}. {error_text(line, 'number')}"
    )
