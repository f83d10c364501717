"""The tabs of a bench that takes channels away: which picture is drawn of what, and what can be chosen."""

import copy
from collections.abc import Iterator
from typing import Annotated

import pytest
import support
import torch
from torch import nn

from efflab import Lab, Range, fine_tune, prune_filters, prune_neurons, prune_weights, step, technique
from efflab.figures.blocks import PALE
from efflab.journal import Journal
from efflab.lab.channels import ChannelPoint
from efflab.widgets import Bench
from efflab.widgets.first_tabs import first_tabs
from efflab.widgets.structure_tabs import TOGETHER, FiltersTab, NetworkTab
from efflab.widgets.tabs import LayersTab, WeightsTab
from efflab.widgets.worker import worker

SECONDS = 60
FILTERS = step(prune_filters, ratio=0.5)


def nothing() -> None:
    """What nobody listens to."""


class Calls(list):
    """Counts how often it was called."""

    def __call__(self) -> None:
        self.append(None)


@pytest.fixture(scope="module")
def lab() -> Lab:
    """Three convolutions, one hidden layer and an output: filters and neurons can go."""
    return Lab(support.tiny_both(), support.tiny_data())


@pytest.fixture
def network(lab) -> NetworkTab:
    return NetworkTab(lab, prune_filters, nothing, nothing)


@pytest.fixture
def filters(lab) -> FiltersTab:
    return FiltersTab(lab, prune_filters, nothing)


def drawn(view):
    """The traces of the picture in a view."""
    return view.shown.figure.data


def named(choice) -> dict[str, str]:
    """What can be chosen: texts and names."""
    return dict(choice.options)


# The network as blocks


def test_the_blocks_are_those_of_the_preview(network, lab):
    network.show(lab.preview((step(prune_filters, ratio=0.5),)))
    assert list(drawn(network._blocks)[0].x) == [1, 2, 4, 6, 3]
    network.show(lab.preview((step(prune_filters, ratio=0.0),)))
    assert list(drawn(network._blocks)[0].x) == [2, 4, 8, 6, 3]
    assert network._blocks.shown.sentence.startswith("23 of 23 channels are left, and 100 %")


def test_blocks_of_zeros_are_as_wide_as_before(network, lab):
    network.show(lab.preview((step(prune_filters, ratio=0.5, form="zeroed"),)))
    assert list(drawn(network._blocks)[0].x) == [2, 4, 8, 6, 3]


def test_what_was_trained_after_the_cut_is_as_wide_as_the_cut_left_it(network, lab):
    network.show(lab.preview((FILTERS, step(fine_tune, epochs=1))))
    assert list(drawn(network._blocks)[0].x) == [1, 2, 4, 6, 3]


def test_every_group_that_may_lose_channels_can_be_chosen_by_its_letter(network, lab):
    network.show(lab.preview((FILTERS,)))
    assert named(network._group) == {
        "all": "",
        "A: conv1": "conv1",
        "B: conv2": "conv2",
        "C: conv3": "conv3",
        "D: hidden": "hidden",
    }


def test_choosing_a_group_draws_again_with_the_others_pale(lab):
    calls = Calls()
    tab = NetworkTab(lab, prune_filters, nothing, calls)
    tab.show(lab.preview((FILTERS,)))
    assert list(drawn(tab._blocks)[0].marker.opacity) == [1, 1, 1, 1, 1]
    tab.choose("conv2")
    assert len(calls) == 1
    tab.show(lab.preview((FILTERS,)))
    assert list(drawn(tab._blocks)[0].marker.opacity) == [PALE, 1, PALE, PALE, PALE]
    tab.choose("")
    tab.show(lab.preview((FILTERS,)))
    assert list(drawn(tab._blocks)[0].marker.opacity) == [1, 1, 1, 1, 1]


def test_a_chosen_group_is_told_with_all_that_goes_with_it(network, lab):
    network.show(lab.preview((FILTERS,)))
    assert TOGETHER in network._told.value
    network.choose("conv2")
    network.show(lab.preview((FILTERS,)))
    text = "A channel of this group goes out of conv2, and with its part of norm2, conv3."
    assert text in network._told.value


def test_a_chosen_group_stays_chosen_when_the_ratio_moves(network, lab):
    network.show(lab.preview((FILTERS,)))
    network.choose("conv3")
    network.show(lab.preview((step(prune_filters, ratio=0.25),)))
    assert network._group.value == "conv3"


def test_a_group_that_there_is_not_is_refused(network, lab):
    network.show(lab.preview((FILTERS,)))
    with pytest.raises(Exception, match="Invalid selection"):
        network.choose("output")  # it is frozen


def test_the_multiplications_are_those_of_the_base_and_of_what_is_shown(network, lab):
    recipe = (FILTERS,)
    assert network.macs(lab.preview(recipe)) == (lab.macs(()), lab.macs(recipe))
    assert lab.macs(recipe) < lab.macs(())


def test_groups_cut_alone_are_drawn_as_far_as_they_are_known(network, lab):
    points = [
        ChannelPoint(name, (name,), 0.5, 1, lab.baseline, 700, 1000, support.product(0.5, 0.8).speed)
        for name in ("conv1", "conv2")
    ]
    network.show_points(points[:1])
    assert list(network._sensitivity.shown.table["group"]) == ["conv1"]
    network.show_points(points)
    assert list(network._sensitivity.shown.table["group"]) == ["conv1", "conv2"]


# The filters of a layer


def test_every_layer_whose_filters_are_ranked_can_be_chosen_and_no_other(filters, lab):
    filters.show(lab.preview((FILTERS,)))
    assert list(named(filters._layer)) == ["conv1", "conv2", "conv3"]
    for layer in named(filters._layer):
        filters.choose(layer)
        filters.show(lab.preview((FILTERS,)))
        assert filters._filters.shown.figure.layout.title.text == f"{layer}, by importance (l1)"


def test_a_bench_of_neurons_offers_the_layers_that_have_neurons(lab):
    tab = FiltersTab(lab, prune_neurons, nothing)
    tab.show(lab.preview((step(prune_neurons, ratio=0.5),)))
    assert list(named(tab._layer)) == ["hidden"]
    assert tab._filters.shown.sentence.startswith("3 of 6 neurons of hidden stay")


def test_the_filters_are_those_that_this_setting_keeps(filters, lab):
    filters.show(lab.preview((step(prune_filters, ratio=0.25),)))
    filters.choose("conv3")
    for ratio, n_kept in ((0.25, 6), (0.75, 2)):
        filters.show(lab.preview((step(prune_filters, ratio=ratio),)))
        assert list(filters._filters.shown.table["what becomes of it"]).count("stays") == n_kept


def test_the_sentence_of_the_filters_stands_above_them(filters, lab):
    filters.show(lab.preview((FILTERS,)))
    assert filters._filters.shown.sentence in filters._said.value


def test_choosing_a_layer_draws_again(lab):
    calls = Calls()
    tab = FiltersTab(lab, prune_filters, calls)
    tab.show(lab.preview((FILTERS,)))
    before = len(calls)
    tab.choose("conv3")
    assert len(calls) == before + 1


def test_other_rules_offer_the_layers_that_they_reach():
    class Doubled(nn.Module):
        """Our rules do not follow a concatenation; those of torch-pruning do."""

        def __init__(self) -> None:
            super().__init__()
            self.first, self.last, self.output = nn.Conv2d(1, 4, 3), nn.Conv2d(8, 6, 3), nn.Linear(6, 3)

        def forward(self, x):
            made = self.first(x)
            return self.output(self.last(torch.cat([made, made.relu()], dim=1)).mean(dim=(2, 3)))

    lab = Lab(Doubled(), support.tiny_data())
    tab = FiltersTab(lab, prune_filters, nothing)
    tab.show(lab.preview((step(prune_filters, ratio=0.5),)))
    few = list(named(tab._layer))
    tab.show(lab.preview((step(prune_filters, ratio=0.5, rules="torch-pruning"),)))
    assert "first" not in few
    assert "first" in named(tab._layer)


def test_layers_are_asked_for_once_and_not_at_every_move(filters, lab, monkeypatch):
    filters.show(lab.preview((FILTERS,)))
    monkeypatch.setattr(lab, "blocks", None)  # asking once more would raise
    filters.show(lab.preview((step(prune_filters, ratio=0.25),)))
    assert "importance" in filters._filters.shown.sentence


# Which tabs a bench has


@technique
def shrink(model: nn.Module, *, by: Annotated[float, Range(0.0, 1.0, 0.1, "share taken off")] = 0.5) -> nn.Module:
    """A learner's own technique."""
    shrunk = copy.deepcopy(model)
    for weight in shrunk.parameters():
        weight.data *= 1 - by
    return shrunk


@pytest.mark.parametrize(
    ("made_for", "kinds"),
    [
        (prune_filters, [NetworkTab, FiltersTab]),
        (prune_neurons, [NetworkTab, FiltersTab]),
        (prune_weights, [LayersTab, WeightsTab]),
        (shrink, [LayersTab, WeightsTab]),
    ],
)
def test_only_a_technique_that_takes_channels_away_has_the_network_and_its_filters(lab, made_for, kinds):
    assert [type(tab) for tab in first_tabs(lab, made_for, nothing, nothing)] == kinds


@pytest.fixture
def bench(lab, tmp_path, monkeypatch) -> Iterator[Bench]:
    """A bench of filters that times nothing."""
    monkeypatch.setattr(Lab, "measure", lambda *args, **options: None)
    made = Bench(lab, prune_filters, controls=("ratio", "form"), journal=Journal(tmp_path / "journal.sqlite"))
    worker().wait(SECONDS)
    yield made
    worker().wait(SECONDS)


def test_the_first_tabs_are_called_network_and_filters_or_neurons(bench, lab):
    assert bench.stage.tabs.titles[:2] == ("network", "filters")
    assert FiltersTab(lab, prune_neurons, nothing).title == "neurons"


def test_a_moved_control_draws_the_open_tab(bench, lab):
    bench.set(ratio=0.75)
    worker().wait(SECONDS)
    assert bench.stage.layers._blocks.shown.sentence == _said_of_blocks(lab, 0.75)
    assert bench.stage.weights._filters.shown is None  # what nobody sees costs nothing
    bench.stage.tabs.selected_index = 1
    worker().wait(SECONDS)
    assert bench.stage.weights._filters.shown.sentence.startswith("1 of 2 filters of conv1")


def _said_of_blocks(lab, ratio: float) -> str:
    tab = NetworkTab(lab, prune_filters, nothing, nothing)
    tab.show(lab.preview((step(prune_filters, ratio=ratio),)))
    return tab._blocks.shown.sentence


def test_choosing_in_a_tab_of_the_bench_draws_it(bench):
    bench.stage.layers.choose("conv1")
    worker().wait(SECONDS)
    assert list(drawn(bench.stage.layers._blocks)[0].marker.opacity) == [1, PALE, PALE, PALE, PALE]
    bench.stage.tabs.selected_index = 1
    worker().wait(SECONDS)
    bench.stage.weights.choose("conv2")
    worker().wait(SECONDS)
    assert bench.stage.weights._filters.shown.figure.layout.title.text.startswith("conv2,")
    assert bench.last_error is None


def test_zeros_keep_the_accuracy_of_the_cut_and_all_multiplications(bench, lab):
    cut = bench.preview.evaluation.value
    bench.set(form="zeroed")
    worker().wait(SECONDS)
    assert bench.preview.evaluation.value == cut
    assert bench.stage.layers.macs(bench.preview) == (lab.macs(()), lab.macs(()))


def test_the_button_cuts_each_group_by_half_at_the_batch_of_the_bench(bench, lab, monkeypatch):
    asked = []

    def scan(ratios, **options):
        asked.append((ratios, options))
        speed = support.product(0.5, 0.8, batch=options["batch"]).speed
        yield ChannelPoint("conv1", ("conv1",), 0.5, 1, lab.baseline, 700, 1000, speed)

    monkeypatch.setattr(lab, "channel_sensitivity", scan)
    bench.set_batch(64)
    bench.stage.layers.button.click()
    worker().wait(SECONDS)
    assert asked == [((0.5,), {"technique": prune_filters, "batch": 64})]
    assert bench.stage.is_scanned
    shown = bench.stage.layers._sensitivity.shown.figure.layout.xaxis.title.text
    assert shown.endswith("by a cut of 50 %, batch 64")


def test_an_error_while_a_tab_is_drawn_is_seen_and_the_next_drawing_works(bench, lab, monkeypatch):
    with monkeypatch.context() as broken:
        broken.setattr(lab, "filters", lambda *args: (_ for _ in ()).throw(ValueError("no such layer any more")))
        bench.stage.tabs.selected_index = 1
        worker().wait(SECONDS)
        assert bench.readout.error == "no such layer any more"
        assert isinstance(bench.last_error, ValueError)
    bench.redraw_tab()
    worker().wait(SECONDS)
    assert bench.last_error is None
    assert bench.stage.weights._filters.shown is not None


def test_the_projector_reaches_the_pictures_in_these_tabs(bench):
    bench.project(True)
    views = (bench.stage.layers._blocks, bench.stage.layers._sensitivity, bench.stage.weights._filters)
    assert [view.projector for view in views] == [True] * 3


def test_while_controls_are_locked_no_group_can_be_cut_alone_and_no_budget_asked(bench):
    for is_locked in (True, False):
        bench._lock(is_locked)
        assert bench.stage.layers.button.disabled == is_locked
        assert bench.budgeting.button.disabled == is_locked
