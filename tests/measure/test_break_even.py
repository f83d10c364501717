"""From measured points to a break-even: the order of the grid, when it ends, and where sparse begins to win."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from efflab.measure.break_even import BreakEven, KernelSpeed, KernelStopwatch, break_even, frontier, latest
from efflab.measure.speed import SpeedError
from tests.support import product as point


class Stub:
    """A stopwatch that notes what it is asked, and answers at once."""

    def __init__(self, *, fails_at: int = -1) -> None:
        self.asked: list[tuple[str, dict[str, object]]] = []
        self._fails_at = fails_at

    def compare(self, layout: str, *, stale: Callable[[], bool] | None, **settings: object) -> KernelSpeed | None:
        if stale and stale():
            return None
        self.asked.append((layout, settings))
        if len(self.asked) == self._fails_at:
            raise SpeedError("the stopwatch process died")
        return point(settings["sparsity"], 0.5)


@pytest.fixture(scope="module")
def shared() -> Iterator[KernelStopwatch]:
    with KernelStopwatch() as stopwatch:
        yield stopwatch


def ends(*points: KernelSpeed) -> tuple[float | None, float | None]:
    (found,) = frontier(points)
    return found.sparsity, found.not_yet


# The grid


def test_each_sparsity_of_each_batch_of_each_size_is_measured_in_this_order() -> None:
    stub = Stub()

    points = list(break_even(stub, sizes=[(8, 4), (16, 4)], batches=[1, 2], sparsities=[0.5, 0.9]))

    asked = [(s["rows"], s["columns"], s["batch"], s["sparsity"]) for _, s in stub.asked]
    assert asked == [(r, 4, b, s) for r in (8, 16) for b in (1, 2) for s in (0.5, 0.9)]
    assert [each.sparsity for each in points] == [0.5, 0.9] * 4


def test_all_other_settings_are_passed_on() -> None:
    stub = Stub()

    list(break_even(stub, "bsr", sizes=[(8, 8)], batches=[3], sparsities=[1.0], block=2, threads=2, seconds=9, seed=7))

    settings = {"rows": 8, "columns": 8, "sparsity": 1.0, "batch": 3, "block": 2, "threads": 2, "seconds": 9, "seed": 7}
    assert stub.asked == [("bsr", settings)]


def test_nothing_is_measured_before_it_is_asked_for() -> None:
    stub = Stub()
    points = break_even(stub)
    assert stub.asked == []

    next(points)

    assert len(stub.asked) == 1


def test_it_ends_when_the_rest_is_not_wanted() -> None:
    stub = Stub()

    points = list(break_even(stub, stale=lambda: len(stub.asked) == 3))

    assert len(points) == len(stub.asked) == 3


def test_what_was_measured_before_a_failure_is_there_already() -> None:
    points = break_even(Stub(fails_at=3))

    found = [next(points), next(points)]

    with pytest.raises(SpeedError, match="died"):
        next(points)
    assert [each.sparsity for each in found] == [0.5, 0.8]


def test_a_tiny_grid_is_measured_for_real(shared: KernelStopwatch) -> None:
    grid = {"sizes": [(64, 64)], "batches": [1], "sparsities": [0.5, 0.99], "seconds": 0.02}

    points = [each for layout in ("csr", "bsr") for each in break_even(shared, layout, **grid)]

    assert [(p.layout, p.block, p.sparsity) for p in points] == [
        ("csr", 1, 0.5),
        ("csr", 1, 0.99),
        ("bsr", 4, 0.5),
        ("bsr", 4, 0.99),
    ]
    assert all(p.speed.now.median_ms > 0 and p.speed.now.n >= 6 for p in points)
    assert [(f.layout, f.block) for f in frontier(points)] == [("csr", 1), ("bsr", 4)]


def test_a_real_grid_is_stopped_within_a_point_and_goes_on_later(shared: KernelStopwatch) -> None:
    looks = iter(range(10**9))
    grid = {"sizes": [(64, 64)], "batches": [1], "sparsities": [0.5, 0.9]}

    assert list(break_even(shared, **grid, seconds=600, stale=lambda: next(looks) > 5)) == []
    assert next(looks) < 1000  # 20 ms each, and seconds for a start of torch: not the 600

    assert len(list(break_even(shared, **grid, seconds=0.02))) == 2


# Where sparse begins to win


def test_the_break_even_lies_between_the_last_loss_and_the_first_win() -> None:
    assert ends(point(0.5, 3.0), point(0.8, 1.2), point(0.9, 0.6), point(0.99, 0.1)) == (0.9, 0.8)


def test_the_order_of_the_points_does_not_matter() -> None:
    assert ends(point(0.99, 0.1), point(0.5, 3.0), point(0.9, 0.6), point(0.8, 1.2)) == (0.9, 0.8)


def test_no_measurable_difference_is_no_win() -> None:
    assert ends(point(0.5, 3.0), point(0.8, 0.99), point(0.9, 0.6)) == (0.9, 0.8)


def test_a_lucky_point_below_a_loss_does_not_count() -> None:
    assert ends(point(0.5, 0.7), point(0.8, 1.5), point(0.9, 0.6)) == (0.9, 0.8)


def test_where_nothing_wins_there_is_no_break_even() -> None:
    assert ends(point(0.5, 3.0), point(0.99, 1.0)) == (None, 0.99)


def test_where_the_largest_sparsity_does_not_win_there_is_none() -> None:
    assert ends(point(0.5, 0.5), point(0.99, 1.5)) == (None, 0.99)


def test_where_all_win_the_break_even_is_below_what_was_measured() -> None:
    assert ends(point(0.9, 0.5), point(0.5, 0.9)) == (0.5, None)


def test_no_difference_on_a_busy_machine_says_nothing() -> None:
    assert ends(point(0.8, 1.5), point(0.9, 0.6), point(0.95, 1.0, busy=True), point(0.99, 0.1)) == (0.9, 0.8)
    assert ends(point(0.9, 1.0, busy=True)) == (None, None)


def test_what_says_nothing_is_named() -> None:
    (one,) = frontier([point(0.75, 1.0, busy=True), point(0.9, 0.6), point(0.8, 1.0, busy=True)])

    assert one.too_noisy == (0.75, 0.8)


def test_a_clear_difference_on_a_busy_machine_counts() -> None:
    assert ends(point(0.8, 1.5, busy=True), point(0.9, 0.6, busy=True)) == (0.9, 0.8)


def test_of_two_points_with_the_same_settings_the_later_counts() -> None:
    assert ends(point(0.9, 1.5), point(0.9, 0.5)) == (0.9, None)
    assert ends(point(0.9, 0.5), point(0.9, 1.5)) == (None, 0.9)


@pytest.mark.parametrize(
    "changes",
    [{"layout": "bsr"}, {"block": 4}, {"rows": 65}, {"columns": 33}, {"batch": 2}, {"threads": 2}],
    ids=str,
)
def test_each_setting_has_a_break_even_of_its_own(changes: dict[str, object]) -> None:
    first, second = frontier([point(0.5, 0.5), point(0.9, 0.5, **changes)])

    assert first == BreakEven("csr", 1, 64, 32, 1, 1, 0.5, None)
    assert second == replace(first, sparsity=0.9, **changes)


def test_no_points_have_no_frontier() -> None:
    assert frontier([]) == ()


# What is kept of points that were measured twice


def test_of_equal_settings_the_later_is_kept_in_the_place_of_the_first() -> None:
    first, other, again = point(0.9, 1.5), point(0.5, 3.0), point(0.9, 0.5)

    assert latest([first, other, again]) == (again, other)


def test_a_later_point_that_says_nothing_does_not_replace_one_that_does() -> None:
    told, busy = point(0.9, 0.5), point(0.9, 1.0, busy=True)

    assert latest([told, busy]) == (told,)
    assert latest([busy, told]) == (told,)
    assert latest([busy, replace(busy, date="later")])[0].date == "later"


def test_points_of_different_settings_are_all_kept() -> None:
    some = (point(0.9, 1.0), point(0.9, 1.0, batch=2), point(0.9, 1.0, layout="bsr", block=4), point(0.8, 1.0))

    assert latest(some) == some
