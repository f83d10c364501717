"""The calculators of chapter 01: memory, tokens a second and training of a model.

Each is one formula of `efflab.costs`; here stands only which presets it offers and which tiles it shows. Serving, which
rests on a measurement, has a room of its own. `controls` and `start` are as for `Calculator`.
"""

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from efflab.costs import (
    DecodingSpeed,
    Device,
    Memory,
    TrainingCost,
    decoding_speed,
    does_it_fit,
    estimated_cost,
    llm_memory,
    presets,
    training_cost,
)
from efflab.costs.memory import TIGHT
from efflab.costs.texts import electricity, power, three
from efflab.figures import Picture
from efflab.figures.cost_of_training import training_beside_runs
from efflab.figures.costs import decoding_bound, memory_use
from efflab.figures.text import bytes_text, percent_text
from efflab.knobs import Value
from efflab.widgets.calculator import Calculator
from efflab.widgets.calculator_electricity import COUNTRY, countries, electricity_line
from efflab.widgets.calculator_subject import Chosen, Preset, Subject, from_chooser
from efflab.widgets.tiles import badge, tile

MODEL, DEVICE, RUN, GPU = "Model", "Device", "Published training", "GPU"
SHAPE = ("billion_parameters", "layers", "kv_heads", "head_dim")
FITTED = ("Galaxy S24 Ultra", "MacBook Air M2", "RTX 4090", "A100 80GB")
"""The devices of "does it fit?": a phone, a laptop, a GPU for one, a GPU of a data centre."""
BITS = (32, 16, 8, 4)
BATCHES = (*range(1, 17), *range(18, 33, 2), *range(36, 65, 4))

TIGHT_MEANS = f"tight: above {100 * TIGHT:.0f} %, and the system needs some of it, too"
WEIGHTS = "parameters x bits / 8"
CACHE = "2 (keys and values) x layers x kv_heads x head_dim x context x batch x bits / 8"
BOUND = "bandwidth / bytes read for each token: each weight, and the request's own keys and values, are read once"
ASSUMED = ("utilisation", "pue", "grams_per_kwh")
"""What the estimates of published trainings take from the controls; their GPU is their own."""
FLOPS = "6 for each parameter and token: 2 forwards, 4 backwards"


def llm_memory_calculator(
    *, controls: Sequence[str] | None = None, start: Mapping[str, Value] | None = None
) -> Calculator:
    """What a language model takes in memory, and into which devices it fits; headless: `llm_memory`, `does_it_fit`."""
    return Calculator(
        Subject(
            llm_memory,
            _memory_tiles,
            _memory_picture,
            choosers={MODEL: _models()},
            chosen={MODEL: "Llama-2-7B"},
            folded=SHAPE,
            fold_title="The shape of the model",
            remark=_context_remark,
        ),
        controls=controls,
        start=start,
    )


def decoding_calculator(
    *, controls: Sequence[str] | None = None, start: Mapping[str, Value] | None = None
) -> Calculator:
    """How many tokens a second the memory's bandwidth allows at most; headless: `decoding_speed`."""
    return Calculator(
        Subject(
            decoding_speed,
            _decoding_tiles,
            _decoding_picture,
            choosers={MODEL: _models(), DEVICE: _devices()},
            chosen={MODEL: "Llama-2-7B", DEVICE: "MacBook Air M2"},
            start={"bits": 4},
            folded=(*SHAPE, "bandwidth_gb_per_s"),
            fold_title="Model and memory",
            remark=_decoding_remark,
        ),
        controls=controls,
        start=start,
    )


def training_calculator(
    *, controls: Sequence[str] | None = None, start: Mapping[str, Value] | None = None
) -> Calculator:
    """Operations, time, electricity and carbon of a training beside published ones; headless: `training_cost`."""
    return Calculator(
        Subject(
            training_cost,
            _training_tiles,
            _training_picture,
            choosers={RUN: _runs(), GPU: _gpus(), COUNTRY: countries()},
            chosen={RUN: "Llama 2 7B", GPU: "A100 80GB", COUNTRY: "World"},
            folded=("peak_tflops", "watts", "devices", "grams_per_kwh"),
            fold_title="Device and electricity",
            height=420,
        ),
        controls=controls,
        start=start,
    )


# What there is to choose.


def _models() -> tuple[Preset, ...]:
    return tuple(Preset(model.name, model.shape, model.source) for model in presets().models)


def _devices() -> tuple[Preset, ...]:
    return tuple(
        Preset(
            device.name, {"bandwidth_gb_per_s": device.bandwidth_gb_per_s}, device.source, kind=device.bandwidth_badge
        )
        for device in presets().devices
    )


def _runs() -> tuple[Preset, ...]:
    return tuple(
        Preset(
            run.model, {"billion_parameters": run.n_parameters / 1e9, "billion_tokens": run.n_tokens / 1e9}, run.source
        )
        for run in presets().runs
    )


def _gpus() -> tuple[Preset, ...]:
    return tuple(
        Preset(device.name, {"peak_tflops": device.peak_tflops, "watts": device.watts}, device.source)
        for device in presets().devices
        if device.peak_tflops is not None and device.watts is not None
    )


# How each result is shown.


def _context_remark(chosen: Chosen, settings: Mapping[str, Any]) -> str:
    """What the formulas do not know: a model answers badly beyond the context that it was trained for."""
    preset = chosen[MODEL]
    trained = presets().model(preset.name).context if preset else None
    if preset is None or trained is None or settings["context"] <= trained:
        return ""
    return (
        f"{preset.name} was trained for at most {trained:,} tokens of context. With {settings['context']:,} the "
        "numbers here hold, but its answers may not."
    )


def _decoding_remark(chosen: Chosen, settings: Mapping[str, Any]) -> str:
    """A bandwidth knows no size: whether the device has room for what it should read, then the context."""
    device, context = _device_of(settings), _context_remark(chosen, settings)
    memory = llm_memory(**{name: value for name, value in settings.items() if name != "bandwidth_gb_per_s"})
    if device is None or memory.total_bytes <= device.memory_bytes:
        return context
    return (
        f"This does not fit: it takes {bytes_text(memory.total_bytes)}, and the {device.name} has "
        f"{device.memory_bytes / 1e9:g} GB. {context}"
    ).strip()


def _device_of(settings: Mapping[str, Any]) -> Device | None:
    """The device that reads its memory at the bandwidth of these settings; no two are alike."""
    bandwidth = settings["bandwidth_gb_per_s"]
    return next((one for one in presets().devices if one.bandwidth_gb_per_s == bandwidth), None)


def _memory_tiles(memory: Memory, chosen: Chosen) -> str:
    fits = does_it_fit(memory, [presets().device(name) for name in FITTED])
    cache = () if memory.is_mostly_weights else (f"KV cache {bytes_text(memory.kv_cache_bytes)}",)
    sizes = tile(
        "Memory",
        bytes_text(memory.total_bytes),
        f"weights {bytes_text(memory.weight_bytes)} {badge('computed', WEIGHTS)}",
        *(f"{line} {badge('computed', CACHE)}" for line in cache),
        f"the model's shape {from_chooser(chosen, MODEL)}",
    )
    lines = [
        f"<b>{fit.verdict}</b>: {percent_text(fit.share)} of {escape(fit.device.name)} ({fit.device.kind}, "
        f"{fit.device.memory_bytes / 1e9:g} GB) {badge('cited', fit.device.source)}"
        for fit in fits
    ]
    n_fits = sum(fit.fits for fit in fits)
    return sizes + tile("Does it fit?", f"into {n_fits} of {len(fits)}", *lines, TIGHT_MEANS)


def _memory_picture(memory: Memory, settings: Mapping[str, Any]) -> Picture:
    others = [llm_memory(**{**settings, "bits": bits}) for bits in BITS if bits != memory.bits]
    return memory_use(memory, others, does_it_fit(memory, [presets().device(name) for name in FITTED]))


def _decoding_tiles(speed: DecodingSpeed, chosen: Chosen) -> str:
    each = three(speed.tokens_per_second_each)
    shared = f", shared by {speed.batch:,}" if speed.batch > 1 else ""
    return tile(
        "Tokens per second",
        f"≤ {three(speed.tokens_per_second)}",
        f"an upper bound {badge('computed', BOUND)}",
        f"for each of {speed.batch:,} requests ≤ {each}" if speed.batch > 1 else "for one request",
    ) + tile(
        "Read for each token",
        bytes_text(speed.bytes_per_token),
        f"weights {bytes_text(speed.weight_bytes)}, KV cache {bytes_text(speed.kv_cache_bytes)}{shared} "
        f"{badge('computed', f'({WEIGHTS} + {CACHE}) / batch')}",
        f"at {three(speed.bandwidth_gb_per_s)} GB/s {from_chooser(chosen, DEVICE)}",
        f"the model's shape {from_chooser(chosen, MODEL)}",
    )


def _decoding_picture(speed: DecodingSpeed, settings: Mapping[str, Any]) -> Picture:
    curve, base = (
        [decoding_speed(**{**settings, "batch": batch, "bits": bits}) for batch in BATCHES] for bits in (speed.bits, 16)
    )
    device = _device_of(settings)
    return decoding_bound(speed, curve, base, device.memory_bytes if device else math.inf)


def _training_tiles(cost: TrainingCost, chosen: Chosen) -> str:
    assumed = badge("estimated", "rests on the utilisation, the watts of the device and the PUE: assumptions")
    hours = "the hours " + badge("estimated", "operations / (peak x utilisation); the utilisation is yours to change")
    tonnes, used = f"{three(cost.co2_kg / 1000)} t of CO2", f"{electricity(cost.energy_kwh)} of electricity"
    return (
        tile(
            "Operations",
            power(cost.flops),
            f"6 x parameters x tokens {badge('computed', FLOPS)}",
            f"the training {from_chooser(chosen, RUN)}",
        )
        + tile(
            "Device hours", three(cost.device_hours), hours, _duration(cost), f"the device {from_chooser(chosen, GPU)}"
        )
        + tile("Carbon", tonnes, f"{used} {assumed}", electricity_line(chosen))
    )


def _duration(cost: TrainingCost) -> str:
    """Days, and from a year on years, with all devices at work."""
    years = f" ({three(cost.days / 365.25)} years)" if cost.days >= 365.25 else ""
    who = "one device" if cost.devices == 1 else f"all {cost.devices:,} devices at work"
    return f"{three(cost.days)} days{years} with {who}"


def _training_picture(cost: TrainingCost, settings: Mapping[str, Any]) -> Picture:
    runs = presets().runs
    own = {name: settings[name] for name in ASSUMED}
    return training_beside_runs(cost, runs, [estimated_cost(run, **own) for run in runs])
