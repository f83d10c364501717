"""The lab writes a recipe's network to a file, weighs its parts, and judges what it reads back."""

import pytest
import support

from efflab import Lab, prune_weights, quantize_weights, share_weights, step
from efflab.measure import evaluate
from efflab.models import CheckpointError
from efflab.quantize.codebook import encode_model, file

RECIPE = (step(prune_weights, sparsity=0.8), step(share_weights, bits=3))


@pytest.fixture(scope="module")
def lab() -> Lab:
    return Lab(support.tiny_all(), support.tiny_data())


def test_the_bytes_are_those_of_the_file_and_add_up(lab):
    found, content = lab.encode(RECIPE), encode_model(lab.build(RECIPE)).content
    assert found.n_bytes == len(content)
    assert found.other_bytes + found.header_bytes + sum(layer.n_bytes for layer in found.layers) == len(content)
    assert found.base_bytes == lab.base_size.dense_bytes
    assert found.times_smaller == found.base_bytes / len(content)
    assert found.plain_bytes - found.n_bytes == sum(one.plain_bytes - one.n_bytes for one in found.layers)


def test_each_layer_says_what_it_kept(lab):
    model, layers = lab.build(RECIPE), lab.encode(RECIPE).layers
    assert [layer.name for layer in layers] == [name for name in lab.layers() if name in {one.name for one in layers}]
    assert len(layers) == 9
    for layer in layers:
        weight = model.get_submodule(layer.name).weight
        assert (layer.n, layer.n_kept) == (weight.numel(), int(weight.count_nonzero()))
        assert layer.n_values == len(weight[weight != 0].unique())


def test_what_is_judged_is_what_was_read(monkeypatch):
    lab = Lab.open("mlp-digits")
    *_, expected = evaluate(lab.build(RECIPE), lab.data.validation, lab.data.task)
    found = lab.encode(RECIPE)
    assert found.evaluation.value == expected.value
    assert found.difference.value == pytest.approx(expected.value - lab.baseline.value)
    monkeypatch.setattr(file, "decode_weight", lambda n, codebook, *streams: codebook.new_zeros(n))
    assert lab.encode(RECIPE).evaluation.value != expected.value


def test_the_table_has_a_row_for_each_layer_and_the_sum(lab):
    found = lab.encode(RECIPE)
    table = found.table()
    assert len(table) == len(found.layers) + 3
    assert table["bytes"].iloc[:-1].sum() == table["bytes"].iloc[-1] == found.n_bytes
    assert table["no Huffman"].iloc[:-1].sum() == table["no Huffman"].iloc[-1] == found.plain_bytes
    assert table["kept"].iloc[0] == round(100 * found.layers[0].n_kept / found.layers[0].n, 1)


def test_a_network_without_codebooks_is_its_floats_and_a_header(lab):
    found = lab.encode(())
    assert found.layers == ()
    assert found.n_bytes == found.other_bytes + found.header_bytes
    assert found.difference.value == 0


def test_a_grid_is_refused(lab):
    with pytest.raises(CheckpointError, match="on a grid of 8 bits, and a file of codebooks says nothing of that"):
        lab.encode((step(quantize_weights),))
