"""One network, several ways to run it: how long each takes, how many bytes it has, and how often it is right.

Everything here is real: files that were written, weighed, timed, and judged by what they answer. What is not measured
yet has its row already, so that nothing jumps while the numbers come.

Reference: ONNX Runtime, Quantize ONNX models,
https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html.
"""

from collections.abc import Callable, Sequence

import pandas as pd

from efflab.figures.bars import bar_layout, bars, words_behind
from efflab.figures.picture import Picture, draw
from efflab.figures.text import bytes_text, difference_text, interval_text, ms_text, percent_text, score_text
from efflab.figures.theme import BASE, NOW, Json
from efflab.lab.kernels import WAYS, Kernel, NoKernel

AnyKernel = Kernel | NoKernel
LOOKS: dict[str, Json] = {
    "floats are multiplied": {"color": BASE, "pattern": {"shape": "/"}},
    "integers, in some layers or in all": {"color": NOW},
}
"""A colour and a hatch for what the kernels multiply."""
NOT_YET = "not measured yet"
NOT_POSSIBLE = "not possible for this network"
WORDS_ROOM = 0.8
"""Free space behind the longest bar for two short numbers, as a fraction of the bar."""


def kernel_times(kernels: Sequence[AnyKernel]) -> Picture:
    """The milliseconds of one run of each way, with quartiles, and how it compares with the float file.

    kernels: as far as they are measured.
    """
    rows = _rows(kernels)
    longest = max([row.speed.now.q3_ms for row in rows if isinstance(row, Kernel)], default=1.0)
    traces = [_trace(look, rows, _ms) | {"error_x": _quartiles(look, rows)} for look in LOOKS] + [_words(rows)]
    batch = next((f" of {row.speed.batch}" for row in rows if isinstance(row, Kernel)), "")
    layout = bar_layout(WAYS, f"one run, batch{batch} (ms)", longest, room=WORDS_ROOM) | {"barmode": "overlay"}
    return Picture(draw(traces, layout), _time_sentence(rows), _table(rows))


def kernel_sizes(kernels: Sequence[AnyKernel]) -> Picture:
    """The bytes of the file of each way, and beside them the score of what the file answers.

    kernels: as far as they are measured.
    """
    rows = _rows(kernels)
    longest = max([_megabytes(row) for row in rows if isinstance(row, Kernel)], default=1.0)
    traces = [_trace(look, rows, _megabytes, _size_words) for look in LOOKS]
    layout = bar_layout(WAYS, "file (MB)", longest, room=WORDS_ROOM) | {"barmode": "overlay"}
    return Picture(draw(traces, layout), _size_sentence(rows), _table(rows))


def _rows(kernels: Sequence[AnyKernel]) -> list[AnyKernel]:
    """What was measured, and a row for each that is still to come."""
    there = {kernel.way: kernel for kernel in kernels}
    return [there.get(way) or NoKernel(way, NOT_YET) for way in WAYS]


def _look(row: AnyKernel) -> str:
    """Which of `LOOKS` a row has; one without a number has a bar of no length in the first."""
    floats, integers = LOOKS
    return integers if isinstance(row, Kernel) and row.n_integer else floats


def _of(look: str, rows: Sequence[AnyKernel]) -> list[tuple[int, AnyKernel]]:
    return [(place, row) for place, row in enumerate(rows) if _look(row) == look]


def _trace(
    look: str,
    rows: Sequence[AnyKernel],
    length: Callable[[Kernel], float],
    words: Callable[[AnyKernel], str] = lambda row: "",
) -> Json:
    """One trace for each look, so that the legend tells them apart."""
    own = _of(look, rows)
    lengths = [length(row) if isinstance(row, Kernel) else 0.0 for _, row in own]
    texts = [words(row) for _, row in own]
    return bars(look, [place for place, _ in own], lengths, texts, LOOKS[look])


def _quartiles(look: str, rows: Sequence[AnyKernel]) -> Json:
    times = [row.speed.now if isinstance(row, Kernel) else None for _, row in _of(look, rows)]
    error: Json = {"type": "data", "symmetric": False, "thickness": 2, "width": 5, "color": BASE}
    error["array"] = [time.q3_ms - time.median_ms if time else 0.0 for time in times]
    error["arrayminus"] = [time.median_ms - time.q1_ms if time else 0.0 for time in times]
    return error


def _ms(row: Kernel) -> float:
    return row.speed.now.median_ms


def _megabytes(row: Kernel) -> float:
    return row.n_bytes / 1e6


def _words(rows: Sequence[AnyKernel]) -> Json:
    """What stands to the right of bar and quartiles, in two short lines."""
    ends = [row.speed.now.q3_ms if isinstance(row, Kernel) else 0.0 for row in rows]
    return words_behind(ends, [f" {_time_words(row).replace(', ', '<br> ')}" for row in rows])


def _time_words(row: AnyKernel) -> str:
    """Milliseconds, and how they compare with those of the float file; that one is not compared with itself."""
    if isinstance(row, NoKernel):
        return _missing(row)
    return ms_text(_ms(row)) + (f", {row.speed.verdict}" if row.way != WAYS[0] else "")


def _size_words(row: AnyKernel) -> str:
    if isinstance(row, NoKernel):
        return _missing(row)
    return f"{bytes_text(row.n_bytes)}, {score_text(row.evaluation.value, row.evaluation.task)}"


def _missing(row: NoKernel) -> str:
    """Why there is no number, in few words; the whole reason is in the table."""
    return NOT_YET if row.reason == NOT_YET else NOT_POSSIBLE


def _time_sentence(rows: Sequence[AnyKernel]) -> str:
    said = "; ".join(f"{row.way} {_time_words(row)}" for row in rows)
    speeds = [row.speed for row in rows if isinstance(row, Kernel)]
    if not speeds:
        return f"{said}."
    threads = f"{speeds[0].threads} thread{'s' if speeds[0].threads > 1 else ''}"
    busy = " The machine was busy, so the times are rough." if any(speed.busy for speed in speeds) else ""
    return f"Batches of {speeds[0].batch} on {threads} of {speeds[0].machine}. {said}.{busy}"


def _size_sentence(rows: Sequence[AnyKernel]) -> str:
    said = "; ".join(f"{row.way} {_size_words(row)}" for row in rows)
    return f"Files, and how often they are right on validation data: {said}."


def _table(rows: Sequence[AnyKernel]) -> pd.DataFrame:
    columns = ["way", "layers in integers", "file", "zipped", "now (ms)", "quartiles (ms)", "takes", "noise floor"]
    columns += ["difference", "score", "95 % interval", "to float"]
    return pd.DataFrame([_cells(row) for row in rows], columns=columns)


def _cells(row: AnyKernel) -> tuple[str, ...]:
    if isinstance(row, NoKernel):
        return (row.way, *[""] * 7, row.reason, *[""] * 3)
    speed, task = row.speed, row.evaluation.task
    files = bytes_text(row.n_bytes), bytes_text(row.compressed_bytes)
    times = f"{speed.now.median_ms:.3g}", f"{speed.now.q1_ms:.3g} to {speed.now.q3_ms:.3g}"
    ratio = percent_text(speed.ratio, 0), percent_text(speed.noise_floor), speed.verdict
    interval = interval_text(*row.evaluation.interval, per_unit=task.per_unit)
    score = score_text(row.evaluation.value, task), interval, difference_text(row.difference.value, task, 2)
    return (row.way, f"{row.n_integer} of {len(row.layers)}", *files, *times, *ratio, *score)
