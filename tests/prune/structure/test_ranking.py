"""Which channels stay: exact counts, then the minimum and the multiple, which only keep more."""

import pytest
import torch

from efflab.prune.structure import channels_to_keep

RATIOS = (0.0, 0.1, 0.25, 0.5, 0.74, 0.95)


def scores(*sizes: int, seed: int = 0) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {f"layer{i}": torch.rand(size, generator=generator) for i, size in enumerate(sizes)}


@pytest.mark.parametrize("ratio", RATIOS)
def test_each_layer_loses_exactly_the_ratio(ratio):
    kept = channels_to_keep(scores(16, 33, 100), ratio, "per layer")
    assert [int((~mask).sum()) for mask in kept.values()] == [round(ratio * n) for n in (16, 33, 100)]


@pytest.mark.parametrize("ratio", RATIOS)
def test_all_layers_together_lose_exactly_the_ratio(ratio):
    kept = channels_to_keep(scores(16, 33, 100), ratio, "global")
    assert sum(int((~mask).sum()) for mask in kept.values()) == round(ratio * 149)


@pytest.mark.parametrize("scope", ["per layer", "global"])
def test_of_equal_scores_exactly_as_many_go_as_asked_for(scope):
    kept = channels_to_keep({"a": torch.ones(8), "b": torch.ones(8)}, 0.5, scope)
    assert sum(int((~mask).sum()) for mask in kept.values()) == 8


def test_those_with_the_smallest_scores_go():
    (kept,) = channels_to_keep({"a": torch.tensor([3.0, 1.0, 4.0, 2.0])}, 0.5, "per layer").values()
    assert kept.tolist() == [True, False, True, False]


def test_globally_a_layer_whose_channels_differ_more_loses_more():
    kept = channels_to_keep({"flat": torch.ones(4), "steep": torch.tensor([0.1, 0.2, 1.0, 2.7])}, 0.25, "global")
    assert kept["flat"].all()
    assert kept["steep"].tolist() == [False, False, True, True]


def test_globally_a_layer_with_larger_weights_is_not_more_important():
    same = scores(10)["layer0"]
    kept = channels_to_keep({"small": same, "large": 1000 * same}, 0.5, "global")
    assert torch.equal(kept["small"], kept["large"])


@pytest.mark.parametrize("scope", ["per layer", "global"])
@pytest.mark.parametrize("minimum", [1, 3, 64])
def test_no_layer_gets_narrower_than_the_minimum(scope, minimum):
    kept = channels_to_keep(scores(2, 5, 40), 0.95, scope, minimum=minimum)
    assert all(int(mask.sum()) >= min(minimum, len(mask)) for mask in kept.values())


def test_what_one_layer_must_keep_another_loses():
    kept = channels_to_keep({"weak": torch.tensor([0.01, 0.01, 2.98]), "strong": torch.ones(3)}, 0.5, "global")
    assert sum(int((~mask).sum()) for mask in kept.values()) == 3
    assert kept["weak"].tolist() == [False, False, True]


@pytest.mark.parametrize("scope", ["per layer", "global"])
def test_what_stays_is_rounded_up_to_the_multiple_where_there_are_as_many(scope):
    few = channels_to_keep(scores(6, 33, 64), 0.7, scope)
    kept = channels_to_keep(scores(6, 33, 64), 0.7, scope, multiple=8)
    for name, mask in kept.items():
        assert int(mask.sum()) == min(len(mask), -(-int(few[name].sum()) // 8) * 8)
        assert bool((mask | ~few[name]).all())  # whoever stayed before stays now


def test_a_score_that_is_not_a_number_gets_a_sentence():
    with pytest.raises(ValueError, match=r"^scores hold NaN"):
        channels_to_keep({"a": torch.tensor([1.0, torch.nan])}, 0.5, "global")
