"""Both curves grow towards an end that does not move, and the differences say whether the teacher helps."""

import math

import plotly.graph_objects as go
import pytest

from efflab.data import Classification
from efflab.distill import distill_hints, distill_predictions
from efflab.figures import seed_differences, side_by_side_curves
from efflab.figures.seed_differences import NONE_YET, teacher_text
from efflab.figures.side_by_side import LOOKS
from efflab.figures.theme import BASE
from efflab.lab.side_by_side import ALONE, TAUGHT, Arm, Pair, verdict
from efflab.measure import compare
from efflab.prune import fine_tune
from efflab.recipe import step
from efflab.training import Epoch

TASK = Classification()
EPOCHS = 3
RECIPES = (step(fine_tune, epochs=EPOCHS),), (step(distill_predictions, epochs=EPOCHS),)
SCORES = ([0.1, 0.5, 0.7, 0.72], [0.1, 0.55, 0.75, 0.8])


def records(scores: list[float]) -> tuple[Epoch, ...]:
    return tuple(Epoch(i, EPOCHS, math.nan if i == 0 else 1 / i, score) for i, score in enumerate(scores))


def growing(n_alone: int, n_taught: int, *, seed: int = 0) -> Pair:
    """The pair while it trains, with as many records."""
    arms = [
        Arm(name, recipe, records(scores[:n]))
        for name, recipe, scores, n in zip((ALONE, TAUGHT), RECIPES, SCORES, (n_alone, n_taught), strict=True)
    ]
    return Pair(seed, *arms)


@pytest.fixture
def over(evaluation):
    """Make a pair whose students have so many of 1000 images right."""

    def make(n_alone: int, n_taught: int, *, seed: int = 0, is_partial: bool = False) -> Pair:
        arms = [
            Arm(name, recipe, records(scores), evaluation(n), is_partial)
            for name, recipe, scores, n in zip((ALONE, TAUGHT), RECIPES, SCORES, (n_alone, n_taught), strict=True)
        ]
        return Pair(seed, *arms, 1.0)

    return make


def lines(picture) -> dict[str, object]:
    return {trace.name: trace for trace in go.Figure(picture.figure.to_plotly_json()).data if trace.name}


def test_each_arm_has_a_point_for_each_epoch_from_the_untrained_student_on(baseline):
    found = lines(side_by_side_curves(growing(3, 4), [], TASK, baseline))
    assert (list(found[ALONE].x), list(found[TAUGHT].x)) == ([0, 1, 2], [0, 1, 2, 3])
    assert list(found[TAUGHT].y) == pytest.approx([10, 55, 75, 80])


def scores_axis(pair, before=(), *, teacher):
    return side_by_side_curves(pair, before, TASK, teacher).figure.layout.yaxis


def ending_at(*scores: float) -> Pair:
    """A pair that trains, of which each arm has these scores."""
    return Pair(0, *(Arm(name, recipe, records([0.1, *scores])) for name, recipe in zip(LOOKS, RECIPES, strict=True)))


def test_the_axes_move_once_when_both_are_above_half_so_that_a_gain_of_a_point_is_seen(baseline):
    grown = [(0, 0), (1, 1), (2, 1), (2, 2), (2, 3), (3, 3), (4, 4)]
    layouts = [side_by_side_curves(growing(*n), [], TASK, baseline).figure.layout for n in grown]
    assert len({layout.xaxis.range for layout in layouts}) == 1
    assert layouts[0].xaxis.range == pytest.approx((-0.09, 3.09))
    assert SCORES[0][1] == 0.5  # not above
    assert [layout.yaxis.range for layout in layouts] == [(-2, 104)] * 5 + [(49, 102)] * 2
    assert layouts[-1].yaxis.tickvals == (50, 60, 70, 80, 90, 100)


def test_the_axis_begins_at_the_same_place_however_low_a_first_epoch_was(baseline):
    ends = {scores_axis(ending_at(first, 0.8), teacher=baseline).range for first in (0.12, 0.35, 0.49, 0.7)}
    assert ends == {(49, 102)}
    assert scores_axis(ending_at(0.7, 0.4), teacher=baseline).range == (49, 102)


def test_the_axis_stays_where_it_is_while_more_seeds_begin(baseline, over):
    before = [over(720, 800)]
    seen = [scores_axis(growing(*n, seed=1), before, teacher=baseline).range for n in [(0, 0), (1, 1), (2, 2), (4, 4)]]
    assert seen == [(49, 102)] * 4


def test_an_axis_that_does_not_begin_at_zero_says_so_on_the_picture_and_in_its_sentence(baseline):
    pictures = [side_by_side_curves(growing(n, n), [], TASK, baseline) for n in (1, 4)]
    titles = [picture.figure.layout.yaxis.title.text for picture in pictures]
    assert titles == ["accuracy (%)", "accuracy (%), from 50 %"]
    assert ["The axis begins at 50 %." in picture.sentence for picture in pictures] == [False, True]


def test_what_ends_below_half_is_in_the_picture(evaluation, baseline):
    assert scores_axis(growing(4, 4), teacher=evaluation(320)).range == (-2, 104)
    assert scores_axis(ending_at(0.3, 0.45), teacher=baseline).range == (-2, 104)
    assert scores_axis(None, teacher=baseline).range == (-2, 104)
    assert scores_axis(ending_at(1.0), teacher=evaluation(1000)).range == (49, 102)


def test_the_epochs_of_all_stages_are_on_the_axis(baseline):
    recipe = (step(distill_hints, hint_epochs=2, epochs=6),)
    pair = Pair(0, Arm(ALONE, (step(fine_tune, epochs=8),)), Arm(TAUGHT, recipe))
    assert side_by_side_curves(pair, [], TASK, baseline).figure.layout.xaxis.range[1] == pytest.approx(8 * 1.03)


def test_the_teacher_is_the_dashed_line_in_the_colour_of_the_base(baseline):
    teacher = lines(side_by_side_curves(None, [], TASK, baseline))["teacher 94.6 %"]
    assert list(teacher.y) == pytest.approx([94.6, 94.6])
    assert (teacher.line.color, teacher.line.dash) == (BASE, "dash")


def test_the_arms_differ_in_colour_dash_and_marker():
    alone, taught = (LOOKS[name] for name in (ALONE, TAUGHT))
    assert alone["line"]["color"] != taught["line"]["color"] != BASE
    assert alone["line"]["dash"] == "dot"
    assert "dash" not in taught["line"]
    assert alone["marker"]["symbol"] != taught["marker"]["symbol"]


def test_earlier_seeds_are_thin_and_not_in_the_legend(baseline):
    picture = side_by_side_curves(growing(2, 2, seed=2), [growing(4, 4), growing(4, 4, seed=1)], TASK, baseline)
    thin = [trace for trace in picture.figure.data if trace.line.width == 1]
    assert [len(trace.y) for trace in thin] == [4] * 4
    assert not any(trace.showlegend for trace in thin)
    assert [len(lines(picture)[name].y) for name in (ALONE, TAUGHT)] == [2, 2]
    assert "Thin lines: 2 other seeds." in picture.sentence


def test_the_sentence_says_how_far_both_are_and_what_the_teacher_has(baseline, over):
    assert side_by_side_curves(growing(1, 3), [], TASK, baseline).sentence == (
        "Seed 0, accuracy on validation: alone 10.0 % before the training; with teacher 75.0 % after epoch 2 of 3. "
        "The teacher has 94.6 % accuracy."
    )
    assert "alone 72.0 %; with teacher 80.0 %." in side_by_side_curves(over(720, 800), [], TASK, baseline).sentence
    stopped = side_by_side_curves(over(720, 800, is_partial=True), [], TASK, baseline).sentence
    assert "with teacher 80.0 %, stopped early" in stopped
    assert side_by_side_curves(None, [], TASK, baseline).sentence.startswith("Nothing is trained yet.")


def test_the_table_has_both_scores_of_each_epoch_and_seed(baseline):
    table = side_by_side_curves(growing(2, 3), [growing(4, 4, seed=1)], TASK, baseline).table
    assert list(table["seed"]) == [1, 1, 1, 1, 0, 0, 0]
    assert list(table["with teacher (%)"])[-3:] == [10, 55, 75]
    assert math.isnan(list(table["alone (%)"])[-1])


# The differences


def test_each_seed_is_a_point_with_the_interval_of_its_images(over):
    pairs = [over(700, 730), over(700, 720, seed=4)]
    points = next(
        trace for trace in go.Figure(seed_differences(pairs, TASK).figure.to_plotly_json()).data if trace.error_y.array
    )
    assert list(points.y) == pytest.approx([3, 2])
    low, high = pairs[0].difference.low, pairs[0].difference.high
    assert points.error_y.array[0] == pytest.approx(100 * high - 3)
    assert points.error_y.arrayminus[0] == pytest.approx(3 - 100 * low)
    assert list(seed_differences(pairs, TASK).figure.layout.xaxis.ticktext) == ["0", "4"]


def test_the_band_is_the_interval_of_the_mean_over_the_seeds(over):
    pairs = [over(700, 730), over(700, 720, seed=1), over(700, 728, seed=2)]
    found, picture = verdict(pairs), seed_differences(pairs, TASK)
    band = next(trace for trace in picture.figure.data if trace.fill == "toself")
    assert (min(band.y), max(band.y)) == pytest.approx((100 * found.low, 100 * found.high))
    mean = lines(picture)["mean +2.6 points"]
    assert list(mean.y) == pytest.approx([2.6, 2.6])
    low, high = picture.figure.layout.yaxis.range
    assert low < 100 * found.low
    assert high > 100 * found.high


def test_zero_is_a_dashed_line_and_in_sight_however_clear_the_difference(over):
    picture = seed_differences([over(300, 900), over(300, 905, seed=1)], TASK)
    assert list(lines(picture)["no difference"].y) == [0, 0]
    assert picture.figure.layout.yaxis.range[0] < 0


def test_one_seed_is_no_verdict_and_has_no_band(over):
    picture = seed_differences([over(700, 750)], TASK)
    assert [trace.fill for trace in picture.figure.data] == [None, None]
    low, high = (100 * end for end in (over(700, 750).difference.low, over(700, 750).difference.high))
    assert picture.sentence == (
        f"With the teacher +5.0 points (95 % interval +{low:.1f} to +{high:.1f} of the images), one seed. "
        "One seed says something about these images only. Other seeds may differ: a verdict needs at least 3."
    )


def test_two_seeds_are_no_verdict_either_and_their_interval_does_not_stretch_the_axis(over):
    pairs = [over(700, 730), over(700, 690, seed=1)]
    picture = seed_differences(pairs, TASK)
    assert [trace.fill for trace in picture.figure.data] == [None, None]
    told = "With the teacher +3.0 points and -1.0 points, 2 seeds. Other seeds may differ: a verdict needs at least 3."
    assert picture.sentence == told
    assert list(picture.table["seed"]) == ["0", "1"]
    assert picture.figure.layout.yaxis.range[1] < 6 < 100 * verdict(pairs).high


@pytest.mark.parametrize(
    ("scores", "word"),
    [
        ([(700, 730), (700, 728), (700, 731)], "helps: +3.0 points on average, 95 % interval +2.6 to +3.3 of the mean"),
        ([(730, 700), (728, 700), (731, 700)], "hurts: -3.0 points on average, 95 % interval -3.3 to -2.6 of the mean"),
        (
            [(700, 710), (710, 700), (700, 700)],
            "makes no measurable difference: 0.0 points on average, 95 % interval -2.5 to +2.5 of the mean",
        ),
    ],
)
def test_the_verdict_is_a_sentence_with_its_numbers(over, scores, word):
    pairs = [over(*both, seed=seed) for seed, both in enumerate(scores)]
    assert f"The teacher {word}" in seed_differences(pairs, TASK).sentence


def test_trainings_that_were_stopped_or_still_run_do_not_count(over):
    picture = seed_differences([over(700, 710), over(700, 900, seed=1, is_partial=True), growing(2, 2, seed=2)], TASK)
    assert list(picture.table["seed"]) == ["0"]
    nothing = seed_differences([over(700, 900, is_partial=True)], TASK)
    assert nothing.sentence == nothing.figure.layout.annotations[0].text == NONE_YET


def test_a_teacher_that_is_worse_than_the_student_is_told(evaluation):
    assert teacher_text(evaluation(946), evaluation(720)) == ""
    assert teacher_text(evaluation(720), evaluation(720)) == ""
    behind = evaluation(700), evaluation(720)
    assert compare(*behind).is_clear
    assert teacher_text(*behind) == (
        "The teacher itself has 70.0 %, clearly below the student alone with 72.0 %: it can teach little."
    )
    assert "has 70.0 %, below the student" in teacher_text(evaluation(700), evaluation(701))
