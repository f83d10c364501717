"""The transformer: attention is torch's own, it is counted by hand, and it can be shipped."""

import pytest
import support
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from efflab import models
from efflab.measure.work import count_work
from efflab.models import SelfAttention
from efflab.models.transformer import Block, Positions, TokenMean, Tokens
from efflab.runtime import export, parity
from efflab.training import train, validation_score


def tokens(n: int = 3, n_tokens: int = 5, dim: int = 16) -> Tensor:
    return torch.randn(n, n_tokens, dim, generator=torch.Generator().manual_seed(0))


def with_torch(attention: SelfAttention, x: Tensor) -> Tensor:
    """The same with torch's own attention; each head's numbers taken out by hand."""
    d = attention.head_dim
    heads = [slice(i * d, (i + 1) * d) for i in range(attention.n_heads)]
    q, k, v = attention.q(x), attention.k(x), attention.v(x)
    mixed = [F.scaled_dot_product_attention(q[..., i], k[..., i], v[..., i]) for i in heads]
    return attention.out(torch.cat(mixed, dim=-1))


def copy_attention(ours: SelfAttention, theirs: nn.MultiheadAttention) -> None:
    """Our weights into torch's module, which packs three layers into one."""
    theirs.in_proj_weight.copy_(torch.cat([ours.q.weight, ours.k.weight, ours.v.weight]))
    theirs.in_proj_bias.copy_(torch.cat([ours.q.bias, ours.k.bias, ours.v.bias]))
    theirs.out_proj.load_state_dict(ours.out.state_dict())


@pytest.mark.parametrize(("n_heads", "head_dim"), [(1, None), (4, None), (2, 3), (3, 8)])
def test_attention_is_that_of_torch(n_heads, head_dim):
    attention = SelfAttention(16, n_heads, head_dim)
    assert attention.head_dim == (head_dim or 16 // n_heads)
    torch.testing.assert_close(attention(tokens()), with_torch(attention, tokens()), rtol=0, atol=1e-6)


def test_attention_with_the_same_weights_is_that_of_torchs_module():
    attention, theirs = SelfAttention(16, 4), nn.MultiheadAttention(16, 4, batch_first=True)
    with torch.no_grad():
        copy_attention(attention, theirs)
    expected, _ = theirs(tokens(), tokens(), tokens())
    torch.testing.assert_close(attention(tokens()), expected, rtol=0, atol=1e-6)


def test_attention_takes_any_number_of_leading_dimensions():
    attention, x = SelfAttention(16, 2), tokens(6)
    assert torch.allclose(attention(x.unflatten(0, (2, 3))), attention(x).unflatten(0, (2, 3)), atol=1e-6)
    assert torch.allclose(attention(x[0]), attention(x)[0], atol=1e-6)


def test_a_block_is_that_of_torch():
    block = Block(16, 2)
    theirs = nn.TransformerEncoderLayer(16, 2, 64, dropout=0, activation="gelu", batch_first=True, norm_first=True)
    with torch.no_grad():
        copy_attention(block.attention, theirs.self_attn)
        theirs.linear1.load_state_dict(block.hidden.state_dict())
        theirs.linear2.load_state_dict(block.output.state_dict())
        for norm in (block.norm1, block.norm2, theirs.norm1, theirs.norm2):
            nn.init.uniform_(norm.weight, 0.5, 1.5, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(block(tokens()), theirs(tokens()), rtol=0, atol=1e-5)


def test_tokens_are_the_places_of_the_map_row_by_row():
    x = torch.arange(24.0).reshape(1, 2, 3, 4)
    made = Tokens()(x)
    assert made.shape == (1, 12, 2)
    assert made[0, 5].tolist() == x[0, :, 1, 1].tolist()
    assert torch.equal(TokenMean()(made), x.mean(dim=(2, 3)))


def test_without_positions_the_tokens_are_a_bag():
    block, x = Block(16, 2).eval(), tokens()
    order = torch.tensor([3, 1, 4, 0, 2])
    torch.testing.assert_close(block(x[:, order]), block(x)[:, order], rtol=0, atol=1e-5)
    positions = Positions(5, 16)
    assert not torch.allclose(positions(x[:, order]), positions(x)[:, order])


@pytest.mark.parametrize(
    ("shape", "side", "n_tokens"),
    [((1, 28, 28), 4, 49), ((3, 32, 32), 4, 64), ((1, 8, 8), 2, 16), ((3, 17, 40), 4, 40)],
)
def test_patches_are_four_pixels_wide_and_two_for_small_images(shape, side, n_tokens):
    network = models.build("vit", shape=shape, sizes=(16, 2))
    assert network.patches.kernel_size == network.patches.stride == (side, side)
    assert network.positions.positions.shape == (n_tokens, 16)
    assert [name for name, _ in network.named_children()][2:6] == ["positions", "block1", "block2", "norm"]


def test_its_work_is_what_one_counts_by_hand():
    t, d = 49, 64
    attention = 4 * t * d * d + 2 * t * t * d  # four layers; queries by keys, and weights by values
    hidden = 2 * t * d * 4 * d
    work = count_work(models.build("vit"), (1, 28, 28))
    assert work.macs == t * 16 * d + 4 * (attention + hidden) + d * 10
    assert work.uncounted == ()


def test_its_onnx_file_gives_the_same_answers_for_any_batch(tmp_path):
    network = models.build("vit", shape=support.SHAPE, n_classes=3, sizes=(16, 2))
    artefact = export(network, support.SHAPE, tmp_path)
    for n in (1, 7):
        images = support.tiny_data().test.images[:n]
        assert parity(artefact, network, images).max_difference < 1e-5


def test_it_learns():
    data = support.tiny_data(n=600, noise=0.5)
    network = models.build("vit", shape=support.SHAPE, n_classes=3, sizes=(16, 1))
    list(train(network, data, epochs=6))
    assert validation_score(network, data) > 0.9
