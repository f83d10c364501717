"""A budget instead of a slider: the search moves the control to the mildest setting, and says what it reached."""

import pytest

from efflab import Lab, prune_filters, prune_neurons, prune_weights, step
from efflab.journal import Journal
from efflab.lab.fitting import Fit, Limit, Try
from efflab.widgets import Bench
from efflab.widgets.budgeting import HINT, fit_text
from efflab.widgets.worker import worker

SECONDS = 120


@pytest.fixture(scope="module")
def lab():
    return Lab.open("mlp-digits")


@pytest.fixture
def bench(lab, tmp_path):
    made = Bench(lab, prune_neurons, controls=("ratio", "scope"), journal=Journal(tmp_path / "journal.sqlite"))
    worker().wait(SECONDS)
    yield made
    worker().wait(SECONDS)


def test_the_control_moves_to_the_mildest_setting_within_the_budget(bench, lab):
    bench.budgeting.ask("MACs", 25_000)
    worker().wait(SECONDS)
    ratio = bench.step.values["ratio"]
    assert bench.preview.recipe == (bench.step,)
    assert lab.macs((step(prune_neurons, ratio=ratio),)) <= 25_000
    assert lab.macs((step(prune_neurons, ratio=round(ratio - 0.01, 2)),)) > 25_000
    assert f"ratio {ratio} is the mildest setting within the budget" in bench.budgeting.line.value


def test_the_other_controls_count(bench):
    bench.set(scope="global")
    bench.budgeting.ask("MACs", 25_000)
    worker().wait(SECONDS)
    assert bench.budgeting.fit.step.values["scope"] == "global"


def test_a_budget_that_nothing_meets_leaves_the_control_and_says_so(bench):
    before = bench.step
    bench.budgeting.ask("MACs", 100)
    worker().wait(SECONDS)
    assert bench.step == before
    assert bench.budgeting.line.value.startswith("Not reached: even ratio 0.95 has ")
    assert bench.last_error is None


def test_before_a_search_it_says_what_to_ask_for(bench):
    assert bench.budgeting.line.value == HINT


def test_no_number_gets_a_sentence_when_the_button_is_pressed(bench):
    bench.budgeting.button.click()
    assert "value must be a number above 0, not 0.0" in bench.readout.error


def test_a_search_that_is_stopped_moves_nothing(bench, monkeypatch):
    before = bench.step
    monkeypatch.setattr(bench.lab, "build", lambda recipe, progress=None: progress.stop())
    bench.budgeting.ask("MACs", 25_000)
    worker().wait(SECONDS)
    assert bench.step == before
    assert bench.budgeting.line.value == "Stopped before it was found."


def test_only_what_takes_channels_away_has_a_budget(lab, tmp_path, bench):
    other = Bench(lab, prune_weights, journal=Journal(tmp_path / "other.sqlite"))
    worker().wait(SECONDS)
    assert other.budgeting is None
    assert bench.budgeting in bench.desk.children


@pytest.mark.parametrize(
    ("limit", "reached", "text"),
    [
        (Limit("MACs", 4e6), 3_881_808, "3,881,808 MACs (at most 4,000,000 MACs). 1 try, each computed."),
        (Limit("bytes", 100_000), 99_477, "99.5 kB (at most 100 kB). 1 try, each measured."),
        (Limit("ms", 0.25), 0.2434, "0.243 ms (at most 0.250 ms). 1 try, each measured."),
    ],
)
def test_the_sentence_has_units_and_says_where_the_number_comes_from(limit, reached, text):
    fit = Fit(step(prune_filters, ratio=0.35), limit, reached, True, (Try(0.35, reached, True),))
    assert fit_text(fit, "ratio") == f"ratio 0.35 is the mildest setting within the budget: {text}"
