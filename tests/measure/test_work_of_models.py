"""Work: bytes and intensity, which layer it counts for, a model that is as before, and what cannot be counted."""

import pytest
import support
import torch
from networks import Calls
from torch import Tensor, nn

from efflab import models
from efflab.measure import count_work
from efflab.runtime.kernels import to_layout

# Bytes and intensity


def test_each_operation_reads_its_inputs_and_writes_its_result():
    work = count_work(nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU()), (3, 6, 6), batch=2)
    conv, relu = work.layers
    assert (conv.weight_bytes, conv.activation_bytes) == (4 * (8 * 3 * 9 + 8), 4 * 2 * (3 * 36 + 8 * 16))
    assert (relu.weight_bytes, relu.activation_bytes) == (0, 4 * 2 * 2 * 8 * 16)
    assert work.moved_bytes == conv.moved_bytes + relu.moved_bytes
    assert work.intensity == work.flops / work.moved_bytes


def test_a_larger_batch_computes_more_and_reads_its_weights_once():
    one, many = (count_work(models.build("mlp"), (1, 28, 28), batch=batch) for batch in (1, 32))
    assert (one.batch, many.batch) == (1, 32)
    assert (many.macs, many.flops, many.activation_bytes) == (32 * one.macs, 32 * one.flops, 32 * one.activation_bytes)
    assert many.weight_bytes == one.weight_bytes == 4 * 266_610
    assert many.intensity > 20 * one.intensity


def test_a_view_moves_nothing_and_a_copy_reads_and_writes():
    views = Calls(lambda _, x: x.view(2, 6).t().unsqueeze(0).expand(9, 6, 2)[:, 1:].squeeze_())
    assert count_work(views, (12,)).layers == ()
    parts = Calls(lambda m, _: (m.w.t(), m.w.col_indices(), m.w.values()), w=to_layout(torch.eye(3), "csr"))
    assert count_work(parts, (12,)).layers == ()
    copies = [
        (lambda _, x: x.view(3, 4).t().contiguous(), 2 * 12),
        (lambda _, x: torch.zeros_like(x), 12),
        (lambda _, x: x.new_empty(3, 12).copy_(x), 12 + 36),
        (lambda _, x: x.expand(9, 12) + 1, 12 + 9 * 12),
        (lambda _, x: torch.empty_like(x), 0),
    ]
    assert [count_work(Calls(function), (12,)).moved_bytes for function, _ in copies] == [4 * n for _, n in copies]


def test_an_embedding_reads_only_the_rows_that_are_asked_for():
    work = count_work(nn.Embedding(50_000, 8), (3,), dtype=torch.long)
    assert (work.weight_bytes, work.activation_bytes) == (4 * 3 * 8, 8 * 3 + 4 * 3 * 8)


def test_half_the_precision_moves_half_the_bytes():
    whole, half = count_work(nn.Linear(8, 4), (8,)), count_work(nn.Linear(8, 4).bfloat16(), (8,))
    assert (half.macs, 2 * half.moved_bytes) == (whole.macs, whole.moved_bytes)


def test_a_layer_that_is_called_twice_works_twice():
    shared = nn.Linear(8, 8)
    once, twice = count_work(nn.Sequential(shared), (8,)), count_work(nn.Sequential(shared, shared), (8,))
    assert len(twice.layers) == 1
    assert (twice.macs, twice.flops, twice.moved_bytes) == (2 * once.macs, 2 * once.flops, 2 * once.moved_bytes)


def test_a_model_that_does_nothing_takes_nothing():
    work = count_work(nn.Identity(), (8,))
    assert (work.layers, work.macs, work.flops, work.moved_bytes, work.intensity) == ((), 0, 0, 0, 0.0)


# Where, and what is missing


def test_layers_come_in_the_order_in_which_they_run_with_what_a_block_does_itself():
    work = count_work(models.build("resnet8"), (1, 28, 28))
    names = [layer.name for layer in work.layers]
    assert names[:7] == ["conv1", "norm1", "relu1", "block1.conv1", "block1.norm1", "block1", "block1.conv2"]
    block = work.layers[5]
    assert (block.kind, block.macs, block.flops) == ("Residual", 0, 3 * 28 * 28 * 16)  # two ReLUs and the sum


def test_a_layer_whose_error_the_model_catches_does_not_take_the_blame_for_the_rest():
    class Careful(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.wrong, self.right = nn.Sequential(nn.Linear(3, 3)), nn.Linear(4, 4)

        def forward(self, x: Tensor) -> Tensor:
            try:
                return self.wrong(x)
            except RuntimeError:
                return self.right(x)

    model = Calls(lambda m, x: m.inner(x) + 1)
    model.inner = Careful()
    assert [layer.name for layer in count_work(model, (4,)).layers] == ["inner.right", ""]


def test_an_operation_without_a_rule_is_named_and_its_bytes_are_counted():
    work = count_work(nn.Sequential(nn.Linear(8, 8), Calls(lambda _, x: torch.fft.fft(x).abs())), (8,))
    assert work.uncounted == ("aten._fft_r2c",)
    assert work.macs == 64
    assert work.layers[1].activation_bytes == (4 * 8 + 8 * 8) + (8 * 8 + 4 * 8)


# The model is as before


def awkward() -> nn.Module:
    """A network with a frozen normalisation, a dropout, and a module that counts, caches and draws as it runs."""

    class Restless(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("n_calls", torch.zeros(1))
            self.n_plain = 0
            self.weight = nn.Parameter(torch.ones(4))

        def forward(self, x: Tensor) -> Tensor:
            self.n_calls += 1
            self.n_plain += 1
            self.cache = torch.rand(4)
            self.weight.data.mul_(2)
            return x * self.weight

    model = nn.Sequential(nn.BatchNorm1d(4), nn.Dropout(), Restless(), nn.Linear(4, 2)).train()
    model[0].eval()
    return model


@pytest.mark.parametrize("size", [4, 5], ids=["counted", "failed"])
def test_the_model_is_as_before_even_after_an_error(size):
    model = awkward()
    bits, training = support.bits(model), [module.training for module in model.modules()]
    state = torch.get_rng_state()
    try:
        count_work(model, (size,), batch=2)
    except ValueError:
        assert size == 5
    assert support.bits(model) == bits
    assert [module.training for module in model.modules()] == training
    assert model[2].n_plain == 0
    assert not hasattr(model[2], "cache")
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    assert all(isinstance(p, nn.Parameter) and p.requires_grad and p.grad is None for p in model.parameters())
    assert torch.equal(torch.get_rng_state(), state)


def test_the_model_trains_on_afterwards():
    model = nn.Sequential(nn.LSTM(4, 3), Calls(lambda _, x: x[0]), nn.Linear(3, 1))
    count_work(model, (2, 4))
    model(torch.ones(1, 2, 4)).sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_the_hooks_of_others_stay_and_run():
    calls = []
    model = nn.Linear(4, 2)
    handle = model.register_forward_hook(lambda *_: calls.append("mine"))
    count_work(model, (4,))
    assert calls == ["mine"]
    assert len(model._forward_hooks) == 1
    handle.remove()


@pytest.mark.parametrize("mode", [torch.inference_mode, torch.no_grad, torch.enable_grad])
def test_the_count_is_the_same_in_any_mode_even_for_weights_made_there(mode):
    expected = count_work(models.build("resnet8"), (1, 28, 28))
    with mode():
        model = models.build("resnet8")
        assert count_work(model, (1, 28, 28)) == expected
    assert count_work(model, (1, 28, 28)) == expected


# What cannot be counted


@pytest.mark.parametrize(
    ("model", "shape", "sentence"),
    [
        (models.build("lenet5"), (1, 32, 32), r"^layer 'hidden' \(Linear\) failed on \(1, 1250\): .*\(1, 1, 32, 32\)"),
        (nn.Linear(4, 2), (5,), r"^the model itself \(Linear\) failed on \(1, 5\): .* without the batch"),
        (nn.Bilinear(3, 3, 2), (3,), r"^the model itself \(Bilinear\) failed on \(1, 3\): .*'input2'"),
        (nn.Embedding(9, 2), (3,), r"^the model itself \(Embedding\) failed .* in torch.float32: .*dtype"),
        (nn.LazyLinear(3), (3,), r"^the model itself \(LazyLinear\) failed"),
        (nn.Linear(4, 2, device="meta"), (4,), r"^model must have its weights in memory"),
        (nn.ReLU(), (0, 4), r"^shape must be whole numbers from 1 up, such as \(1, 28, 28\), not \(0, 4\)"),
        (nn.ReLU(), 28, r"^shape must be .* not 28$"),
        (nn.ReLU(), (1.5,), r"^shape must be .* not \(1.5,\)"),
    ],
)
def test_what_cannot_be_counted_says_which_layer_and_what_would_be_right(model, shape, sentence):
    with pytest.raises(ValueError, match=sentence) as raised:
        count_work(model, shape)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("batch", [0, -1, 1.5, "2", None])
def test_a_batch_is_a_whole_number_from_one_up(batch):
    with pytest.raises(ValueError, match=r"^batch must be a whole number from 1 up, not "):
        count_work(nn.ReLU(), (3,), batch=batch)


def test_only_a_module_can_be_counted():
    with pytest.raises(TypeError, match=r"^model must be a torch module, not function$"):
        count_work(lambda x: x, (3,))
