"""The channels of one layer as the last cut of a recipe saw them: weights, importance, and which stayed."""

from collections.abc import Callable

import networks
import pytest
import support
import torch
from torch import Tensor, nn

from efflab.lab import Lab
from efflab.lab.filters import Filters, split_at_cut
from efflab.prune import fine_tune, prune_filters, prune_heads, prune_neurons, prune_weights, recalibrate
from efflab.prune.structure import select_channels
from efflab.recipe import step

HALF = step(prune_filters, ratio=0.5)
QUARTER = step(prune_filters, ratio=0.25, importance="l2")
SPARSE = step(prune_weights, sparsity=0.5)


@pytest.fixture(scope="module")
def lab() -> Lab:
    return Lab(support.tiny_both(), support.tiny_data(), seed=5)


def largest(scores: Tensor, n: int) -> list[bool]:
    """Which are among the n largest."""
    return [i in scores.argsort(descending=True)[:n].tolist() for i in range(len(scores))]


def same(one: Filters, other: Filters) -> bool:
    return (one.layer, one.importance) == (other.layer, other.importance) and all(
        torch.equal(getattr(one, name), getattr(other, name)) for name in ("weights", "scores", "kept")
    )


# Which step is taken


@pytest.mark.parametrize(
    ("recipe", "place"),
    [
        ((HALF,), 0),
        ((SPARSE, HALF), 1),
        ((HALF, SPARSE, QUARTER, step(recalibrate)), 2),
        ((HALF, step(prune_neurons), step(fine_tune)), 1),
        ((HALF, step(prune_heads)), 0),
    ],
    ids=["alone", "after another", "the second of two", "of another technique", "heads are no channels"],
)
def test_the_last_step_that_takes_channels_away_is_the_cut_and_what_was_before_it_stays_before(recipe, place):
    assert split_at_cut(recipe) == (recipe[:place], recipe[place])


@pytest.mark.parametrize("recipe", [(), (SPARSE, step(fine_tune))], ids=["empty", "other steps"])
def test_a_recipe_without_a_cut_gets_a_sentence(recipe, lab):
    sentence = r"^no step of this recipe takes channels away; prune_filters and prune_neurons do$"
    with pytest.raises(ValueError, match=sentence):
        lab.filters(recipe, "conv2")


def test_the_weights_are_those_of_the_network_before_the_cut(lab):
    found = lab.filters((HALF, SPARSE, QUARTER), "conv3")
    assert torch.equal(found.weights, lab.build((HALF, SPARSE)).conv3.weight)
    assert found.weights.shape == (4, 2, 3, 3)
    assert found.importance == "l2"


def test_steps_after_the_cut_change_nothing(lab):
    assert same(lab.filters((HALF, SPARSE), "conv2"), lab.filters((HALF,), "conv2"))


def test_the_filters_that_stay_are_those_of_the_network_that_the_cut_makes(lab):
    before, found = (lab.filters((SPARSE, HALF), layer) for layer in ("conv2", "conv3"))
    assert before.kept.count_nonzero() == 2
    left = found.weights[found.kept][:, before.kept]
    assert torch.equal(lab.build((SPARSE, HALF)).conv3.weight, left)


# What the cut decided


@pytest.mark.parametrize(("layer", "n_kept"), [("conv1", 1), ("conv2", 2), ("conv3", 4)])
def test_scores_are_sums_of_magnitudes_and_the_largest_stay(layer, n_kept, lab):
    found = lab.filters((HALF,), layer)
    weight = support.tiny_both().get_parameter(f"{layer}.weight").detach()
    assert (found.layer, found.importance) == (layer, "l1")
    assert torch.equal(found.weights, weight)
    torch.testing.assert_close(found.scores, weight.abs().sum((1, 2, 3)))
    assert found.kept.tolist() == largest(found.scores, n_kept)


def test_neurons_have_a_row_of_weights_each(lab):
    found = lab.filters((step(prune_neurons, ratio=0.5),), "hidden")
    weight = support.tiny_both().hidden.weight.detach()
    assert torch.equal(found.weights, weight)
    torch.testing.assert_close(found.scores, weight.abs().sum(1))
    assert found.kept.tolist() == largest(found.scores, 3)


@pytest.mark.parametrize("importance", prune_filters.knobs["importance"].options)
def test_scores_and_what_stays_are_those_of_the_selection_for_every_importance(importance, lab):
    cut = step(prune_filters, ratio=0.5, scope="global", importance=importance, minimum=2)
    found = {layer: lab.filters((cut,), layer) for layer in ("conv1", "conv2", "conv3")}
    settings = {"ratio": 0.5, "scope": "global", "importance": importance, "minimum": 2}
    selection = select_channels(lab.build(()), nn.Conv2d, data=lab.data, seed=5, **settings)
    assert {one.importance for one in found.values()} == {importance}
    for layer, one in found.items():
        assert torch.equal(one.scores, selection.scores[layer])
        assert torch.equal(one.kept, selection.kept[layer])


@pytest.mark.parametrize(
    ("settings", "n_kept"),
    [
        ({"ratio": 0.0}, 8),
        ({"ratio": 0.75}, 2),
        ({"ratio": 0.75, "minimum": 5}, 5),
        ({"ratio": 0.75, "multiple": 4}, 4),
        ({"ratio": 0.95}, 1),
    ],
)
def test_each_setting_of_the_step_counts(settings, n_kept, lab):
    assert lab.filters((step(prune_filters, **settings),), "conv3").kept.count_nonzero() == n_kept


def test_globally_a_layer_keeps_what_the_cut_network_has_of_it(lab):
    recipe = (step(prune_filters, ratio=0.4, scope="global"),)
    cut = lab.build(recipe)
    kept = {layer: int(lab.filters(recipe, layer).kept.count_nonzero()) for layer in ("conv1", "conv2", "conv3")}
    assert kept == {layer: len(cut.get_parameter(f"{layer}.weight")) for layer in kept}
    assert sum(kept.values()) == 14 - round(0.4 * 14)


def test_random_scores_come_from_the_seed_of_the_lab(lab):
    cut = step(prune_filters, importance="random")
    other = Lab(support.tiny_both(), lab.data, seed=6)
    again = Lab(support.tiny_both(), lab.data, seed=5)
    assert torch.equal(lab.filters((cut,), "conv3").scores, again.filters((cut,), "conv3").scores)
    assert not torch.equal(lab.filters((cut,), "conv3").scores, other.filters((cut,), "conv3").scores)


def test_zeroed_channels_were_chosen_as_removed_ones_are(lab):
    zeroed = step(prune_filters, ratio=0.5, form="zeroed")
    assert same(lab.filters((zeroed,), "conv3"), lab.filters((HALF,), "conv3"))


def test_layers_that_a_sum_joins_share_scores_and_each_shows_its_own_weights():
    body = nn.Conv2d(4, 4, 3, padding=1)
    model = nn.Sequential(nn.Conv2d(1, 4, 1), networks.Shortcut(body, nn.Identity()), nn.Conv2d(4, 3, 8), nn.Flatten())
    lab = Lab(model, support.tiny_data())
    first, second = (lab.filters((HALF,), layer) for layer in ("0", "1.body"))
    torch.testing.assert_close(first.scores, model[0].weight.abs().sum((1, 2, 3)) + body.weight.abs().sum((1, 2, 3)))
    assert torch.equal(first.scores, second.scores)
    assert torch.equal(first.kept, second.kept)
    assert torch.equal(second.weights, body.weight)


def test_a_layer_of_which_two_groups_hold_a_part_is_shown_whole():
    model = networks.Calls(side_by_side)
    model.a, model.b, model.c, model.end = nn.Linear(64, 2), nn.Linear(64, 3), nn.Linear(64, 5), nn.Linear(5, 3)
    recipe = (step(prune_neurons, ratio=0.5, rules="torch-pruning"),)
    lab = Lab(model, support.tiny_data())
    a, b, c = (lab.filters(recipe, layer) for layer in "abc")
    assert torch.equal(c.weights, model.c.weight)
    assert torch.equal(c.scores, torch.cat([b.scores, a.scores]))
    assert torch.equal(lab.build(recipe).c.weight, c.weights[c.kept])


def side_by_side(model: nn.Module, x: Tensor) -> Tensor:
    """Channels 0-2 of `c` are added to those of `b`, channels 3-4 to those of `a`, which runs first."""
    x = x.flatten(1)
    a, b = model.a(x), model.b(x)
    return model.end(torch.cat([b, a], 1) + model.c(x))


# What is left alone, and what is refused


def test_changing_what_one_gets_changes_no_network_of_the_lab(lab):
    before = support.bits(lab.build(()))
    found = lab.filters((HALF,), "conv1")
    found.weights.zero_()
    assert support.bits(lab.build(())) == before


@pytest.mark.parametrize("layer", ["output", "hidden", "norm1", "conv9", ""])
def test_a_layer_whose_channels_the_technique_does_not_rank_is_refused_with_those_it_does(layer, lab):
    with pytest.raises(ValueError, match=rf"^layer must be one of conv1, conv2, conv3, not '{layer}'$"):
        lab.filters((HALF,), layer)


def test_a_step_with_a_ratio_for_each_layer_is_refused_before_there_are_filters():
    with pytest.raises(TypeError, match=r"^ratio of prune_filters takes one value for the whole model, not a mapping"):
        step(prune_filters, ratio={"conv1": 0.5})


@pytest.mark.parametrize(
    ("build", "cut", "sentence"),
    [
        (support.tiny_mlp, HALF, r"^Network has no Conv2d layer whose channels can be removed: it has no Conv2d"),
        (support.tiny_cnn, step(prune_neurons), r"^Network has no Linear layer .*they are the network's answer$"),
    ],
    ids=["no convolution", "only answers"],
)
def test_a_network_without_such_channels_gets_the_sentence_of_the_technique(
    build: Callable[[], nn.Module], cut, sentence
):
    with pytest.raises(ValueError, match=sentence):
        Lab(build(), support.tiny_data()).filters((cut,), "conv1")
