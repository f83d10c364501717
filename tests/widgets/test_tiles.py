"""The tiles: what the multiplications promise stands beside what the clock measured."""

import re
from html import escape

import pytest
import support
import torch

from efflab import (
    Lab,
    fold_batch_norms,
    prune_filters,
    prune_weights,
    quantize_activations,
    quantize_weights,
    share_weights,
    step,
    technique,
)
from efflab.data import Classification
from efflab.lab import Report
from efflab.measure import Evaluation
from efflab.prune.masks import Sparsity
from efflab.quantize import Bits
from efflab.runtime import Planned
from efflab.widgets.tiles import MACS, OPENED_AGAIN, PACKED, SEPARATE, SHARED, sentence, tiles
from efflab.widgets.tiles import test_sentence as told_of_test  # a name that pytest does not collect


@pytest.fixture(scope="module")
def lab() -> Lab:
    return Lab(support.tiny_cnn(), support.tiny_data())


@pytest.fixture
def words(lab):
    """The text of the tiles of a cut by half, for what is told of its multiplications and measured of its time."""

    def read(macs=None, *, ms: float = 0.5, is_measured: bool = True) -> str:
        preview = lab.preview((step(prune_filters, ratio=0.5),))
        speed = support.product(0.5, ms).speed
        report = Report(preview, 2000, 1000, 1500, 700, speed) if is_measured else None
        html = tiles(preview, lab.baseline, report, "a machine", macs=macs)
        return " ".join(re.sub(r"<[^>]+>", " ", html).split())

    return read


@pytest.mark.parametrize(
    ("macs", "promise"),
    [
        ((9_345_920, 2_364_864), "4.0x fewer multiplications (9,345,920 → 2,364,864)"),
        ((1000, 900), "1.1x fewer multiplications (1,000 → 900)"),
        ((1000, 1000), "as many multiplications as before (1,000)"),
        ((1000, 0), "∞x fewer multiplications (1,000 → 0)"),
    ],
)
def test_the_promise_of_the_multiplications_is_computed_with_its_formula(words, macs, promise):
    said = words(macs)
    assert promise in said
    after = said.split(promise)[1]
    assert after.split()[0] == "computed"
    assert MACS in after


def test_the_promise_stands_below_what_was_measured(words):
    said = words((1000, 250))
    assert said.index("2.0x faster") < said.index("4.0x fewer multiplications") < said.index("images a second")


def test_where_nothing_takes_work_away_there_is_no_promise(words):
    assert "multiplications" not in words()


def test_before_the_speed_was_measured_there_is_no_promise(words):
    said = words((1000, 250), is_measured=False)
    assert "multiplications" not in said
    assert "not measured yet" in said


def test_the_size_says_how_many_times_smaller_it_is_computed_and_measured(words, lab):
    size, base = lab.preview((step(prune_filters, ratio=0.5),)).size.packed_bytes, lab.base_size.packed_bytes
    said = words()
    assert f"{base / size:.1f}x smaller, packed computed" in said
    assert "file 2.00 kB → 1.00 kB measured" in said
    assert "zipped 1.50 kB → 700 B measured" in said


def test_a_technique_of_a_notebook_that_removes_and_shares_is_told_with_both_numbers(lab):
    @technique
    def prune_and_share(model, *, sparsity: Sparsity = 0.0, bits: Bits = 8):
        """Remove the smallest weights, and let the others share values."""
        return share_weights(prune_weights(model, sparsity=sparsity), bits=bits)

    said = sentence(lab.preview((step(prune_and_share, sparsity=0.5, bits=3),)), None)
    assert said.startswith("50 % of the weights removed, 3 bits: ")
    assert "bits" not in sentence(lab.preview((step(prune_filters, ratio=0.5),)), None)


def test_a_first_step_without_a_number_is_told_by_its_name(lab):
    said = sentence(lab.preview((step(fold_batch_norms), step(prune_weights, sparsity=0.5))), None)
    assert said.startswith("Fold batch norms, then prune weights: ")


# Integers


@pytest.fixture
def integers(lab):
    """The text of the tiles of a quantized network whose layers run as told."""
    recipe = (step(quantize_weights, bits=4), step(quantize_activations))

    def read(**kernels: Planned) -> str:
        preview = lab.preview(recipe)
        report = Report(preview, 2000, 1000, 1500, 700, support.product(0.5, 0.5).speed, kernels, lab.baseline)
        html = tiles(preview, lab.baseline, report, "a machine")
        return " ".join(re.sub(r"<[^>]+>", " ", html).split())

    return read


def test_the_speed_says_whether_real_integer_kernels_ran(integers):
    floats = Planned("float", "for a reason")
    counted = "measured read back from the graph that ONNX Runtime made of the file"
    assert f"real integer kernels in all 2 layers {counted}" in integers(one=Planned("int8"), other=Planned("int8"))
    some = integers(one=Planned("int8"), other=floats)
    assert f"real integer kernels in 1 of 2 layers (other: for a reason) {counted}" in some
    assert f"real integer kernels in 0 of 1 layers (one: for a reason) {counted}" in integers(one=floats)


def test_the_score_of_the_integer_file_stands_beside_the_simulated_one(integers, lab):
    said = integers(one=Planned("int8"))
    own = f"the file itself: {100 * lab.baseline.value:.1f} %"
    simulated = lab.preview((step(quantize_weights, bits=4), step(quantize_activations))).evaluation
    n_alike = (simulated.answers == lab.baseline.answers).sum().item()
    assert f"{own} (as simulated on {n_alike} of {lab.baseline.n} images) measured" in said
    assert "the number above is simulated" in said


def test_the_sentence_says_how_many_bits_there_are_where_weights_were_rounded(lab):
    said = sentence(lab.preview((step(quantize_weights, bits=4), step(quantize_activations))), None)
    assert said.startswith("Quantize weights, 4 bits, then quantize activations: ")


def test_the_sentence_of_a_cut_says_how_much_is_gone(lab):
    assert sentence(lab.preview((step(prune_filters, ratio=0.5),)), None).split()[1:5] == ["%", "of", "the", "weights"]


@pytest.mark.parametrize(
    ("recipe", "formula", "other"),
    [
        ((step(share_weights, bits=3),), SHARED, PACKED),
        ((step(prune_weights, sparsity=0.7), step(share_weights, bits=2)), SHARED, PACKED),
        ((step(prune_weights, sparsity=0.7),), PACKED, SHARED),
        ((step(quantize_weights, bits=3),), PACKED, SHARED),
    ],
)
def test_the_formula_of_the_packed_bytes_is_that_of_the_encoding(lab, recipe, formula, other):
    html = tiles(lab.preview(recipe), lab.baseline, None)
    assert escape(formula) in html
    assert escape(other) not in html


def right(n_right: int, n: int) -> Evaluation:
    return Evaluation(torch.zeros(n, dtype=torch.int64), (torch.arange(n) < n_right).float(), n, Classification())


def test_the_test_score_stands_beside_how_optimistic_validation_was():
    said = told_of_test(right(56, 70), right(48, 80), 1)
    assert "<b>Test accuracy 60.0 %</b> (95 % interval 49.0 to 70.0, 80 images)" in said
    gap = "+20.0 points (95 % interval +5.2 to +33.4): validation was too optimistic."  # Newcombe, 1998
    assert f"Validation 80.0 %, minus test: {gap}" in said
    assert escape(SEPARATE) in said
    assert "You opened it" not in said


def test_an_interval_that_holds_zero_is_no_measurable_difference():
    said = told_of_test(right(5, 56), right(0, 29), 1)
    assert "+8.9 points (95 % interval -3.8 to +19.3): no measurable difference." in said
    assert "0.0 points (95 % interval -5.2 to +3.7): no measurable difference." in told_of_test(
        right(70, 70), right(100, 100), 1
    )


def test_opening_it_again_is_counted_and_told_what_it_means():
    assert f"You opened it 3 times: {OPENED_AGAIN}" in told_of_test(right(5, 10), right(5, 10), 3)
