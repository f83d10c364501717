"""The clock of progress bars."""

import math
from collections.abc import Callable, Iterator
from itertools import count

import pytest

from efflab.measure.clock import N_UNKNOWN, Pace, now, smallest_step


def ticking(*seconds: float) -> Callable[[], float]:
    """A clock that shows these times, one after the other."""
    times = iter(seconds)
    return lambda: next(times)


def test_the_clock_never_goes_back() -> None:
    first, second = now(), now()

    assert 0 <= second - first < 60


def test_four_tenths_done_in_a_second_a_tenth_leave_six() -> None:
    pace = Pace(ticking(100.0, 101.0, 102.0, 103.0))

    assert [pace.seconds_left(done) for done in (0.1, 0.2, 0.3, 0.4)] == [None, None, None, pytest.approx(6.0)]


def test_a_slow_first_step_says_nothing_of_those_that_follow() -> None:
    pace = Pace(ticking(1000.0, *(1000.0 + n for n in range(1, 10))))
    left = [pace.seconds_left(n / 10) for n in range(1, 11)]

    assert left[:N_UNKNOWN] == [None] * N_UNKNOWN
    assert left[N_UNKNOWN:] == pytest.approx([6.0, 5.0, 4.0, 3.0, 2.0, 1.0, 0.0])


def test_within_the_first_second_nobody_knows_however_many_steps_there_were() -> None:
    pace = Pace(ticking(*(0.125 * n for n in range(12))))
    left = [pace.seconds_left(n / 100) for n in range(1, 12)]

    assert left[:8] == [None] * 8
    assert left[8] == pytest.approx(1.0 * 91 / 8)


def test_what_is_known_to_be_slow_says_nothing_and_does_not_count() -> None:
    pace = Pace(ticking(*(10.0 * n for n in range(4)), *(30.0 + n for n in range(1, 8))), slow=0.3)
    left = [pace.seconds_left(n / 10) for n in range(11)]

    assert left[:6] == [None] * 6
    assert left[6:] == pytest.approx([4.0, 3.0, 2.0, 1.0, 0.0])


def test_while_the_share_stands_still_nothing_is_known_and_the_time_does_not_count() -> None:
    still = [*(5.0 + 10 * n for n in range(1, 6)), 60.0]
    pace = Pace(ticking(*(float(n) for n in range(6)), *still, *(60.0 + n for n in range(1, 5))))
    left = [pace.seconds_left(n / 10) for n in range(1, 6)] + [pace.seconds_left(0.5) for _ in range(1 + len(still))]

    assert left[4] == pytest.approx(5.0)
    assert left[7:] == [None] * 5
    assert [pace.seconds_left(n / 10) for n in range(6, 10)] == [None, None, None, pytest.approx(1.0)]


def test_where_the_share_falls_the_pace_begins_anew() -> None:
    pace = Pace(ticking(*(float(n) for n in range(8)), *(100.0 + 2 * n for n in range(6))))
    first = [pace.seconds_left(n / 8) for n in range(1, 9)]
    second = [pace.seconds_left(n / 10) for n in range(1, 7)]

    assert first[-1] == 0.0
    assert second == [None, None, None, None, pytest.approx(10.0), pytest.approx(8.0)]


def test_what_is_told_twice_is_no_further_step() -> None:
    pace = Pace(ticking(*(float(n) for n in range(6))))

    assert [pace.seconds_left(0.5) for _ in range(6)] == [None] * 6


def test_before_anything_is_done_nobody_knows() -> None:
    assert Pace(ticking(0.0)).seconds_left(0.0) is None


def test_a_change_of_pace_changes_the_forecast() -> None:
    pace = Pace(ticking(0.0, 1.0, 2.0, 3.0, 8.0))

    assert [pace.seconds_left(n / 8) for n in range(1, 6)][3:] == [4.0, 6.0]


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
