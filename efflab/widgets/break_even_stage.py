"""The right-hand side of the break-even explorer: tiles, the two pictures, and the same in Python.

Everything here may be called from the worker thread.
"""

import inspect
from collections.abc import Sequence
from datetime import datetime
from html import escape

import ipywidgets

from efflab.figures import frontier_map, sparse_speed
from efflab.figures.frontier import between_text, layout_text, needed_text, size_text, turning_text
from efflab.figures.text import bytes_text, ms_text, percent_text, ratio_text
from efflab.measure.break_even import BreakEven, KernelSpeed
from efflab.measure.grid import Grid
from efflab.measure.kernel_speed import stored_bytes
from efflab.runtime.kernels import multiply, to_layout
from efflab.widgets.break_even_asked import Asked
from efflab.widgets.parts import code_html
from efflab.widgets.tiles import arrow, badge, speed_lines, tile
from efflab.widgets.view import PictureView

BYTES = (
    "Dense: 4 bytes for each number, zeros too. CSR: 4 bytes for each number that is kept, 4 for its column, and 4 for "
    "the start of each row. BSR: the same, with one column for a whole block."
)
"""The formula behind the bytes, in words."""
JUST_NOW = "measured just now"


class BreakEvenStage(ipywidgets.VBox):
    """Shows one point as tiles, its line and the frontier as pictures. predicted: what was asked, and the fraction."""

    def __init__(self, grid: Grid) -> None:
        self.predicted: tuple[Asked, float] | None = None
        self.script = ""
        self._grid = grid
        self.tiles, self.note, self.code = ipywidgets.HTML(), ipywidgets.HTML(), ipywidgets.HTML()
        self.speed, self.map = PictureView(height=380), PictureView(height=360)
        super().__init__([self.tiles, self.speed, self.note, self.map, self.code])
        self.add_class("efflab-main")

    def pause(self, text: str) -> None:
        """Show no numbers but this sentence."""
        self.tiles.value = f"<div class='efflab-verdict'>{escape(text)}</div>"

    def tell(self, points: Sequence[KernelSpeed], reason: str = "") -> None:
        """Say what there is, or why there is nothing yet, and how long the whole grid takes."""
        dates = [point.date for point in points if point.date]
        count = f"{len(points)} point{'s' if len(points) > 1 else ''} of this machine"
        there = f"{count}, the last measured {when_text(max(dates))}" if dates else reason
        there = f"{there[:1].upper()}{there[1:]}. " if there else ""
        takes = f"<b>Measure this CPU</b> times {self._grid.n_points} products, which takes {about_text(self._grid)}"
        after = "Stop keeps what was measured, and the button goes on with what is missing"
        self.note.value = f"<p>{escape(there)}{takes}; {after}.</p>"

    def draw(
        self, asked: Asked, point: KernelSpeed | None, points: Sequence[KernelSpeed], one: BreakEven | None, state: str
    ) -> None:
        """Show what is asked for in the tiles. state: whether it is being measured."""
        parts = (_speed(asked, point, state), _bytes(asked), _break_even(asked, one))
        self.tiles.value = f"<div class='efflab-tiles'>{''.join(parts)}</div>"
        self.script = script(asked, self._grid)
        self.code.value = _code(self.script)
        if points:
            self.tell(points)

    def draw_pictures(self, asked: Asked, point: KernelSpeed | None, points: Sequence[KernelSpeed]) -> None:
        """Draw the line of what is asked for, and the frontier."""
        if not points:
            return
        at, predicted = self.predicted or (None, None)
        is_here = at is not None and (at.rows, at.columns, at.batch) == (asked.rows, asked.columns, asked.batch)
        size = {"rows": asked.rows, "columns": asked.columns, "batch": asked.batch}
        self.speed.show_picture(sparse_speed(points, **size, chosen=point, predicted=predicted if is_here else None))
        self.map.show_picture(frontier_map(points))

    def project(self, is_on: bool) -> None:
        """Large type and thick lines, or back."""
        for view in (self.speed, self.map):
            view.project(is_on)


def sentence(asked: Asked, point: KernelSpeed | None) -> str:
    """What the tiles say, in one sentence."""
    if point is None:
        return f"{asked}: not measured yet."
    speed = point.speed
    return f"{asked}: {ms_text(speed.now.median_ms)}, dense {ms_text(speed.base.median_ms)}, {speed.verdict}."


def about_text(grid: Grid) -> str:
    """How long the grid takes, rounded as one says it: "about 60 s"."""
    return f"about {max(10, 10 * round(grid.about_s / 10))} s" if grid.about_s > 5 else "a few seconds"


def when_text(date: str) -> str:
    """A date in UTC as a clock on the wall shows it: "2026-11-24 09:05"."""
    return datetime.fromisoformat(date).astimezone().strftime("%Y-%m-%d %H:%M")


def _speed(asked: Asked, point: KernelSpeed | None, state: str) -> str:
    title = f"Speed: dense → {layout_text(asked.layout, asked.block)}"
    if point is None:
        return tile(title, "...", "; ".join(filter(None, ("not measured yet", state))))
    lines = speed_lines(point.speed, "torch", "two copies of the dense weight")
    when = f"measured {when_text(point.date)}" if point.date and state != JUST_NOW else ""
    change = arrow(ms_text(point.speed.base.median_ms), ms_text(point.speed.now.median_ms))
    return tile(title, change, *lines, escape("; ".join(filter(None, (when, state)))))


def _bytes(asked: Asked) -> str:
    dense = stored_bytes("dense", asked.rows, asked.columns)
    now = stored_bytes(asked.layout, asked.rows, asked.columns, sparsity=asked.sparsity, block=asked.block)
    word = f"{ratio_text(dense / now)} smaller" if now < dense else f"{ratio_text(now / dense)} as large"
    return tile("Weight", arrow(bytes_text(dense), bytes_text(now)), f"{word} {badge('computed', BYTES)}")


def _break_even(asked: Asked, one: BreakEven | None) -> str:
    where = f"{layout_text(asked.layout, asked.block)}, {size_text(asked.rows, asked.columns)}, batch {asked.batch}"
    if one is None:
        return tile("Break-even", "...", f"{where}: not measured yet")
    change = "none measured" if one.sparsity is None else f"at most {percent_text(one.sparsity, None)} zeros"
    if one.sparsity is not None and one.not_yet is not None:
        change = f"{between_text(one.not_yet, one.sparsity)} zeros"
    lines = [f"{where}: {escape(turning_text(one))} {badge('measured')}"]
    needed = needed_text(one)
    return tile("Break-even", change, *lines, *([f"still needed: {needed}"] if needed else []))


def _code(calls: str) -> str:
    """The lines of Python that do the same, and what they time."""
    sources = "".join(code_html(inspect.getsource(function), "the source") for function in (multiply, to_layout))
    return (
        "<details><summary>The same in Python</summary><p>In a cell, this measures and keeps the same points:</p>"
        f"{code_html(calls, 'the calls')}<p>What it times:</p>{sources}</details>"
    )


def script(asked: Asked, grid: Grid) -> str:
    """What the explorer does, as Python."""
    settings = ", ".join(f"{name}={value!r}" for name, value in asked.settings.items() if name != "layout")
    return f"""from efflab.measure.break_even import frontier
from efflab.measure.grid import Grid, measure_grid
from efflab.measure.kept_points import add_points
from efflab.measure.kernel_speed import kernel_stopwatch

point = kernel_stopwatch().compare({asked.layout!r}, {settings}, seconds={grid.seconds})
grid = {"Grid()" if grid == Grid() else grid!r}
points = list(measure_grid(kernel_stopwatch(), grid))  # {about_text(grid)}
add_points([point, *points])
break_evens = frontier([point, *points])
"""
