"""Work: closed forms of each layer, counts that papers print, and torch's own counter where that one is right."""

import math

import networks
import pytest
import support
import torch
from networks import Calls
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.utils import parametrize, prune
from torch.utils.flop_counter import FlopCounterMode

from efflab import models
from efflab.measure import Work, count_work
from efflab.prune import prune_weights
from efflab.runtime import sparsify, stored_bytes
from efflab.runtime.kernels import random_weight, to_layout


def torch_macs(model: nn.Module, shape: tuple[int, ...], batch: int = 1) -> int:
    """Half of what torch's own counter says, attention computed from its parts, which it can count."""
    with FlopCounterMode(display=False) as counter, torch.enable_grad(), sdpa_kernel(SDPBackend.MATH):
        model.eval()(torch.zeros(batch, *shape, requires_grad=True))
    assert counter.get_total_flops() > 0
    return counter.get_total_flops() // 2


def other_flops(work: Work) -> int:
    return work.flops - 2 * work.macs


# What papers and torchvision's tables print


@pytest.mark.parametrize(
    ("build", "n_parameters", "giga"),
    [(networks.resnet18, 11_689_512, 1.814), (networks.mobilenet_v2, 3_504_872, 0.301)],
    ids=["ResNet-18", "MobileNetV2"],
)
def test_a_published_network_takes_the_macs_that_are_published(build, n_parameters, giga):
    model = build()
    assert sum(parameter.numel() for parameter in model.parameters()) == n_parameters
    work = count_work(model, (3, 224, 224))
    assert round(work.macs / 1e9, 3) == giga
    assert 2 * work.macs < work.flops < 2.2 * work.macs
    assert work.uncounted == ()


@pytest.mark.parametrize(
    ("name", "macs"),
    [
        ("mlp", 784 * 300 + 300 * 100 + 100 * 10),
        ("lenet5", 24 * 24 * 20 * 25 + 8 * 8 * 50 * 20 * 25 + 800 * 500 + 500 * 10),
        ("cnn", 14 * 14 * 16 * 25 + 7 * 7 * 32 * 16 * 9 + 7 * 7 * 64 * 32 * 9 + 64 * 10),
        (
            "resnet8",
            28 * 28 * 16 * 9
            + 2 * 28 * 28 * 16 * 16 * 9
            + 14 * 14 * 32 * (16 * 9 + 32 * 9 + 16)
            + 7 * 7 * 64 * (32 * 9 + 64 * 9 + 32)
            + 64 * 10,
        ),
    ],
)
def test_our_networks_take_the_macs_counted_by_hand(name, macs):
    work = count_work(models.build(name), (1, 28, 28))
    assert work.macs == work.macs_nonzero == macs
    assert work.uncounted == ()


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("name", list(models.NETWORKS))
def test_torch_counts_the_same_in_networks_without_attention(name, batch):
    model = models.build(name, shape=(3, 20, 24))
    assert count_work(model, (3, 20, 24), batch=batch).macs == torch_macs(model, (3, 20, 24), batch)


# One layer, closed form


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("rows", [(), (5,), (2, 5)])
def test_a_linear_layer_multiplies_each_row_by_its_matrix(rows, bias):
    work = count_work(nn.Linear(16, 9, bias=bias), (*rows, 16), batch=3)
    n_rows = 3 * math.prod(rows)
    assert work.macs == n_rows * 16 * 9
    assert work.flops == 2 * n_rows * 16 * 9 + bias * n_rows * 9


CONVOLUTIONS = [
    (nn.Conv1d(4, 6, 3, stride=2, padding=1), (4, 11)),
    (nn.Conv2d(3, 8, 5), (3, 12, 9)),
    (nn.Conv2d(4, 8, (3, 1), stride=(2, 1), padding=(0, 2), dilation=(2, 1), groups=2, bias=False), (4, 12, 9)),
    (nn.Conv2d(6, 12, 3, groups=6, padding="same"), (6, 7, 7)),
    (nn.Conv2d(3, 8, 3, padding=1, padding_mode="circular"), (3, 6, 6)),
    (nn.Conv3d(2, 4, 3, stride=2, groups=2), (2, 7, 8, 9)),
]


@pytest.mark.parametrize(("layer", "shape"), CONVOLUTIONS, ids=[str(layer) for layer, _ in CONVOLUTIONS])
def test_a_convolution_uses_each_channel_of_a_group_at_each_place_of_its_output(layer, shape):
    n_out = layer(torch.zeros(2, *shape)).numel()
    work = count_work(layer, shape, batch=2)
    assert work.macs == n_out * layer.in_channels // layer.groups * math.prod(layer.kernel_size)
    assert work.macs == torch_macs(layer, shape, batch=2)
    assert other_flops(work) == (n_out if layer.bias is not None else 0)


TRANSPOSED = [
    (nn.ConvTranspose1d(4, 6, 3, stride=2), (4, 11)),
    (nn.ConvTranspose2d(4, 8, 3, stride=2, padding=1, output_padding=1, groups=2, bias=False), (4, 5, 6)),
    (nn.ConvTranspose3d(2, 4, 2, dilation=2), (2, 3, 4, 5)),
]


@pytest.mark.parametrize(("layer", "shape"), TRANSPOSED, ids=[str(layer) for layer, _ in TRANSPOSED])
def test_a_transposed_convolution_spreads_each_number_of_its_input(layer, shape):
    work = count_work(layer, shape, batch=2)
    n_in = 2 * math.prod(shape)
    assert work.macs == n_in * layer.out_channels // layer.groups * math.prod(layer.kernel_size)
    assert work.macs == torch_macs(layer, shape, batch=2)


@pytest.mark.parametrize(("kind", "gates"), [(nn.RNN, 1), (nn.GRU, 3), (nn.LSTM, 4)])
def test_a_recurrent_layer_multiplies_input_and_state_at_each_step(kind, gates):
    work = count_work(kind(16, 8, batch_first=True), (5, 16), batch=2)
    assert work.macs == work.macs_nonzero == 2 * 5 * gates * 8 * (16 + 8)
    assert work.uncounted == ()


@pytest.mark.filterwarnings("ignore:TF32 acceleration:UserWarning")  # torch warns of its own default
@pytest.mark.parametrize("fused", [True, False])
def test_an_lstm_counts_the_same_as_one_kernel_and_as_many(fused):
    layer = nn.LSTM(16, 8, batch_first=True)
    layer.weight_ih_l0.data[:, :4] = 0
    layer.weight_hh_l0.data[:, :2] = 0
    with torch.backends.mkldnn.flags(enabled=fused):
        work = count_work(layer, (5, 16), batch=2)
    assert work.macs_nonzero == 2 * 5 * 4 * 8 * (12 + 6)
    assert other_flops(work) == 2 * 5 * 8 * (4 * 4 + 5)  # a gate: two biases, a sum, a curve; the state: five


OTHERS = [
    (nn.ReLU(), (6, 5, 4), 120),
    (nn.GELU(), (7,), 7),
    (nn.BatchNorm2d(6), (6, 5, 4), 2 * 120),
    (nn.InstanceNorm2d(6), (6, 5, 4), 8 * 120),
    (nn.LayerNorm(4), (6, 5, 4), 8 * 120),
    (nn.GroupNorm(2, 6), (6, 5, 4), 8 * 120),
    (nn.Softmax(dim=-1), (5, 4), 5 * 20),
    (nn.MaxPool1d(3), (4, 9), 3 * 12),
    (nn.MaxPool2d(3, stride=2, padding=1), (4, 8, 8), 9 * 64),
    (nn.MaxPool3d(2), (1, 4, 4, 4), 8 * 8),
    (nn.AvgPool1d(3), (4, 9), 3 * 12),
    (nn.AvgPool2d(2), (4, 8, 8), 4 * 64),
    (nn.AdaptiveAvgPool2d(1), (4, 8, 6), 4 * 48),
    (nn.AdaptiveAvgPool2d(2), (4, 8, 6), 4 * 48),
    (nn.AdaptiveMaxPool2d(2), (4, 8, 6), 4 * 48),
    (Calls(lambda _, x: x + x), (10,), 10),
    (Calls(lambda _, x: x.sum()), (10,), 10),
    (Calls(lambda _, x: torch.cat([x, x]).clone().transpose(0, 1)), (10,), 0),
    (nn.Sequential(nn.Dropout(), nn.Identity(), nn.Flatten()), (2, 3), 0),
]


@pytest.mark.parametrize(("layer", "shape", "flops"), OTHERS, ids=[type(layer).__name__ for layer, _, _ in OTHERS])
def test_a_layer_that_multiplies_no_matrix_takes_the_flops_of_the_table(layer, shape, flops):
    work = count_work(layer, shape)
    assert (work.macs, work.flops, work.uncounted) == (0, flops, ())


# Attention, which torch's counter misses on a CPU


@pytest.mark.parametrize("causal", [False, True])
def test_attention_takes_a_score_for_each_pair_and_a_sum_of_values(causal):
    def forward(_, x):  # x: (n, 4 heads, 6, 8)
        return F.scaled_dot_product_attention(x, x[:, :, :5], x[:, :, :5, :], is_causal=causal)

    work = count_work(Calls(forward), (4, 6, 8), batch=2)
    assert work.macs == 2 * 4 * 6 * 5 * 8 * 2
    assert other_flops(work) == 2 * 4 * 6 * 5 * 6  # a scale and a softmax of 5
    assert work.activation_bytes == 4 * 2 * 4 * 8 * (6 + 5 + 5 + 6)


@pytest.mark.parametrize("need_weights", [False, True])
def test_multi_head_attention_takes_four_projections_and_the_attention(need_weights):
    class SelfAttention(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention = nn.MultiheadAttention(16, 4, batch_first=True)

        def forward(self, x: Tensor) -> Tensor:
            return self.attention(x, x, x, need_weights=need_weights)[0]

    work = count_work(SelfAttention(), (5, 16), batch=2)
    assert work.macs == 2 * (5 * 16 * 16 * 4 + 2 * 5 * 5 * 16) == torch_macs(SelfAttention(), (5, 16), batch=2)
    assert [layer.name for layer in work.layers] == ["attention"]


def test_a_transformer_layer_is_counted_layer_by_layer_though_torch_runs_it_as_one():
    layer = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True)
    work = count_work(layer, (5, 16))
    macs = {part.name: part.macs for part in work.layers if part.macs}
    assert macs == {
        "self_attn": 5 * 16 * 16 * 4 + 2 * 5 * 5 * 16,
        "linear1": 5 * 16 * 32,
        "linear2": 5 * 32 * 16,
    }
    assert work.macs == torch_macs(layer, (5, 16))
    assert work.uncounted == ()


# Products in somebody's own forward pass


PRODUCTS = [
    ("operator", lambda m, x: x @ m.w, 2 * 5 * 7 * 3),
    ("F.linear", lambda m, x: F.linear(x, m.w.t()), 2 * 5 * 7 * 3),
    ("einsum", lambda m, x: torch.einsum("bik,kj->bij", x, m.w), 2 * 5 * 7 * 3),
    ("each with each", lambda _, x: x @ x.transpose(1, 2), 2 * 5 * 5 * 7),
    ("vector", lambda m, x: x @ m.w[:, 0], 2 * 5 * 7),
    ("dot", lambda m, x: x[0, 0] @ m.w[:, 0], 7),
    ("baddbmm", lambda _, x: torch.baddbmm(x[:, :, :5], x, x.transpose(1, 2)), 2 * 5 * 5 * 7),
]


@pytest.mark.parametrize(("name", "function", "macs"), PRODUCTS)
def test_a_product_inside_a_forward_pass_counts_for_the_module_that_wrote_it(name, function, macs):
    inner = Calls(function, w=torch.ones(7, 3))
    work = count_work(nn.Sequential(nn.Identity(), inner), (5, 7), batch=2)
    assert [(layer.name, layer.kind, layer.macs) for layer in work.layers if layer.macs] == [("1", "Calls", macs)]


# Zeros: masks, sparse encodings, whole numbers


@pytest.mark.parametrize("sparsity", [0.0, 0.5, 0.9, 1.0])
def test_a_mask_spares_a_dense_kernel_nothing(sparsity):
    model = support.tiny_mlp()
    pruned = prune_weights(model, sparsity=sparsity)
    before, after = count_work(model, support.SHAPE), count_work(pruned, support.SHAPE)
    n_nonzero = support.count_weights(pruned) - support.count_zeros(pruned)
    assert (after.macs, after.flops, after.moved_bytes) == (before.macs, before.flops, before.moved_bytes)
    assert after.macs_nonzero == n_nonzero == before.macs - round(sparsity * before.macs)


@pytest.mark.parametrize("transposed", [False, True])
def test_a_zero_in_a_kernel_is_spared_at_each_of_its_places(transposed):
    layer = nn.ConvTranspose2d(4, 4, 3) if transposed else nn.Conv2d(4, 4, 3)
    layer.weight.data.fill_(1).view(-1)[:100] = 0  # of 144
    work = count_work(layer, (4, 6, 6), batch=2)
    places = 2 * (36 if transposed else 16)
    assert (work.macs, work.macs_nonzero) == (144 * places, 44 * places)


def test_a_weight_that_is_computed_from_weights_is_a_weight():
    class Mask(nn.Module):
        def forward(self, weight: Tensor) -> Tensor:
            return weight * (weight > 0.5)

    masked, parametrized = nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False)
    for layer in (masked, parametrized):
        layer.weight.data = torch.eye(4)
    prune.custom_from_mask(masked, "weight", torch.eye(4))
    parametrize.register_parametrization(parametrized, "weight", Mask())
    for layer in (masked, parametrized):
        work = count_work(nn.Sequential(layer), (4,))
        assert (work.macs, work.macs_nonzero) == (16, 4)
        assert work.activation_bytes == 4 * (4 + 4)
        assert work.weight_bytes > 4 * 16  # the mask is read and the product written, too
    (layer,) = count_work(nn.Sequential(masked), (4,)).layers  # whose hook multiplies by the mask
    assert (layer.name, layer.weight_bytes) == ("0", 4 * 16 * 4)


def test_a_weight_that_is_gone_does_not_lend_its_address_to_an_activation():
    def forward(module, x):
        for _ in range(20):
            module.w * 1
            y = x * 1
            del y
        return x

    work = count_work(Calls(forward, w=torch.ones(1000)), (1000,))
    assert work.weight_bytes == work.activation_bytes == 20 * 2 * 4000


def test_a_tensor_that_is_a_plain_attribute_is_a_weight_and_one_made_on_the_way_is_not():
    module = Calls(lambda m, x: x @ m.plain + torch.ones(3))
    module.plain = torch.eye(4)[:, :3]
    work = count_work(module, (4,))
    assert (work.macs, work.macs_nonzero) == (12, 3)
    assert work.weight_bytes == 4 * 12
    assert work.activation_bytes == 4 * (4 + 3 + 3 + 3 + 3 + 3)


def test_zeros_of_an_activation_are_not_spared():
    work = count_work(Calls(lambda _, x: x.clone() @ x.t()), (5,), batch=2)  # the input is all zeros
    assert work.macs == work.macs_nonzero == 2 * 2 * 5


@pytest.mark.parametrize("batch", [1, 7])
@pytest.mark.parametrize(("layout", "block"), [("csr", 1), ("bsr", 4)])
def test_a_sparse_layer_multiplies_only_what_it_stores(layout, block, batch):
    dense = nn.Linear(32, 16)
    dense.weight.data = random_weight(16, 32, sparsity=0.75, block=block)
    sparse = sparsify(dense, layout, block=block)
    work = count_work(sparse, (32,), batch=batch)
    assert work.macs == work.macs_nonzero == count_work(dense, (32,), batch=batch).macs_nonzero == batch * 128
    assert work.weight_bytes == stored_bytes(sparse)


def test_a_block_that_is_stored_is_multiplied_with_its_zeros():
    weight = to_layout(torch.eye(8), "bsr", 4)
    work = count_work(Calls(lambda m, x: (m.w @ x.t()).t(), w=weight), (8,), batch=3)
    assert (work.macs, work.macs_nonzero) == (3 * 32, 3 * 8)


def test_a_list_of_places_that_names_one_twice_counts_it_once():
    weight = torch.sparse_coo_tensor([[0, 0, 1], [2, 2, 3]], [1.0, 1.0, 1.0], (4, 8), check_invariants=True)
    work = count_work(Calls(lambda m, x: torch.sparse.mm(m.w, x.t()), w=weight), (8,), batch=3)
    assert work.macs == work.macs_nonzero == 3 * 2


def test_a_sparse_layer_in_double_precision_is_given_such_an_input():
    work = count_work(sparsify(nn.Linear(4, 3).double()), (4,), batch=2)
    assert work.macs == 2 * 12


@pytest.mark.parametrize("layout", ["csr", "bsr"])
@pytest.mark.parametrize("rows", [(), (5,)])
def test_a_sparse_weight_inside_a_plain_linear_layer_counts_as_sparse(layout, rows):
    layer = nn.Linear(8, 8)
    layer.weight = nn.Parameter(to_layout(torch.eye(8), layout, 2))
    stored = 8 if layout == "csr" else 16
    assert count_work(layer, (*rows, 8), batch=3).macs == 3 * math.prod(rows) * stored


@pytest.mark.skipif(
    torch.backends.quantized.engine == "none",
    reason="this torch has no quantized kernels (macOS): use Linux or Windows",
)
@pytest.mark.filterwarnings("ignore:.*quantized tensor creation functions:UserWarning")
def test_a_dynamically_quantized_layer_takes_the_macs_of_the_layer_that_it_replaces():
    weight = torch.ones(8, 16)
    weight[0] = 0
    packed = torch.ops.quantized.linear_prepack(torch.quantize_per_tensor(weight, 0.01, 0, torch.qint8), torch.ones(8))
    work = count_work(Calls(lambda _, x: torch.ops.quantized.linear_dynamic(x, packed)), (5, 16), batch=2)
    assert (work.macs, work.macs_nonzero, other_flops(work)) == (10 * 16 * 8, 10 * 16 * 7, 10 * 8)
    assert work.weight_bytes == 8 * 16 + 4 * 8  # one byte a weight
    assert work.activation_bytes == 4 * 10 * (16 + 8)
