"""The budget of a student: its bytes, and what a teacher adds over several seeds."""

from dataclasses import replace

import pytest
import support
from torch import nn

from efflab import (
    Lab,
    distill_hints,
    distill_predictions,
    fine_tune,
    prune_weights,
    share_weights,
    start_student,
    step,
    technique,
)
from efflab.budget import TaughtBudget
from efflab.lab.side_by_side import without_teacher
from efflab.measure import Difference, Evaluation, compare
from efflab.runtime.shared import shared_layers
from efflab.training import Epochs, Progress

RECIPE = (step(start_student, kind="mlp", width=4), step(distill_predictions, epochs=1))


@pytest.fixture(scope="module")
def lab() -> Lab:
    return Lab(support.tiny_cnn(), support.tiny_data())


def gained(lab: Lab, *shares: float) -> list[Difference]:
    """Differences between students who are all wrong, and others who are right on these fractions of the images."""
    base = lab.baseline

    def right_on(share: float) -> Evaluation:
        scores = base.scores.clone().fill_(0.0)
        scores[: round(share * base.n)] = 1.0
        return replace(base, scores=scores)

    return [compare(right_on(0.0), right_on(share)) for share in shares]


@pytest.mark.parametrize(("more", "passed"), [(0, True), (-1, False)])
def test_the_bytes_may_be_at_the_limit_and_not_beyond(lab, more, passed):
    preview = lab.preview(RECIPE)
    n = preview.size.packed_bytes
    verdict = TaughtBudget(n + more, gained=0.02).judge(preview, gained(lab, 0.5, 0.5))
    assert (verdict.passed, verdict.n_passed, verdict.n_cases) == (passed, 1 + passed, 2)
    assert f"{n:,} bytes packed, computed (at most {n + more:,} allowed)" in verdict.message


@pytest.mark.parametrize(("asked", "passed"), [(0.2, True), (0.21, False)])
def test_what_counts_is_the_mean_of_the_seeds(lab, asked, passed):
    verdict = TaughtBudget(10**6, gained=asked).judge(lab.preview(RECIPE), gained(lab, 0.1, 0.2, 0.3))
    assert verdict.passed == passed
    assert "the teacher adds 20.00 points of accuracy on average (+10.0, +20.0, +30.0)" in verdict.message
    assert "95 % interval of the seeds -4.8 to 44.8" in verdict.message  # 20 -+ 4.303 * 10 / sqrt(3)


def test_a_recipe_is_trained_with_each_seed_beside_the_same_without_a_teacher(lab):
    fractions: list[float] = []
    verdict = TaughtBudget(10**6, gained=0.9, n_seeds=2).judge_recipe(lab, RECIPE, Progress(on_batch=fractions.append))
    differences = []
    for seed in (0, 1):
        alone, taught = (lab.with_seed(seed).preview(one).evaluation.value for one in (without_teacher(RECIPE), RECIPE))
        differences.append(100 * (taught - alone))
    assert f"({', '.join(f'{one:+.1f}' for one in differences)})" in verdict.message
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0


def test_stopped_early_there_is_no_verdict():
    lab, progress = Lab(support.tiny_cnn(), support.tiny_data()), Progress()
    progress.on_batch = lambda done: progress.stop()
    with pytest.raises(ValueError, match=r"^stopped after 0 of 3 seeds"):
        TaughtBudget(10**6, gained=0.1).judge_recipe(lab, RECIPE, progress)
    alone = Lab(support.tiny_cnn(), support.tiny_data()).build(without_teacher(RECIPE))
    assert support.bits(lab.build(without_teacher(RECIPE))) == support.bits(alone)  # what was half trained is forgotten


def test_stopped_in_a_later_seed_what_had_ended_is_kept_and_trains_no_more():
    lab, progress, trained = Lab(support.tiny_cnn(), support.tiny_data()), Progress(), []
    progress.on_batch = lambda done: progress.stop() if done > 1 / 3 else None
    with pytest.raises(ValueError, match=r"^stopped after 1 of 3 seeds"):
        TaughtBudget(10**6, gained=0.1).judge_recipe(lab, RECIPE, progress)
    for recipe in (RECIPE, without_teacher(RECIPE)):
        lab.build(recipe, progress=Progress(on_batch=trained.append))
        assert not lab.is_partial(recipe)
    assert trained == []


def test_a_recipe_may_go_on_after_its_training(lab):
    recipe = (*RECIPE, step(share_weights, bits=2))
    found = TaughtBudget(10**6, gained=0.9, n_seeds=1).judge_recipe(lab, recipe)
    alone, taught = (lab.preview(one) for one in (without_teacher(recipe), recipe))
    assert f"{taught.size.packed_bytes:,} bytes packed" in found.message
    assert "95 % interval of the images, one seed " in found.message
    assert f"({100 * (taught.evaluation.value - alone.evaluation.value):+.1f})" in found.message


def test_an_order_that_cannot_be_is_the_technique_s_own_sentence(lab):
    with pytest.raises(ValueError, match=r"^layer 'hidden1' has its weights in a codebook .* train first"):
        TaughtBudget(10**6, gained=0.9).judge_recipe(lab, (*RECIPE, step(share_weights), step(fine_tune)))


def test_a_recipe_without_a_teacher_is_refused(lab):
    with pytest.raises(ValueError, match=r"^one step must learn from a teacher"):
        TaughtBudget(10**6, gained=0.1).judge_recipe(lab, (step(prune_weights), step(fine_tune)))


def test_alone_is_as_many_epochs_of_plain_training():
    recipe = (step(start_student), step(distill_hints, hint_epochs=3, epochs=4, learning_rate=0.002))
    assert without_teacher(recipe) == (step(start_student), step(fine_tune, epochs=7, learning_rate=0.002))


def test_alone_weights_in_a_code_stay_in_it(lab):
    recipe = (*RECIPE, step(share_weights, bits=3), step(distill_predictions, epochs=2, temperature=8.0))
    alone = without_teacher(recipe)
    assert [one.technique.name for one in alone[1:]] == ["fine_tune", "share_weights", "distill_predictions"]
    assert (alone[-1].values["soft"], alone[-1].values["epochs"]) == (0.0, 2)
    assert len(shared_layers(lab.build(alone))) == len(shared_layers(lab.build(recipe))) == 3


def test_more_epochs_than_plain_training_takes_are_refused():
    recipe = (step(distill_hints, hint_epochs=10, epochs=30),)
    with pytest.raises(
        ValueError, match=r"^distill_hints trains for 40 epochs by its knobs, and plain training takes 1 to 30: "
    ):
        without_teacher(recipe)


@technique
def follow(model: nn.Module, *, teacher: nn.Module, n_passes: Epochs = 2, epochs: Epochs = 4) -> nn.Module:
    """A technique of one's own, without a learning rate."""
    return model


@technique
def wander(model: nn.Module, *, teacher: nn.Module, n_passes: Epochs = 2) -> nn.Module:
    """Its knob for the epochs has another name."""
    return model


def test_a_technique_of_ones_own_needs_no_learning_rate():
    assert without_teacher((step(start_student), step(follow))) == (step(start_student), step(fine_tune, epochs=4))


def test_a_technique_that_does_not_say_its_epochs_is_refused():
    with pytest.raises(
        ValueError, match=r"^wander trains for 0 epochs by its knobs, .* name the knob .* epochs, or say"
    ):
        without_teacher((step(start_student), step(wander)))


@pytest.mark.parametrize(
    "bad", [{"n_bytes": 0, "gained": 0.1}, {"n_bytes": 9, "gained": 0.0}, {"n_bytes": 9, "gained": 2}]
)
def test_limits_that_nothing_could_meet_are_refused(bad):
    with pytest.raises(ValueError, match=r"must be 1 or more and gained a fraction above 0, not TaughtBudget"):
        TaughtBudget(**bad)
