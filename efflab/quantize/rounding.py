"""Learned rounding: up or down, whichever changes least what the layer gives, not the weight.

The nearest number of the grid is the best for a weight alone. The errors of the weights of one output add up, though,
and if some are rounded the other way they cancel. For each weight a number V is learned, which says how far up it goes:

    h(V) = clip(1.2 sigmoid(V) - 0.1, 0, 1)        weight = (down + h(V) * (up - down)) * scale

The loss is how far the layer's outputs are from those of the float network, on calibration images, plus a regulariser,
the mean of 1 - |2 h(V) - 1|^beta. That starts with a large beta, which only pushes those that are nearly decided, and
ends with a small one, when all must choose between 0 and 1. Layers are learned in the order in which they run, and read
what the rounded ones before them give, so that a layer may put right what happened earlier.

Reference: Nagel et al., Up or down? Adaptive rounding for post-training quantization, 2020, arXiv 2004.10568.

Where we simplify: hundreds of steps and a large learning rate, where the paper takes 10,000 small ones; the outputs
before the activation are compared. At work: `aimet_torch.adaround`, by the authors, or GPTQ for language models.
"""

from collections.abc import Mapping
from typing import Annotated

import torch
from torch import Tensor, nn
from torch.func import functional_call

from efflab.data import Data
from efflab.knobs import Range, technique
from efflab.quantize.grids import Grid, integer_range
from efflab.quantize.sharing import Granularity
from efflab.quantize.watching import Seen, modules_of, watch
from efflab.quantize.weights import GroupSize, Scheme, WeightObserver, quantize_weights
from efflab.runtime.quantized import OnGrid, quantized_layers
from efflab.training import Epoch, Progress, copy_model, predict, validation_score

RoundedBits = Annotated[int, Range(2, 8, 1, "bits of each number")]
"""With 1 bit, -scale and +scale, there is no up and down between neighbours."""
Steps = Annotated[int, Range(50, 1000, 50, "steps of learning for each layer")]
BATCH = 32
"""Images in a step."""
LEARNING_RATE = 0.05
STRENGTH = 10.0
"""How much the regulariser weighs at most, beside an error that is 1 for rounding to nearest."""
WARM_UP = 0.2
"""The fraction of the steps without it."""
BETA = (20.0, 2.0)
TINY = 1e-20
"""An error that is none."""
LOW, HIGH = -0.1, 1.1
"""The ends of the sigmoid before it is clipped, so that 0 and 1 are reached."""


@technique
def learn_rounding(
    model: nn.Module,
    *,
    data: Data,
    bits: RoundedBits | Mapping[str, RoundedBits] = 4,
    granularity: Granularity = "per channel",
    observer: WeightObserver = "min-max",
    scheme: Scheme = "symmetric",
    group_size: GroupSize = 32,
    steps: Steps = 200,
    seed: int = 0,
    progress: Progress | None = None,
) -> nn.Module:
    """A copy of `model` on the grids of `quantize_weights`, with each weight rounded up or down as its layer needs it.

    It starts rounded to nearest, and layer after layer learns; one that comes out worse on the calibration images stays
    as it was. A record follows each layer: the loss on calibration images, and the score. Stopped early, the layers
    that are left stay rounded to nearest. Zeros stay zeros. Of layers that share a weight, the first is looked at.

    Raises:
        ValueError: as `quantize_weights`.

    Reference: Nagel et al., 2020, arXiv 2004.10568.
    """
    rounded = quantize_weights(
        model, bits=bits, granularity=granularity, observer=observer, scheme=scheme, group_size=group_size
    )
    images, whole, generator = data.calibration.images, progress or Progress(), torch.Generator().manual_seed(seed)
    with torch.inference_mode(False), torch.no_grad():
        floats = copy_model(model)
        names = tuple(watch(rounded, images[:1], _learners(floats, rounded)))
        for number, name in enumerate(names, start=1):
            seen = Seen(watch(rounded, images, [name])[name].inputs, watch(floats, images, [name])[name].outputs)
            layer, weight = modules_of(rounded)[name], modules_of(floats)[name].get_parameter("weight").detach()
            assert isinstance(layer, OnGrid)
            _learn(layer, weight, seen, steps, generator, whole.part(number - 1, len(names)))
            if whole.is_stopped:
                break
            _tell(rounded, data, number, len(names), whole)
    return rounded.eval()


def neighbours(weight: Tensor, layer: OnGrid) -> tuple[Tensor, Tensor]:
    """The values of a layer's grid right below and right above each weight; both are the weight if it is on the grid.

    weight: (out, ...) -> two of the same shape. Beyond the grid, both are its end.
    """
    grid = Grid(layer.bits, is_symmetric=layer.is_symmetric)
    scale, zero_point = layer.spread(layer.scale), layer.spread(layer.zero_point)
    steps = weight * scale.reciprocal()
    down, up = ((whole + zero_point).clamp(*integer_range(grid)) for whole in (steps.floor(), steps.ceil()))
    return (down - zero_point) * scale, (up - zero_point) * scale


def rectified_sigmoid(v: Tensor) -> Tensor:
    """How far up a weight goes, 0 to 1: h(V) of the paper. Any shape -> same shape.

    Example:
        >>> rectified_sigmoid(torch.tensor([-9.0, 0.0, 9.0]))
        tensor([0.0000, 0.5000, 1.0000])
    """
    return (torch.sigmoid(v) * (HIGH - LOW) + LOW).clamp(0, 1)


def undecided(h: Tensor, done: float) -> Tensor:
    """The regulariser: how far the choices are from 0 and 1, on average, once the fraction `done` of learning is over.

    0 in the warm-up; then beta sinks from 20 to 2, evenly.

    Example:
        >>> undecided(torch.tensor([0.0, 0.5, 0.75]), done=1.0)
        tensor(0.5833)
    """
    if done < WARM_UP:
        return torch.zeros(())
    first, last = BETA
    beta = last + (first - last) * (1 - done) / (1 - WARM_UP)
    return (1 - (2 * h - 1).abs() ** beta).mean()


def _learners(floats: nn.Module, rounded: nn.Module) -> tuple[str, ...]:
    """The layers that were quantized just now; of those that share a weight, the first."""
    before = quantized_layers(floats)
    owners = {id(layer.weight): name for name, layer in reversed(quantized_layers(rounded).items())}
    return tuple(name for name in owners.values() if name not in before)


def _learn(
    layer: OnGrid, weight: Tensor, seen: Seen, steps: int, generator: torch.Generator, progress: Progress
) -> None:
    """Round the weights of a layer, in place, so that it makes of `seen.inputs` nearly `seen.outputs`."""
    down, up = neighbours(weight, layer)
    nearest = _error(layer, layer.weight.detach(), seen)
    place = ((weight - down) / (up - down)).where(up > down, 0.0).clamp(0, 1)
    with torch.enable_grad():
        v = (-torch.log((HIGH - LOW) / (place - LOW) - 1)).requires_grad_()  # h(v) is the place: the float weight
        optimizer = torch.optim.Adam([v], lr=LEARNING_RATE)
        for number in range(steps):
            index = torch.randint(len(seen.inputs), (BATCH,), generator=generator)
            h = rectified_sigmoid(v)
            error = _error(layer, down + h * (up - down), Seen(seen.inputs[index], seen.outputs[index]))
            loss = error / nearest.clamp(min=TINY) + STRENGTH * undecided(h, number / steps)
            (v.grad,) = torch.autograd.grad(loss, v)  # of nothing else: the layer keeps no gradient of its bias
            optimizer.step()
            if progress.on_batch:
                progress.on_batch((number + 1) / steps)
            if progress.is_stopped:
                return
    learned = up.where(rectified_sigmoid(v.detach()) >= 0.5, down)
    if _error(layer, learned, seen) < nearest:
        layer.weight.copy_(learned)


def _error(layer: nn.Module, weight: Tensor, seen: Seen) -> Tensor:
    """The mean squared error of the outputs of a layer, with another weight: ()."""
    outputs: Tensor = functional_call(layer, {"weight": weight}, (seen.inputs,))
    return (outputs - seen.outputs).square().mean()


def _tell(model: nn.Module, data: Data, number: int, n_layers: int, progress: Progress) -> None:
    if progress.on_record:
        model.eval()
        images, labels = data.calibration.images, data.calibration.labels
        loss = float(data.task.loss(predict(model, images), labels))
        progress.on_record(Epoch(number, n_layers, loss, validation_score(model, data)))
