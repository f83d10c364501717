"""What each step of a recipe did, and a recipe from several seeds: each number in its row, none before it is known."""

from dataclasses import replace

import pytest
import support

from efflab.data import Classification
from efflab.figures import seed_scores, waterfall
from efflab.figures.waterfall import waterfall_height
from efflab.lab import Preview, Report
from efflab.lab.prefixes import Prefix
from efflab.lab.seeds import SeedRun
from efflab.measure import compare
from efflab.prune import fine_tune, prune_weights
from efflab.recipe import step

TASK = Classification()
RECIPE = (step(prune_weights, sparsity=0.8), step(fine_tune))


@pytest.fixture
def prefixes(baseline, evaluation, size) -> list[Prefix]:
    """The base with 946 of 1000 right, pruned to half its bytes with 500, and trained to 940."""
    whole, half = size(("a.weight", 1000, 1000)), size(("a.weight", 1000, 375))

    def judged(n_steps: int, n_right: int, now) -> Prefix:
        found = evaluation(n_right)
        return Prefix(RECIPE[:n_steps], Preview(RECIPE[:n_steps], found, compare(baseline, found), now, whole))

    return [judged(0, 946, whole), judged(1, 500, half), judged(2, 940, half)]


def timed(one: Prefix, factor: float, base_ms: float = 1.0) -> Prefix:
    speed = support.product(0.5, factor).speed
    speed = replace(
        speed,
        base=replace(speed.base, median_ms=base_ms),
        now=replace(speed.now, median_ms=base_ms * factor),
    )
    return replace(one, report=Report(one.preview, 4000, 2000, 400, 200, speed))


def words(picture) -> list[list[str]]:
    return [[text.strip() for text in trace.text] for trace in picture.figure.data if trace.type == "scatter"]


def test_each_prefix_has_a_row_with_its_bytes_and_what_the_step_did_to_the_score(prefixes):
    picture = waterfall(prefixes, TASK)
    sizes, times, scores = words(picture)
    packed = [one.preview.size.packed_bytes for one in prefixes]
    assert packed[0] > packed[1]
    assert sizes[0] == f"{packed[0] / 1000:.2f} kB"
    assert sizes[1] == f"{packed[1] / 1000:.2f} kB<br> {packed[0] / packed[1]:.1f}x smaller"
    assert times == ["not timed yet"] * 3
    assert scores == ["94.6 %", "50.0 %<br> -44.6 points", "94.0 %<br> +44.0 points"]
    assert list(picture.figure.layout.yaxis.ticktext) == ["base", "1 prune weights", "2 fine tune"]


def time_bars(picture) -> list[float]:
    return [
        length for trace in picture.figure.data if trace.type == "bar" and trace.xaxis == "x2" for length in trace.x
    ]


def test_times_come_one_by_one_and_the_base_has_that_beside_the_newest(prefixes):
    first = waterfall([*prefixes[:2], timed(prefixes[2], 0.5)], TASK)
    assert words(first)[1] == ["100 %<br> 1.00 ms", "not timed yet", "50 %<br> 2.0x faster"]
    assert "2 fine tune: 1.62 kB packed, 50 % of the base's time, 2.0x faster, 94.0 %" in first.sentence
    same = waterfall([prefixes[0], timed(prefixes[1], 1.0), prefixes[2]], TASK)
    assert words(same)[1][1] == "100 %<br> no difference"
    assert "1 prune weights: 1.62 kB packed, 100 % of the base's time, no difference, 50.0 %" in same.sentence
    assert same.table["to the base"][1] == "no measurable difference"


def test_a_moment_at_which_all_was_slower_makes_no_bar_longer(prefixes):
    slow = timed(prefixes[1], 1.0, base_ms=1.3)  # the same time as its base, while the clock ran slowly
    picture = waterfall([timed(prefixes[0], 1.0), slow, timed(prefixes[2], 0.5)], TASK)
    assert time_bars(picture) == [100, 100, 50]
    assert list(picture.table["one run"]) == ["1.00 ms", "1.30 ms", "0.500 ms"]
    assert list(picture.table["base beside it"]) == ["1.00 ms", "1.30 ms", "1.00 ms"]


def test_what_cannot_be_timed_says_why_in_the_table(prefixes):
    stuck = replace(prefixes[1], reason="fold the batch norms first")
    picture = waterfall([prefixes[0], stuck], TASK)
    assert words(picture)[1][1] == "not possible"
    assert picture.table["to the base"][1] == "fold the batch norms first"


def test_a_step_that_changed_nothing_says_so(prefixes):
    again = Prefix((*RECIPE, step(fine_tune)), prefixes[2].preview)
    assert words(waterfall([*prefixes, again], TASK))[2][3] == "94.0 %<br> as before"


def test_more_steps_take_more_room(prefixes):
    assert waterfall_height(3) - waterfall_height(2) == waterfall_height(2) - waterfall_height(1) > 0


def test_no_prefix_is_refused():
    with pytest.raises(ValueError, match=r"^prefixes must hold at least the base"):
        waterfall([], TASK)


def runs(prefixes: list[Prefix], evaluation, *n_right: int, is_same: bool = False) -> list[SeedRun]:
    preview = prefixes[2].preview
    previews = [replace(preview, evaluation=evaluation(n)) for n in n_right]
    return [SeedRun(support.tiny_lab(seed), one, is_same) for seed, one in enumerate(previews)]


def test_three_seeds_have_a_mean_and_students_interval(prefixes, evaluation):
    picture = seed_scores(runs(prefixes, evaluation, 900, 920, 940), TASK)
    interval = "95 % interval of the mean 87.0 to 97.0"  # 92 -+ 4.303 * 2 / sqrt(3)
    ends = "single seeds from 90.0 % to 94.0 %"
    assert picture.sentence == f"92.0 % accuracy on average over 3 seeds, {interval}; {ends}."
    assert list(picture.table["seed"]) == ["0", "1", "2", "mean"]
    assert any(trace.fill == "toself" for trace in picture.figure.data)


def test_two_seeds_have_no_interval(prefixes, evaluation):
    picture = seed_scores(runs(prefixes, evaluation, 900, 920), TASK)
    assert picture.sentence == "90.0 % and 92.0 % accuracy, 2 seeds: an interval needs 3."
    assert not any(trace.fill == "toself" for trace in picture.figure.data)


def test_a_recipe_without_chance_says_so(prefixes, evaluation):
    picture = seed_scores(runs(prefixes, evaluation, 900, 900, 900, is_same=True), TASK)
    assert picture.sentence == "3 seeds give one and the same network, with 90.0 %: nothing is drawn by chance."


def test_before_the_first_seed_there_is_nothing_to_see():
    assert seed_scores([], TASK).sentence == "No seed is trained to its end yet."
