"""What a bench of codebooks and a written file say, in the terms of chapter 07's questions."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import support

from efflab import Lab, prune_weights, questions, share_weights, step, train_centroids
from efflab.quantize.codebook import STARTS
from efflab.widgets.answers import EQUAL
from efflab.widgets.answers_of_codes import bits_of_kept, saved_by_huffman, trained_back, worst_start

CHAPTER = questions.load("07")
TWO = step(share_weights, bits=2)


@pytest.fixture(scope="module")
def lab() -> Lab:
    return Lab(support.tiny_cnn(), support.tiny_data())


def bench(lab, recipe, at=None, *, preview=None, trail=()) -> SimpleNamespace:
    """What these functions look at in a bench that shows `recipe`."""
    shown = preview or lab.preview(recipe)
    stage = SimpleNamespace(trail=list(trail))
    return SimpleNamespace(lab=lab, recipe=recipe, preview=shown, at=at or {"bits": 2}, then=(), stage=stage)


def keys(id: str) -> set[str]:
    return {option.key for option in CHAPTER.prediction(id).options}


def scored(lab, value, recipe=(TWO,)):
    """A preview of a recipe with this score."""
    return replace(lab.preview((TWO,)), recipe=recipe, evaluation=SimpleNamespace(value=value))


# Bits


def test_the_bits_of_a_weight_that_is_left_count_all_packed_bytes(lab):
    pruned = lab.after((step(prune_weights, sparsity=0.75),))
    size = pruned.preview((TWO,)).size
    kept = sum(int(weight.count_nonzero()) for weight in pruned.build((TWO,)).parameters() if weight.ndim > 1)
    assert bits_of_kept(bench(pruned, (TWO,))) == 8 * size.packed_bytes / kept
    assert bits_of_kept(bench(pruned, (TWO,))) > 2 + 1


def test_elsewhere_or_before_a_picture_there_are_no_bits(lab):
    assert bits_of_kept(bench(lab, (step(share_weights, bits=3),))) is None
    assert bits_of_kept(SimpleNamespace(preview=None)) is None


# Starts


def visited(lab, **scores):
    return [scored(lab, value, (step(share_weights, bits=2, start=start),)) for start, value in scores.items()]


@pytest.mark.parametrize("worst", STARTS)
def test_the_start_with_the_lowest_score_is_the_worst(lab, worst):
    trail = visited(lab, **{start: 0.5 if start == worst else 0.9 for start in STARTS})
    assert worst_start(bench(lab, (TWO,), trail=trail)) == worst
    assert worst in keys("worst_start")


@pytest.mark.parametrize(("apart", "key"), [(EQUAL / 2, "equal"), (EQUAL * 2, "density")])
def test_starts_that_end_close_together_are_equal(lab, apart, key):
    trail = visited(lab, linear=0.9, random=0.9, density=0.9 - apart)
    assert worst_start(bench(lab, (TWO,), trail=trail)) == key
    assert key in keys("worst_start")


def test_until_all_starts_were_seen_at_these_bits_there_is_no_worst(lab):
    trail = visited(lab, linear=0.9, random=0.8)
    assert worst_start(bench(lab, (TWO,), trail=trail)) is None
    elsewhere = scored(lab, 0.1, (step(share_weights, bits=3, start="density"),))
    assert worst_start(bench(lab, (TWO,), trail=[*trail, elsewhere])) is None


# Training


@pytest.mark.parametrize(("cut", "now", "key"), [(0.2, 0.1, "worse"), (0.2, 0.25, "nothing"), (0.2, 0.6, "part")])
def test_what_the_training_brought_back_is_told_as_a_part_of_what_was_lost(lab, cut, now, key):
    pretended = SimpleNamespace(baseline=SimpleNamespace(value=1.0), preview=lambda recipe: scored(lab, cut))
    shown = bench(lab, (TWO, step(train_centroids, epochs=1)), preview=scored(lab, now))
    shown.lab = pretended
    assert trained_back(shown) == key
    assert key in keys("trained_back")


@pytest.mark.parametrize(
    "recipe", [(TWO,), (step(share_weights, bits=3), step(train_centroids)), (TWO, step(prune_weights))]
)
def test_without_the_training_or_at_other_bits_there_is_no_answer(lab, recipe):
    shown = bench(lab, recipe, preview=scored(lab, 0.6))
    shown.lab = SimpleNamespace(baseline=SimpleNamespace(value=1.0), preview=lambda recipe: scored(lab, 0.2))
    assert trained_back(shown) is None


def test_a_training_that_was_stopped_is_no_answer(lab):
    shown = bench(lab, (TWO, step(train_centroids)), preview=replace(scored(lab, 0.6), is_partial=True))
    shown.lab = SimpleNamespace(baseline=SimpleNamespace(value=1.0), preview=lambda recipe: scored(lab, 0.2))
    assert trained_back(shown) is None


# Huffman's code


def test_what_huffman_saves_is_a_part_of_the_file_without_it(lab):
    encoded = lab.encode((step(share_weights, bits=3),))
    saved = saved_by_huffman(encoded)
    assert saved == pytest.approx(100 * (encoded.plain_bytes - encoded.n_bytes) / encoded.plain_bytes)


def test_a_code_that_costs_more_than_it_saves_is_negative(lab):
    encoded = lab.encode((step(share_weights, bits=3),))
    layers = tuple(replace(layer, plain_bytes=layer.n_bytes - 1) for layer in encoded.layers)
    assert saved_by_huffman(replace(encoded, layers=layers)) < 0
