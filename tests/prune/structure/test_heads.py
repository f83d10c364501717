"""prune_heads: the heads that torch-pruning would keep, the answers of heads that are zero, and smaller layers."""

import pytest
import support
import torch
import torch_pruning
from torch import Tensor, nn
from torch.nn import functional as F

from efflab import models
from efflab.data import Data
from efflab.measure.work import count_work
from efflab.models import SelfAttention
from efflab.models.transformer import Block
from efflab.prune import fine_tune
from efflab.prune.structure import prune_neurons
from efflab.prune.structure.heads import attentions, head_scores, heads_to_keep, l2_of_heads, prune_heads
from efflab.runtime import export, parity
from efflab.training import copy_model


@pytest.fixture(scope="module")
def data() -> Data:
    return support.tiny_data()


def vit(seed: int = 0) -> nn.Module:
    """32 wide, so 4 heads in each of two blocks; weights large enough that heads differ."""
    model = models.build("vit", seed=seed, shape=support.SHAPE, n_classes=3, sizes=(32, 2))
    generator = torch.Generator().manual_seed(seed)
    for attention in attentions(model).values():
        for parameter in attention.parameters():
            nn.init.normal_(parameter, std=0.3, generator=generator)
    return model


def block(seed: int = 0) -> Block:
    made = Block(32, 4).eval()
    generator = torch.Generator().manual_seed(seed)
    for parameter in made.parameters():
        nn.init.normal_(parameter, std=0.3, generator=generator)
    return made


def tokens(n: int = 2) -> Tensor:
    return torch.randn(n, 5, 32, generator=torch.Generator().manual_seed(9))


def of_torch_pruning(model: Block, ratio: float) -> Block:
    """The same block, cut by torch-pruning: heads and nothing else."""
    twin = copy_model(model)
    own = twin.attention
    pruner = torch_pruning.pruner.MetaPruner(
        twin,
        tokens(),
        importance=torch_pruning.importance.GroupMagnitudeImportance(p=2),
        pruning_ratio=ratio,
        ignored_layers=[twin.hidden, twin.output, own.out],
        num_heads={own.q: 4, own.k: 4, own.v: 4},
        prune_num_heads=True,
        prune_head_dims=False,
        head_pruning_ratio=ratio,
    )
    pruner.step()
    own.n_heads = pruner.num_heads[own.q]
    return twin


def by_hand(attention: SelfAttention, x: Tensor, heads: list[int]) -> Tensor:
    """Torch's own attention over some of the heads."""
    d, answer = attention.head_dim, attention.out.bias
    for one in (slice(i * d, (i + 1) * d) for i in heads):
        q, k, v = (layer(x)[..., one] for layer in (attention.q, attention.k, attention.v))
        answer = answer + F.scaled_dot_product_attention(q, k, v) @ attention.out.weight[:, one].T
    return answer


# What goes


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize(("ratio", "left"), [(0.25, 3), (0.5, 2), (0.75, 1)])
def test_the_weights_and_answers_are_those_of_torch_pruning(ratio, left, seed, data):
    model = block(seed)
    ours, theirs = prune_heads(model, data=data, ratio=ratio), of_torch_pruning(model, ratio)
    assert ours.attention.n_heads == theirs.attention.n_heads == left
    assert support.bits(ours) == support.bits(theirs)
    assert torch.equal(ours(tokens()), theirs(tokens()))


@pytest.mark.parametrize(("ratio", "left"), [(0.0, 4), (0.1, 4), (0.3, 3), (0.5, 2), (0.9, 1), (0.95, 1)])
def test_exactly_the_fraction_of_heads_goes_and_one_stays(ratio, left, data):
    pruned = prune_heads(vit(), data=data, ratio=ratio)
    for attention in attentions(pruned).values():
        assert (attention.n_heads, attention.head_dim) == (left, 8)
        assert attention.q.weight.shape == attention.k.weight.shape == attention.v.weight.shape == (8 * left, 32)
        assert attention.q.out_features == attention.out.in_features == 8 * left
        assert attention.out.weight.shape == (32, 8 * left)


def test_what_is_left_are_the_heads_with_the_largest_weights(data):
    attention = SelfAttention(32, 4)
    with torch.no_grad():
        attention.out.weight[:, 8:16] *= 30
        attention.v.weight[24:] *= 20
    expected = by_hand(attention, tokens(), [1, 3])
    pruned = prune_heads(nn.Sequential(attention), data=data, ratio=0.5)
    torch.testing.assert_close(pruned(tokens()), expected, rtol=0, atol=1e-5)


def test_the_length_of_a_head_counts_all_four_of_its_parts_and_no_bias():
    attention = SelfAttention(6, 3, head_dim=2)
    with torch.no_grad():
        for parameter in attention.parameters():
            parameter.fill_(7.0 if parameter.ndim == 1 else 0.0)
        attention.q.weight[0, 0], attention.k.weight[1, 5], attention.v.weight[3, 2] = 3.0, 4.0, 2.0
        attention.out.weight[4, 5] = -5.0
    assert l2_of_heads(attention).tolist() == [5.0, 2.0, 5.0]
    assert heads_to_keep(l2_of_heads(attention), 1 / 3).tolist() == [True, False, True]


# The form


@pytest.mark.parametrize("importance", ["l2", "taylor", "random"])
@pytest.mark.parametrize("ratio", [0.25, 0.5, 0.75])
def test_zeroed_heads_answer_as_removed_ones_do(ratio, importance, data):
    model, images = vit(), data.test.images
    settings = {"data": data, "ratio": ratio, "importance": importance, "seed": 3}
    removed, zeroed = prune_heads(model, **settings), prune_heads(model, **settings, form="zeroed")
    torch.testing.assert_close(removed(images), zeroed(images), rtol=0, atol=1e-5)
    assert not torch.allclose(removed(images), model(images), atol=1e-3)
    assert [one.n_heads for one in attentions(zeroed).values()] == [4, 4]
    n_zero = round(ratio * 4) * 8
    assert [int((one.q.weight == 0).all(dim=1).sum()) for one in attentions(zeroed).values()] == [n_zero, n_zero]
    assert [int((one.out.weight == 0).all(dim=0).sum()) for one in attentions(zeroed).values()] == [n_zero, n_zero]


# Importance


def test_taylor_is_the_derivative_by_a_factor_in_front_of_each_head(data):
    """Michel 2019: each head's answer times a factor that is 1; the loss of each example, differentiated by it."""
    model, (images, labels) = vit(), (data.calibration.images, data.calibration.labels)
    expected = {name: torch.zeros(4) for name in attentions(model)}
    for image, label in zip(images.split(1), labels.split(1), strict=True):
        twin, factors = copy_model(model), {}
        for name, attention in attentions(twin).items():
            factors[name] = torch.ones(4, requires_grad=True)
            times = factors[name].repeat_interleave(8)
            attention.out.register_forward_pre_hook(lambda _, inputs, times=times: (inputs[0] * times,))
        data.task.loss(twin(image), label).backward()
        for name, factor in factors.items():
            expected[name] += factor.grad.abs() / len(images)
    scores = head_scores(model, "taylor", data=data)
    assert scores.keys() == expected.keys()
    for name, score in scores.items():
        torch.testing.assert_close(score, expected[name], rtol=1e-4, atol=1e-7)


def test_random_heads_depend_on_the_seed_alone(data):
    first, second = (head_scores(vit(), "random", data=data, seed=seed) for seed in (0, 1))
    assert all(torch.equal(score, head_scores(vit(5), "random", data=data)[name]) for name, score in first.items())
    assert not any(torch.equal(score, second[name]) for name, score in first.items())


# What stays as it was, and what comes after


def test_the_model_is_left_alone_and_shares_no_memory_and_frozen_stays_frozen(data):
    model = vit().train()
    model.block1.attention.q.weight.requires_grad_(False)
    before = support.bits(model)
    pruned = prune_heads(model, data=data)
    assert support.bits(model) == before
    assert support.storages(model).isdisjoint(support.storages(pruned))
    assert all(module.training for module in pruned.modules())
    flags = {name: one.requires_grad for name, one in model.named_parameters()}
    assert {name: one.requires_grad for name, one in pruned.named_parameters()} == flags
    assert pruned.architecture == model.architecture


def test_the_work_of_attention_falls_with_its_heads(data):
    model = vit()
    before, after = (count_work(one, support.SHAPE) for one in (model, prune_heads(model, data=data, ratio=0.5)))
    t, d = 16, 32
    assert before.macs - after.macs == 2 * (4 * t * d * d + 2 * t * t * d) // 2


def test_it_can_be_trained_further_cut_further_saved_and_shipped(data, tmp_path):
    pruned = fine_tune(prune_heads(vit(), data=data, ratio=0.5), data=data, epochs=1)
    pruned = prune_neurons(prune_heads(pruned, data=data, ratio=0.5), data=data, ratio=0.5)
    assert [one.n_heads for one in attentions(pruned).values()] == [1, 1]
    assert pruned.block2.hidden.out_features == 64
    images = data.test.images
    path = models.save_weights(pruned, tmp_path / "mine")
    again = models.load_weights(path, models.build("vit", shape=support.SHAPE, n_classes=3, sizes=(32, 2)))
    assert torch.equal(again(images), pruned(images))
    assert parity(export(pruned, support.SHAPE, tmp_path), pruned, images).max_difference < 1e-5


def test_as_a_checkpoint_it_comes_back_with_its_heads(data, tmp_path):
    pruned = prune_heads(vit(), data=data, ratio=0.5)
    about = models.Card(pruned.architecture, "tiny", 0, 0, (0.5, 0.4, 0.6), (0.5, 0.4, 0.6))
    loaded = models.load(models.save(pruned, tmp_path / "vit", about))
    assert loaded.block1.attention.n_heads == 2
    assert models.card(tmp_path / "vit").shapes["block1.attention"] == {"heads": 2}
    assert torch.equal(loaded(data.test.images), pruned(data.test.images))


# What it cannot act on


def test_a_model_without_attention_gets_a_sentence_that_names_what_was_looked_for(data):
    with pytest.raises(ValueError, match=r"^Network has no attention whose heads .* efflab\.models\.SelfAttention"):
        prune_heads(support.tiny_cnn(), data=data)


def test_attention_whose_weights_are_computed_or_shared_gets_a_sentence(data):
    computed, shared = nn.Sequential(SelfAttention(8, 2)), nn.Sequential(SelfAttention(8, 2), SelfAttention(8, 2))
    torch.nn.utils.parametrizations.weight_norm(computed[0].k)
    shared[1].q = shared[0].q
    for model, layer in ((computed, "0.k"), (shared, "1.q")):
        with pytest.raises(ValueError, match=rf"^layer '{layer}' is not an nn.Linear with a plain weight of its own"):
            prune_heads(model, data=data)
