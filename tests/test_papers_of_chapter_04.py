"""The published tables of chapter 04: every row has its source, and what is computed in them follows from it."""

import re

import pytest
import support

from efflab import Lab, papers, step
from efflab.lab import Report
from efflab.measure.work import count_work
from efflab.prune import prune_filters

LI, FANG = papers.table("li2017"), papers.table("fang2023")


def test_every_row_names_its_source():
    assert len(LI) >= 5
    assert LI["source"].str.contains("arXiv 1608.08710, table 1").all()
    assert len(FANG) >= 5
    assert FANG["source"].str.contains("VainF/Torch-Pruning, reproduce/readme.md, section").all()


@pytest.mark.parametrize(
    ("network", "parameters_percent", "macs_percent"),
    [
        ("VGG-16 (A)", 64.0, 34.2),
        ("ResNet-56 (A)", 9.4, 10.4),
        ("ResNet-56 (B)", 13.7, 27.6),
        ("ResNet-110 (A)", 2.3, 15.9),
        ("ResNet-110 (B)", 32.4, 38.6),
        ("ResNet-34 (B)", 10.8, 24.2),
    ],
)
def test_counts_and_the_percentages_printed_beside_them_agree(network, parameters_percent, macs_percent):
    row = LI.set_index("network").loc[network]
    assert 100 * (1 - row["kept_macs"] / row["macs"]) == pytest.approx(macs_percent, abs=0.7)
    assert 100 * (1 - row["kept"] / row["parameters"]) == pytest.approx(parameters_percent, abs=0.7)


def test_times_stand_beside_multiplications_and_follow_from_what_the_source_lists():
    timed = FANG[FANG["times_faster"].notna()]
    assert len(timed) == 3
    for row in timed.to_dict("records"):
        macs, ms = (float(a) / float(b) for a, b in re.findall(r"([\d.]+) -> ([\d.]+)", row["source"]))
        assert row["times_fewer_macs"] == pytest.approx(macs, abs=0.005)
        assert row["times_faster"] == pytest.approx(ms, abs=0.005)
        assert row["times_faster"] < row["times_fewer_macs"]


def test_an_accuracy_never_has_a_time_beside_it():
    with_accuracy = FANG[FANG["pruned_accuracy_percent"].notna()]
    assert len(with_accuracy) == 3
    assert with_accuracy["times_faster"].isna().all()


@pytest.fixture(scope="module")
def cut():
    """A lab, and the preview of half of its filters."""
    lab = Lab(support.tiny_both(), support.tiny_data())
    return lab, lab.preview((step(prune_filters, ratio=0.5),))


def test_ones_own_row_has_the_multiplications_that_are_counted(cut):
    lab, preview = cut
    both = papers.beside(LI.assign(kind="cited"), preview, lab)
    assert list(both.columns) == [*LI.columns, "kind"]
    own = both.iloc[-1]
    base, now = (count_work(lab.build(recipe), lab.data.shape).macs for recipe in ((), preview.recipe))
    assert (own["macs"], own["kept_macs"]) == (base, now)
    assert own["kept"] < own["parameters"]
    assert own["pruned_error_percent"] == round(100 * (1 - preview.evaluation.value), 2)


def test_ones_own_time_stands_beside_its_multiplications_once_it_was_measured(cut):
    lab, preview = cut
    unmeasured = papers.beside(FANG.assign(kind="cited"), preview, lab).iloc[-1]
    assert unmeasured["times_faster"] != unmeasured["times_faster"]  # NaN
    speed = support.state("removed", "ONNX Runtime", 0.4).speed
    own = papers.beside(FANG.assign(kind="cited"), preview, lab, Report(preview, 1000, 500, 100, 50, speed)).iloc[-1]
    assert own["times_faster"] == 2.5
    assert own["times_fewer_macs"] == round(lab.macs(()) / lab.macs(preview.recipe), 2)
    assert own["pruned_accuracy_percent"] == round(100 * preview.evaluation.value, 2)
    assert own["source"] == f"this notebook, batch {speed.batch}"
