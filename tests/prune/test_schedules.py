"""Schedules: how much is gone after each step, against the formulas of the papers."""

import itertools

import pytest
import support

from efflab import training
from efflab.prune import cubic_sparsity, prune_gradually, prune_iteratively, schedules, sparsity_of, tuning
from efflab.prune.schedules import round_sparsity
from efflab.training import Epoch, Progress


@pytest.mark.parametrize("final", [0.0, 0.3, 0.8, 1.0])
@pytest.mark.parametrize("n_steps", [1, 2, 7, 100])
def test_the_cubic_schedule_is_equation_1_of_zhu_and_gupta(final, n_steps):
    s_i, t_0, delta = 0.0, 0, 1  # s_t = s_f + (s_i - s_f) (1 - (t - t_0) / (n delta))^3
    for t in range(n_steps + 1):
        expected = final + (s_i - final) * (1 - (t - t_0) / (n_steps * delta)) ** 3
        assert cubic_sparsity(t, n_steps, final) == pytest.approx(expected, abs=1e-12)


def test_the_cubic_schedule_starts_at_zero_ends_at_the_goal_and_only_grows():
    values = [cubic_sparsity(t, 50, 0.93) for t in range(51)]
    assert values[0] == 0
    assert values[-1] == 0.93
    assert values == sorted(set(values))


def test_the_cubic_schedule_takes_smaller_and_smaller_steps():
    values = [cubic_sparsity(t, 20, 0.9) for t in range(21)]
    steps = [after - before for before, after in itertools.pairwise(values)]
    assert steps == sorted(steps, reverse=True)


@pytest.mark.parametrize(("number", "n_steps"), [(-1, 4), (5, 4), (0, 0)])
def test_a_step_outside_the_schedule_is_refused(number, n_steps):
    with pytest.raises(ValueError, match=f"not {number} of {n_steps}"):
        cubic_sparsity(number, n_steps, 0.5)


@pytest.mark.parametrize("final", [0.0, 0.5, 0.875, 0.99, 1.0])
@pytest.mark.parametrize("n_rounds", [1, 3, 10])
def test_each_round_removes_the_same_fraction_of_what_is_left(final, n_rounds):
    left = [1 - round_sparsity(number, n_rounds, final) for number in range(n_rounds + 1)]
    assert left[0] == 1
    assert left[-1] == pytest.approx(1 - final, abs=1e-12)
    for before, after in itertools.pairwise(left):
        assert after == pytest.approx(before * (1 - final) ** (1 / n_rounds), abs=1e-12)


def test_three_rounds_to_seven_eighths_halve_what_is_left_each_time():
    assert [round_sparsity(number, 3, 0.875) for number in (1, 2, 3)] == pytest.approx([0.5, 0.75, 0.875])


def watch_sparsity(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The sparsity after each epoch that a schedule trains, in order."""
    seen: list[float] = []
    plain = training.train

    def watched(model, data, **settings):
        for record in plain(model, data, **settings):
            seen.append(sparsity_of(model))
            yield record

    for room in (schedules, tuning):
        monkeypatch.setattr(room, "train", watched)
    return seen


def test_gradual_pruning_follows_the_cubic_schedule_for_two_thirds_of_the_epochs(monkeypatch):
    seen = watch_sparsity(monkeypatch)
    model = support.tiny_mlp()
    n = support.count_weights(model)
    prune_gradually(model, data=support.tiny_data(n=60), sparsity=0.9, epochs=6)
    expected = [round(0.9 * (1 - (1 - min(t, 4) / 4) ** 3) * n) / n for t in range(1, 7)]
    assert seen == pytest.approx(expected, abs=1e-12)


def test_gradual_pruning_in_one_epoch_prunes_all_at_once(monkeypatch):
    seen = watch_sparsity(monkeypatch)
    model = support.tiny_mlp()
    prune_gradually(model, data=support.tiny_data(n=60), sparsity=0.5, epochs=1)
    assert seen == [0.5]


def test_iterative_pruning_prunes_once_a_round_and_trains_in_between(monkeypatch):
    seen = watch_sparsity(monkeypatch)
    model = support.tiny_mlp()
    n = support.count_weights(model)
    prune_iteratively(model, data=support.tiny_data(n=60), sparsity=0.875, rounds=3, epochs=2)
    expected = [round(s * n) / n for s in (0.5, 0.5, 0.75, 0.75, 0.875, 0.875)]
    assert seen == pytest.approx(expected, abs=1e-12)


def test_the_rounds_are_counted_as_one_training():
    records: list[Epoch] = []
    prune_iteratively(
        support.tiny_mlp(), data=support.tiny_data(n=60), rounds=3, epochs=2, progress=Progress(records.append)
    )
    assert [(record.number, record.n_epochs) for record in records] == [(number, 6) for number in range(1, 7)]
