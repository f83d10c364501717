"""What every technique promises, tested on each of `TECHNIQUES`: a new one is tested from the moment it is listed."""

import inspect
import random
from collections.abc import Mapping

import numpy as np
import pytest
import support
import torch
from torch import nn

from efflab import models
from efflab.data import Data
from efflab.knobs import RESERVED, Choice, Range, Setting
from efflab.recipe import TECHNIQUES, AnyTechnique, Step, from_json, run, script, step, to_json
from efflab.training import Progress

NAMES = list(TECHNIQUES)
KNOBS = [(name, knob) for name, technique in TECHNIQUES.items() for knob in technique.knobs]
ENDS = [(name, knob, end) for name, knob in KNOBS for end in TECHNIQUES[name].knobs[knob].ends]
PER_LAYER = [(name, knob) for name, technique in TECHNIQUES.items() for knob in sorted(technique.per_layer)]
SLOW = [name for name, technique in TECHNIQUES.items() if technique.is_slow]
WITH_SPARSITY = [name for name, technique in TECHNIQUES.items() if "sparsity" in technique.knobs]
SPARSITY = 0.7
CODES = {
    "grid": ("quantize_weights", "quantize_activations", "correct_biases"),
    "learned grid": ("learn_rounding", "quantize_activations", "correct_biases"),
    "grid in training": ("train_quantized",),
    "codebook": ("share_weights", "train_centroids"),
}
"""A weight has one code, so a row of techniques ends in one of them."""
CODING = {name for code in CODES.values() for name in code}
ROWS = [[name for name in NAMES if name not in CODING or name in code] for code in CODES.values()]
BEYOND = {
    ("hint", 12): r"^the teacher has no hidden layer 12; it has: 1 attention, 2 relu1",
    ("guided", 12): r"^the student has no hidden layer 12; it has: 1 attention, 2 relu1",
    ("label", 99): r"^label must be a class of this network, which tells 3 classes apart, not 99",
}
"""Ends of knobs that count layers or classes: no network of these tests has so many; the sentence says how many."""
ANOTHER = {"start_student"}
"""They give a network of ours, whatever the model is."""
ANEW = {"train_ticket", "start_student", "start_again"}
"""They begin with fresh weights, so what was zero before does not count."""
IN_A_ROW = {"start_student": {"kind": "cnn", "width": 2}}
"""A student with maps, which the hints of the teacher of these tests ask for."""
FINEST = {"bits": 8}
"""With fewer bits, small weights may become zeros."""


@pytest.fixture(scope="module")
def data() -> Data:
    return support.tiny_data()


@pytest.fixture
def model(request, data) -> nn.Module:
    """A network with layers of all kinds, after what must come before the technique that is tested."""
    network = support.tiny_all()
    name = request.node.callspec.params.get("name", "") if hasattr(request.node, "callspec") else ""
    for earlier, settings in support.before(name).items():
        network = call(earlier, network, data, **settings)
    return network


def call(name: str, model: nn.Module, data: Data, *, seed: int = 0, progress: Progress | None = None, **settings):
    """Call a technique directly, with whichever of the lab's inputs it asks for."""
    inputs = {"data": data, "seed": seed, "progress": progress, "teacher": model}
    technique = TECHNIQUES[name]
    return technique(model, **settings, **{wanted: inputs[wanted] for wanted in technique.inputs})


def one_step(name: str, **settings: Setting) -> Step:
    return step(TECHNIQUES[name], **settings)


def known(name: str, settings: Mapping[str, Setting]) -> dict[str, Setting]:
    """Those of the settings that are knobs of a technique."""
    return {knob: value for knob, value in settings.items() if knob in TECHNIQUES[name].knobs}


def another(technique: AnyTechnique, knob: str) -> Setting:
    """The last option, or a number near the low end, where training is short; one that is not the default."""
    kind, default = technique.knobs[knob], technique.defaults[knob]
    if isinstance(kind, Choice):
        return next(option for option in reversed(kind.options) if option != default)
    return next(value for value in (kind.low + kind.step, kind.low + 2 * kind.step) if value != default)


def test_there_are_techniques_and_each_list_that_the_tests_walk_holds_some():
    assert all((NAMES, KNOBS, ENDS, PER_LAYER, SLOW, WITH_SPARSITY))


@pytest.mark.parametrize("name", NAMES)
def test_a_technique_is_listed_under_its_own_name(name):
    assert TECHNIQUES[name].name == name


# The declaration


@pytest.mark.parametrize("name", NAMES)
def test_the_docstring_says_what_the_caller_gets_and_where_it_comes_from(name):
    text = inspect.getdoc(TECHNIQUES[name].function)
    assert text
    assert text.splitlines()[0].endswith((".", ","))
    assert "Reference" in text


@pytest.mark.parametrize("name", NAMES)
def test_the_source_that_is_shown_is_that_of_the_function(name):
    source = TECHNIQUES[name].source
    assert source.startswith(f"@technique\ndef {name}(")
    assert source in inspect.getsource(inspect.getmodule(TECHNIQUES[name].function))


@pytest.mark.parametrize("name", NAMES)
def test_every_keyword_is_a_knob_or_an_input_of_the_lab(name):
    technique = TECHNIQUES[name]
    _, *keywords = inspect.signature(technique.function).parameters
    assert sorted(keywords) == sorted([*technique.knobs, *technique.inputs])
    assert set(technique.inputs) <= set(RESERVED)


@pytest.mark.parametrize(("name", "knob"), KNOBS)
def test_the_default_is_in_range(name, knob):
    technique = TECHNIQUES[name]
    technique.knobs[knob].check(knob, technique.defaults[knob])


@pytest.mark.parametrize(("name", "knob"), KNOBS)
def test_the_label_of_a_knob_is_there_to_be_read(name, knob):
    kind = TECHNIQUES[name].knobs[knob]
    assert len(kind.label.split()) >= 2
    if isinstance(kind, Range):
        assert kind.low < kind.high
        assert 0 < kind.step <= kind.high - kind.low
    else:
        assert len(set(kind.options)) == len(kind.options) >= 2


# Bad values


@pytest.mark.parametrize(("name", "knob"), KNOBS)
def test_a_bad_value_is_refused_at_the_call_and_the_knob_is_named(name, knob, model, data):
    values = list(TECHNIQUES[name].knobs[knob].bad_values())
    assert values
    for value in values:
        with pytest.raises((TypeError, ValueError), match=rf"^{knob} \("):
            call(name, model, data, **{knob: value})


@pytest.mark.parametrize(("name", "knob"), KNOBS)
def test_a_bad_value_is_refused_in_a_step_and_the_knob_is_named(name, knob):
    values = list(TECHNIQUES[name].knobs[knob].bad_values())
    assert values
    for value in values:
        with pytest.raises((TypeError, ValueError), match=rf"^{knob} \("):
            one_step(name, **{knob: value})


@pytest.mark.parametrize(("name", "knob"), PER_LAYER)
def test_a_bad_value_for_one_layer_is_refused_and_the_layer_is_named(name, knob, model, data):
    for value in TECHNIQUES[name].knobs[knob].bad_values():
        with pytest.raises((TypeError, ValueError), match=rf"^{knob}\['conv2'\] \("):
            call(name, model, data, **{knob: {"conv2": value}})
        with pytest.raises((TypeError, ValueError), match=rf"^{knob}\['conv2'\] \("):
            one_step(name, **{knob: {"conv2": value}})


@pytest.mark.parametrize(("name", "knob"), PER_LAYER)
def test_a_layer_that_is_not_there_is_refused_and_the_layers_are_listed(name, knob, model, data):
    with pytest.raises(ValueError, match=rf"{knob} names 'conv9'.*conv1, conv2, conv3, hidden, output"):
        call(name, model, data, **{knob: {"conv9": another(TECHNIQUES[name], knob)}})


@pytest.mark.parametrize("name", NAMES)
def test_an_unknown_setting_is_refused(name, model, data):
    with pytest.raises(TypeError, match=f"{name} has no knob 'sparsety'"):
        one_step(name, sparsety=0.5)
    with pytest.raises(TypeError, match="sparsety"):
        call(name, model, data, sparsety=0.5)


@pytest.mark.parametrize(("name", "knob"), [pair for pair in KNOBS if pair not in PER_LAYER])
def test_a_knob_for_the_whole_model_takes_no_mapping(name, knob):
    with pytest.raises(TypeError, match=f"{knob} of {name} takes one value"):
        one_step(name, **{knob: {"conv1": TECHNIQUES[name].defaults[knob]}})


# Good values


@pytest.mark.parametrize(("name", "knob", "end"), ENDS)
def test_both_ends_of_every_knob_run(name, knob, end, model):
    small = support.tiny_data(n=60)  # 39 training images: 30 epochs are 30 batches
    if (knob, end) in BEYOND:
        with pytest.raises(ValueError, match=BEYOND[knob, end]):
            call(name, model, small, **{knob: end})
        return
    result = call(name, model, small, **{knob: end})
    scores = result(small.validation.images)
    assert scores.shape == (15, support.N_CLASSES)
    assert bool(scores.isfinite().all())
    if knob == "sparsity":
        assert support.count_zeros(result) == end * support.count_weights(model)


@pytest.mark.parametrize(("name", "knob"), PER_LAYER)
def test_both_ends_run_per_layer(name, knob, model, data):
    low, high = TECHNIQUES[name].knobs[knob].ends
    result = call(name, model, data, **{knob: {"conv2": low, "output": high}})
    assert bool(result(data.validation.images).isfinite().all())


@pytest.mark.parametrize("name", NAMES)
def test_the_result_answers_like_a_network_of_the_same_kind(name, model, data):
    result = call(name, model, data)
    assert type(result) is (models.Network if name in ANOTHER else type(model))
    assert result(data.validation.images).shape == (len(data.validation), support.N_CLASSES)
    assert all(parameter.requires_grad for parameter in result.parameters())


# Pure


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", NAMES)
def test_the_input_stays_as_it_was_bit_for_bit(name, training, model, data):
    model.train(training)
    model.norm2.train(not training)  # one that somebody froze, or woke, on purpose
    before, flags = support.bits(model), [module.training for module in model.modules()]
    call(name, model, data)
    assert support.bits(model) == before
    assert [module.training for module in model.modules()] == flags
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize("name", NAMES)
def test_input_and_result_share_no_memory(name, model, data):
    result = call(name, model, data)
    assert support.storages(model).isdisjoint(support.storages(result))
    inner = {id(module) for module in model.modules()}
    assert inner.isdisjoint(id(module) for module in result.modules())


@pytest.mark.parametrize("name", NAMES)
def test_the_data_stays_as_it_was(name, model):
    own = support.tiny_data()
    call(name, model, own)
    fresh = support.tiny_data()
    for split in ("train", "validation", "test", "calibration"):
        assert torch.equal(getattr(own, split).images, getattr(fresh, split).images)
        assert torch.equal(getattr(own, split).labels, getattr(fresh, split).labels)


@pytest.mark.parametrize("name", NAMES)
def test_no_hook_is_left_on_input_or_result(name, model, data):
    result = call(name, model, data)
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks", "_state_dict_hooks")
    for network in (model, result):
        for module in network.modules():
            assert [kind for kind in kinds if getattr(module, kind)] == []
        for parameter in network.parameters():
            assert not parameter._backward_hooks
            assert not parameter._post_accumulate_grad_hooks


def global_numpy_state() -> list[int]:
    return np.random.get_state()[1].tolist()  # noqa: NPY002  # the legacy global generator is the one to watch


@pytest.mark.parametrize("name", NAMES)
def test_the_global_random_generators_are_left_alone(name, model):
    data = support.tiny_data(n=60)
    before = torch.random.get_rng_state(), global_numpy_state(), random.getstate()
    for knob, kind in TECHNIQUES[name].knobs.items():
        if isinstance(kind, Choice):  # each option may draw in a way of its own
            for option in kind.options:
                call(name, model, data, **{knob: option})
    call(name, model, data)
    assert torch.equal(torch.random.get_rng_state(), before[0])
    assert global_numpy_state() == before[1]
    assert random.getstate() == before[2]


# Reproducible


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_twice_gives_equal_bits(name, model, data):
    first = support.bits(call(name, model, data, seed=3))
    torch.manual_seed(12345)  # what others did to the global generator in between does not matter
    assert support.bits(call(name, model, data, seed=3)) == first


@pytest.mark.parametrize("name", [name for name in NAMES if "seed" in TECHNIQUES[name].inputs])
def test_another_seed_gives_another_network_in_some_setting(name, model):
    data = support.tiny_data(n=60)
    choices = {knob: kind.options for knob, kind in TECHNIQUES[name].knobs.items() if isinstance(kind, Choice)}
    settings = [{}, *({knob: option} for knob, options in choices.items() for option in options)]
    pairs = [[support.bits(call(name, model, data, seed=seed, **one)) for seed in (0, 1)] for one in settings]
    assert any(first != second for first, second in pairs)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("name", NAMES)
def test_a_callers_gradient_mode_changes_nothing(name, mode, model, data):
    with mode():
        inside = call(name, model, data)
    assert support.bits(inside) == support.bits(call(name, model, data))
    assert not any(tensor.is_inference() for tensor in inside.state_dict().values())


# Scripts and JSON


def run_script(text: str, model: nn.Module, data: Data) -> nn.Module:
    scope = {"model": model, "data": data}
    exec(compile(text, "<script>", "exec"), scope)
    return scope["model"]


def variants(name: str) -> list[Step]:
    """The defaults; every knob away from its default, one by one; and every mapping that it takes."""
    technique = TECHNIQUES[name]
    steps = [one_step(name)]
    steps += [one_step(name, **{knob: another(technique, knob)}) for knob in technique.knobs]
    steps += [one_step(name, **{knob: {"conv2": another(technique, knob)}}) for knob in technique.per_layer]
    assert len(set(steps)) == len(steps)
    return steps


@pytest.mark.parametrize("name", NAMES)
def test_running_the_script_of_a_step_gives_equal_bits(name, model):
    data = support.tiny_data(n=60)
    for one in variants(name):
        text = script((one,), seed=5)
        expected = run((one,), model, data=data, seed=5)
        assert support.bits(run_script(text, model, data)) == support.bits(expected), text


def test_every_technique_is_in_a_row():
    assert {name for row in ROWS for name in row} == set(NAMES)


@pytest.mark.parametrize("row", ROWS)
def test_running_the_script_of_techniques_in_a_row_gives_equal_bits(row, model):
    data = support.tiny_data(n=60)
    recipe = tuple(one_step(name, **IN_A_ROW.get(name, {})) for name in row)
    expected = run(recipe, model, data=data, seed=2)
    assert support.bits(run_script(script(recipe, seed=2), model, data)) == support.bits(expected)


@pytest.mark.parametrize("name", NAMES)
def test_a_step_survives_json(name):
    for one in variants(name):
        assert from_json(to_json((one,))) == (one,)


@pytest.mark.parametrize("name", NAMES)
def test_a_step_can_be_a_key(name):
    assert {one: index for index, one in enumerate(variants(name))}[one_step(name)] == 0


# Sparsity


@pytest.mark.parametrize("name", WITH_SPARSITY)
@pytest.mark.parametrize("sparsity", [0.0, 0.01, 0.5, SPARSITY, 0.99, 1.0])
def test_exactly_the_fraction_asked_for_is_zero(name, sparsity, data):
    model = support.tiny_mlp()
    n = support.count_weights(model)
    assert support.count_zeros(model) == 0
    assert support.count_zeros(call(name, model, data, sparsity=sparsity)) == round(sparsity * n)


@pytest.mark.parametrize("name", [name for name in SLOW if name not in WITH_SPARSITY])
def test_a_training_keeps_every_zero_of_a_pruned_network(name, model, data):
    pruned = call("prune_weights", model, data, sparsity=SPARSITY)
    result = call(name, pruned, data, **known(name, FINEST))
    assert support.bits(result) != support.bits(pruned)
    for key, weight in pruned.named_parameters():
        if weight.ndim > 1:
            assert torch.equal(result.get_parameter(key) == 0, weight == 0), key


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ANEW])
def test_an_already_sparser_network_is_not_filled_again(name, model, data):
    pruned = call("prune_weights", model, data, sparsity=0.9)
    settings = known(name, {"sparsity": 0.5, "ratio": 0.0, **FINEST})
    assert support.count_zeros(call(name, pruned, data, **settings)) == support.count_zeros(pruned)


# Progress


@pytest.mark.parametrize("name", SLOW)
@pytest.mark.parametrize("when", ["before it starts", "after the first batch", "after the first epoch"])
def test_stopped_early_it_still_gives_a_whole_network_as_sparse_as_asked_for(name, when, model, data):
    progress = Progress()
    if when == "before it starts":
        progress.stop()
    elif when == "after the first batch":
        progress.on_batch = lambda done: progress.stop()
    else:
        progress.on_record = lambda record: progress.stop()
    settings = known(name, {"sparsity": SPARSITY, **FINEST})
    if name not in WITH_SPARSITY:
        model = call("prune_weights", model, data, sparsity=SPARSITY)
    result = call(name, model, data, progress=progress, **settings)
    assert bool(result(data.validation.images).isfinite().all())
    assert not result.training
    assert support.count_zeros(result) == round(SPARSITY * support.count_weights(model))
    assert progress.is_stopped


@pytest.mark.parametrize("name", SLOW)
def test_the_fraction_done_only_grows_and_ends_at_one(name, model, data):
    fractions, records = [], []
    call(name, model, data, progress=Progress(records.append, fractions.append))
    before, done = [one for one in fractions if one == 0], [one for one in fractions if one > 0]
    assert fractions == [*before, *sorted(set(done))]
    assert bool(before) == ("teacher" in TECHNIQUES[name].inputs)  # it is asked first
    assert fractions[-1] == pytest.approx(1.0)
    assert [record.number for record in records] == list(range(1, records[0].n_epochs + 1))
    assert len({record.n_epochs for record in records}) == 1


@pytest.mark.parametrize("name", SLOW)
def test_a_progress_that_listens_changes_no_bit(name, model, data):
    heard = []
    watched = call(name, model, data, progress=Progress(heard.append, heard.append))
    assert heard
    assert support.bits(watched) == support.bits(call(name, model, data))


# What it cannot act on


@pytest.mark.parametrize("name", WITH_SPARSITY)
def test_a_network_without_a_weight_that_could_go_gets_a_sentence(name, data):
    bare = nn.Sequential(nn.Flatten(), nn.LayerNorm(64))
    with pytest.raises(
        ValueError, match=r"^Sequential has no layer whose weights can be pruned; it needs one of: Linear"
    ):
        call(name, bare, data)


@pytest.mark.parametrize("name", WITH_SPARSITY)
def test_a_network_whose_weights_are_computed_gets_a_sentence(name, data):
    layer = torch.nn.utils.parametrizations.weight_norm(nn.Linear(64, support.N_CLASSES))
    with pytest.raises(ValueError, match=r"^layer '1' computes its weight from other tensors"):
        call(name, nn.Sequential(nn.Flatten(), layer), data)
