"""Huffman's code: short codes for symbols that occur often, so that all of them together take the fewest bits.

The two rarest symbols become one, again and again, until one is left; each time, the codes of what is in them get a bit
longer. No code begins another, so a stream of them can be read without marks between. The mean length is at least the
entropy, and less than one bit above it.

Only the lengths have to be stored: *canonical* codes count upwards, from short to long. A lone symbol needs no bits.

References: Huffman, A method for the construction of minimum-redundancy codes, 1952; in Deep Compression: Han et al.,
2016, arXiv 1510.00149, section 4.

Where we simplify: whole bits for each symbol, which costs most where one symbol is very frequent. At work: arithmetic
coding or ANS (zstandard), which come as close to the entropy as one likes.
"""

import heapq

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.int64]

LONGEST = 57
"""Bits of the longest code that is read: 8 bytes hold so many from any bit of the first on."""
CHUNK = 2**18
"""Bits in which codes are looked for at once."""


def entropy_bits(counts: Integers) -> float:
    """The entropy in bits for each symbol: what no code with a code for each symbol can be shorter than.

    counts: (k,), how often each symbol occurs.

    Example:
        >>> entropy_bits(np.array([2, 1, 1]))
        1.5
    """
    p = counts[counts > 0] / max(counts.sum(), 1)
    return float(-(p * np.log2(p)).sum()) + 0.0  # no -0.0


def code_lengths(counts: Integers) -> Integers:
    """How many bits the code of each symbol has; none where it does not occur. counts: (k,) -> (k,).

    Example:
        >>> code_lengths(np.array([5, 0, 2, 1])).tolist()
        [1, 0, 2, 2]

    Raises:
        ValueError: the last symbol does not occur; leave out the end of the table.

    Reference: Huffman, 1952.
    """
    if len(counts) and counts[-1] <= 0:
        raise ValueError("counts must end with a symbol that occurs, because a lone symbol is known by being the last")
    lengths = np.zeros(len(counts), np.int64)
    nodes = [(int(counts[one]), int(one), [one]) for one in np.flatnonzero(counts)]  # the symbol breaks ties
    heapq.heapify(nodes)
    while len(nodes) > 1:
        (n, first, symbols), (m, _, others) = heapq.heappop(nodes), heapq.heappop(nodes)
        lengths[symbols + others] += 1
        heapq.heappush(nodes, (n + m, first, symbols + others))
    return lengths


def canonical_codes(lengths: Integers) -> Integers:
    """The code of each symbol as a number, to be written with that many bits. lengths: (k,) -> (k,).

    Example:
        >>> [f"{code:0{n}b}" for code, n in zip(canonical_codes(np.array([1, 3, 3, 2])), [1, 3, 3, 2])]
        ['0', '110', '111', '10']
    """
    codes, code, before = np.zeros(len(lengths), np.int64), -1, 0
    for symbol in _by_length(lengths):
        code = (code + 1) << int(lengths[symbol] - before)
        codes[symbol], before = code, lengths[symbol]
    return codes


def encode(symbols: Integers, lengths: Integers) -> bytes:
    """The codes of some symbols side by side; the last byte is filled up with zeros. symbols: (n,)."""
    n_bits = lengths[symbols]  # (n,)
    codes = canonical_codes(lengths)[symbols].repeat(n_bits)
    left = np.cumsum(n_bits).repeat(n_bits) - np.arange(n_bits.sum()) - 1  # bits of its code that follow each bit
    return np.packbits((codes >> left & 1).astype(np.uint8)).tobytes()


def decode(content: bytes, n: int, lengths: Integers) -> Integers:
    """The `n` symbols that were encoded: (n,).

    Raises:
        ValueError: no code has such lengths, or the content does not end with the last symbol.
    """
    _check(lengths, n)
    if not lengths.any():
        steps, symbols = 0, [len(lengths) - 1] * n
    else:
        symbols, steps = _walk(content, n, lengths)
    if -(-steps // 8) != len(content):
        raise ValueError(f"{n} symbols end in byte {-(-steps // 8)}, and there are {len(content)}")
    return np.array(symbols, np.int64)


def _walk(content: bytes, n: int, lengths: Integers) -> tuple[list[int], int]:
    """The symbols, and the bits that they took: from code to code, each known from what a code here would be."""
    order = _by_length(lengths)
    first = canonical_codes(lengths)[order] << (LONGEST - lengths[order])  # as windows, ascending
    padded = np.frombuffer(content + bytes(8), np.uint8)
    symbols: list[int] = []
    place, n_bits = 0, 8 * len(content)
    while len(symbols) < n:
        if place >= n_bits:
            raise ValueError(f"the content ends after {len(symbols)} of {n} symbols")
        start, end = place, min(place + CHUNK, n_bits)
        here = order[np.searchsorted(first, _windows(padded, start, end), side="right") - 1]
        symbol, step = here.tolist(), lengths[here].tolist()
        while place < end and len(symbols) < n:
            symbols.append(symbol[place - start])
            place += step[place - start]
    return symbols, place


def _windows(padded: npt.NDArray[np.uint8], start: int, end: int) -> Integers:
    """The next 57 bits from each bit on, as a number: (end - start,)."""
    bits = np.arange(start, end)
    from_byte = np.lib.stride_tricks.sliding_window_view(padded, 8)[start // 8 : -(-end // 8)]
    words = np.ascontiguousarray(from_byte).view(">u8").ravel().astype(np.uint64)[bits // 8 - start // 8]
    windows: Integers = (words << (bits % 8).astype(np.uint64) >> np.uint64(64 - LONGEST)).astype(np.int64)
    return windows


def _by_length(lengths: Integers) -> Integers:
    """The symbols that have a code, short ones first, then by number."""
    order = np.argsort(lengths, kind="stable")
    return order[np.count_nonzero(lengths == 0) :]


def _check(lengths: Integers, n: int) -> None:
    """Raise ValueError unless lengths are those of a code that leaves no bits unused."""
    used = lengths[lengths > 0]
    is_whole = not len(used) or (used.max() <= LONGEST and sum(1 << int(LONGEST - one) for one in used) == 1 << LONGEST)
    if not is_whole or (n and not len(lengths)):
        raise ValueError("no Huffman code has these lengths")
