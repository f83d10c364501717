"""The lottery ticket: which weights each training starts from."""

import pytest
import support
import torch
from torch import nn

from efflab import training
from efflab.models import reset_weights
from efflab.prune import lottery, prunable_weights, sparsity_of, train_ticket, tuning


@pytest.fixture
def starts(monkeypatch):
    """What each training of `train_ticket` starts from and ends with: a list of (start, end) state dicts."""
    found = []
    plain = training.train

    def watched(model, data, **settings):
        start = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        yield from plain(model, data, **settings)
        found.append((start, {name: tensor.clone() for name, tensor in model.state_dict().items()}, settings))

    for room in (lottery, tuning):
        monkeypatch.setattr(room, "train", watched)
    return found


@pytest.fixture(scope="module")
def data():
    return support.tiny_data(n=60)


def names_of_weights() -> set[str]:
    return {f"{name}.weight" for name in prunable_weights(support.tiny_cnn())}


def test_rewinding_starts_from_exactly_the_first_weights_under_the_mask(starts, data):
    train_ticket(support.tiny_cnn(), data=data, sparsity=0.8, seed=4)
    (first, trained, _), (second, _, _) = starts
    weights = names_of_weights()
    assert weights < set(first)
    for name in first:
        kept = second[name] != 0 if name in weights else torch.ones_like(first[name], dtype=torch.bool)
        assert torch.equal(second[name][kept], first[name][kept]), name
    sizes = torch.cat([trained[name].abs().flatten() for name in sorted(weights)])
    gone = torch.cat([second[name].flatten() for name in sorted(weights)]) == 0
    assert int(gone.sum()) == round(0.8 * len(gone))
    assert sizes[gone].max() <= sizes[~gone].min()  # the mask is that of the trained weights, not of the first ones


def test_a_random_restart_has_the_same_mask_and_other_weights(starts, data):
    for restart in ("rewind", "random"):
        train_ticket(support.tiny_cnn(), data=data, sparsity=0.8, restart=restart, seed=4)
    _, (rewound, _, _), _, (random, _, _) = starts
    for name in names_of_weights():
        kept = rewound[name] != 0
        assert torch.equal(random[name] != 0, kept), name
        assert not bool((random[name] == rewound[name])[kept].any()), name


def test_the_trained_weights_of_the_model_are_not_used(starts, data):
    model = support.tiny_cnn()
    fresh = support.bits(train_ticket(model, data=data, seed=4))
    for parameter in model.parameters():
        parameter.data.mul_(-3)
    model.norm1.running_mean.fill_(5)
    assert support.bits(train_ticket(model, data=data, seed=4)) == fresh


def test_the_first_weights_are_those_that_the_seed_draws(starts, data):
    train_ticket(support.tiny_cnn(), data=data, seed=4)
    drawn = support.tiny_cnn(seed=1)
    reset_weights(drawn, seed=4)
    assert all(torch.equal(tensor, starts[0][0][name]) for name, tensor in drawn.state_dict().items())


def test_the_second_training_keeps_the_zeros_and_the_first_has_none(starts, data):
    ticket = train_ticket(support.tiny_cnn(), data=data, sparsity=0.6)
    (first, _, plain), (_, end, masked) = starts
    assert "keep_zeros" not in plain
    assert masked["keep_zeros"] is True
    assert all(bool((first[name] != 0).all()) for name in names_of_weights())
    n = support.count_weights(ticket)
    assert sum(int((end[name] == 0).sum()) for name in names_of_weights()) == round(0.6 * n)
    assert sparsity_of(ticket) == pytest.approx(0.6, abs=1 / n)


class Odd(nn.Module):
    """A layer with a weight and no rule to draw it."""

    def __init__(self) -> None:
        super().__init__()
        self.offset = nn.Parameter(torch.zeros(64))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.offset


def test_a_layer_that_cannot_start_anew_gets_a_sentence(data):
    model = nn.Sequential(nn.Flatten(), Odd(), nn.Linear(64, support.N_CLASSES))
    with pytest.raises(ValueError, match=r"layer '1' \(Odd\) has no reset_parameters\(\), so it cannot start anew"):
        train_ticket(model, data=data)


def test_a_network_that_cannot_be_pruned_is_refused_before_anything_is_trained(starts, data):
    with pytest.raises(ValueError, match="has no layer whose weights can be pruned"):
        train_ticket(nn.Sequential(nn.Flatten(), nn.LayerNorm(64)), data=data)
    assert starts == []
