"""What the controls of the break-even explorer can be set to, and the product that they then ask for."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from efflab.figures.frontier import layout_text, size_text
from efflab.figures.text import percent_text
from efflab.knobs import Choice, Knob, Range, Setting, Value
from efflab.measure.break_even import KernelSpeed, Line, line_of
from efflab.measure.grid import Grid

SPARSITY = Range(0.0, 1.0, 0.01, "fraction of zeros; with bsr, of blocks of zeros")
START: Mapping[str, Value] = {"layout": "csr", "size": "1024x1024", "batch": "1", "sparsity": 0.9}
"""Where the controls begin, if the grid has it."""


@dataclass(frozen=True)
class Asked:
    """The product that the controls ask for; `sparsity` is a fraction, `block` the side of a block of "bsr"."""

    layout: str
    rows: int
    columns: int
    batch: int
    sparsity: float
    block: int
    threads: int

    @property
    def settings(self) -> dict[str, Any]:
        """As `KernelStopwatch.compare` takes them."""
        return dict(vars(self))

    @property
    def line(self) -> Line:
        """All but the sparsity, as `line_of` a point."""
        block = self.block if self.layout == "bsr" else 1
        return (self.layout, block, self.rows, self.columns, self.batch, self.threads)

    def is_of(self, point: KernelSpeed) -> bool:
        """Whether the point is what is asked for."""
        return line_of(point) == self.line and point.sparsity == self.sparsity

    def __str__(self) -> str:
        name = layout_text(self.layout, self.block)
        size = size_text(self.rows, self.columns)
        return f"{name} with {percent_text(self.sparsity, None)} zeros, {size}, batch {self.batch}"


def knobs(grid: Grid) -> dict[str, Knob]:
    """What can be moved: any sparsity, and the layouts, sizes and batches of the grid."""
    blocks = f"in blocks of {size_text(grid.block, grid.block)}"
    sizes = tuple(size_text(rows, columns) for rows, columns in grid.sizes)
    return {
        "sparsity": SPARSITY,
        "layout": Choice(grid.layouts, f"how zeros are left out: one by one (csr), or {blocks} (bsr)"),
        "size": Choice(sizes, "outputs x inputs of the layer"),
        "batch": Choice(tuple(map(str, grid.batches)), "inputs in a run"),
    }


def first_settings(grid: Grid, start: Mapping[str, Value]) -> dict[str, Value]:
    """Where the controls begin: as `start` says, else as usual, else with what the grid has first."""
    usual = {
        name: knob.options[0] if isinstance(knob, Choice) and START[name] not in knob.options else START[name]
        for name, knob in knobs(grid).items()
    }
    return {**usual, **start}


def asked_for(grid: Grid, settings: Mapping[str, Setting]) -> Asked:
    """The product that settings of the controls ask for.

    Raises:
        TypeError, ValueError: a setting is none of the grid's; the sentence names those that are.
    """
    for name, setting in settings.items():
        if name not in knobs(grid):
            raise ValueError(f"there is no setting {name!r}; there are: {', '.join(knobs(grid))}")
        knobs(grid)[name].check(name, setting)
    rows, columns = (int(side) for side in str(settings["size"]).split("x"))
    sparsity = round(float(str(settings["sparsity"])), 4)
    return Asked(
        str(settings["layout"]), rows, columns, int(str(settings["batch"])), sparsity, grid.block, grid.threads
    )
