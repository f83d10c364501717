"""Published tables are cited, and a learner's own row stands in the same columns."""

import pytest

from efflab import (
    Lab,
    papers,
    prune_weights,
    quantize_activations,
    quantize_weights,
    share_weights,
    step,
)
from tests import support
from tests.support import product


def test_every_row_of_every_table_names_its_source():
    table = papers.table("han2015")
    assert len(table) == 4
    assert table["source"].str.contains("arXiv 1506.02626").all()
    lenet = table.set_index("network").loc["LeNet-300-100"]
    assert (lenet["reference_error_percent"], lenet["pruned_error_percent"]) == (1.64, 1.59)
    assert lenet["parameters"] / lenet["kept"] == pytest.approx(12, rel=0.02)


def test_the_sizes_of_deep_compression_agree_with_how_many_times_smaller_they_are_called():
    table = papers.table("han2016")
    assert list(table["network"]) == list(papers.table("han2015")["network"])
    assert table["source"].str.contains("arXiv 1510.00149").all()
    assert (table["reference_kb"] / table["compressed_kb"]).tolist() == pytest.approx(table["times_smaller"], rel=0.02)


def test_an_unknown_table_is_answered_with_those_that_exist():
    with pytest.raises(FileNotFoundError, match=r"there is no table called 'han2014'.*han2015"):
        papers.table("han2014")


def test_ones_own_row_is_measured_and_has_the_same_columns():
    lab = Lab.open("mlp-digits")
    preview = lab.preview((step(prune_weights, sparsity=0.5),))
    cited = papers.table("han2015").assign(kind="cited")
    both = papers.beside(cited, preview, lab)
    assert list(both.columns) == list(cited.columns)
    own = both.iloc[-1]
    assert own["kind"] == "measured"
    assert own["pruned_error_percent"] == round(100 * (1 - preview.evaluation.value), 2)
    assert own["kept"] == preview.size.n_nonzero
    assert "validation, 360 images" in own["data"]


def test_ones_own_file_stands_in_the_columns_of_deep_compression():
    lab = Lab.open("mlp-digits")
    encoded = lab.encode((step(prune_weights, sparsity=0.5), step(share_weights, bits=2)))
    cited = papers.table("han2016").assign(kind="cited")
    both = papers.beside_encoded(cited, encoded, lab)
    assert list(both.columns) == list(cited.columns)
    assert not both.iloc[-1].isna().any()
    own = both.iloc[-1]
    assert (own["kind"], own["compressed_kb"]) == ("measured", round(encoded.n_bytes / 1000))
    assert own["compressed_error_percent"] == round(100 * (1 - encoded.evaluation.value), 2)
    assert own["reference_error_percent"] == round(100 * (1 - lab.baseline.value), 2)
    assert (own["reference_kb"], own["times_smaller"]) == (
        round(lab.base_size.dense_bytes / 1000),
        round(encoded.times_smaller),
    )
    assert both["compressed_kb"].dtype == both["times_smaller"].dtype == "int64"


def test_ones_own_row_of_a_quantized_network_says_what_was_done_and_with_how_many_bits():
    lab = Lab.open("mlp-digits")
    preview = lab.preview((step(quantize_weights, bits=3), step(quantize_activations)))
    both = papers.beside(papers.table("quantization_tutorial").assign(kind="cited"), preview, lab)
    own = both.iloc[-1]
    assert own["weights"] == "quantize weights, 3 bits, then quantize activations, 8 bits"
    assert own["quantized_accuracy_percent"] == round(100 * preview.evaluation.value, 2)
    assert own["quantized_accuracy_percent"] < own["reference_accuracy_percent"]


def test_bits_for_each_layer_are_left_out_of_ones_own_row():
    lab = Lab.open("mlp-digits")
    preview = lab.preview((step(quantize_weights, bits={"output": 3}),))
    both = papers.beside(papers.table("quantization_tutorial"), preview, lab)
    assert both.iloc[-1]["weights"] == "quantize weights"


def test_the_sparse_layers_of_the_chip_paper_are_there_with_their_source():
    table = papers.table("eie2016")
    assert table["source"].str.contains("arXiv 1602.01528").all()
    alex7 = table[(table.layer == "Alex-7") & (table.batch == 64)].iloc[0]
    assert (alex7.outputs, alex7.inputs, alex7.kept_percent, alex7.dense_us, alex7.sparse_us) == (
        4096,
        4096,
        9,
        188.9,
        682.1,
    )


def test_a_measured_product_stands_below_the_cited_one_of_its_size_batch_and_sparsity():
    cited = papers.table("eie2016").assign(kind="cited")
    same = {"rows": 600, "columns": 4096, "batch": 64}
    points = [product(0.9, 4.0, **same), product(0.5, 2.0, **same), product(0.9, 1.0, **same, layout="bsr")]
    both = papers.beside_products(cited, points)
    assert len(both) == len(cited) + 1
    own = both[both.kind == "measured"].iloc[0]
    above = both.iloc[own.name - 1]
    assert (above.layer, above.batch, above.kind) == ("NT-We", 64, "cited")
    assert (own.layer, own.kept_percent, own.dense_us, own.sparse_us) == ("NT-We", 10, 15.6, 62.5)  # 1 and 4 ms for 64
    assert own.times_faster == 0.25
    assert own.verdict == "4.0x slower"
    assert above.verdict == ""
    assert list(both.columns) == [*cited.columns[:-2], "times_faster", "verdict", "source", "kind"]


def test_nothing_measured_leaves_the_cited_rows_with_their_ratio():
    both = papers.beside_products(papers.table("eie2016").assign(kind="cited"), [])
    assert both.times_faster.tolist() == [2.45, 0.22, 4.83, 0.28, 1.27, 0.11, 2.32, 0.24]


def test_the_errors_of_the_missing_digit_are_those_of_the_paper_and_agree_with_its_words():
    table = papers.table("hinton2015")
    assert table["source"].eq("Hinton 2015, arXiv 1503.02531, section 3").all()
    assert (table["errors"] <= table["images"]).all()
    assert table["error_percent"].tolist() == (100 * table["errors"] / table["images"]).round(2).tolist()
    without = table[table["transfer_set"] == "no 3"]
    assert without["errors"].tolist() == [206, 109]
    assert without["errors_on_3"].tolist() == [133, 14]
    assert without["raised_bias"].tolist() == [0.0, 3.5]
    last = without.iloc[-1]
    recall = 1 - last["errors_on_3"] / last["images_of_3"]
    assert recall == pytest.approx(0.986, abs=0.0005)  # "98.6% of the test 3s correct"


def test_ones_own_shipped_file_stands_below_those_of_mlperf_tiny(stopwatch):
    lab = Lab(support.tiny_cnn(), support.tiny_data())
    report = lab.measure((step(quantize_weights, bits=8), step(quantize_activations, bits=8)))
    cited = papers.table("banbury2021")
    assert (cited["reference_kb"] / cited["compressed_kb"]).tolist() == pytest.approx(cited["times_smaller"], rel=0.01)
    both = papers.beside_shipped(cited, report, lab)
    assert list(both.columns) == list(cited.columns)
    own = both.iloc[-1]
    assert own["network"] == "yours: quantize weights, 8 bits, then quantize activations, 8 bits"
    assert (own["reference_kb"], own["compressed_kb"]) == (
        round(report.base_file_bytes / 1000, 1),
        round(report.file_bytes / 1000, 1),
    )
    assert own["accuracy_percent"] == round(100 * report.from_file.value, 2)
    assert own["data"] == "tiny (validation, 50 images)"
