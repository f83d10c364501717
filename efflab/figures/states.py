"""Four states of one pruned network: how long each takes, and how many bytes it has, beside the base.

What is not measured yet has its row already, so that nothing jumps while the numbers come.

Reference: Han et al., Deep Compression, 2015, arXiv 1510.00149, section 6.3.
"""

import math
from collections.abc import Sequence

import pandas as pd

from efflab.figures.bars import bar_layout, bars
from efflab.figures.picture import Picture, draw
from efflab.figures.text import bytes_text, ms_text, percent_text
from efflab.figures.theme import BASE, NOW, TUNED, Json, translucent
from efflab.lab.states import ROWS, NoState, State

AnyState = State | NoState
LOOKS: dict[str, Json] = {"torch": {"color": NOW}, "ONNX Runtime": {"color": TUNED, "pattern": {"shape": "/"}}}
"""A colour and a hatch for each runtime."""
LABELS = {"torch": "{}", "ONNX Runtime": "{}<br>(ONNX)"}
"""How the row of a state is called in each runtime."""
FILE_LOOK: Json = {"color": NOW}
ZIPPED_LOOK: Json = {"color": BASE, "pattern": {"shape": "/"}}
BAND = translucent(BASE, 0.35)
BASE_LINE: Json = {
    "type": "line",
    **{"x0": 100, "x1": 100, "y0": 0, "y1": 1, "yref": "paper"},
    "line": {"color": BASE, "width": 2, "dash": "dash"},
}
NOT_YET = "not measured yet"
NOT_POSSIBLE = "not possible for this network"
TICKS = (1, 3, 10, 30, 100, 300, 1000, 3000, 10000)
FEW_DECADES = 1.6
"""On a longer axis the numbers between the powers of ten are left out, for a projector."""
SHORTEST, LONGEST = 10.0, 200.0
"""The axis shows at least this range, in percent, so that it seldom jumps."""
TEXT_ROOM = 1.2
"""Free space for the words behind the longest bar, as a fraction of the axis."""


def state_speeds(states: Sequence[AnyState]) -> Picture:
    """The time of each state, with its interval: bars to the left are faster than the base, to the right slower.

    The axis is logarithmic, so that twice as fast is as long as twice as slow. Grey is the noise floor.

    states: as far as they are measured.
    """
    rows = _rows(states)
    traces = [*(_speed_bars(runtime, rows) for runtime in LOOKS), _speed_texts(rows)]
    low, high = _log_ends(rows)
    step = 1 if high - low < FEW_DECADES else 2
    ticks = [tick for tick in TICKS[::step] if low <= math.log10(tick) <= high]
    layout = bar_layout([LABELS[row.runtime].format(row.name) for row in rows], "time of one run (%), base 100", 1.0)
    layout["xaxis"] |= {"type": "log", "range": [low, high + TEXT_ROOM * (high - low)]}
    layout["xaxis"] |= {"tickvals": ticks, "ticktext": [f"{tick}" for tick in ticks]}
    bands = [_noise_floor(place, row) for place, row in enumerate(rows) if isinstance(row, State)]
    layout |= {"barmode": "overlay", "shapes": [*bands, BASE_LINE]}
    return Picture(draw(traces, layout), _speed_sentence(rows), _table(rows))


def state_sizes(states: Sequence[AnyState], base: tuple[int, int] | None = None) -> Picture:
    """The bytes of each state's file in torch, as it is and zipped; the first row is the base.

    states: as far as they are measured. base: the bytes of its file, as it is and zipped, where they are known.
    """
    rows = [row for row in _rows(states) if row.runtime == "torch"]
    base = base or base_bytes(rows) or (0, 0)
    sizes = [base, *((row.n_bytes, row.compressed_bytes) if isinstance(row, State) else (0, 0) for row in rows)]
    words = ["" if any(base) else NOT_YET, *(_missing(row) for row in rows)]
    files, zipped = ([size[i] for size in sizes] for i in (0, 1))
    traces = [_size_bars("file", files, words, FILE_LOOK), _size_bars("zipped", zipped, words, ZIPPED_LOOK)]
    layout = bar_layout(["base", *(row.name for row in rows)], "file (MB)", (max(files) or 1e6) / 1e6)
    return Picture(draw(traces, layout), _size_sentence(sizes, rows), _table(rows))


def base_bytes(states: Sequence[AnyState]) -> tuple[int, int] | None:
    """The bytes of the base's file in torch, as it is and zipped; None until a state was weighed."""
    found = (state for state in states if isinstance(state, State) and state.runtime == "torch")
    return next(((state.base_bytes, state.base_compressed_bytes) for state in found), None)


def _rows(states: Sequence[AnyState]) -> list[AnyState]:
    """What was measured, and a row for each that is still to come."""
    there = {(state.name, state.runtime): state for state in states}
    return [there.get(row) or NoState(*row, NOT_YET) for row in ROWS]


def _missing(row: AnyState) -> str:
    """Why there is no number, in few words; the whole reason is in the table."""
    if isinstance(row, State):
        return ""
    return NOT_YET if row.reason == NOT_YET else NOT_POSSIBLE


def _log_ends(rows: Sequence[AnyState]) -> tuple[float, float]:
    """From the fastest to the slowest, as powers of ten."""
    lows, highs = [SHORTEST], [LONGEST]
    for low, _, high in map(_percents, rows):
        lows.append(low / 1.1)
        highs.append(high * 1.1)
    return math.log10(min(lows)), math.log10(max(highs))


def _speed_bars(runtime: str, rows: Sequence[AnyState]) -> Json:
    """One trace for each runtime, so that the legend tells them apart; what has no number has a bar of no length."""
    own = [(place, *_percents(row)) for place, row in enumerate(rows) if row.runtime == runtime]
    places, lows, middles, highs = (list(column) for column in zip(*own, strict=True))
    error: Json = {"type": "data", "symmetric": False, "thickness": 2, "width": 5, "color": BASE}
    error["array"] = [high - middle for high, middle in zip(highs, middles, strict=True)]
    error["arrayminus"] = [middle - low for low, middle in zip(lows, middles, strict=True)]
    drawn = bars(runtime, places, [middle - 100 for middle in middles], [""] * len(own), LOOKS[runtime])
    return drawn | {"base": [100.0] * len(own), "error_x": error}


def _speed_texts(rows: Sequence[AnyState]) -> Json:
    """The words, to the right of bar, interval and noise floor."""
    floors = [100 * (1 + row.speed.noise_floor) if isinstance(row, State) else 100.0 for row in rows]
    return {
        "type": "scatter",
        "mode": "text",
        "x": [max(_percents(row)[2], floor) for row, floor in zip(rows, floors, strict=True)],
        "y": list(range(len(rows))),
        "text": [_words(row) for row in rows],
        "textposition": "middle right",
        "cliponaxis": False,
        "hoverinfo": "skip",
        "showlegend": False,
    }


def _percents(row: AnyState) -> tuple[float, float, float]:
    """The ratio and its interval in percent: low, middle, high."""
    if isinstance(row, NoState):
        return 100.0, 100.0, 100.0
    return 100 * row.speed.ratio_low, 100 * row.speed.ratio, 100 * row.speed.ratio_high


def _words(row: AnyState) -> str:
    """Beside the bar, in at most two short lines."""
    if isinstance(row, NoState):
        return f" {_missing(row)}"
    if not row.speed.is_different:
        return " no measurable<br> difference"
    return f" {row.speed.verdict}<br> {row.speed.base.median_ms:.2g} → {row.speed.now.median_ms:.2g} ms"


def _speed_text(row: AnyState) -> str:
    return f"{ms_text(row.speed.now.median_ms)}, {row.speed.verdict}" if isinstance(row, State) else _missing(row)


def _noise_floor(place: int, row: State) -> Json:
    """A ratio in here shows nothing."""
    most = 1 + row.speed.noise_floor
    ends = {"x0": 100 / most, "x1": 100 * most, "y0": place - 0.45, "y1": place + 0.45}
    return {"type": "rect", **ends, "fillcolor": BAND, "line": {"width": 0}, "layer": "below"}


def _size_bars(name: str, n_bytes: Sequence[int], words: Sequence[str], look: Json) -> Json:
    texts = [word or bytes_text(n) for n, word in zip(n_bytes, words, strict=True)]
    return bars(name, range(len(n_bytes)), [n / 1e6 for n in n_bytes], texts, look)


def _speed_sentence(rows: Sequence[AnyState]) -> str:
    said = "; ".join(f"{row.name} in {row.runtime}: {_speed_text(row)}" for row in rows)
    speeds = [row.speed for row in rows if isinstance(row, State)]
    if not speeds:
        return f"{said}."
    threads = f"{speeds[0].threads} thread{'s' if speeds[0].threads > 1 else ''}"
    busy = " The machine was busy, so the times are rough." if any(speed.busy for speed in speeds) else ""
    return f"Batches of {speeds[0].batch} on {threads} of {speeds[0].machine}. {said}.{busy}"


def _size_sentence(sizes: Sequence[tuple[int, int]], rows: Sequence[AnyState]) -> str:
    words = ["", *(_missing(row) for row in rows)]
    said = [
        f"{name} {word or f'{bytes_text(file)}, zipped {bytes_text(zipped)}'}"
        for name, word, (file, zipped) in zip(["base", *(row.name for row in rows)], words, sizes, strict=True)
    ]
    return f"The files: {'; '.join(said)}." if any(file for file, _ in sizes) else "No file is weighed yet."


def _table(rows: Sequence[AnyState]) -> pd.DataFrame:
    columns = ["state", "runtime", "file", "zipped", "base (ms)", "now (ms)", "takes", "95 % interval", "noise floor"]
    columns.append("difference")
    return pd.DataFrame([_cells(row) for row in rows], columns=columns)


def _cells(row: AnyState) -> tuple[str, ...]:
    if isinstance(row, NoState):
        return (row.name, row.runtime, *[""] * 7, row.reason)
    speed = row.speed
    times = f"{speed.base.median_ms:.3g}", f"{speed.now.median_ms:.3g}"
    files = bytes_text(row.n_bytes), bytes_text(row.compressed_bytes)
    low, high = (percent_text(end, 0) for end in (speed.ratio_low, speed.ratio_high))
    ratio = percent_text(speed.ratio, 0), f"{low} to {high}"
    return (row.name, row.runtime, *files, *times, *ratio, percent_text(speed.noise_floor), speed.verdict)
