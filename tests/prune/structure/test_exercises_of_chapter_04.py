"""The exercises of chapter 04: what the package does to real networks passes, and usual mistakes are recognised."""

import itertools

import networks
import pytest
import torch
from torch import fx, nn

from efflab import models
from efflab.measure.work import count_work
from efflab.prune.structure import groups, remove
from efflab.questions import load

COLUMNS, LAYERS, MACS = load("04").checks
CHECKS = {check.id: check for check in (COLUMNS, LAYERS, MACS)}


def verdict(id, function):
    return load("04").check(id, function)


# What the package and torch say


def columns_left(kept, n_pixels):
    """The columns that are left of a linear layer when the package cuts channels out before it."""
    n, side = int(kept.max()) + 2, n_pixels
    model = nn.Sequential(nn.Conv2d(1, n, 1), nn.Flatten(), nn.Linear(n * n_pixels, 3))
    with torch.no_grad():
        model[2].weight.copy_(torch.arange(n * n_pixels).expand(3, -1))
    mask = torch.zeros(n, dtype=torch.bool).index_fill(0, kept, True)
    return remove(model, (1, side, 1), {"0": mask})[2].weight[0].long()


def test_the_columns_are_those_that_the_package_leaves():
    assert verdict("kept_columns", columns_left).message == "kept_columns passes all 4 cases."


def test_with_the_columns_of_the_exercise_a_linear_layer_answers_as_without_the_removed_channels():
    generator = torch.Generator().manual_seed(0)
    for case in COLUMNS.cases:
        own = dict(case.inputs)
        pictures = torch.rand(2, int(own["kept"].max()) + 3, own["n_pixels"], generator=generator)
        only_kept = torch.zeros_like(pictures)
        only_kept[:, own["kept"]] = pictures[:, own["kept"]]
        weight = torch.rand(5, pictures[0].numel(), generator=generator)
        small = pictures[:, own["kept"]].flatten(1) @ weight[:, case.expected].T
        assert torch.allclose(small, only_kept.flatten(1) @ weight.T)


def sums_of(model):
    """The pairs of convolutions whose outputs a network adds, from torch.fx; relus and batch norms hand them on."""
    made, pairs = {}, []
    modules = dict(model.named_modules())
    for node in fx.symbolic_trace(model).graph.nodes:
        inputs = [made[one] for one in node.all_input_nodes if one in made]
        if node.op == "call_module" and isinstance(modules[node.target], nn.Conv2d):
            made[node] = node.target
        elif inputs:
            made[node] = inputs[0]
            pairs += [tuple(inputs)] if len(inputs) == 2 else []
    return tuple(pairs)


def joined(layer, sums):
    group = {layer}
    for _ in sums:
        for pair in sums:
            if group & set(pair):
                group |= set(pair)
    return sorted(group)


@pytest.mark.parametrize(
    ("model", "shape"), [(models.build("resnet8"), (1, 28, 28)), (networks.resnet18(), (3, 64, 64))]
)
def test_layers_that_sums_join_are_the_makers_of_one_group(model, shape):
    sums = sums_of(model)
    assert sums
    makers = {name: sorted(group.layers("out")) for group in groups(model, shape) for name in group.layers("out")}
    convolutions = [name for name, module in model.named_modules() if isinstance(module, nn.Conv2d)]
    assert {name: joined(name, sums) for name in convolutions} == {name: makers[name] for name in convolutions}


def test_the_sums_of_the_exercise_are_those_of_the_network_of_the_chapter():
    asked = {frozenset(pair) for pair in dict(LAYERS.cases[0].inputs)["sums"]}
    assert asked == {frozenset(pair) for pair in sums_of(models.build("resnet8"))}


@pytest.mark.parametrize("case", MACS.cases)
def test_the_multiplications_are_those_that_are_counted_in_a_smaller_convolution(case):
    own = dict(case.inputs)
    c_in, c_out = (
        own[name] - round(own[fraction] * own[name])
        for name, fraction in (("c_in", "removed_in"), ("c_out", "removed_out"))
    )
    layer, margin = nn.Conv2d(c_in, c_out, own["kernel"], bias=False), own["kernel"] - 1
    work = count_work(layer, (c_in, own["height"] + margin, own["width"] + margin))
    assert work.macs == case.expected


# Right answers and usual mistakes

RIGHT = {
    "kept_columns": lambda kept, n: (kept[:, None] * n + torch.arange(n)).flatten(),
    "layers_together": joined,
    "conv_macs": lambda i, o, k, h, w, a, b: (i - round(a * i)) * (o - round(b * o)) * k * k * h * w,
}


@pytest.mark.parametrize("id", RIGHT)
def test_the_solution_passes(id):
    assert verdict(id, RIGHT[id]).passed


def one_pass(layer, sums):
    group = {layer}
    for pair in sums:
        if group & set(pair):
            group |= set(pair)
    return sorted(group)


WRONG = {
    "kept_columns": {
        "forgets_flatten": lambda kept, n: kept,
        "first_pixel_only": lambda kept, n: kept * n,
        "first_columns": lambda kept, n: torch.arange(len(kept) * n),
        "repeats_channel": lambda kept, n: kept.repeat_interleave(n),
        "pixel_by_pixel": lambda kept, n: (kept * n + torch.arange(n)[:, None]).flatten(),
        "off_by_one": lambda kept, n: (kept[:, None] * n + torch.arange(1, n + 1)).flatten(),
    },
    "layers_together": {
        "forgets_itself": lambda layer, sums: sorted(set(joined(layer, sums)) - {layer}),
        "direct_only": lambda layer, sums: sorted({layer, *itertools.chain(*(pair for pair in sums if layer in pair))}),
        "one_pass": one_pass,
        "everything": lambda layer, sums: sorted({layer, *itertools.chain(*sums)}),
        "not_sorted": lambda layer, sums: joined(layer, sums)[::-1],
    },
    "conv_macs": {
        "rows_only": lambda i, o, k, h, w, a, b: i * (o - round(b * o)) * k * k * h * w,
        "columns_only": lambda i, o, k, h, w, a, b: (i - round(a * i)) * o * k * k * h * w,
        "kernel_once": lambda i, o, k, h, w, a, b: (i - round(a * i)) * (o - round(b * o)) * k * h * w,
        "forgets_pixels": lambda i, o, k, h, w, a, b: (i - round(a * i)) * (o - round(b * o)) * k * k,
        "keeps_the_removed": lambda i, o, k, h, w, a, b: round(a * i) * round(b * o) * k * k * h * w,
        "fractions_of_work": lambda i, o, k, h, w, a, b: i * o * k * k * h * w * (1 - a) * (1 - b),
        "nothing_removed": lambda i, o, k, h, w, a, b: i * o * k * k * h * w,
    },
}


@pytest.mark.parametrize(("id", "key"), [(id, key) for id in WRONG for key in WRONG[id]])
def test_each_misconception_of_chapter_04_is_recognised(id, key):
    sentences = {one.key: one.sentence for one in CHECKS[id].misconceptions}
    assert sentences.keys() == WRONG[id].keys()
    found = verdict(id, WRONG[id][key])
    assert not found.passed
    assert found.message.startswith(sentences[key])
