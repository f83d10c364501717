"""The front: what no other run beats, against a comparison of each with each."""

import pytest
from drawing import examples
from hypothesis import given
from hypothesis import strategies as st

from efflab.measure.energy import EnergyUse
from efflab.scoreboard import COSTS, cost_of, front, runs_of, select, unbeaten
from tests.scoreboard.entries import run


def oracle(points: list[tuple[float, float]]) -> set[int]:
    """Each compared with each."""

    def beats(one: tuple[float, float], other: tuple[float, float]) -> bool:
        return one[0] >= other[0] and one[1] <= other[1] and one != other

    return {i for i, point in enumerate(points) if not any(beats(other, point) for other in points)}


def some_points(n_values: int) -> st.SearchStrategy[list[tuple[float, float]]]:
    """Up to 60 points; where few values are drawn from, many are twins or share a score or a cost."""
    places = st.integers(0, n_values - 1)
    return st.lists(st.tuples(places.map(lambda place: place / n_values), places.map(float)), max_size=60)


def runs(*entries):
    found, unread = runs_of(entries)
    assert unread == ()
    return found


@examples(500)
@given(st.sampled_from([1, 2, 3, 10, 10**6]).flatmap(some_points))
def test_the_front_is_that_of_comparing_each_with_each(points):
    found = unbeaten(points)
    assert set(found) == oracle(points)
    assert len(found) == len(set(found))
    costs = [points[i][1] for i in found]
    assert costs == sorted(costs)


def test_the_front_of_nothing_is_empty():
    assert unbeaten([]) == []
    assert front((), "ms") == ()


def test_each_cost_has_a_front_of_its_own():
    some = runs(
        run(id=1, score=0.9, packed_bytes=100, file_bytes=900, ms=4, macs=50),
        run(id=2, score=0.8, packed_bytes=50, file_bytes=950, ms=5, macs=60),
        run(id=3, score=0.7, packed_bytes=60, file_bytes=300, ms=1, macs=70),
    )
    found = {cost: [one.id for one in front(some, cost)] for cost in COSTS}
    assert found == {
        "packed_bytes": [2, 1],
        "file_bytes": [3, 1],
        "ms": [3, 1],
        "macs": [1],
        "joules": [3, 1],
    }


def test_a_run_whose_cost_is_not_known_is_not_in_the_front():
    untimed = run("ms", "base_ms", "batch", "file_bytes", "macs", id=1, score=0.99, packed_bytes=10)
    some = runs(untimed, run(id=2))
    assert [one.id for one in front(some, "packed_bytes")] == [1]
    for cost in ("file_bytes", "ms", "macs", "joules"):
        assert [one.id for one in front(some, cost)] == [2]


def test_joules_are_estimated_as_the_measuring_of_energy_does_without_a_counter():
    (one,) = runs(run(ms=2.0, batch=64))
    seconds = 2.0 / 1000
    energy = EnergyUse(seconds * 9, 9, seconds, 1, 64, False, "no counter", "here")
    assert cost_of(one, "joules", watts=9) == pytest.approx(energy.joules_per_thousand)
    assert COSTS["joules"].badge == energy.badge


def test_costs_say_where_they_come_from():
    assert {cost: about.badge for cost, about in COSTS.items()} == {
        "packed_bytes": "computed",
        "file_bytes": "measured",
        "ms": "measured",
        "macs": "computed",
        "joules": "estimated",
    }
    assert COSTS["ms"].text == "time of one run (ms, measured)"


def test_runs_are_selected_by_data_network_and_batch():
    some = runs(
        run(id=1),
        run(id=2, network="other"),
        run(id=3, data="digits"),
        run(id=4, batch=64),
        run("ms", "batch", id=5),
        run("network", "data", id=6),
    )
    ids = {
        name: [one.id for one in found]
        for name, found in {
            "all": select(some),
            "network": select(some, network="net"),
            "data": select(some, data="tiny"),
            "batch": select(some, batch=1),
            "each": select(some, network="net", data="tiny", batch=64),
            "none": select(some, network="nobody's"),
        }.items()
    }
    assert ids == {
        "all": [1, 2, 3, 4, 5, 6],
        "network": [1, 3, 4, 5],
        "data": [1, 2, 4, 5],
        "batch": [1, 2, 3, 6],
        "each": [4],
        "none": [],
    }


def test_an_unknown_cost_and_impossible_watts_are_refused():
    (one,) = runs(run())
    with pytest.raises(ValueError, match="cost must be one of packed_bytes, file_bytes, ms, macs, joules, not 'money'"):
        cost_of(one, "money")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="watts must be more than 0"):
        cost_of(one, "joules", watts=0)
