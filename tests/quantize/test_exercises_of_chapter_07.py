"""The exercises of chapter 07: what the package does passes, and usual mistakes are recognised."""

import math

import numpy as np
import pytest
import torch

from efflab.quantize.codebook import code_lengths
from efflab.questions import load
from efflab.runtime.gaps import zeros_before

LENGTHS, GAPS = load("07").checks
CHECKS = {check.id: check for check in (LENGTHS, GAPS)}


def verdict(id, function):
    return load("07").check(id, function)


def merged(counts, pick=sorted, *, forgets=False):
    """Huffman's lengths by the list, as in the notebook; `pick` says which two come first."""
    lengths = [0] * len(counts)
    nodes = [(count, [symbol]) for symbol, count in enumerate(counts)]
    while len(nodes) > 1:
        (n, some), (m, others), *nodes = pick(nodes)
        for symbol in [*some, *others]:
            lengths[symbol] = 1 if forgets else lengths[symbol] + 1
        nodes.append((n + m, some + others))
    return lengths


def by_rank(counts, longest):
    order = sorted(range(len(counts)), key=lambda symbol: -counts[symbol])
    return [min(order.index(symbol) + 1, longest) for symbol in range(len(counts))]


def largest_first(nodes):
    return sorted(nodes, key=lambda node: -node[0] if len(node[1]) == 1 else -math.inf)


def sorted_once(counts, pick=list):
    """The list is sorted before the first merge only. pick: where the sums are put, with `list` at the end."""
    order = sorted(range(len(counts)), key=lambda symbol: counts[symbol])
    lengths = merged([counts[symbol] for symbol in order], pick)
    return [lengths[order.index(symbol)] for symbol in range(len(counts))]


def bits(counts, rounding):
    return [rounding(-math.log2(count / sum(counts))) for count in counts]


def steps(is_kept, first=-1):
    places = is_kept.nonzero().flatten()
    return places.diff(prepend=torch.tensor([first]))


RIGHT = {
    "huffman_lengths": [lambda counts: code_lengths(np.array(counts)).tolist(), merged],
    "gaps": [lambda is_kept: torch.from_numpy(zeros_before(is_kept.numpy())), lambda is_kept: steps(is_kept) - 1],
}
WRONG = {
    "huffman_lengths": {
        "fixed": lambda counts: [math.ceil(math.log2(len(counts)))] * len(counts),
        "rounded": lambda counts: bits(counts, round),
        "rounded_up": lambda counts: bits(counts, math.ceil),
        "unary": lambda counts: by_rank(counts, len(counts)),
        "by_rank": lambda counts: by_rank(counts, len(counts) - 1),
        "largest_first": lambda counts: merged(counts, largest_first),
        "forgets_inside": lambda counts: merged(counts, forgets=True),
        "sorted_once": sorted_once,
        "in_order_of_size": lambda counts: sorted(merged(counts)),
    },
    "gaps": {
        "places": lambda is_kept: is_kept.nonzero().flatten(),
        "steps": steps,
        "starts_at_zero": lambda is_kept: steps(is_kept, first=0) - 1,
        "forgets_first": lambda is_kept: is_kept.nonzero().flatten().diff() - 1,
        "counts_the_end": lambda is_kept: steps(torch.cat([is_kept, torch.tensor([True])])) - 1,
        "kept_before_zeros": lambda is_kept: steps(~is_kept) - 1,
    },
}


@pytest.mark.parametrize(("id", "at"), [(id, at) for id, found in RIGHT.items() for at in range(len(found))])
def test_the_package_and_the_solution_pass(id, at):
    assert verdict(id, RIGHT[id][at]).message == f"{id} passes all {len(CHECKS[id].cases)} cases."


@pytest.mark.parametrize("case", LENGTHS.cases)
def test_the_lengths_are_those_of_a_code_without_unused_bits_and_within_a_bit_of_the_entropy(case):
    counts, lengths = np.array(dict(case.inputs)["counts"]), np.array(case.expected)
    assert (0.5**lengths).sum() == 1
    p = counts / counts.sum()
    entropy = -(p * np.log2(p)).sum()
    assert entropy <= p @ lengths < entropy + 1


def test_a_list_sorted_once_is_recognised_wherever_the_sums_are_put():
    sums_first = lambda nodes: sorted(nodes, key=lambda node: len(node[1]) == 1)  # noqa: E731
    found = verdict("huffman_lengths", lambda counts: sorted_once(counts, sums_first))
    assert found.message.startswith("The list was sorted once.")


@pytest.mark.parametrize(("id", "key"), [(id, key) for id in WRONG for key in WRONG[id]])
def test_each_misconception_of_chapter_07_is_recognised(id, key):
    sentences = {one.key: one.sentence for one in CHECKS[id].misconceptions}
    assert sentences.keys() == WRONG[id].keys()
    found = verdict(id, WRONG[id][key])
    assert not found.passed
    assert found.message.startswith(sentences[key])
