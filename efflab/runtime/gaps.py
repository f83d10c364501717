"""Relative indices: where the weights that are left stand, told by how many zeros come before each.

A gap is a number of some bits. One that is too long is cut up: the largest number says that so many zeros come, and no
weight after them yet. With 2 bits, and . for a zero:

    . . w w . . . . w    ->    2, 0, 3, 1        (2 zeros and a weight; a weight; 3 zeros; 1 zero and a weight)

Many bits waste some in each gap, few bits need more numbers; somewhere between them the bytes are fewest.

Reference: Han et al., Deep Compression, 2016, arXiv 1510.00149, figure 2.

Where we deviate: the paper puts a weight of zero where a gap is cut up, which costs a gap and an index; here it costs a
gap. At work: a runtime's own format for sparse weights, which can be read from the middle.
"""

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

GAP_BITS = range(1, 13)
"""Bits of a gap that are tried."""


def zeros_before(is_kept: Flags) -> Integers:
    """How many zeros come before each weight that is left. is_kept: (n,) -> (n_kept,)."""
    return np.diff(np.flatnonzero(is_kept), prepend=-1) - 1


def count_gaps(zeros: Integers, bits: int) -> int:
    """How many numbers of some bits tell these runs of zeros. zeros: (n_kept,).

    Example:
        >>> count_gaps(np.array([2, 0, 4]), bits=2)
        4
    """
    return len(zeros) + int((zeros // (2**bits - 1)).sum())


def packed_gap_bytes(zeros: Integers) -> int:
    """Bytes of the gaps side by side, with the bits that take the fewest. zeros: (n_kept,)."""
    return min(-(-count_gaps(zeros, bits) * bits // 8) for bits in GAP_BITS)


def cut_up(zeros: Integers, bits: int) -> Integers:
    """The runs of zeros in numbers of some bits. zeros: (n_kept,) -> (n_gaps,).

    Example:
        >>> cut_up(np.array([2, 0, 4]), bits=2).tolist()
        [2, 0, 3, 1]
    """
    longest = 2**bits - 1
    n_cut = zeros // longest  # (n_kept,), how many numbers without a weight come first
    gaps = np.full(count_gaps(zeros, bits), longest)
    gaps[np.cumsum(n_cut + 1) - 1] = zeros % longest
    return gaps


def places_of(gaps: Integers, bits: int) -> Integers:
    """Where the weights stand. gaps: (n_gaps,) -> (n_kept,).

    Example:
        >>> places_of(np.array([2, 0, 3, 1]), bits=2).tolist()
        [2, 3, 8]
    """
    has_weight = gaps < 2**bits - 1
    places: Integers = (np.cumsum(gaps + has_weight) - 1)[has_weight]
    return places
