"""Masks: exact counts whatever the ties, nested, and equal to those of `torch.nn.utils.prune`."""

import itertools

import pytest
import torch
from torch import nn
from torch.nn.utils import prune as torch_prune

from efflab.prune import keep_largest, masks_for

SPARSITIES = (0.0, 0.01, 0.3, 0.5, 0.77, 0.9, 0.99, 1.0)


def rand(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def two_layers(seed: int) -> dict[str, torch.Tensor]:
    return {"first": rand(seed, 6, 2, 3, 3), "second": rand(seed + 1, 5, 40) * 0.4}


def layers_of_torch(weights: dict[str, torch.Tensor]) -> dict[str, nn.Module]:
    """Modules that hold the weights, for torch's own pruning."""
    modules = {}
    for name, weight in weights.items():
        modules[name] = nn.Module()
        modules[name].weight = nn.Parameter(weight.clone())
    return modules


# Counts


@pytest.mark.parametrize("seed", range(20))
def test_exactly_as_many_go_as_were_asked_for_though_many_are_equal(seed):
    generator = torch.Generator().manual_seed(seed)
    n = int(torch.randint(1, 60, (), generator=generator))
    scores = torch.randint(0, 4, (n,), generator=generator).float()  # about a quarter of all are equal
    for n_removed in range(n + 1):
        mask = keep_largest(scores, n_removed)
        assert int((~mask).sum()) == n_removed
        if 0 < n_removed < n:
            assert scores[~mask].max() <= scores[mask].min()


def test_nothing_goes_when_none_are_asked_for_and_everything_when_all_are():
    for scores in (rand(0, 3, 4), torch.zeros(3, 4), torch.ones(1)):
        assert bool(keep_largest(scores, 0).all())
        assert not bool(keep_largest(scores, scores.numel()).any())


def test_of_equal_scores_the_first_positions_go():
    mask = keep_largest(torch.tensor([[2.0, 1.0, 1.0], [1.0, 3.0, 1.0]]), 2)
    assert mask.tolist() == [[True, False, False], [True, True, True]]


@pytest.mark.parametrize("seed", range(20))
def test_those_go_that_a_stable_sort_puts_first(seed):
    generator = torch.Generator().manual_seed(seed)
    values = torch.tensor([-float("inf"), -1.0, -0.0, 0.0, 0.5, float("inf")])
    scores = values[torch.randint(0, int(torch.randint(1, 7, (), generator=generator)), (97,), generator=generator)]
    order = scores.sort(stable=True).indices
    for n_removed in range(98):
        assert (~keep_largest(scores, n_removed)).nonzero().flatten().tolist() == sorted(order[:n_removed].tolist())


@pytest.mark.parametrize("n", [1, 2, 1000, 40_000])
def test_so_it_is_among_many_scores_of_which_half_are_zero(n):
    scores = rand(2, n).clamp(min=0)  # as a network that was pruned before
    order = scores.sort(stable=True).indices
    for n_removed in (0, n // 4, n // 2, n // 2 + 1, 9 * n // 10, n):
        expected = torch.ones(n, dtype=torch.bool)
        expected[order[:n_removed]] = False
        assert torch.equal(keep_largest(scores, n_removed), expected)


@pytest.mark.parametrize(
    ("dtype", "apart"),
    [
        (torch.bfloat16, 2.0**-7),
        (torch.float16, 2.0**-10),
        (torch.float32, 2.0**-23),
        (torch.float64, 2.0**-52),
        (torch.int64, 1),
    ],
)
def test_scores_that_only_just_differ_are_told_apart(dtype, apart):
    one = 1 if dtype.is_floating_point else 2**60
    scores = torch.tensor([one + apart, one, one + apart, one], dtype=dtype)
    assert keep_largest(scores, 2).tolist() == [True, False, True, False]
    assert keep_largest(scores, 3).tolist() == [False, False, True, False]


def test_scores_of_weights_that_are_being_trained_are_ranked_as_they_are():
    weight = nn.Parameter(torch.tensor([3.0, 1.0, 2.0]))
    assert keep_largest(weight.abs(), 2).tolist() == [True, False, False]
    with torch.inference_mode():
        assert keep_largest(weight.abs(), 2).tolist() == [True, False, False]


def test_a_mask_has_the_shape_of_its_scores_and_is_of_truth_values():
    for shape in ((7,), (2, 3), (2, 3, 5, 5)):
        mask = keep_largest(rand(1, *shape), 3)
        assert mask.shape == shape
        assert mask.dtype == torch.bool


def test_the_memory_layout_of_the_scores_makes_no_difference():
    scores = torch.randint(0, 3, (4, 3, 5, 5), generator=torch.Generator().manual_seed(0)).float()
    other = scores.to(memory_format=torch.channels_last)
    assert torch.equal(keep_largest(scores, 77), keep_largest(other, 77))


def test_no_scores_at_all_have_an_empty_mask():
    assert keep_largest(torch.empty(0, 3), 0).shape == (0, 3)


def test_the_scores_stay_as_they_were():
    scores = rand(3, 50)
    before = scores.clone()
    keep_largest(scores, 20)
    assert torch.equal(scores, before)


@pytest.mark.parametrize("n_removed", [-1, 13])
def test_more_than_all_and_less_than_none_are_refused(n_removed):
    with pytest.raises(ValueError, match=f"n_removed must lie between 0 and 12, not {n_removed}"):
        keep_largest(rand(0, 12), n_removed)


@pytest.mark.parametrize("n_removed", [0, 1, 5])
@pytest.mark.parametrize("position", range(5))
def test_a_single_score_that_is_no_number_is_refused(position, n_removed):
    scores = torch.tensor([1.0, float("inf"), -float("inf"), 0.0, 2.0])
    scores[position] = float("nan")
    with pytest.raises(ValueError, match="scores hold NaN, so they cannot be ranked"):
        keep_largest(scores, n_removed)


def test_infinite_scores_stay_longest():
    assert keep_largest(torch.tensor([float("inf"), 1.0, 2.0]), 2).tolist() == [True, False, False]


# Masks of several layers


@pytest.mark.parametrize("sparsity", SPARSITIES)
@pytest.mark.parametrize("seed", range(5))
def test_globally_the_rounded_fraction_of_all_weights_goes(seed, sparsity):
    masks = masks_for({name: w.abs() for name, w in two_layers(seed).items()}, sparsity, "global")
    assert sum(int((~mask).sum()) for mask in masks.values()) == round(sparsity * 308)


@pytest.mark.parametrize("sparsity", SPARSITIES)
def test_per_layer_the_rounded_fraction_of_each_layer_goes(sparsity):
    masks = masks_for({name: w.abs() for name, w in two_layers(0).items()}, sparsity, "per layer")
    assert int((~masks["first"]).sum()) == round(sparsity * 108)
    assert int((~masks["second"]).sum()) == round(sparsity * 200)


def test_a_mapping_prunes_each_layer_by_its_own_fraction_whatever_the_scope():
    scores = {name: w.abs() for name, w in two_layers(0).items()}
    for scope in ("global", "per layer"):
        masks = masks_for(scores, {"first": 0.25}, scope)
        assert int((~masks["first"]).sum()) == 27
        assert bool(masks["second"].all())


def test_a_mapping_with_an_unknown_layer_is_refused():
    with pytest.raises(ValueError, match="sparsity names 'third'; the layers that can be pruned are: first, second"):
        masks_for(two_layers(0), {"first": 0.5, "third": 0.5}, "global")


@pytest.mark.parametrize("scope", ["global", "per layer"])
def test_what_stays_at_a_higher_sparsity_stayed_at_a_lower_one(scope):
    for seed in range(10):
        scores = {name: (w * 2).round().abs() for name, w in two_layers(seed).items()}  # with ties
        masks = [masks_for(scores, sparsity, scope) for sparsity in SPARSITIES]
        for less, more in itertools.pairwise(masks):
            assert all(bool((less[name] | ~more[name]).all()) for name in scores)


# torch.nn.utils.prune


@pytest.mark.parametrize("sparsity", SPARSITIES)
@pytest.mark.parametrize("seed", range(5))
def test_masks_per_layer_are_those_of_torch(seed, sparsity):
    weights = two_layers(seed)
    ours = masks_for({name: w.abs() for name, w in weights.items()}, sparsity, "per layer")
    for name, module in layers_of_torch(weights).items():
        torch_prune.l1_unstructured(module, "weight", amount=float(sparsity))
        assert torch.equal(ours[name], module.weight_mask.bool())


@pytest.mark.parametrize("sparsity", SPARSITIES)
@pytest.mark.parametrize("seed", range(5))
def test_global_masks_are_those_of_torch(seed, sparsity):
    weights = two_layers(seed)
    ours = masks_for({name: w.abs() for name, w in weights.items()}, sparsity, "global")
    modules = layers_of_torch(weights)
    torch_prune.global_unstructured(
        [(module, "weight") for module in modules.values()],
        pruning_method=torch_prune.L1Unstructured,
        amount=float(sparsity),
    )
    for name, module in modules.items():
        assert torch.equal(ours[name], module.weight_mask.bool())
