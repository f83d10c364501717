"""Fine-tuning: zeros stay exactly zero, and no epoch is kept that is worse than the start."""

import pytest
import support
import torch

from efflab.prune import fine_tune, prunable_weights, prune_weights, sparsity_of
from efflab.training import Epoch, Progress, train, validation_score


@pytest.fixture
def data():
    return support.tiny_data()


def test_zeros_stay_zero_after_every_batch_though_momentum_would_move_them(data):
    model = prune_weights(support.tiny_mlp(), sparsity=0.8)
    removed = {name: weight == 0 for name, weight in prunable_weights(model).items()}

    def check(done: float) -> None:
        for name, weight in prunable_weights(model).items():
            assert torch.equal(weight == 0, removed[name])
            assert not bool(torch.signbit(weight[removed[name]]).any())

    heard: list[float] = []
    progress = Progress(on_batch=lambda done: (check(done), heard.append(done)))
    records = train(
        model, data, epochs=4, batch_size=32, weight_decay=0.1, learning_rate=0.01, keep_zeros=True, progress=progress
    )
    assert len(list(records)) == 4
    assert len(heard) == 4 * 5


def test_without_keeping_them_the_zeros_would_not_last(data):
    model = prune_weights(support.tiny_mlp(), sparsity=0.8)
    list(train(model, data, epochs=1, weight_decay=0.1, keep_zeros=False))
    assert sparsity_of(model) < 0.4


def test_a_bias_of_zero_may_move(data):
    model = prune_weights(support.tiny_mlp(), sparsity=0.5)
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.zeros_(parameter)
    tuned = fine_tune(model, data=data, epochs=3)
    assert bool((tuned.output.bias != 0).all())


def test_fine_tuning_wins_back_what_pruning_lost():
    data = support.tiny_data(n=1000)
    model = fine_tune(support.tiny_mlp(), data=data, epochs=15, learning_rate=0.01)
    pruned = prune_weights(model, sparsity=0.9)
    tuned = fine_tune(pruned, data=data, epochs=15, learning_rate=0.01)
    scores = [validation_score(one, data) for one in (model, pruned, tuned)]
    assert scores[0] > 0.9
    assert scores[2] > scores[1] + 0.1


def test_the_best_epoch_is_returned_not_the_last(data):
    records: list[Epoch] = []
    tuned = fine_tune(support.tiny_mlp(3), data=data, epochs=12, learning_rate=0.01, progress=Progress(records.append))
    best = max(record.score for record in records)
    assert validation_score(tuned, data) == best
    assert records[0].score < best


def test_a_network_handed_over_in_training_mode_is_judged_in_evaluation_mode(data):
    model = support.tiny_cnn()
    expected = fine_tune(model, data=data, epochs=2)
    model.train()
    tuned = fine_tune(model, data=data, epochs=2)
    assert support.bits(tuned) == support.bits(expected)
    assert not tuned.training


def test_stopped_before_its_first_epoch_it_is_the_start_running_means_included(data):
    model = support.tiny_cnn().train()
    progress = Progress()
    progress.stop()
    assert support.bits(fine_tune(model, data=data, progress=progress)) == support.bits(model)
