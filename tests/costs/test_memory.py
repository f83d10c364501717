"""Memory of a language model, against figures that others published."""

import pytest

from efflab.costs import Device, does_it_fit, kv_cache_bytes, llm_memory, presets, weight_bytes

KIB, MIB = 1024, 1024**2


def cache_per_token(name):
    model = presets().model(name)
    return kv_cache_bytes(layers=model.layers, kv_heads=model.kv_heads, head_dim=model.head_dim, context=1)


def test_sixteen_bits_are_two_bytes_for_each_parameter():
    assert weight_bytes(billion_parameters=7.0, bits=16) == 14e9
    assert weight_bytes(billion_parameters=7.0, bits=4) == 3.5e9


@pytest.mark.parametrize(
    ("name", "kib"),
    # KiB for each token in 16 bits, as others print them in their notes on serving these models
    [("Llama-3-8B", 128), ("Llama-3-70B", 320), ("Llama-3.2-1B", 32)],
)
def test_the_cache_of_one_token_is_what_is_published(name, kib):
    assert cache_per_token(name) / KIB == kib


def test_the_cache_of_llama_2_70b_is_what_two_others_count():
    model = presets().model("Llama-2-70B")
    shape = {"layers": model.layers, "kv_heads": model.kv_heads, "head_dim": model.head_dim}
    # The sample calculation of draft-calabria-bmwg-ai-fabric-inference-bench, appendix: 1,342,177,280 bytes for 4,096
    # tokens; llama.cpp's log for the same model and context: + 1280.00 MB per state.
    assert kv_cache_bytes(**shape, context=4096) == 1_342_177_280
    assert kv_cache_bytes(**shape, context=4096) / MIB == 1280


def test_grouped_queries_divide_the_cache_by_the_queries_in_a_group():
    assert kv_cache_bytes(kv_heads=64) == 8 * kv_cache_bytes(kv_heads=8)


@pytest.mark.parametrize("name", ["layers", "kv_heads", "context", "batch", "kv_bits"])
def test_the_cache_grows_in_proportion_to_everything_but_the_weights(name):
    few, many = (llm_memory(**{name: number}) for number in (4, 8))
    assert many.kv_cache_bytes == 2 * few.kv_cache_bytes
    assert many.weight_bytes == few.weight_bytes


def test_bits_change_the_weights_alone():
    half, full = llm_memory(bits=8), llm_memory(bits=16)
    assert full.weight_bytes == 2 * half.weight_bytes
    assert full.kv_cache_bytes == half.kv_cache_bytes
    assert full.total_bytes == full.weight_bytes + full.kv_cache_bytes


def device(gigabytes):
    return Device("d", "phone", gigabytes * 1e9, 50.0, "cited", None, None, "made up")


def test_a_model_fits_up_to_the_last_byte_and_is_tight_above_nine_tenths():
    memory = llm_memory(billion_parameters=4.0, bits=16, layers=1, kv_heads=1, head_dim=16, context=1)  # 8 GB and 64 B
    sizes = [memory.total_bytes / 1e9 * factor for factor in (2, 10 / 9, 1, 0.999)]
    fits = does_it_fit(memory, [device(size) for size in sizes])
    assert [fit.verdict for fit in fits] == ["fits", "fits", "tight", "too large"]
    assert [fit.fits for fit in fits] == [True, True, True, False]


def test_fitting_into_nothing_is_refused():
    with pytest.raises(ValueError, match="at least one device"):
        does_it_fit(llm_memory(), [])


@pytest.mark.parametrize(("bits", "n_fit", "n_with_room"), [(16, 4, 3), (4, 9, 8)])
def test_a_gpu_of_24_gb_holds_as_many_requests_as_chapter_01_says(bits, n_fit, n_with_room):
    gpu = [presets().device("RTX 4090")]
    verdicts = [does_it_fit(llm_memory(bits=bits, batch=batch), gpu)[0].verdict for batch in range(1, 17)]
    assert 16 - verdicts.count("too large") == n_fit
    assert verdicts.count("fits") == n_with_room
