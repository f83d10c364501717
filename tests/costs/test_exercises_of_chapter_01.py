"""What the exercises of chapter 01 expect is what the formulas of this room give."""

import pytest

from efflab.costs import decoding_speed, kv_cache_bytes
from efflab.questions import load
from efflab.questions.checking import run_check

CACHE, RATE = (next(one for one in load("01").checks if one.id == id) for id in ("kv_cache_bytes", "tokens_per_second"))


def own(case):
    return dict(case.inputs)


@pytest.mark.parametrize("case", [case for case in CACHE.cases if own(case)["head_dim"] >= 16])
def test_the_cache_is_that_of_the_package(case):
    settings = own(case)
    assert case.expected == kv_cache_bytes(kv_bits=settings.pop("bits"), **settings)


@pytest.mark.parametrize("case", RATE.cases)
def test_the_rate_is_that_of_the_package(case):
    settings = own(case)
    weights, cache, batch = settings["weight_bytes"], settings["kv_bytes"], settings["batch"]
    n_numbers = 2 * 16 * batch * 16 / 8  # one layer, one head of 16 numbers, one token, 16 bits
    speed = decoding_speed(
        billion_parameters=(weights + cache - n_numbers) / 1e9,
        bits=8,
        layers=1,
        kv_heads=1,
        head_dim=16,
        context=1,
        batch=batch,
        bandwidth_gb_per_s=settings["bandwidth_gb_per_s"],
    )
    assert case.expected == pytest.approx(speed.tokens_per_second)


@pytest.mark.parametrize(
    ("check", "function", "said"),
    [
        (
            CACHE,
            lambda layers, heads, dim, n, batch, bits: layers * heads * dim * n * batch * bits / 8,
            "a value as well",
        ),
        (CACHE, lambda n_l, h, d, n, b, bits: 2 * n_l * h * d * n * b * (bits // 8), "`//`"),
        (CACHE, lambda n_l, h, d, n, b, bits: 2 * n_l * h * d * n * bits / 8, "one request"),
        (RATE, lambda weights, cache, batch, rate: rate * 1e9 / (weights + cache), "one token in each step"),
        (RATE, lambda weights, cache, batch, rate: batch * rate * 2**30 / (weights + cache), "2 ** 30"),
    ],
)
def test_a_usual_mistake_is_answered_with_its_own_sentence(check, function, said):
    verdict = run_check(check, function)
    assert not verdict.passed
    assert said in verdict.message
