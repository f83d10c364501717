"""Huffman's code: what comes back, how short it is, and what no code can read."""

import itertools

import numpy as np
import pytest
from scipy.stats import entropy

from efflab.quantize.codebook.huffman import CHUNK, canonical_codes, code_lengths, decode, encode, entropy_bits


def drawn(seed: int) -> np.ndarray:
    """Symbols of some alphabet: even, skewed or with holes, a few or many."""
    generator = np.random.default_rng(seed)
    k, n = int(generator.integers(1, 70)), int(generator.integers(1, 2000))
    p = generator.dirichlet(np.full(k, generator.choice([0.05, 0.3, 5.0])))
    return generator.choice(k, n, p=p)


SAMPLES = [drawn(seed) for seed in range(60)]


def fewest_bits(counts: tuple[int, ...]) -> int:
    """The fewest bits of any code, by trying all lengths that Kraft's inequality allows."""
    k = len(counts)
    lengths = itertools.product(range(1, k), repeat=k)
    return min(np.dot(counts, one) for one in lengths if sum(2.0**-n for n in one) <= 1)


def fibonacci(k: int) -> np.ndarray:
    counts = [1, 1]
    while len(counts) < k:
        counts.append(counts[-1] + counts[-2])
    return np.array(counts)


def test_what_was_encoded_comes_back():
    assert len({len(set(one.tolist())) for one in SAMPLES}) > 20
    for symbols in SAMPLES:
        lengths = code_lengths(np.bincount(symbols))
        assert decode(encode(symbols, lengths), len(symbols), lengths).tolist() == symbols.tolist()


def test_a_mean_length_is_at_least_the_entropy_and_less_than_a_bit_above_it():
    for symbols in SAMPLES:
        counts = np.bincount(symbols)
        mean = float(code_lengths(counts) @ counts / counts.sum())
        assert entropy_bits(counts) <= mean + 1e-12
        assert mean < entropy_bits(counts) + 1


def test_the_entropy_is_the_one_of_scipy():
    for symbols in SAMPLES:
        counts = np.bincount(symbols)
        assert entropy_bits(counts) == pytest.approx(entropy(counts, base=2), abs=1e-12)
    assert entropy_bits(np.array([], dtype=int)) == 0


@pytest.mark.parametrize("k", [2, 3, 4, 5, 6])
def test_no_code_of_any_lengths_has_fewer_bits(k):
    generator = np.random.default_rng(k)
    for _ in range(4):
        counts = tuple(int(n) for n in generator.geometric(0.1, k))
        assert code_lengths(np.array(counts)) @ counts == fewest_bits(counts)


def test_no_code_begins_another_and_all_room_is_used():
    for symbols in SAMPLES:
        lengths = code_lengths(np.bincount(symbols))
        codes = [f"{code:0{n}b}" for code, n in zip(canonical_codes(lengths), lengths, strict=True) if n]
        assert all(not b.startswith(a) for a, b in itertools.permutations(codes, 2))
        assert sum(2.0 ** -len(code) for code in codes) == (1 if codes else 0)


def test_the_bits_are_written_one_code_after_the_other():
    lengths = np.array([1, 3, 3, 2])  # 0, 110, 111, 10
    assert encode(np.array([3, 0, 1, 2]), lengths) == bytes([0b10_0_110_11, 0b1_0000000])


def test_a_lone_symbol_needs_no_bits():
    lengths = code_lengths(np.bincount([4, 4, 4]))
    assert encode(np.array([4, 4, 4]), lengths) == b""
    assert decode(b"", 3, lengths).tolist() == [4, 4, 4]
    assert decode(b"", 0, np.array([], dtype=int)).tolist() == []
    with pytest.raises(ValueError, match="counts must end with a symbol that occurs"):
        code_lengths(np.array([3, 0]))


def test_codes_as_long_as_counts_can_make_them_come_back():
    lengths = code_lengths(fibonacci(58))
    assert lengths.max() == 57
    symbols = np.random.default_rng(0).integers(0, 58, 300)
    assert decode(encode(symbols, lengths), 300, lengths).tolist() == symbols.tolist()
    with pytest.raises(ValueError, match="no Huffman code"):
        decode(b"", 1, code_lengths(fibonacci(59)))


def test_a_stream_longer_than_what_is_looked_at_at_once_comes_back():
    symbols = np.random.default_rng(0).geometric(0.2, CHUNK // 2) - 1
    lengths = code_lengths(np.bincount(symbols))
    content = encode(symbols, lengths)
    assert 8 * len(content) > 1.5 * CHUNK
    assert np.array_equal(decode(content, len(symbols), lengths), symbols)


@pytest.mark.parametrize("lengths", [[1], [1, 1, 1], [2, 2, 2], [1, 2], [60, 60], []])
def test_lengths_of_no_code_are_refused(lengths):
    with pytest.raises(ValueError, match=r"^no Huffman code has these lengths$"):
        decode(b"\x00\x00", 3, np.array(lengths, dtype=int))


def test_content_that_is_too_short_or_too_long_is_refused():
    symbols = np.arange(100) % 5
    lengths = code_lengths(np.bincount(symbols))
    content = encode(symbols, lengths)
    with pytest.raises(ValueError, match=r"the content ends after \d+ of 100 symbols|symbols end in byte"):
        decode(content[:-2], 100, lengths)
    with pytest.raises(ValueError, match=rf"^100 symbols end in byte {len(content)}, and there are {len(content) + 1}"):
        decode(content + b"\x00", 100, lengths)
