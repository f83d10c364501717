"""The encoded file: the same bits come back, each byte is accounted for, and nothing else than such a file is read."""

import hashlib
import json
import struct

import numpy as np
import pytest
import support
import torch
from torch import nn

from efflab import models
from efflab.measure import compute_size
from efflab.models import CheckpointError
from efflab.prune import prune_weights
from efflab.quantize import quantize_weights, share_weights
from efflab.quantize.codebook import encode_model, entropy_bits, read_encoded, write_encoded
from efflab.quantize.codebook.streams import pack, unpack
from efflab.runtime import coded_layers, shared_layers
from tests.quantize.codebook.test_techniques import Tied


def compressed(model: nn.Module, sparsity: float = 0.8, bits: int = 3) -> nn.Module:
    return share_weights(prune_weights(model, sparsity=sparsity), bits=bits)


def forged(content: bytes, change) -> bytes:
    """The file with its header changed, and the checksum made right again."""
    (n,) = struct.unpack("<I", content[8:12])
    header = json.loads(content[12 : 12 + n])
    text = change(header)
    text = json.dumps(header if text is None else text).encode() if not isinstance(text, bytes) else text
    return sealed(content[:8] + struct.pack("<I", len(text)) + text + content[12 + n : -32])


def sealed(body: bytes) -> bytes:
    return body + hashlib.sha256(body).digest()


@pytest.fixture
def written(tmp_path):
    return write_encoded(compressed(support.tiny_all()), tmp_path / "net.dc")


# The same bits


@pytest.mark.parametrize("sparsity", [0.0, 0.3, 0.95, 1.0])
@pytest.mark.parametrize("bits", [8, 4, 1])
def test_the_weights_that_come_back_are_equal_bit_for_bit(bits, sparsity, tmp_path):
    shared = compressed(support.tiny_all(), sparsity, bits)
    shared.norm1.running_mean.fill_(float("nan"))
    path = write_encoded(shared, tmp_path / "net.dc")
    back = read_encoded(path, support.tiny_all(seed=5))
    assert support.bits(back) == support.bits(shared)
    assert {name: type(layer) for name, layer in coded_layers(back).items()} == (
        {name: type(layer) for name, layer in coded_layers(shared).items()}
    )
    assert not back.training


def test_the_model_that_is_read_into_stays_as_it_is_and_may_have_codebooks(written):
    given = share_weights(support.tiny_all(seed=5), bits=2)
    before = support.bits(given)
    back = read_encoded(written, given)
    assert support.bits(given) == before
    assert support.bits(back) == support.bits(compressed(support.tiny_all()))
    assert support.storages(back).isdisjoint(support.storages(given))


def test_layers_without_a_codebook_and_shared_weights_come_back_too(tmp_path):
    shared = share_weights(Tied(), bits={"decode": 2})
    back = read_encoded(write_encoded(shared, tmp_path / "net"), Tied())
    assert support.bits(back) == support.bits(shared)
    assert list(shared_layers(back)) == list(shared_layers(shared)) == ["decode", "second"]
    assert back.second.weight is back.embedding.weight


def test_kernels_stored_with_channels_last_come_back_in_their_order(tmp_path):
    shared = compressed(support.tiny_cnn())
    assert not shared.conv2.weight.is_contiguous()
    back = read_encoded(write_encoded(shared, tmp_path / "net"), support.tiny_cnn(seed=1))
    assert torch.equal(back.conv2.weight, shared.conv2.weight)


@pytest.mark.parametrize("kind", [torch.float64, torch.float16])
def test_other_types_of_numbers_keep_their_bits(kind, tmp_path):
    shared = share_weights(support.tiny_mlp().to(kind), bits=3)
    back = read_encoded(write_encoded(shared, tmp_path / "net"), support.tiny_mlp().to(kind))
    assert support.bits(back) == support.bits(shared)


# Bytes


def test_every_byte_of_the_file_belongs_to_a_part(written):
    shared = compressed(support.tiny_all())
    encoded = encode_model(shared)
    assert len(encoded.content) == written.stat().st_size
    others = {name: one for name, one in shared.state_dict().items() if not name.endswith("codebook")}
    for weight in encoded.weights:
        others.pop(weight.name)
    assert encoded.other_bytes == sum(one.numel() * one.element_size() for one in others.values())
    total = encoded.other_bytes + encoded.header_bytes
    for weight in encoded.weights:
        total += weight.codebook_bytes + weight.indices.n_bytes + weight.gaps.n_bytes
    assert total == len(encoded.content)
    (n,) = struct.unpack("<I", encoded.content[8:12])
    assert encoded.header_bytes == 8 + 4 + n + 32


def test_without_huffmans_code_a_pruned_weight_has_the_packed_bytes_of_its_size():
    pruned = prune_weights(models.build("mlp", sizes=(100,)), sparsity=0.95, scope="per layer")
    shared = share_weights(pruned, bits=4)
    sizes = {tensor.name: tensor for tensor in compute_size(shared).weights}
    for weight in encode_model(shared).weights:
        assert sizes[weight.name].encoding == "4-bit codebook, gaps"
        assert sizes[weight.name].packed_bytes == weight.plain_bytes


def test_codes_take_little_more_than_the_entropy_of_what_they_tell():
    shared = compressed(models.build("mlp", sizes=(100,)), 0.9, 5)
    for name, weight in zip(shared_layers(shared), encode_model(shared).weights, strict=True):
        indices = shared.get_submodule(name).indices().flatten().numpy()
        kept = indices[indices >= 0]
        fewest = entropy_bits(np.bincount(kept)) * len(kept) / 8
        assert fewest <= len(weight.indices.content) <= 1.03 * fewest + 1
        assert len(weight.indices.content) < weight.plain_index_bytes
        assert len(weight.indices.table) == -(-32 * 6 // 8)


def test_a_weight_that_was_not_pruned_has_no_gaps():
    for weight in encode_model(share_weights(support.tiny_mlp())).weights:
        assert (weight.gap_bits, weight.gaps.n_bytes, weight.plain_gap_bytes) == (0, 0, 0)


@pytest.mark.parametrize("bits", [1, 3, 6, 12])
def test_packed_numbers_come_back(bits):
    numbers = np.random.default_rng(0).integers(0, 2**bits, 77)
    content = pack(numbers, bits)
    assert len(content) == -(-77 * bits // 8)
    assert unpack(content, bits, 77).tolist() == numbers.tolist()


# What is no such file


@pytest.mark.parametrize("place", [8, 40, 200, -60, -1])
def test_a_damaged_file_is_refused(place, written):
    content = bytearray(written.read_bytes())
    content[place] ^= 4
    written.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"net\.dc is damaged or cut off"):
        read_encoded(written, support.tiny_all())


@pytest.mark.parametrize("n", [8, 30, 100, -1])
def test_a_file_that_was_cut_off_is_refused(n, written):
    written.write_bytes(written.read_bytes()[:n])
    with pytest.raises(CheckpointError, match=r"net\.dc is damaged or cut off"):
        read_encoded(written, support.tiny_all())


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"EFFLAB", b"x" * 1000])
def test_a_foreign_file_is_refused(content, written):
    written.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"is no file that write_encoded wrote: it does not begin with EFFLABDC"):
        read_encoded(written, support.tiny_all())


def test_a_missing_file_and_an_enormous_one_are_refused(tmp_path, written):
    with pytest.raises(CheckpointError, match=r"nothing does not exist"):
        read_encoded(tmp_path / "nothing", support.tiny_all())
    with written.open("r+b") as file:
        file.truncate(10**7)
    with pytest.raises(CheckpointError, match=r"has 10,000,000 bytes, and a file of this network 1,0\d\d,\d\d\d at"):
        read_encoded(written, support.tiny_all())


def test_a_model_that_it_does_not_fit_is_refused(written):
    with pytest.raises(CheckpointError, match=r"numbers of this Network: one of both has no 'attention\.k\.bias'"):
        read_encoded(written, support.tiny_cnn())
    wider = support.tiny_all()
    wider.output = nn.Linear(6, 4)
    with pytest.raises(
        CheckpointError, match=r"'output\.weight' is 'float32' \[3, 6\] in the file, and float32 \[4, 6\]"
    ):
        read_encoded(written, wider)
    with pytest.raises(CheckpointError, match=r"is 'float32' .* and float64 .* in the model"):
        read_encoded(written, support.tiny_all().double())


WRONG = {
    "no JSON": lambda header: b"\xff{",
    "a list": lambda header: [1],
    "deep": lambda header: b"[" * 100_000,
    "nothing": lambda header: {},
    "weights that are a number": lambda header: header | {"weights": 3},
    "no weights": lambda header: header | {"weights": []},
    "a name twice": lambda header: header["others"].append(header["others"][0]),
    "a name that is no text": lambda header: header["others"].append([{}, "float32", [1]]),
    "no values": lambda header: header["weights"][0].pop("values"),
    "too many values": lambda header: header["weights"][0].update(values=10**12),
    "fewer values": lambda header: header["weights"][0].update(values=1),
    "negative values": lambda header: header["weights"][0].update(values=-1),
    "values that are true": lambda header: header["weights"][0].update(values=True),
    "another type": lambda header: header["weights"][0].update(type="object"),
    "another shape": lambda header: header["weights"][0].update(shape=[10**9, 10**9]),
    "many symbols": lambda header: header["weights"][0]["indices"].__setitem__(0, 10**15),
    "one symbol more": lambda header: header["weights"][0]["indices"].__setitem__(
        0, header["weights"][0]["indices"][0] + 1
    ),
    "many lengths": lambda header: header["weights"][0]["indices"].__setitem__(1, 10**15),
    "few lengths": lambda header: header["weights"][0]["indices"].__setitem__(1, 1),
    "many bytes": lambda header: header["weights"][0]["gaps"].__setitem__(2, 10**15),
    "negative bytes": lambda header: header["weights"][0]["gaps"].__setitem__(2, -1),
    "a stream of two": lambda header: header["weights"][0].update(gaps=[1, 2]),
    "a stream that is a text": lambda header: header["weights"][0].update(gaps="abc"),
    "gaps of no bits": lambda header: header["weights"][0].update(gap_bits=0),
    "gaps of other bits": lambda header: header["weights"][0].update(gap_bits=12),
    "gaps of a text": lambda header: header["weights"][0].update(gap_bits="3"),
    "gaps of many bits": lambda header: header["weights"][0].update(gap_bits=10**6),
    "a codebook for a bias": lambda header: header["weights"][0].update(name="output.bias"),
}


@pytest.mark.parametrize("change", WRONG.values(), ids=WRONG)
def test_a_forged_header_is_one_sentence(change, written):
    written.write_bytes(forged(written.read_bytes(), change))
    with pytest.raises(CheckpointError, match=r"net\.dc does not hold the numbers of this Sequential: \S+"):
        read_encoded(written, support.tiny_all())


def test_bytes_that_are_left_are_refused(written):
    written.write_bytes(sealed(written.read_bytes()[:-32] + b"more"))
    with pytest.raises(CheckpointError, match=r"4 bytes are left at its end"):
        read_encoded(written, support.tiny_all())


def test_more_symbols_than_weights_are_refused_before_memory_is_asked_for(tmp_path):
    layer = nn.Linear(3, 2)
    layer.weight.data.fill_(0.5)  # a lone value, whose indices need no bits, so that any number of them fits
    path = write_encoded(share_weights(layer), tmp_path / "net")
    assert torch.equal(read_encoded(path, nn.Linear(3, 2)).weight, layer.weight)
    path.write_bytes(forged(path.read_bytes(), lambda header: header["weights"][0]["indices"].__setitem__(0, 7)))
    with pytest.raises(CheckpointError, match=r"a stream has \[7, 1, 0\], and must have 6 symbols at most"):
        read_encoded(path, nn.Linear(3, 2))


def test_any_bytes_in_the_streams_are_read_or_refused(written):
    content, generator = written.read_bytes(), np.random.default_rng(0)
    (n,) = struct.unpack("<I", content[8:12])
    n_refused = 0
    for _ in range(200):
        body = bytearray(content[:-32])
        body[int(generator.integers(12 + n, len(body)))] ^= int(generator.integers(1, 256))
        written.write_bytes(sealed(bytes(body)))
        try:
            read_encoded(written, support.tiny_all())
        except CheckpointError:
            n_refused += 1
    assert n_refused > 10


def test_a_codebook_for_a_layer_that_cannot_have_one_is_refused(tmp_path):
    class Own(nn.Linear):
        """A layer that uses its weight in a way of its own."""

    path = write_encoded(share_weights(nn.Sequential(nn.Linear(3, 2))), tmp_path / "net")
    with pytest.raises(CheckpointError, match=r"'0\.weight' has a codebook, and is no weight of a plain nn\.Linear"):
        read_encoded(path, nn.Sequential(Own(3, 2)))


# What cannot be written


def test_a_grid_and_an_unknown_type_are_refused(tmp_path):
    with pytest.raises(
        CheckpointError, match=r"^layer 'hidden1' has its weights on a grid of 8 bits, and a file of cod"
    ):
        write_encoded(quantize_weights(support.tiny_mlp()), tmp_path / "net")
    with pytest.raises(CheckpointError, match=r"'hidden1\.weight' holds bfloat16 numbers, and the file knows float32"):
        write_encoded(support.tiny_mlp().to(torch.bfloat16), tmp_path / "net")
    assert list(tmp_path.iterdir()) == []
