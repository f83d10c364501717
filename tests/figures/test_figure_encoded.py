"""The bytes of Deep Compression's file: a bar a layer in its parts, and what it was before Huffman's code."""

from dataclasses import replace

import pytest
import support

from efflab import Lab
from efflab.figures import encoded
from efflab.figures.encoded import N_ROWS
from efflab.lab.encoding import EncodedLayer

SMALL = EncodedLayer("first", 500, 450, 32, 128, 280, 0, 24, plain_bytes=410)
LARGE = EncodedLayer("second", 40_000, 4_000, 16, 64, 1_800, 2_000, 36, plain_bytes=4_600)


@pytest.fixture(scope="module")
def found():
    """A file of two layers: in the first, Huffman's code costs more than it saves."""
    made = Lab(support.tiny_cnn(), support.tiny_data()).encode(())
    total = SMALL.n_bytes + LARGE.n_bytes + 100 + 68
    return replace(made, layers=(SMALL, LARGE), other_bytes=100, header_bytes=68, n_bytes=total, base_bytes=30 * total)


def traces(picture):
    return {trace.name: trace for trace in picture.figure.data if trace.name}


def test_each_part_is_stacked_with_a_hatch_of_its_own(found):
    drawn = traces(encoded(found))
    bars = [name for name in drawn if drawn[name].type == "bar"]
    assert bars == ["codebook", "indices", "gaps or mask", "tables", "biases and others", "header"]
    assert [list(drawn[name].x) for name in bars] == [
        [0.128, 0.064, 0],
        [0.28, 1.8, 0],
        [0, 2.0, 0],
        [0.024, 0.036, 0],
        [0, 0, 0.1],
        [0, 0, 0.068],
    ]
    assert len({drawn[name].marker.pattern.shape for name in bars}) == 6
    assert encoded(found).figure.layout.barmode == "stack"


def test_a_line_stands_where_a_layer_ended_without_the_code(found):
    assert list(traces(encoded(found))["without Huffman's code (computed)"].x) == [0.41, 4.6, 0.168]


def test_behind_each_bar_stand_its_bytes_now_and_before(found):
    texts = [text.strip() for text in encoded(found).figure.data[-1].text]
    assert texts == ["432 B in place of 410 B", "3.90 kB in place of 4.60 kB", "168 B"]


def test_a_part_that_nobody_has_is_not_in_the_legend(found):
    assert "gaps or mask" not in traces(encoded(replace(found, layers=(SMALL,))))


def test_few_bytes_are_told_in_bytes(found):
    picture = encoded(replace(found, layers=(SMALL,)))
    assert picture.figure.layout.xaxis.title.text == "bytes in the file (B, measured)"
    assert traces(picture)["indices"].x[0] == 280


def test_every_mark_and_text_lies_within_the_axis(found):
    assert encoded(found).figure.layout.xaxis.range[1] > 4.6


def test_the_sentence_has_the_share_of_each_part_and_where_the_code_does_not_pay(found):
    assert encoded(found).sentence == (
        "4.50 kB in the file (measured), 30.0 times smaller than the floats: codebook 4.3 %, indices 46.2 %, "
        "gaps or mask 44.4 %, tables 1.3 %, biases and others 2.2 %, header 1.5 %. Without Huffman's code it "
        "would be 5.18 kB (computed). In first the code costs more than it saves."
    )


def test_where_the_code_pays_everywhere_nothing_is_said_of_that(found):
    assert encoded(replace(found, layers=(LARGE,))).sentence.endswith(" kB (computed).")


def test_the_table_adds_up(found):
    table = encoded(found).table
    parts = [name for name in table.columns if name.endswith("(bytes)") and name[:3] not in ("all", "wit")]
    assert list(table[parts].sum(axis=1)) == list(table["all (bytes)"]) == [432, 3900, 168]
    assert list(table["without Huffman's code (bytes, computed)"]) == [410, 4600, 168]
    assert table["all (bytes)"].sum() == found.n_bytes


def test_of_a_deep_network_the_first_layers_are_drawn_and_the_table_has_all(found):
    picture = encoded(replace(found, layers=(LARGE,) * 20))
    assert picture.sentence.endswith(f"The first {N_ROWS} of 20 layers are drawn.")
    assert len(picture.figure.layout.yaxis.ticktext) == N_ROWS + 1
    assert len(picture.table) == 21


def test_a_file_without_codebooks_is_refused(found):
    with pytest.raises(ValueError, match="found must hold at least one layer that shares weights"):
        encoded(replace(found, layers=()))
