"""The tabs of a bench that quantizes: which picture is drawn of what, what can be chosen, and bits for each layer."""

from collections.abc import Iterator

import pytest
import support
from torch import nn

from efflab import (
    Lab,
    fold_batch_norms,
    learn_rounding,
    prune_weights,
    quantize_activations,
    quantize_weights,
    step,
    train_quantized,
)
from efflab.journal import Journal
from efflab.lab.bits_alone import BitsPoint
from efflab.lab.limits import what_limits
from efflab.measure import compute_size
from efflab.widgets import Bench
from efflab.widgets.first_tabs import first_tabs, layers_with_knobs, scanning
from efflab.widgets.grid_tabs import (
    MOVED,
    NO_ACTIVATIONS,
    NO_WEIGHTS,
    QUANTIZING,
    ActivationsTab,
    AskedErrors,
    BytesTab,
    ErrorsTab,
    GridTab,
)
from efflab.widgets.parts import line_text
from efflab.widgets.worker import worker

SECONDS = 60
FOUR, ACTIVATIONS = step(quantize_weights, bits=4), step(quantize_activations)
LAYERS = ["conv1", "conv2", "conv3", "hidden", "output"]


def nothing() -> None:
    """What nobody listens to."""


class Calls(list):
    """Counts how often it was called."""

    def __call__(self) -> None:
        self.append(None)


@pytest.fixture(scope="module")
def lab() -> Lab:
    return Lab(support.tiny_both(), support.tiny_data()).after((step(fold_batch_norms),))


@pytest.fixture
def grid(lab) -> GridTab:
    return GridTab(lab, nothing)


@pytest.fixture
def errors(lab) -> ErrorsTab:
    return ErrorsTab(lab, AskedErrors(lab), nothing)


def chosen_from(choice) -> list[str]:
    return [text for text, _ in choice.options]


# The number line


def test_a_training_that_rounds_first_calls_the_score_before_that_of_float_weights(lab, tmp_path):
    journal = Journal(tmp_path / "journal.sqlite")
    start = {"bits": 2, "epochs": 1}
    bench = Bench(lab, train_quantized, controls=("bits",), start=start, recover=None, journal=journal)
    bench.run()
    worker().wait(SECONDS)
    assert bench.stage.training.shown.figure.data[0].name.startswith("float weights ")
    assert "Before the training, with float weights, it was " in bench.stage.training.shown.sentence


def test_the_line_is_that_of_the_first_layer_with_all_its_channels(grid, lab):
    grid.show(lab.preview((FOUR,)))
    assert grid._line.shown.sentence.startswith("conv1: 50 weights on 15 values of 4 bits")
    assert chosen_from(grid._layer) == LAYERS
    assert chosen_from(grid._channel) == ["all", "0", "1"]
    assert grid._channel.label == "all"
    assert grid._line.shown.sentence in grid._said.value


def test_a_chosen_channel_is_drawn_alone_and_stays_when_the_bits_move(grid, lab):
    grid.show(lab.preview((FOUR,)))
    grid.choose("conv3", 5)
    for bits in (4, 3):
        grid.show(lab.preview((step(quantize_weights, bits=bits),)))
        assert grid._line.shown.sentence.startswith(f"channel 5 of conv3: 36 weights on {2**bits - 1} values")


def test_a_channel_that_the_next_layer_has_not_gives_way_to_all(grid, lab):
    grid.show(lab.preview((FOUR,)))
    grid.choose("conv3", 7)
    grid.show(lab.preview((FOUR,)))
    grid._layer.value = "conv1"
    grid.show(lab.preview((FOUR,)))
    assert grid._line.shown.sentence.startswith("conv1: 50 weights")


def test_choosing_draws_again(lab):
    calls = Calls()
    tab = GridTab(lab, calls)
    tab.show(lab.preview((FOUR,)))
    before = len(calls)
    tab._layer.value = "conv2"
    tab._channel.value = 1
    assert len(calls) == before + 2


def test_only_layers_on_grids_can_be_chosen(grid, lab):
    grid.show(lab.preview((step(quantize_weights, bits={"conv2": 3, "output": 5}),)))
    assert chosen_from(grid._layer) == ["conv2", "output"]


def test_where_no_weights_lie_on_grids_a_sentence_stands_in_place_of_the_picture(grid, lab):
    grid.show(lab.preview((FOUR,)))
    grid.show(lab.preview((ACTIVATIONS,)))
    assert grid._line.shown is None
    assert grid._line.layout.display == "none"
    assert NO_WEIGHTS in grid._said.value


# Errors and bytes


def test_errors_are_drawn_and_what_limits_stands_below(errors, lab):
    recipe = (FOUR, ACTIVATIONS)
    errors.show(lab.preview(recipe))
    assert list(errors._drawn.shown.table["layer"]) == LAYERS
    sentences = what_limits(lab.grid_errors(recipe))
    assert all(sentence in errors._limits.value for sentence in sentences)
    assert errors.macs(lab.preview(recipe)) is None


def test_each_layer_alone_gets_grids_of_the_kind_that_is_shown(errors, lab, monkeypatch):
    asked = []
    monkeypatch.setattr(lab, "bits_alone", lambda settings: asked.append(settings) or iter(()))
    errors.show(lab.preview((step(quantize_weights, bits=3, granularity="per tensor"),)))
    errors.scan(1)
    assert asked == [
        {"granularity": "per tensor", "observer": "min-max", "scheme": "symmetric", "group_size": 32},
    ]


def test_of_a_rounding_that_was_learned_the_knobs_that_rounding_to_nearest_has_are_taken(errors, lab, monkeypatch):
    asked = []
    monkeypatch.setattr(lab, "bits_alone", lambda settings: asked.append(settings) or iter(()))
    errors.show(lab.preview((step(learn_rounding, bits=3, scheme="affine", steps=50),)))
    errors.scan(1)
    assert asked == [{"granularity": "per channel", "observer": "min-max", "scheme": "affine", "group_size": 32}]


def test_layers_alone_are_drawn_as_far_as_they_are_known(errors, lab):
    points = [BitsPoint(layer, 2, lab.baseline) for layer in ("conv1", "conv2")]
    for n in (1, 2):
        errors.show_points(points[:n])
        assert list(errors._alone.shown.table["layer"]) == ["conv1", "conv2"][:n]


def test_two_tabs_share_one_answer_until_the_network_is_another(lab, monkeypatch):
    calls, ask = [], lab.grid_errors
    monkeypatch.setattr(lab, "grid_errors", lambda recipe: calls.append(recipe) or ask(recipe))
    asked = AskedErrors(lab)
    three = (step(quantize_weights, bits=3),)
    assert asked.of((FOUR,)) is asked.of((FOUR,))
    asked.of(three)
    lab.forget(three)  # as before a training that runs again
    asked.of(three)
    assert calls == [(FOUR,), three, three]


def test_bytes_follow_the_bits(lab):
    tab = BytesTab(AskedErrors(lab))
    for bits in (8, {"conv3": 2, "output": 8}):
        recipe = (step(quantize_weights, bits=bits),)
        tab.show(lab.preview(recipe))
        assert tab._bytes.shown.table["all (bytes)"].sum() == compute_size(lab.build(recipe)).packed_bytes
        assert tab._bytes.shown.sentence in tab._said.value


# Activations


def test_what_a_chosen_layer_reads_is_drawn(lab):
    tab = ActivationsTab(lab, nothing)
    tab.show(lab.preview((FOUR, ACTIVATIONS)))
    assert chosen_from(tab._layer) == LAYERS
    tab.choose("output")
    tab.show(lab.preview((FOUR, ACTIVATIONS)))
    assert tab._read.shown.sentence.startswith("On 20 calibration images output reads 120 numbers")
    assert tab._read.shown.sentence in tab._said.value


def test_where_activations_are_float_a_sentence_says_what_puts_them_on_grids(lab):
    tab = ActivationsTab(lab, nothing)
    tab.show(lab.preview((FOUR, ACTIVATIONS)))
    tab.show(lab.preview((FOUR,)))
    assert tab._read.shown is None
    assert NO_ACTIVATIONS in tab._said.value


def test_trained_weights_are_others_so_that_no_layer_is_said_to_lose(lab, errors):
    recipe = (step(train_quantized, bits=2, epochs=1),)
    errors.show(lab.preview(recipe))
    _, bytes_, kernels = what_limits(lab.grid_errors(recipe))
    assert errors._limits.value == "".join(line_text(sentence) for sentence in (MOVED, bytes_, kernels))


# Which tabs a bench has


@pytest.mark.parametrize("technique", QUANTIZING)
def test_a_technique_that_quantizes_has_the_line_the_errors_the_bytes_and_the_activations(technique, lab):
    tabs = first_tabs(lab, technique, nothing, nothing)
    assert [type(tab) for tab in tabs] == [GridTab, ErrorsTab, BytesTab, ActivationsTab]
    assert [tab.title for tab in tabs] == ["grid", "layers", "bytes", "activations"]
    assert scanning(tabs) is tabs[1]


def test_knobs_for_each_layer_are_of_the_layers_that_the_technique_takes():
    lab = Lab(nn.Sequential(nn.ConvTranspose2d(1, 1, 3), nn.Conv2d(1, 3, 10), nn.Flatten()), support.tiny_data())
    assert layers_with_knobs(lab, quantize_weights) == ("1",)
    assert layers_with_knobs(lab, train_quantized) == ("1",)
    assert layers_with_knobs(lab, prune_weights) == ("0", "1")


@pytest.fixture
def bench(lab, tmp_path, monkeypatch) -> Iterator[Bench]:
    """A bench of grids that times nothing."""
    monkeypatch.setattr(Lab, "measure", lambda *args, **options: None)
    made = Bench(lab, quantize_weights, controls=("bits", "granularity"), journal=Journal(tmp_path / "journal.sqlite"))
    worker().wait(SECONDS)
    yield made
    worker().wait(SECONDS)


def test_a_moved_control_draws_the_open_tab_and_no_other(bench):
    assert bench.stage.tabs.titles[:5] == ("grid", "layers", "bytes", "activations", "changed images")
    bench.set(bits=3)
    worker().wait(SECONDS)
    grid, errors, n_bytes, reads = bench.stage.tabs.children[:4]
    assert "on 7 values of 3 bits" in grid._line.shown.sentence
    assert (errors._drawn.shown, n_bytes._bytes.shown, reads._read.shown) == (None, None, None)
    for index, drawn in ((1, errors._drawn), (2, n_bytes._bytes)):
        bench.stage.tabs.selected_index = index
        worker().wait(SECONDS)
        assert drawn.shown is not None
    bench.stage.tabs.selected_index = 3
    worker().wait(SECONDS)
    assert NO_ACTIVATIONS in reads._said.value
    assert bench.last_error is None


def test_bits_for_each_layer_are_set_by_hand_and_the_bytes_follow(bench, lab):
    one = {"conv1": 8, "conv2": 3, "conv3": 2, "hidden": 4, "output": 8}
    bench.set(bits=one)
    worker().wait(SECONDS)
    assert dict(bench.step.values["bits"]) == one
    layers = {name: lab.build(bench.recipe).get_submodule(name).bits for name in one}
    assert layers == one
    assert bench.preview.size == compute_size(quantize_weights(lab.build(()), bits=one))
    assert "bits on average over the weights" in bench.readout.sentence
    bench.set(bits=8)
    worker().wait(SECONDS)
    assert bench.step.values["bits"] == 8
    assert bench.preview.size == compute_size(quantize_weights(lab.build(()), bits=8))


def test_a_slider_of_one_layer_moves_its_bits_alone(bench):
    bits = bench.controls["bits"]
    bits._switch.value = True
    bits._parts["conv3"].value = 2
    worker().wait(SECONDS)
    assert bench.step.values["bits"] == {**dict.fromkeys(LAYERS, 8), "conv3": 2}
    bits._switch.value = False
    worker().wait(SECONDS)
    assert bench.step.values["bits"] == 8


def test_the_button_scans_each_layer_alone(bench):
    bench.stage.tabs.selected_index = 1
    worker().wait(SECONDS)
    bench.stage.layers.button.click()
    worker().wait(SECONDS)
    assert bench.stage.is_scanned
    assert len(bench.stage.layers._alone.shown.table) == 25


def test_the_projector_reaches_the_pictures_in_these_tabs(bench):
    bench.project(True)
    grid, errors, n_bytes, reads = bench.stage.tabs.children[:4]
    views = (grid._line, errors._drawn, errors._alone, n_bytes._bytes, reads._read)
    assert [view.projector for view in views] == [True] * 5


def test_while_controls_are_locked_no_layer_can_be_scanned(bench):
    for is_locked in (True, False):
        bench._lock(is_locked)
        assert bench.stage.layers.button.disabled == is_locked
