"""Each layer alone on a grid: one line a layer over the bits."""

import pytest

from efflab.figures import bits_sensitivity
from efflab.lab.bits_alone import BitsPoint


@pytest.fixture
def points(evaluation) -> list[BitsPoint]:
    right = {("conv", 8): 945, ("conv", 2): 400, ("fc", 8): 946, ("fc", 2): 900}
    return [BitsPoint(layer, bits, evaluation(n)) for (layer, bits), n in right.items()]


def test_each_layer_is_a_line_over_its_bits_beside_the_base(points, baseline):
    base, conv, fc = (trace for trace in bits_sensitivity(points, baseline).figure.data if trace.name)
    assert base.name == "base 94.6 %"
    assert (conv.name, list(conv.x), list(conv.y)) == ("conv", [8, 2], pytest.approx([94.5, 40.0]))
    assert (fc.name, list(fc.x), list(fc.y)) == ("fc", [8, 2], pytest.approx([94.6, 90.0]))
    assert (conv.line.dash, conv.marker.symbol) != (fc.line.dash, fc.marker.symbol)


def test_the_sentence_names_the_layers_at_the_fewest_bits(points, baseline):
    assert bits_sensitivity(points, baseline).sentence == (
        "With the weights of one layer alone on a grid of 2 bits, conv (40.0 %) hurts most and fc (90.0 %) least. "
        "The base has 94.6 % accuracy."
    )
    assert bits_sensitivity(points[:1], baseline).sentence == (
        "With the weights of one layer alone on a grid of 8 bits: conv (94.5 %). The base has 94.6 % accuracy."
    )
    assert bits_sensitivity([], baseline).sentence.startswith("No layer has been scanned yet.")


def test_the_table_has_a_row_for_each_point(points, baseline):
    table = bits_sensitivity(points, baseline).table
    assert list(table["layer"]) == ["conv", "conv", "fc", "fc"]
    assert list(table["bits"]) == [8, 2, 8, 2]
    assert list(table["accuracy (%)"]) == pytest.approx([94.5, 40.0, 94.6, 90.0])
