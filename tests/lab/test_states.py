"""The four states: one function in four forms, each weighed and timed, and nothing left behind."""

import tempfile
from pathlib import Path

import pytest
import support
import torch
from support import AnsweringStopwatch as Stub
from torch import nn

from efflab import models
from efflab.lab import Lab
from efflab.lab.states import ROWS, STATES, NoState, State, make_state, measure_states
from efflab.prune import prune_weights, zero_neurons
from efflab.recipe import step
from efflab.runtime.sparse import SparseLinear

SHAPE = support.SHAPE


@pytest.fixture
def base() -> nn.Module:
    return support.tiny_mlp()


@pytest.fixture
def temporary(tmp_path, monkeypatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def images() -> torch.Tensor:
    return torch.randn(16, *SHAPE, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize("name", STATES)
@pytest.mark.parametrize("ratio", [0.0, 0.5, 0.9])
def test_each_state_answers_as_the_pruned_network_does(name, ratio, base):
    pruned = zero_neurons(base, ratio=ratio)
    torch.testing.assert_close(make_state(name, pruned, base)(images()), pruned(images()), rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", STATES)
def test_making_a_state_changes_neither_the_pruned_network_nor_the_base(name, base):
    pruned = zero_neurons(base, ratio=0.5)
    before = support.bits(pruned), support.bits(base)
    for parameter in make_state(name, pruned, base).parameters():
        parameter.data.mul_(2.0)
    assert (support.bits(pruned), support.bits(base)) == before


def test_below_the_masks_lie_the_old_weights(base):
    masked = make_state("masked", zero_neurons(base, ratio=0.5), base)
    assert torch.equal(masked.hidden1.weight_orig, base.hidden1.weight)
    assert masked.hidden1.weight_mask.mean() == 0.5


def test_the_shapes_shrink_in_one_state_only(base):
    made = {name: make_state(name, zero_neurons(base, ratio=0.5), base) for name in STATES}
    assert {name: model.hidden1.out_features for name, model in made.items() if name != "encoded"} == {
        "masked": 12,
        "zeroed": 12,
        "removed": 6,
    }
    assert isinstance(made["encoded"].hidden1, SparseLinear)


def test_a_state_that_there_is_not_is_refused(base):
    with pytest.raises(ValueError, match="a state is one of masked, zeroed, encoded, removed, not 'zipped'"):
        make_state("zipped", base, base)


def test_each_state_is_weighed_and_timed_against_the_base_of_its_own_runtime(base, temporary):
    watch = Stub()
    states = list(measure_states(zero_neurons(base, ratio=0.75), base, SHAPE, stopwatch=watch, batch=8, threads=2))
    assert [(state.name, state.runtime) for state in states] == list(ROWS)
    assert [base.partition(" in ")[2].split(".")[0] for base, *_ in watch.asked] == [runtime for _, runtime in ROWS]
    assert [n_bytes for *_, n_bytes, _, _ in watch.asked] == [state.n_bytes for state in states]
    assert {(batch, threads) for *_, batch, threads in watch.asked} == {(8, 2)}


def test_the_bytes_are_those_of_what_is_stored(base, temporary):
    n, n_left = 888 + 23, 64 * 3 + 3 + 3 * 2 + 2 + 2 * 3 + 3
    states = measure_states(zero_neurons(base, ratio=0.75), base, SHAPE, stopwatch=Stub())
    bytes_of = {state.name: (state.n_bytes, state.base_bytes) for state in states if state.runtime == "torch"}
    head = 4_000  # the graph, as JSON
    assert 4 * n < bytes_of["zeroed"][0] < 4 * n + head
    assert abs(bytes_of["zeroed"][0] - bytes_of["zeroed"][1]) < 64
    assert 4 * (2 * 888 + 23) < bytes_of["masked"][0] < 4 * (2 * 888 + 23) + head
    assert 4 * n_left < bytes_of["removed"][0] < 4 * n_left + head


def test_a_state_that_the_network_cannot_have_is_a_sentence_and_the_others_are_measured(temporary):
    base = support.tiny_cnn()
    states = list(measure_states(prune_weights(base, sparsity=0.5), base, SHAPE, stopwatch=Stub()))
    missing = {(state.name, state.runtime): state.reason for state in states if isinstance(state, NoState)}
    assert set(missing) == {("removed", "torch"), ("removed", "ONNX Runtime")}
    assert "has no hidden neurons that can be cut off" in missing["removed", "torch"]
    assert len(states) == len(ROWS)


def test_when_it_is_stale_it_ends_and_leaves_no_file(base, temporary):
    answers = iter([False, False, True])
    states = list(measure_states(base, base, SHAPE, stopwatch=Stub(), stale=lambda: next(answers)))
    assert len(states) == 2
    assert list(temporary.iterdir()) == []


def test_whoever_stops_listening_leaves_no_file(base, temporary):
    states = measure_states(base, base, SHAPE, stopwatch=Stub())
    next(states)
    states.close()
    assert list(temporary.iterdir()) == []


def test_the_lab_measures_the_states_of_a_recipe_for_real():
    lab = Lab(models.build("mlp", shape=SHAPE, n_classes=3, sizes=(300, 100)), support.tiny_data())
    states = list(lab.states((step(zero_neurons, ratio=0.9),)))
    assert [(state.name, state.runtime) for state in states] == list(ROWS)
    assert all(isinstance(state, State) and state.speed.batch == 1 for state in states)
    sizes = {state.name: state.n_bytes for state in states if state.runtime == "torch"}
    assert sizes["removed"] < sizes["encoded"] < sizes["zeroed"] < sizes["masked"]
