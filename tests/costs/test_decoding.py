"""Tokens a second from bandwidth: hand arithmetic, limits, and a speed that somebody measured below the bound."""

import pytest

from efflab.costs import decoding_speed, presets


def test_one_request_reads_all_weights_and_its_cache_for_each_token():
    speed = decoding_speed(billion_parameters=1.0, bits=8, layers=1, kv_heads=1, head_dim=128, context=1)
    assert speed.bytes_per_token == 1e9 + 2 * 128 * 2
    assert speed.tokens_per_second == pytest.approx(100e9 / (1e9 + 512))


def test_a_batch_shares_the_weights_and_not_the_cache():
    one, eight = (decoding_speed(batch=batch) for batch in (1, 8))
    assert eight.bytes_per_token == pytest.approx(one.weight_bytes / 8 + one.kv_cache_bytes)
    assert one.tokens_per_second < eight.tokens_per_second < 8 * one.tokens_per_second
    assert eight.tokens_per_second_each == eight.tokens_per_second / 8 < one.tokens_per_second


def test_four_bits_are_nearly_four_times_as_fast_alone_and_gain_little_when_the_cache_is_most_of_it():
    alone, crowd = (
        decoding_speed(bits=4, batch=batch, context=context).tokens_per_second
        / decoding_speed(bits=16, batch=batch, context=context).tokens_per_second
        for batch, context in ((1, 512), (64, 4096))
    )
    assert alone == pytest.approx(3.78, abs=0.05)
    assert crowd < 1.1


def test_the_bound_is_above_what_others_measured():
    model = presets().model("TinyLlama-1.1B")
    laptop = presets().device("MacBook Air M2")
    bound = decoding_speed(
        **model.shape, bits=4, context=512, bandwidth_gb_per_s=laptop.bandwidth_gb_per_s
    ).tokens_per_second
    # jzhang38/TinyLlama, README (2023): llama.cpp on a Mac M2 with 16 GB, batch 1, 4 bits: 71.8 tokens a second
    assert 71.8 < bound < 4 * 71.8
