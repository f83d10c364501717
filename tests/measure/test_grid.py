"""The grid of a machine: which points it has, how a layout that fails is passed over, and when it ends."""

from collections.abc import Callable

import pytest

from efflab.measure.break_even import BreakEven
from efflab.measure.grid import Grid, bracket, measure_grid, still_needed
from efflab.measure.kernel_speed import KernelSpeed
from efflab.measure.speed import SpeedError
from tests.support import product

TINY = Grid(sizes=((8, 4), (16, 4)), batches=(1, 2), sparsities=(0.5, 0.9), block=2, threads=2, seconds=0.01)


class Stub:
    """A stopwatch that answers at once, but not of the layout that fails."""

    def __init__(self, fails: str = "") -> None:
        self.asked: list[dict[str, object]] = []
        self._fails = fails

    def compare(self, layout: str, *, stale: Callable[[], bool] | None, **settings: object) -> KernelSpeed | None:
        if stale and stale():
            return None
        self.asked.append({"layout": layout} | settings)
        if layout == self._fails:
            raise SpeedError(f"{layout} cannot be timed")
        return product(settings["sparsity"], 0.5, layout=layout)


def test_every_point_of_the_grid_is_measured_once_with_its_settings() -> None:
    stub = Stub()

    points = list(measure_grid(stub, TINY))

    wanted = [
        (layout, *size, batch, sparsity)
        for layout in ("csr", "bsr")
        for size in TINY.sizes
        for batch in (1, 2)
        for sparsity in (0.5, 0.9)
    ]
    assert [(a["layout"], a["rows"], a["columns"], a["batch"], a["sparsity"]) for a in stub.asked] == wanted
    assert {(a["block"], a["threads"], a["seconds"]) for a in stub.asked} == {(2, 2, 0.01)}
    assert len(points) == TINY.n_points == 16


def test_a_layout_that_fails_does_not_take_the_next_one_with_it() -> None:
    points = measure_grid(Stub("csr"), TINY)

    assert [next(points).layout for _ in range(8)] == ["bsr"] * 8
    with pytest.raises(SpeedError, match="csr cannot be timed"):
        next(points)


def test_it_ends_when_the_rest_is_not_wanted() -> None:
    stub = Stub()

    assert len(list(measure_grid(stub, TINY, stale=lambda: len(stub.asked) == 3))) == 3


@pytest.mark.parametrize(
    ("sparsity", "not_yet", "is_known"),
    [(0.9, 0.8, True), (0.9, 0.7, False), (0.5, None, True), (0.9, None, False), (None, 0.99, False)],
)
def test_a_break_even_is_known_when_the_points_around_it_are_close(
    sparsity: float | None, not_yet: float | None, is_known: bool
) -> None:
    assert TINY.knows(BreakEven("csr", 1, 8, 4, 1, 1, sparsity, not_yet)) is is_known


@pytest.mark.parametrize(
    ("sparsity", "not_yet", "between", "needed"),
    [
        (0.85, 0.78, (0.78, 0.85), None),
        (0.85, 0.74, None, (0.75, 0.84)),  # a point there leaves at most 10 points on either side
        (0.9, 0.5, None, (0.5, 0.9)),  # no single point is enough
        (0.9, None, None, (0.0, 0.9)),
        (0.1, None, (0.0, 0.1), None),
        (None, 0.8, None, (0.8, 1.0)),
        (None, 0.99, None, None),
        (None, None, None, None),
    ],
)
def test_between_two_close_points_lies_the_break_even_and_else_it_is_said_where_one_is_missing(
    sparsity: float | None,
    not_yet: float | None,
    between: tuple[float, float] | None,
    needed: tuple[float, float] | None,
) -> None:
    one = BreakEven("csr", 1, 8, 4, 1, 1, sparsity, not_yet)
    assert bracket(one) == between
    assert still_needed(one) == (needed and pytest.approx(needed))


def test_what_is_known_already_is_measured_last() -> None:
    stub, again = Stub(), Stub()
    known = [product(0.5, 0.5, rows=8, columns=4, threads=2), product(0.9, 0.5, rows=8, columns=4, threads=2)]

    list(measure_grid(stub, TINY))
    list(measure_grid(again, TINY, known=known))

    assert again.asked == stub.asked[2:] + stub.asked[:2]


def test_large_matrices_take_longer_than_their_timing() -> None:
    """The grid of three layers in chapter 02 took 16 s on the machine where it was tried."""
    large = Grid(layouts=("csr",), sizes=((600, 4096), (1000, 4096), (4096, 4096)), sparsities=(0.75, 0.9))

    assert 12 < large.about_s < 20


def test_the_usual_grid_fits_its_blocks_and_says_how_long_it_takes() -> None:
    grid = Grid()

    assert not [size for size in grid.sizes if size[0] % grid.block or size[1] % grid.block]
    assert 30 < grid.about_s < 120
