"""One recipe over several seeds: whose runs they are, what chance does, and what may be averaged."""

from dataclasses import replace

import pytest
import support
from scipy import stats

from efflab import Lab, distill_predictions, fine_tune, fold_batch_norms, prune_filters, prune_weights, step
from efflab.lab.seeds import SeedRun, Spread, over_seeds, spread_of, student_interval
from efflab.training import Progress

TRAINED = (step(prune_weights, sparsity=0.5), step(fine_tune, epochs=1))


def test_each_run_is_what_a_lab_of_that_seed_gives(lab):
    runs = list(over_seeds(lab, TRAINED, (3, 0, 7)))
    assert [run.seed for run in runs] == [3, 0, 7]
    for run in runs:
        alone = Lab(lab.build(()), lab.data, seed=run.seed).preview(TRAINED)
        assert run.preview.recipe == TRAINED
        assert run.preview.evaluation.is_complete
        assert run.preview.evaluation.scores.tolist() == alone.evaluation.scores.tolist()
        assert run.preview.size == alone.size


def test_the_labs_own_seed_is_not_run_again(lab, counted, calls):
    recipe = (step(counted, factor=0.5),)
    lab.build(recipe)
    list(over_seeds(lab, recipe, (lab.seed, lab.seed + 1)))
    assert calls == ["scale 0.5", "scale 0.5"]


def test_another_teacher_stays_the_teacher(data):
    teacher = support.tiny_all(5)
    taught = (step(distill_predictions, epochs=1, soft=1.0),)
    lab = Lab(support.tiny_mlp(), data, teacher=teacher)
    (run,) = over_seeds(lab, taught, (4,))
    expected = Lab(support.tiny_mlp(), data, teacher=teacher, seed=4).preview(taught)
    assert run.preview.evaluation.scores.tolist() == expected.evaluation.scores.tolist()


@pytest.mark.parametrize(
    ("recipe", "is_same"),
    [
        ((), True),
        ((step(prune_weights, sparsity=0.5),), True),
        ((step(prune_weights, sparsity=0.5, criterion="random"),), False),
        ((step(prune_filters, ratio=0.5, scope="per layer", importance="random"),), False),
        ((step(fold_batch_norms),), True),
        (TRAINED, False),
    ],
)
def test_whether_chance_has_a_part_in_a_recipe_is_seen_from_its_networks(lab, recipe, is_same):
    runs = list(over_seeds(lab, recipe, range(3)))
    assert [run.is_same for run in runs] == [True, is_same, is_same]
    assert spread_of(runs).is_same_everywhere is is_same


def test_of_one_seed_nobody_knows_whether_chance_has_a_part(lab):
    (run,) = over_seeds(lab, (), (0,))
    assert spread_of([run]).is_same_everywhere is False


# Stopped


def test_stop_cuts_the_run_short_and_none_follows(lab):
    progress = Progress(on_batch=lambda done: progress.stop() if done > 0.5 else None)
    runs = list(over_seeds(lab, TRAINED, range(3), progress=progress))
    assert [run.is_whole for run in runs] == [True, False]
    assert spread_of(runs).seeds == (0,)


def test_stopped_before_it_starts_it_runs_nothing(lab):
    progress = Progress()
    progress.stop()
    assert list(over_seeds(lab, TRAINED, range(3), progress=progress)) == []


def test_a_training_that_was_stopped_earlier_is_run_anew(lab):
    stopped = Progress(on_batch=lambda done: stopped.stop())
    whole = Lab(lab.build(()), lab.data).preview(TRAINED)
    lab.build(TRAINED, progress=stopped)
    assert lab.preview(TRAINED).is_partial
    (run,) = over_seeds(lab, TRAINED, (lab.seed,))
    assert run.is_whole
    assert run.preview.evaluation.scores.tolist() == whole.evaluation.scores.tolist()


def test_the_progress_goes_from_nothing_to_all_once(lab):
    told = []
    list(over_seeds(lab, TRAINED, range(4), progress=Progress(on_batch=told.append)))
    assert told == sorted(told)
    assert told[-1] == 1.0
    assert len({round(done * 4) for done in told}) == 4


# The spread


def run_of(lab, seed: int, n_right: int, *, is_partial: bool = False) -> SeedRun:
    """A run in which so many of the thousand answers are right."""
    preview = lab.preview(())
    scores = preview.evaluation.scores.clone().fill_(0.0)
    scores[:n_right] = 1.0
    evaluation = replace(preview.evaluation, scores=scores)
    return SeedRun(lab.with_seed(seed), replace(preview, evaluation=evaluation, is_partial=is_partial), seed == 0)


def test_the_interval_is_that_of_student(lab):
    spread = spread_of([run_of(lab, seed, n) for seed, n in enumerate((900, 910, 905, 930))])
    assert (spread.seeds, spread.scores) == ((0, 1, 2, 3), pytest.approx((0.9, 0.91, 0.905, 0.93)))
    expected = stats.ttest_1samp(spread.scores, 0).confidence_interval(0.95)
    assert spread.mean == pytest.approx(0.91125)
    assert spread.interval == pytest.approx((expected.low, expected.high))


def test_one_seed_has_no_interval(lab):
    spread = spread_of([run_of(lab, 0, 900)])
    assert (spread.mean, spread.interval) == (pytest.approx(0.9), None)


def test_equal_scores_have_an_interval_without_width():
    assert Spread((0, 1), (0.9, 0.9), True).interval == (0.9, 0.9)


def test_a_run_that_was_stopped_is_never_averaged(lab):
    spread = spread_of([run_of(lab, 0, 900), run_of(lab, 1, 100, is_partial=True), run_of(lab, 2, 920)])
    assert (spread.seeds, spread.mean) == ((0, 2), pytest.approx(0.91))
    with pytest.raises(ValueError, match=r"^runs must hold one whose trainings ran to their end"):
        spread_of([run_of(lab, 1, 100, is_partial=True)])
    with pytest.raises(ValueError, match=r"^runs must hold one"):
        spread_of([])


def test_runs_of_different_recipes_are_never_averaged(lab):
    (other,) = over_seeds(lab, TRAINED[:1], (5,))
    with pytest.raises(ValueError, match=r"^runs must be of one recipe"):
        spread_of([run_of(lab, 0, 900), other])


@pytest.mark.parametrize("values", [[], [0.5]])
def test_an_interval_of_fewer_than_two_values_is_refused(values):
    with pytest.raises(ValueError, match=f"^an interval over seeds needs at least two values, not {len(values)}$"):
        student_interval(values)


# Bad seeds


@pytest.mark.parametrize(
    ("seeds", "kind", "sentence"),
    [
        ((), ValueError, r"seeds must be different whole numbers from 0 on, at least one, not \[\]"),
        ((1, 1), ValueError, r"seeds must be different whole numbers .*, not \[1, 1\]"),
        ((0, -1), ValueError, r"seeds must be different whole numbers .*, not \[0, -1\]"),
        ((2**63,), ValueError, r"seeds must be different whole numbers .*, not \[9223372036854775808\]"),
        ((0.5,), TypeError, r"seeds must be whole numbers, not 0.5"),
        ((True,), TypeError, r"seeds must be whole numbers, not True"),
        ("12", TypeError, r"seeds must be a list of whole numbers, such as range.3., not '12'"),
    ],
)
def test_seeds_that_are_none_are_refused(lab, seeds, kind, sentence):
    with pytest.raises(kind, match=f"^{sentence}$"):
        next(over_seeds(lab, TRAINED, seeds))


@pytest.mark.parametrize(("seed", "kind"), [(-1, ValueError), (2**63, ValueError), (0.5, TypeError), ("0", TypeError)])
def test_a_lab_of_such_a_seed_is_refused_before_it_writes_a_run_that_cannot_be_read(seed, kind):
    with pytest.raises(kind, match=r"^seeds must be "):
        Lab(support.tiny_cnn(), support.tiny_data(), seed=seed)
