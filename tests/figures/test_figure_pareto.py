"""One's own runs: which of them no other beats in both, the score and the time."""

import pytest

from efflab.data import Classification
from efflab.figures import pareto, theme
from efflab.figures.pareto import N_SAID, Run, front

TASK = Classification()
LOWER = Classification(score_name="perplexity", unit="", per_unit=1.0, higher_is_better=False)


def run(score: float, ms: float, recipe: str = "cut") -> Run:
    return Run(recipe, score, score - 0.02, score + 0.01, ms)


RUNS = (run(0.9, 2.0, "slow"), run(0.7, 1.5, "beaten"), run(0.8, 1.0, "fast"))


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        ([(0.9, 2.0), (0.7, 1.5), (0.8, 1.0)], [2, 0]),
        ([(0.8, 1.0), (0.9, 1.0)], [1]),  # in the same time the better one
        ([(0.9, 2.0), (0.9, 1.0)], [1]),  # with the same score the faster one
        ([(0.9, 1.0), (0.8, 0.5), (0.9, 1.0)], [1, 0, 2]),  # neither of two equal ones beats the other
        ([(0.5, 1.0)], [0]),
        ([], []),
    ],
)
def test_the_front_is_what_no_other_run_beats_from_the_fastest_on(pairs, expected):
    assert front([run(*pair) for pair in pairs], TASK) == expected


def test_where_a_low_score_is_better_the_front_turns_round():
    runs = [run(20.0, 2.0), run(30.0, 1.5), run(25.0, 1.0)]
    assert front(runs, LOWER) == [2, 0]
    assert front(runs, TASK) == [2, 1]


def test_a_run_stands_at_its_milliseconds_and_its_percents():
    runs = pareto(RUNS, TASK, batch=1).figure.data[1]
    assert list(runs.x) == [2.0, 1.5, 1.0]
    assert list(runs.y) == pytest.approx([90, 70, 80])
    assert list(runs.hovertext) == ["slow", "beaten", "fast"]
    assert "%{y:.1f} % in" in runs.hovertemplate
    assert "ms" in runs.hovertemplate


def test_the_front_is_a_staircase_and_what_is_on_it_is_filled():
    line, runs, *_ = pareto(RUNS, TASK, batch=1).figure.data
    assert (list(line.x), line.line.shape) == ([1.0, 2.0], "hv")
    assert list(runs.marker.symbol) == ["circle", "circle-open", "circle"]
    assert list(runs.marker.color) == [theme.TUNED, theme.BASE, theme.TUNED]


def test_the_last_run_is_large_and_has_its_interval():
    newest = pareto(RUNS, TASK, batch=1).figure.data[2]
    assert (list(newest.x), newest.marker.symbol, newest.marker.size) == ([1.0], "diamond", 15)
    assert (newest.error_y.array[0], newest.error_y.arrayminus[0]) == pytest.approx((1, 2))


def test_the_base_is_a_corner_of_the_front_and_no_run_of_the_learner():
    picture = pareto(RUNS, TASK, batch=1, base=(0.95, 3.0))
    line, *_, base = picture.figure.data
    assert list(line.x) == [1.0, 2.0, 3.0]
    assert (list(base.x), list(base.y), base.marker.symbol) == ([3.0], [95], "square")
    assert picture.sentence.startswith("Of 3 runs, 2 are not beaten in both (measured)")
    assert len(picture.table) == 3


def test_a_base_that_beats_every_run_is_alone_on_the_front_and_the_sentence_says_so():
    picture = pareto(RUNS, TASK, batch=1, base=(0.95, 0.5))
    assert list(picture.figure.data[0].x) == [0.5]
    assert picture.sentence == "Of 3 runs, none is faster than the base or better."
    assert list(picture.table["on the front"]) == ["", "", ""]


def test_the_sentence_names_the_front_with_units():
    assert pareto(RUNS, TASK, batch=1).sentence == (
        "Of 3 runs, 2 are not beaten in both (measured): 80.0 % in 1.00 ms; 90.0 % in 2.00 ms."
    )


def test_the_sentence_and_the_table_say_the_same():
    table = pareto(RUNS, TASK, batch=1).table
    assert list(table.columns) == ["recipe", "accuracy (%)", "ms", "on the front"]
    assert table.values.tolist() == [["fast", 80.0, 1.0, "yes"], ["beaten", 70.0, 1.5, ""], ["slow", 90.0, 2.0, "yes"]]


def test_of_a_long_front_the_sentence_names_some_and_counts_the_others():
    runs = [run(0.1 * i, i) for i in range(1, 10)]
    sentence = pareto(runs, TASK, batch=1).sentence
    assert sentence.count(" ms") == N_SAID
    assert sentence.endswith("60.0 % in 6.00 ms; and 3 more.")


def test_a_single_run_is_the_front():
    picture = pareto([run(0.9, 0.25)], TASK, batch=1)
    assert picture.sentence == "Of 1 run, 1 is not beaten in both (measured): 90.0 % in 0.250 ms."
    assert list(picture.figure.data[0].x) == [0.25]


def test_no_run_yet_is_a_picture_of_the_base():
    picture = pareto([], TASK, batch=1, base=(0.95, 3.0))
    assert picture.sentence == "No run of this network was measured yet at this batch."
    assert [trace.name for trace in picture.figure.data][2:] == ["base"]
    assert picture.table.empty
    assert pareto([], TASK, batch=1).sentence == picture.sentence


def test_the_axes_say_unit_batch_and_where_the_time_comes_from():
    layout = pareto(RUNS, TASK, batch=64).figure.layout
    assert layout.xaxis.title.text == "time of one run (ms, measured), batch 64"
    assert layout.yaxis.title.text == "accuracy (%)"
    assert layout.xaxis.rangemode == "tozero"


def test_a_score_without_a_unit_is_written_without_one():
    picture = pareto([run(20.0, 2.0), run(25.0, 1.0)], LOWER, batch=1)
    assert picture.sentence.endswith("25.0 in 1.00 ms; 20.0 in 2.00 ms.")


def test_the_table_has_the_newest_two_hundred_runs():
    table = pareto([run(0.5, i + 1, f"run {i}") for i in range(300)], TASK, batch=1).table
    assert len(table) == 200
    assert (table["recipe"].iloc[0], table["recipe"].iloc[-1]) == ("run 299", "run 100")
