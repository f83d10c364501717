"""What models cost: their memory beside devices, their speed over the batch, and what their training emits.

Cited numbers and computed ones never share a marker.
"""

import math
from collections.abc import Sequence

import pandas as pd

from efflab.costs import DecodingSpeed, Fit, Memory
from efflab.costs.texts import plural, three
from efflab.figures.picture import Picture, draw
from efflab.figures.text import bytes_text, percent_text
from efflab.figures.theme import BASE, DASHES, NOW, Json, translucent

CACHE = "KV cache (GB)"


def memory_use(now: Memory, others: Sequence[Memory], fits: Sequence[Fit]) -> Picture:
    """Weights and KV cache stacked, one bar for each number of bits, with the memories of devices as lines.

    others: the same model with other bits, `now` not among them; fits: of `now`, one for each device to draw.
    """
    rows = sorted([now, *others], key=lambda memory: -memory.bits)
    traces = [_weights(rows, now)] if now.is_mostly_weights else [_weights(rows, now), _cache(rows, now)]
    end = _axis_end(rows, fits)
    traces += [_device_line(index, fit, len(rows)) for index, fit in enumerate(fits)]
    figure = draw(traces, _memory_layout(rows, now, end))
    table = _memory_table(rows, fits)
    return Picture(figure, _memory_sentence(now, fits), table.drop(columns=CACHE) if now.is_mostly_weights else table)


def _weights(rows: Sequence[Memory], now: Memory) -> Json:
    fills = [
        NOW if row is now else translucent(BASE, 0.35) for row in rows
    ]  # the lines must be seen through the others
    outline = {"color": _row_colours(rows, now)}
    return _bar("weights", rows, [row.weight_bytes for row in rows]) | {"marker": {"color": fills, "line": outline}}


def _cache(rows: Sequence[Memory], now: Memory) -> Json:
    colours = _row_colours(rows, now)
    hatched = {"color": "rgba(0,0,0,0)", "line": {"color": colours}, "pattern": {"shape": "/", "fgcolor": colours}}
    return _bar("KV cache", rows, [row.kv_cache_bytes for row in rows]) | {"marker": hatched}


def _row_colours(rows: Sequence[Memory], now: Memory) -> list[str]:
    return [NOW if row is now else BASE for row in rows]


def _bar(name: str, rows: Sequence[Memory], n_bytes: Sequence[float]) -> Json:
    return {
        "type": "bar",
        "orientation": "h",
        "name": name,
        "x": [n / 1e9 for n in n_bytes],
        "y": list(range(len(rows))),
        "width": 0.6,
        "hovertemplate": f"{name}: %{{x:.3~g}} GB<extra></extra>",
    }


def _device_line(index: int, fit: Fit, n_rows: int) -> Json:
    memory = fit.device.memory_bytes
    return {
        "type": "scatter",
        "mode": "lines",
        "name": f"{fit.device.kind} {memory / 1e9:g} GB",
        "x": [memory / 1e9] * 2,
        "y": [-0.5, n_rows - 0.5],
        "line": {"color": BASE, "dash": DASHES[1:][index % (len(DASHES) - 1)]},
        "hoverinfo": "skip",
    }


def _axis_end(rows: Sequence[Memory], fits: Sequence[Fit]) -> float:
    """Bytes: beyond the largest device, and doubled until the longest bar is in; so bars shrink and no scale moves."""
    end = 1.1 * max(fit.device.memory_bytes for fit in fits)
    longest = max(row.total_bytes for row in rows)
    return end if longest <= end else end * 2 ** math.ceil(math.log2(longest / end))


def _memory_layout(rows: Sequence[Memory], now: Memory, end: float) -> Json:
    return {
        "barmode": "stack",
        "legend": {"traceorder": "normal"},
        "xaxis": {"title": {"text": "memory (GB)"}, "range": [0, end / 1e9]},
        "yaxis": {
            "range": [len(rows) - 0.5, -0.5],
            "tickvals": list(range(len(rows))),
            "ticktext": [_row_name(row, now) for row in rows],
            "ticks": "",
            "showgrid": False,
        },
    }


def _row_name(row: Memory, now: Memory) -> str:
    """The bits and the bytes; what is set now in bold."""
    text = f"{plural(row.bits, 'bit')}: {bytes_text(row.total_bytes)}"
    return f"<b>{text}</b>" if row is now else text


def _memory_sentence(now: Memory, fits: Sequence[Fit]) -> str:
    verdicts = ", ".join(f"{fit.device.name} {fit.verdict} ({percent_text(fit.share)})" for fit in fits)
    weights, cache = bytes_text(now.weight_bytes), bytes_text(now.kv_cache_bytes)
    parts = "" if now.is_mostly_weights else f": {weights} of weights and {cache} of KV cache"
    return (
        f"With {plural(now.bits, 'bit')} for each weight the model takes {bytes_text(now.total_bytes)}{parts}. "
        f"Of each device's memory: {verdicts}."
    )


def _memory_table(rows: Sequence[Memory], fits: Sequence[Fit]) -> pd.DataFrame:
    frame = pd.DataFrame({"bits": [row.bits for row in rows]})
    frame["weights (GB)"] = [round(row.weight_bytes / 1e9, 3) for row in rows]
    frame[CACHE] = [round(row.kv_cache_bytes / 1e9, 3) for row in rows]
    frame["total (GB)"] = [round(row.total_bytes / 1e9, 3) for row in rows]
    for fit in fits:
        memory = fit.device.memory_bytes
        frame[f"of {fit.device.name} (%)"] = [round(100 * row.total_bytes / memory, 1) for row in rows]
    return frame


def decoding_bound(
    now: DecodingSpeed,
    curve: Sequence[DecodingSpeed],
    base: Sequence[DecodingSpeed],
    memory_bytes: float = math.inf,
) -> Picture:
    """The most tokens a second, over the batch: of all requests together, and of each.

    An upper bound, from the bandwidth alone. base: the same with other bits; drawn only if they differ. memory_bytes:
    of the device; what does not fit into it is drawn pale.
    """
    points = [*curve, *base, now]
    bases = [_bound(base, f"{base[0].bits} bits", {"color": BASE, "dash": "dash"})] if base[0].bits != now.bits else []
    traces = [
        *(part for whole in bases for part in _fitting(whole, base, memory_bytes)),
        *_fitting(_bound(curve, f"{now.bits} bits, now", {"color": NOW}), curve, memory_bytes),
        *_fitting(_each(curve), curve, memory_bytes),
        {
            "type": "scatter",
            "mode": "markers",
            "x": [now.batch],
            "y": [now.tokens_per_second],
            "marker": {"color": NOW, "symbol": "diamond"},
            "name": "this setting",
            "hovertemplate": "batch %{x}: at most %{y:.3~g} tokens/s<extra></extra>",
        },
    ]
    batches = sorted({point.batch for point in points})
    layout = {
        "xaxis": {
            "title": {"text": "batch (requests at once, log)"},
            "type": "log",
            "tickvals": [batch for batch in batches if batch & (batch - 1) == 0],  # powers of two
            "range": [math.log10(batches[0]) - 0.1, math.log10(batches[-1]) + 0.1],
        },
        "yaxis": decade_axis(
            "tokens per second, at most (log)",
            [rate for point in points for rate in (point.tokens_per_second, point.tokens_per_second_each)],
        ),
        "showlegend": True,
    }
    return Picture(draw(traces, layout), _bound_sentence(now), _bound_table(curve, base))


def _bound(points: Sequence[DecodingSpeed], name: str, line: Json) -> Json:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": [point.batch for point in points],
        "y": [point.tokens_per_second for point in points],
        "line": line,
        "hovertemplate": f"{name}, batch %{{x}}: at most %{{y:.3~g}} tokens/s<extra></extra>",
    }


def _each(points: Sequence[DecodingSpeed]) -> Json:
    rates = [point.tokens_per_second_each for point in points]
    return _bound(points, f"{points[0].bits} bits, each request", {"color": NOW, "dash": "dot"}) | {"y": rates}


def _fitting(trace: Json, points: Sequence[DecodingSpeed], memory_bytes: float) -> list[Json]:
    """The curve as far as the points fit into the memory, and the rest of it, pale."""
    n_fit = sum(point.weight_bytes + point.kv_cache_bytes <= memory_bytes for point in points)
    if n_fit == len(points):
        return [trace]
    start = max(0, n_fit - 1)  # the pale part begins where the other ends
    rest = {"opacity": 0.3, "name": f"{trace['name']}: does not fit", "showlegend": False}
    fits, beyond = ({axis: trace[axis][part] for axis in "xy"} for part in (slice(n_fit), slice(start, None)))
    return [trace | fits, trace | beyond | rest]


def _bound_sentence(now: DecodingSpeed) -> str:
    each = f" ({three(now.tokens_per_second_each)} for each of {now.batch:,} requests)" if now.batch > 1 else ""
    return (
        f"At most {three(now.tokens_per_second)} tokens per second{each}: {bytes_text(now.bytes_per_token)} are read "
        f"for each token, at {three(now.bandwidth_gb_per_s)} GB/s. This is an upper bound, from the bandwidth alone."
    )


def _bound_table(curve: Sequence[DecodingSpeed], base: Sequence[DecodingSpeed]) -> pd.DataFrame:
    table = pd.DataFrame({"batch": [point.batch for point in curve]})
    table[f"at most, {curve[0].bits} bits (tokens/s)"] = [round(point.tokens_per_second, 2) for point in curve]
    table["each request (tokens/s)"] = [round(point.tokens_per_second_each, 2) for point in curve]
    if base[0].bits != curve[0].bits:
        table[f"at most, {base[0].bits} bits (tokens/s)"] = [round(point.tokens_per_second, 2) for point in base]
    return table


def decade_axis(title: str, values: Sequence[float]) -> Json:
    """A logarithmic axis over whole decades, so that it jumps seldom while a slider moves."""
    known = [value for value in values if value > 0]
    low, high = math.floor(math.log10(min(known)) - 0.02), math.ceil(math.log10(max(known)) + 0.02)
    stride = 1 if high - low <= 4 else 2  # more numbers would not stand side by side on a projector
    ticks = [10.0**power for power in range(low, high + 1, stride)]
    return {
        "title": {"text": title},
        "type": "log",
        "range": [low, high],
        "tickvals": ticks,
        "ticktext": [three(tick) for tick in ticks],
        "tickangle": 0,
    }
