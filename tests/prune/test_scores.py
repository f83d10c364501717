"""Scores: the magnitude of a weight, and chance as a control."""

import torch
from torch.nn.utils import prune as torch_prune

from efflab.prune import scores

WEIGHTS = {"a": torch.tensor([[-3.0, 0.5], [0.0, 2.0]]), "b": torch.tensor([-0.25])}


def test_the_magnitude_is_the_size_without_the_sign():
    assert scores.magnitude(WEIGHTS["a"]).tolist() == [[3.0, 0.5], [0.0, 2.0]]


def test_every_layer_is_scored():
    for criterion in ("magnitude", "random"):
        found = scores.score(WEIGHTS, criterion, seed=0)
        assert {name: score.shape for name, score in found.items()} == {"a": (2, 2), "b": (1,)}


def test_the_magnitude_does_not_depend_on_the_seed():
    first, second = (scores.score(WEIGHTS, "magnitude", seed=seed) for seed in (0, 1))
    assert all(torch.equal(first[name], second[name]) for name in WEIGHTS)


def test_chance_depends_on_the_seed_alone():
    weights = {"a": torch.ones(50), "b": torch.full((50,), -7.0)}
    first, again, other = (scores.score(weights, "random", seed=seed) for seed in (3, 3, 4))
    assert all(torch.equal(first[name], again[name]) for name in weights)
    assert not torch.equal(first["a"], other["a"])
    assert not torch.equal(first["a"], first["b"])  # each layer has numbers of its own


def test_chance_is_spread_evenly_and_does_not_look_at_the_weight():
    weight = torch.linspace(0.001, 1000, 20_000)
    found = scores.score({"a": weight}, "random", seed=0)["a"]
    assert abs(found.mean().item() - 0.5) < 0.01
    assert abs(torch.corrcoef(torch.stack([found, weight]))[0, 1].item()) < 0.03


def test_by_chance_too_a_weight_that_is_gone_goes_first():
    found = scores.score(WEIGHTS, "random", seed=0)["a"]
    assert found[1, 0] == 0
    assert bool((found[WEIGHTS["a"] != 0] > 0).all())


def test_the_ranking_by_magnitude_is_that_of_torch():
    weight = torch.randn(40, generator=torch.Generator().manual_seed(0))
    method = torch_prune.L1Unstructured(amount=17)
    kept = method.compute_mask(weight, torch.ones(40)).bool()
    assert scores.magnitude(weight)[kept].min() > scores.magnitude(weight)[~kept].max()
