"""The clock of progress bars."""

import math
from collections.abc import Callable, Iterator
from itertools import count

import pytest

from efflab.measure.clock import Pace, now, smallest_step


def ticking(*seconds: float) -> Callable[[], float]:
    """A clock that shows these times, one after the other."""
    times = iter(seconds)
    return lambda: next(times)


def test_the_clock_never_goes_back() -> None:
    first, second = now(), now()

    assert 0 <= second - first < 60


def test_a_quarter_done_in_three_seconds_leaves_nine() -> None:
    assert Pace(ticking(100.0, 103.0)).seconds_left(0.25) == 9.0


def test_when_all_is_done_nothing_is_left() -> None:
    assert Pace(ticking(0.0, 5.0)).seconds_left(1.0) == 0.0


def test_before_anything_is_done_nobody_knows() -> None:
    assert Pace(ticking(0.0)).seconds_left(0.0) is None


def test_a_change_of_pace_changes_the_forecast() -> None:
    pace = Pace(ticking(0.0, 1.0, 4.0))

    assert [pace.seconds_left(0.5), pace.seconds_left(0.5)] == [1.0, 4.0]


def test_elapsed_counts_from_the_making() -> None:
    assert Pace(ticking(2.0, 7.0)).elapsed == 5.0


@pytest.mark.parametrize("done", [-0.1, 1.5, float("nan")])
def test_what_is_no_share_is_refused(done: float) -> None:
    with pytest.raises(ValueError, match="done must be a share from 0 to 1, not "):
        Pace().seconds_left(done)


@pytest.mark.parametrize(
    ("readings", "step"),
    [
        ((tick * 0.015 for tick in count()), 0.015),
        ((tick // 10 * 1e-6 for tick in count()), 1e-6),
        ((1.0 for _ in count()), math.inf),
        ((tick * -1e-9 for tick in count()), math.inf),
    ],
    ids=["coarse", "fine", "stands", "runs back"],
)
def test_the_step_of_a_clock_is_the_smallest_one_it_makes(readings: Iterator[float], step: float) -> None:
    assert smallest_step(lambda: next(readings)) == pytest.approx(step)
