"""A budget in place of a knob: the mildest setting on the grid that meets it, as trying every setting would find it."""

import copy
import dataclasses
import math
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import pytest
import support
from torch import nn

from efflab.knobs import Range, technique
from efflab.lab import Lab, Report
from efflab.lab.fitting import Fit, Limit, Search, Try, find_fit
from efflab.prune import prune_filters, prune_neurons, recalibrate
from efflab.recipe import AnyTechnique, Recipe, Step, step
from efflab.runtime import export
from efflab.training import Progress

GRID = [percent / 100 for percent in range(96)]
"""The values of the ratio, 0 to 0.95."""
N_TRIES = 8
"""The strongest of 96 settings, then seven halvings."""
SLOW = support.state("removed", "ONNX Runtime", 1.0).speed
"""1 ms, as the base."""


@pytest.fixture(scope="module")
def lab() -> Lab:
    return Lab(support.tiny_both(), support.tiny_data())


class Canned:
    """Builds nothing and times nothing: a setting takes so many ms, give or take `noise`; remembers what was asked.

    ms: from the ratio to the time; the base takes 1 ms.
    """

    def __init__(self, ms: Callable[[float], float], noise: float = 1.0) -> None:
        self.ms, self.noise = ms, noise
        self.built: list[Step] = []
        self.timed: list[dict[str, object]] = []

    def build(self, recipe: Recipe, *, progress: Progress) -> nn.Module:
        self.built += recipe
        return nn.Identity()

    def measure(self, recipe: Recipe, **settings: object) -> Report:
        (one,) = recipe
        self.timed.append({"step": one, **settings})
        assert len(self.timed) <= N_TRIES, "the search does not end"
        ms = self.ms(one.values["ratio"])
        now = dataclasses.replace(SLOW.now, median_ms=ms)
        ends = {"ratio_low": ms / self.noise, "ratio_high": ms * self.noise}
        speed = dataclasses.replace(SLOW, now=now, ratio=ms, **ends)
        return Report(None, 1000, 500, 100, 50, speed)

    def search(self, **settings: object) -> Search:
        return Search(self.build, self.measure, support.SHAPE, **settings)

    def fit(self, limit: float, **settings: object) -> Fit | None:
        return find_fit(self.search(**settings), prune_filters, "ratio", Limit("ms", limit), {})


def falling(ratio: float) -> float:
    """1 ms for the whole network, 0.05 ms for the smallest."""
    return 1 - ratio


def macs_of(ratio: float) -> int:
    """The MACs of the network in `lab` without this ratio of each convolution's filters, counted by hand."""
    one, two, three = (n - min(round(ratio * n), n - 1) for n in (2, 4, 8))
    return 25 * 16 * one + 9 * 4 * one * two + 9 * 4 * two * three + three * 6 + 6 * 3


def mildest(reached: dict[float, float], limit: float) -> float:
    """Try every setting: the smallest that is within the limit."""
    return min(value for value, amount in reached.items() if amount <= limit)


# Multiplications and bytes


@pytest.mark.parametrize("limit", [496, 497, 800, 1000, 1500, 1717, 1718, 2000, 2305])
def test_the_ratio_is_the_mildest_on_the_grid_that_is_within_the_macs(limit, lab):
    reached = {ratio: macs_of(ratio) for ratio in GRID}
    expected = mildest(reached, limit)
    found = lab.fit(prune_filters, "ratio", Limit("MACs", limit))
    assert found.is_met
    assert found.step == step(prune_filters, ratio=expected)
    assert found.reached == reached[expected] == lab.macs((found.step,))


def test_the_ratio_is_the_mildest_on_the_grid_that_is_within_the_bytes(lab, tmp_path):
    reached = {ratio: file_bytes(lab, ratio, tmp_path) for ratio in GRID}
    limits = (min(reached.values()), 2500, max(reached.values()) - 1)
    assert len({mildest(reached, limit) for limit in limits}) == 3
    for limit in limits:
        found = lab.fit(prune_filters, "ratio", Limit("bytes", limit))
        assert found.is_met
        assert found.step.values["ratio"] == mildest(reached, limit)
        assert found.reached == reached[mildest(reached, limit)]


def file_bytes(lab: Lab, ratio: float, folder: Path) -> int:
    """What an export writes; networks of one shape are written once."""
    name = str(macs_of(ratio))
    if not (folder / f"{name}.onnx").exists():
        export(lab.build((step(prune_filters, ratio=ratio),)), support.SHAPE, folder, name)
    return (folder / f"{name}.onnx").stat().st_size


def test_a_limit_that_is_reached_exactly_is_met(lab):
    found = lab.fit(prune_filters, "ratio", Limit("MACs", macs_of(0.5)))
    assert (found.reached, found.is_met) == (macs_of(0.5), True)


@pytest.mark.parametrize(("quantity", "limit"), [("MACs", 495), ("bytes", 1)])
def test_a_limit_that_nothing_meets_gives_the_strongest_step_after_one_try(quantity, limit, lab):
    found = lab.fit(prune_filters, "ratio", Limit(quantity, limit))
    assert not found.is_met
    assert found.step == step(prune_filters, ratio=0.95)
    assert found.tried == (Try(0.95, found.reached, False),)
    assert found.reached > limit


@pytest.mark.parametrize(("quantity", "limit"), [("MACs", 2306), ("bytes", 1e6)])
def test_a_limit_that_the_base_meets_needs_no_cut_at_all(quantity, limit, lab):
    found = lab.fit(prune_filters, "ratio", Limit(quantity, limit))
    assert found.is_met
    assert found.step.values["ratio"] == 0.0
    assert found.tried[-1] == Try(0.0, found.reached, True)


def test_the_file_that_is_weighed_is_gone_afterwards(lab, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert lab.fit(prune_filters, "ratio", Limit("bytes", 2500)).is_met
    assert list(tmp_path.iterdir()) == []


# Milliseconds


@pytest.mark.parametrize("limit", [0.06, 0.25, 0.333, 0.5, 0.999, 1.0, 7.0])
def test_the_ratio_is_the_mildest_on_the_grid_that_is_within_the_time(limit):
    found = Canned(falling).fit(limit)
    expected = mildest({ratio: falling(ratio) for ratio in GRID}, limit)
    assert (found.step.values["ratio"], found.reached, found.is_met) == (expected, falling(expected), True)


def test_a_time_counts_as_met_if_the_whole_interval_is_within_the_limit():
    noisy = Canned(falling, noise=1.25)
    found = noisy.fit(0.5)
    assert found.step.values["ratio"] == 0.6
    assert found.reached == pytest.approx(0.4)
    assert [one.is_met for one in found.tried] == [1.25 * falling(one.value) <= 0.5 for one in found.tried]


@pytest.mark.parametrize(("limit", "is_met"), [(3.2, True), (3.1, False)])
def test_the_interval_is_in_milliseconds_of_the_base(limit, is_met):
    canned = Canned(lambda ratio: 3.0)
    slow_base = dataclasses.replace(SLOW.base, median_ms=2.0)

    def measure(recipe: Recipe, **settings: object) -> Report:
        report = Canned.measure(canned, recipe, **settings)
        return dataclasses.replace(report, speed=dataclasses.replace(report.speed, base=slow_base, ratio_high=1.6))

    canned.measure = measure
    assert canned.fit(limit).is_met == is_met


def test_a_time_that_nothing_meets_gives_the_strongest_step():
    found = Canned(falling).fit(0.01)
    assert (found.step, found.is_met) == (step(prune_filters, ratio=0.95), False)
    assert found.tried == (Try(0.95, falling(0.95), False),)


def test_what_is_timed_is_what_was_built_at_the_batch_and_threads_that_were_asked_for():
    canned, never = Canned(falling), lambda: False
    found = canned.fit(0.5, batch=64, threads=2, stale=never)
    assert [one["step"] for one in canned.timed] == canned.built
    assert [one.values["ratio"] for one in canned.built] == [one.value for one in found.tried]
    assert {(one["batch"], one["threads"], one["stale"]) for one in canned.timed} == {(64, 2, never)}


# How many tries


def test_eight_tries_find_any_of_the_96_ratios_and_the_strongest_comes_first():
    for ratio in GRID:
        found = Canned(falling).fit(falling(ratio))
        assert (found.step.values["ratio"], found.is_met) == (ratio, True)
        assert found.tried[0].value == 0.95
        assert len({one.value for one in found.tried}) == len(found.tried) <= N_TRIES


def knob(low: float, high: float, by: float) -> AnyTechnique:
    """A technique with one knob over this range."""

    @technique
    def some(model: nn.Module, *, ratio: Annotated[float, Range(low, high, by, "how much goes")] = high) -> nn.Module:
        return copy.deepcopy(model)

    return some


GRIDS = {
    "whole numbers": ((1, 5, 1), [1, 2, 3, 4, 5]),
    "a step that does not fit": ((1, 8, 2), [1, 3, 5, 7, 8]),
    "one value": ((3, 3, 1), [3]),
    "two values": ((0.0, 1.0, 1.0), [0.0, 1.0]),
    "0.1 * 3 is more than 0.3": ((0.0, 0.3, 0.1), [0.0, 0.1, 0.2, 0.3]),
    "2.1 / 0.3 is more than 7": ((0.0, 2.1, 0.3), [0.0, 0.3, 0.6, 0.9, 1.2, 1.5, 1.8, 2.1]),
    "no round ends": ((1 / 3, 2 / 3, 1 / 3), [1 / 3, 2 / 3]),
    "not from zero": ((0.5, 2.0, 0.25), [0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0]),
}


@pytest.mark.parametrize(("ends", "values"), GRIDS.values(), ids=GRIDS)
def test_every_value_of_any_grid_is_found_in_as_many_tries_as_halvings(ends, values):
    some = knob(*ends)
    for value in values:
        search = Canned(lambda ratio: 10 - ratio).search()
        found = find_fit(search, some, "ratio", Limit("ms", 10 - value), {})
        assert (found.step, found.is_met) == (step(some, ratio=value), True)
        assert isinstance(found.step.values["ratio"], type(value))
        assert len(found.tried) <= 1 + math.ceil(math.log2(len(values)))


def test_each_part_of_the_progress_is_a_try():
    heard, canned = [], Canned(falling)
    found = canned.fit(0.5, progress=Progress(on_batch=heard.append))
    assert heard == pytest.approx([(i + 1) / N_TRIES for i in range(len(found.tried))])
    assert heard[-1] <= 1


def test_a_training_within_a_try_moves_the_progress_within_its_part():
    heard, canned = [], Canned(falling)

    def build(recipe: Recipe, *, progress: Progress) -> nn.Module:
        progress.on_batch(0.5)
        return nn.Identity()

    canned.build = build
    canned.fit(0.01, progress=Progress(on_batch=heard.append))
    assert heard == pytest.approx([0.5 / N_TRIES, 1 / N_TRIES])


# Ended early


@pytest.mark.parametrize("n", [0, 1, 3])
def test_a_stale_search_finds_nothing_and_times_nothing_more(n):
    answers, canned = iter([False] * n + [True]), Canned(falling)
    assert canned.fit(0.5, stale=lambda: next(answers)) is None
    assert (len(canned.built), len(canned.timed)) == (n + 1, n)


@pytest.mark.parametrize("n", [0, 1, 3])
def test_a_stopped_search_finds_nothing_and_times_nothing_more(n):
    progress, canned = Progress(), Canned(falling)

    def build(recipe: Recipe, *, progress: Progress) -> nn.Module:
        if len(canned.built) == n:
            progress.stop()
        return Canned.build(canned, recipe, progress=progress)

    canned.build = build
    assert canned.fit(0.5, progress=progress) is None
    assert progress.is_stopped
    assert (len(canned.built), len(canned.timed)) == (n + 1, n)


def test_a_measurement_that_gives_no_report_ends_the_search():
    canned = Canned(falling)
    canned.measure = lambda recipe, **settings: None
    assert canned.fit(0.5) is None
    assert len(canned.built) == 1


@pytest.mark.parametrize("quantity", ["MACs", "bytes"])
def test_a_search_of_a_lab_that_is_stale_or_was_stopped_finds_nothing(quantity, lab):
    progress = Progress()
    progress.stop()
    assert lab.fit(prune_filters, "ratio", Limit(quantity, 1000), stale=lambda: True) is None
    assert lab.fit(prune_filters, "ratio", Limit(quantity, 1000), progress=progress) is None


# Other settings


def test_other_settings_are_passed_on_and_belong_to_the_step(lab):
    settings = {"scope": "global", "importance": "l2", "minimum": 2}
    found = lab.fit(prune_filters, "ratio", Limit("MACs", 1500), **settings)
    steps = (step(prune_filters, ratio=ratio, **settings) for ratio in GRID)
    assert found.step == next(one for one in steps if lab.macs((one,)) <= 1500)
    assert found.step.values["ratio"] != lab.fit(prune_filters, "ratio", Limit("MACs", 1500)).step.values["ratio"]


def test_channels_that_are_only_zeroed_never_meet_a_limit_of_macs(lab):
    found = lab.fit(prune_filters, "ratio", Limit("MACs", 2305), form="zeroed")
    assert (found.is_met, found.reached) == (False, 2306)


def test_neurons_are_fitted_by_their_own_technique(lab):
    reached = {ratio: 800 + 288 + 1152 + 11 * (6 - min(round(ratio * 6), 5)) for ratio in GRID}
    found = lab.fit(prune_neurons, "ratio", Limit("MACs", 2275))
    assert found.step == step(prune_neurons, ratio=mildest(reached, 2275))


def test_a_lab_times_with_its_own_measure_at_the_batch_that_was_asked_for(lab, monkeypatch):
    canned = Canned(falling)
    monkeypatch.setattr(lab, "measure", canned.measure)
    found = lab.fit(prune_filters, "ratio", Limit("ms", 0.5), batch=64, threads=2)
    assert (found.step.values["ratio"], found.is_met) == (0.5, True)
    assert {(one["batch"], one["threads"]) for one in canned.timed} == {(64, 2)}


# What is refused


@pytest.mark.parametrize("wrong", ["seconds", "macs", "", None])
def test_another_quantity_is_refused_by_name_and_value(wrong):
    with pytest.raises(ValueError, match=rf"^quantity must be one of MACs, bytes, ms, not {wrong!r}$"):
        Limit(wrong, 1.0)


@pytest.mark.parametrize("wrong", [0, -1, -0.5, math.nan, math.inf, -math.inf, "25000", None])
def test_a_value_that_is_no_number_above_zero_is_refused_by_name_and_value(wrong):
    with pytest.raises(ValueError, match=rf"^value must be a number above 0, not {wrong!r}$"):
        Limit("MACs", wrong)


@pytest.mark.parametrize("wrong", ["scope", "rules", "sparsity", ""])
def test_a_knob_that_is_no_range_of_numbers_is_refused_with_those_that_are(wrong):
    canned = Canned(falling)
    with pytest.raises(
        ValueError, match=rf"^knob must be a number of prune_filters: ratio, multiple, minimum; not '{wrong}'$"
    ):
        find_fit(canned.search(), prune_filters, wrong, Limit("ms", 1.0), {})
    assert canned.built == []


def test_a_knob_of_another_technique_is_refused():
    with pytest.raises(ValueError, match=r"^knob must be a number of recalibrate: images; not 'ratio'$"):
        find_fit(Canned(falling).search(), recalibrate, "ratio", Limit("ms", 1.0), {})


def test_a_setting_that_is_no_knob_is_refused_before_anything_is_built():
    canned = Canned(falling)
    with pytest.raises(TypeError, match=r"^prune_filters has no knob 'sparsity'; its knobs are: ratio, scope"):
        find_fit(canned.search(), prune_filters, "ratio", Limit("ms", 1.0), {"sparsity": 0.5})
    assert canned.built == []


def test_a_setting_out_of_range_is_refused_by_a_lab(lab):
    with pytest.raises(ValueError, match=r"^minimum \(.*\) must be a whole number from 1 to 64, not 99$"):
        lab.fit(prune_filters, "ratio", Limit("MACs", 1000), minimum=99)


def test_a_network_that_cannot_be_cut_gets_the_sentence_of_the_technique():
    mlp = Lab(support.tiny_mlp(), support.tiny_data())
    with pytest.raises(ValueError, match=r"^Network has no Conv2d layer whose channels can be removed: it has no"):
        mlp.fit(prune_filters, "ratio", Limit("MACs", 1000))
