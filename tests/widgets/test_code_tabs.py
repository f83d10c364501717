"""The tabs of a bench whose technique lets weights share values: each layer alone, and no mask of what all stays."""

import pytest
import support

from efflab import Lab, prune_weights, share_weights, step
from efflab.journal import Journal
from efflab.widgets import Bench
from efflab.widgets.code_tabs import SharedTab
from efflab.widgets.first_tabs import first_tabs, layers_with_knobs, scanning
from efflab.widgets.tabs import WeightsTab
from efflab.widgets.worker import worker

SECONDS = 60


@pytest.fixture(scope="module")
def lab() -> Lab:
    return Lab(support.tiny_mlp(), support.tiny_data())


def nothing() -> None:
    """What nobody listens to."""


def test_a_bench_of_shared_values_has_a_button_that_shares_each_layer_alone(lab):
    tabs = first_tabs(lab, share_weights, nothing, nothing)
    assert [tab.title for tab in tabs] == ["layers", "weights"]
    assert isinstance(scanning(tabs), SharedTab)
    assert scanning(tabs).button.description == "Share each layer alone"
    assert scanning(first_tabs(lab, prune_weights, nothing, nothing)).button.description == "Prune each layer alone"
    assert layers_with_knobs(lab, share_weights) == lab.quantizable()


def test_each_layer_is_shared_alone_from_the_start_that_is_shown(lab, tmp_path):
    journal = Journal(tmp_path / "journal.sqlite")
    bench = Bench(lab, share_weights, controls=("bits", "start"), recover=None, journal=journal)
    bench.set(bits=3, start="density")
    worker().wait(SECONDS)
    bench.scan_layers()
    worker().wait(SECONDS)
    expected = list(lab.bits_alone({"start": "density"}, technique=share_weights))
    assert [(one.layer, one.bits, one.evaluation.value) for one in bench.stage.points] == [
        (one.layer, one.bits, one.evaluation.value) for one in expected
    ]
    said = bench.stage.layers._alone.shown.sentence
    assert said.startswith("With the weights of one layer alone in a codebook of 2 bits, ")


def test_a_mask_is_drawn_only_where_a_weight_was_removed(lab):
    tab = WeightsTab(lab, nothing)
    tab.show(lab.preview((step(prune_weights, sparsity=0.5),)))
    assert "are removed" in tab._mask.shown.sentence
    tab.show(lab.preview((step(share_weights, bits=2),)))
    assert tab._mask.shown is None
    assert tab._mask.layout.display == "none"
    assert "0 of" in tab._histogram.shown.sentence
