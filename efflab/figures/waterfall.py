"""What each step of a recipe did: a row a prefix, and side by side its bytes, its time and its score.

The first row is the base. A number that is not measured yet, or cannot be, says so in its place, so that nothing jumps
while the numbers come.

Each prefix is timed in turns with the base, at its own moment, and milliseconds of two moments cannot be compared: a
clock that slowed down would look like a step that made the network slower. So the bars of the times are percent of the
base that ran beside them, as the verdict is.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd

from efflab.data import Classification
from efflab.figures.bars import bars, words_behind
from efflab.figures.picture import Picture, draw
from efflab.figures.text import (
    bytes_text,
    difference_text,
    fixed,
    interval_text,
    ms_text,
    percent_text,
    score_text,
    smaller_text,
)
from efflab.figures.theme import BASE, NOW, Json

if TYPE_CHECKING:  # only the types of what is drawn
    from efflab.lab.prefixes import Prefix

BASE_ROW = "base"
NOT_YET, NOT_POSSIBLE = "not timed yet", "not possible"
DOMAINS = ([0.0, 0.27], [0.34, 0.64], [0.71, 1.0])
"""Which part of the width bytes, time and score take."""
ROOMS = (1.3, 1.4, 1.9)
"""Free space behind the longest bar of each for its words, as a fraction of the bar."""
HEADED: Json = {"side": "top", "showticklabels": False, "ticks": "", "showgrid": False, "automargin": True}
"""Each bar has its number beside it, so that an axis needs none; it is the head of its column."""
ROW_PX, FRAME_PX = 46, 90
"""Height of a row, and of what stands around the rows."""


def waterfall(prefixes: "Sequence[Prefix]", task: Classification) -> Picture:
    """A row for the base and one for each step, as far as they are known; the first prefix must be the base.

    Raises:
        ValueError: there is no prefix.
    """
    if not prefixes:
        raise ValueError("prefixes must hold at least the base, which is the empty recipe")
    columns = (_bytes(prefixes), _times(prefixes), _scores(prefixes, task))
    traces: list[Json] = []
    layout: Json = {"barmode": "overlay", "showlegend": False, "meta": {"make_room": True}, "margin": {"b": 12}}
    for number, (title, lengths, texts, end) in enumerate(columns):
        ending = str(number + 1) if number else ""
        places = {"xaxis": f"x{ending}", "yaxis": "y"}
        for part, rows in ((BASE, [0]), (NOW, range(1, len(prefixes)))):
            own = [row for row in rows if lengths[row] is not None]
            look: Json = {"color": part} | ({"pattern": {"shape": "/"}} if part == BASE else {})
            traces.append(bars(title, own, [lengths[row] or 0.0 for row in own], [""] * len(own), look) | places)
        traces.append(words_behind([length or 0.0 for length in lengths], [f" {text}" for text in texts]) | places)
        axis = {"title": {"text": title}, "domain": DOMAINS[number], "range": [0, (1 + ROOMS[number]) * end]} | HEADED
        layout[f"xaxis{ending}"] = axis | ({"anchor": "y"} if number else {})
    layout["yaxis"] = {
        "range": [len(prefixes) - 0.5, -0.5],
        "tickvals": list(range(len(prefixes))),
        "ticktext": [_short(one) for one in prefixes],
        "ticks": "",
        "showgrid": False,
    }
    return Picture(draw(traces, layout), _sentence(prefixes, task), _table(prefixes, task))


def waterfall_height(n_steps: int) -> int:
    """Pixels of a waterfall of so many steps and the base."""
    return FRAME_PX + ROW_PX * (n_steps + 1)


Column = tuple[str, list[float | None], list[str], float]
"""The title of an axis, the length of each bar, the words behind it, and the longest bar."""


def _bytes(prefixes: "Sequence[Prefix]") -> Column:
    kilobytes: list[float | None] = [one.preview.size.packed_bytes / 1000 for one in prefixes]
    first = prefixes[0].preview.size.packed_bytes
    texts = [bytes_text(first)]
    for one in prefixes[1:]:
        n = one.preview.size.packed_bytes
        texts.append(f"{bytes_text(n)}<br> {smaller_text(first, n)}")
    return "packed (kB),<br>computed", kilobytes, texts, max(length or 0.0 for length in kilobytes) or 1.0


def _times(prefixes: "Sequence[Prefix]") -> Column:
    timed = [one.report.speed for one in prefixes if one.report is not None]
    lengths: list[float | None] = [None if one.report is None else 100 * one.report.speed.ratio for one in prefixes]
    lengths[0] = 100.0 if timed else None
    longest = max((length for length in lengths if length is not None), default=100.0)
    return "time, base = 100 %,<br>measured", lengths, [_time_text(one, prefixes) for one in prefixes], longest


def _scores(prefixes: "Sequence[Prefix]", task: Classification) -> Column:
    scores: list[float | None] = [one.preview.evaluation.value * task.per_unit for one in prefixes]
    texts = [score_text(one.preview.evaluation.value, task) for one in prefixes]
    for i, one in enumerate(prefixes[1:], start=1):
        texts[i] += f"<br> {_points(one.preview.evaluation.value - prefixes[i - 1].preview.evaluation.value, task)}"
    end = 100.0 if task.unit == "%" else max(score or 0.0 for score in scores) or 1.0
    return f"{task.score_name} ({task.unit}),<br>measured", scores, texts, end


def _points(difference: float, task: Classification) -> str:
    text = difference_text(difference, task)
    return "as before" if fixed(difference * task.per_unit, 1) in ("0.0", "-0.0") else text


def _time_parts(one: "Prefix", prefixes: "Sequence[Prefix]") -> tuple[str, str]:
    """The time in percent of the base's, "" without one, and what to say of it; of the base the newest milliseconds."""
    timed = [other.report.speed for other in prefixes if other.report is not None]
    if not one.recipe and timed:
        return "100 %", ms_text(timed[-1].base.median_ms)
    if one.report is None:
        return "", NOT_POSSIBLE if one.reason else NOT_YET
    speed = one.report.speed  # the table has milliseconds and verdict in full
    return percent_text(speed.ratio, 0), speed.verdict if speed.is_different else "no difference"


def _time_text(one: "Prefix", prefixes: "Sequence[Prefix]") -> str:
    return "<br> ".join(part for part in _time_parts(one, prefixes) if part)


def _time_said(one: "Prefix", prefixes: "Sequence[Prefix]") -> str:
    percent, words = _time_parts(one, prefixes)
    return f"{percent} of the base's time, {words}" if percent and one.recipe else words


def _short(one: "Prefix") -> str:
    """The row's name: the number and the label of the step that came last."""
    if not one.recipe:
        return BASE_ROW
    return f"{len(one.recipe)} {one.recipe[-1].technique.label}"


def _sentence(prefixes: "Sequence[Prefix]", task: Classification) -> str:
    said = [
        f"{_short(one)}: {bytes_text(one.preview.size.packed_bytes)} packed, "
        f"{_time_said(one, prefixes)}, {score_text(one.preview.evaluation.value, task)}"
        for one in prefixes
    ]
    return f"{'; '.join(said)} {task.score_name} on validation data. Times and scores are measured, bytes computed."


def _table(prefixes: "Sequence[Prefix]", task: Classification) -> pd.DataFrame:
    rows = []
    for one in prefixes:
        evaluation, report = one.preview.evaluation, one.report
        speed = report.speed if report else None
        time, beside = (ms_text(speed.now.median_ms), ms_text(speed.base.median_ms)) if speed else ("", "")
        verdict = speed.verdict if speed else one.reason
        interval = interval_text(*evaluation.interval, per_unit=task.per_unit)
        step = repr(one.recipe[-1]) if one.recipe else BASE_ROW
        weighed = bytes_text(report.file_bytes) if report else ""
        packed = bytes_text(one.preview.size.packed_bytes)
        rows.append((step, packed, weighed, time, beside, verdict, score_text(evaluation.value, task), interval))
    columns = [
        "step",
        "packed (computed)",
        "file",
        "one run",
        "base beside it",
        "to the base",
        task.score_name,
        "95 % interval",
    ]
    return pd.DataFrame(rows, columns=columns)
