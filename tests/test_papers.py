"""Published tables are cited, and a learner's own row stands in the same columns."""

import pytest

from efflab import Lab, papers, prune_weights, step


def test_every_row_of_every_table_names_its_source():
    table = papers.table("han2015")
    assert len(table) == 4
    assert table["source"].str.contains("arXiv 1506.02626").all()
    lenet = table.set_index("network").loc["LeNet-300-100"]
    assert (lenet["reference_error_percent"], lenet["pruned_error_percent"]) == (1.64, 1.59)
    assert lenet["parameters"] / lenet["kept"] == pytest.approx(12, rel=0.02)


def test_an_unknown_table_is_answered_with_those_that_exist():
    with pytest.raises(FileNotFoundError, match=r"there is no table called 'han2016'.*han2015"):
        papers.table("han2016")


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
