"""The missing digit: how many images of each class two students recognise, and what one bias does to that.

Both were never shown one class; it is marked by its hatch and in words. Where each bar began, before the bias was
moved, stands as a line across it.

Reference: Hinton et al., Distilling the knowledge in a neural network, 2015, arXiv 1503.02531, section 3.
"""

from collections.abc import Sequence

import pandas as pd

from efflab.figures.axes import FIXED, knob_axis, score_axis
from efflab.figures.picture import Picture, draw, thinned
from efflab.figures.text import fixed, interval_text, percent_text
from efflab.figures.theme import BASE, NOW, TUNED, Json
from efflab.lab.missing import BIAS, MissingClass, Unshown
from efflab.lab.side_by_side import ALONE, TAUGHT

SIDES = {ALONE: (-0.2, BASE, "/"), TAUGHT: (0.2, NOW, "")}
"""Where the bar of a student stands in its class, its colour, and its hatch."""
UNSHOWN_HATCH = "x"
WIDTH = 0.36
FLAT = 2.0
"""The height of what marks where a bar was before, in percent."""
TABLE_ROWS = 41
"""Of the 201 biases of a curve: every fifth."""


def missing_recalls(found: MissingClass, by: float) -> Picture:
    """The recall of each class for both students, with `by` more in the bias of the missing class, and before."""
    table = _recalls(found, by)
    traces = [trace for name in SIDES for trace in (_bars(table, found, name), _before(table, name))]
    traces.append(_line("before the bias moved", [None], [None], {"color": BASE}))  # for the legend alone
    name = _class(found)
    ticks = [f"<b>{one}<br>never shown</b>" if one == name else one for one in table["class"]]
    layout = {
        "barmode": "overlay",
        "xaxis": {
            "title": {"text": "class"},
            "range": [-0.5, len(ticks) - 0.5],
            "tickvals": list(range(len(ticks))),
            "ticktext": ticks,
            "tickangle": 0,
            "showgrid": False,
        },
        "yaxis": {"title": {"text": "recall (%, measured)"}, "range": [-2, 104], **FIXED},
    }
    return Picture(draw(traces, layout), _sentence(found, by), _recall_table(table))


def bias_curve(found: MissingClass, by: float) -> Picture:
    """The score on all images and the recall of the missing class over its bias, for both students. by: where it is."""
    name, task = _class(found), found.taught.data.task
    best = found.taught.curve.best
    score = found.taught.evaluation(best).value * 100
    traces = [trace for side, student in _students(found).items() for trace in _lines(side, student, name)]
    traces.append(_line(f"bias now {by:+.1f}", [by, by], [0, 100], {"color": BASE, "dash": "dash"}))
    star = {"color": TUNED, "symbol": "star", "size": 14}
    traces.append(
        {"type": "scatter", "mode": "markers", "name": f"best {best:+.1f}", "x": [best], "y": [score], "marker": star}
        | {"hovertemplate": f"best for the student with teacher: {best:+.1f}<extra></extra>"}
    )
    layout = {
        "xaxis": knob_axis(BIAS) | {"title": {"text": f"added to the bias of {name}"}},
        "yaxis": score_axis(task) | {"title": {"text": "right answers (%, measured)"}},
    }
    return Picture(draw(traces, layout), _curve_sentence(found), _curve_table(found))


def _students(found: MissingClass) -> dict[str, Unshown]:
    return {ALONE: found.alone, TAUGHT: found.taught}


def _class(found: MissingClass) -> str:
    return found.taught.data.classes[found.label]


def _recalls(found: MissingClass, by: float) -> pd.DataFrame:
    """A row a class: class, n, and of each student "NAME before", "NAME", "NAME low" and "NAME high", fractions."""
    table = found.taught.recalls()[["class", "n"]].copy()
    for name, student in _students(found).items():
        now = student.recalls(by)
        table[f"{name} before"] = student.recalls()["score"]
        table[name], table[f"{name} low"], table[f"{name} high"] = now["score"], now["low"], now["high"]
    return table


def _bars(table: pd.DataFrame, found: MissingClass, name: str) -> Json:
    place, colour, hatch = SIDES[name]
    hatches = [UNSHOWN_HATCH if index == found.label else hatch for index in range(len(table))]
    return {
        "type": "bar",
        "name": name,
        "x": [index + place for index in range(len(table))],
        "y": [100 * recall for recall in table[name].fillna(0.0)],
        "width": WIDTH,
        "marker": {"color": colour, "pattern": {"shape": hatches}, "line": {"width": 1, "color": colour}},
        "hovertext": [f"{row['class']}, {name}: {_with_interval(row, name)}" for _, row in table.iterrows()],
        "hovertemplate": "%{hovertext}<extra></extra>",
    }


def _before(table: pd.DataFrame, name: str) -> Json:
    """A flat bar across each bar, a little wider than it, at the recall before the bias was moved."""
    place, colour, _ = SIDES[name]
    return {
        "type": "bar",
        "name": f"{name}, before",
        "showlegend": False,
        "x": [index + place for index in range(len(table))],
        "base": [100 * recall - FLAT / 2 for recall in table[f"{name} before"].fillna(0.0)],
        "y": [FLAT] * len(table),
        "width": 1.2 * WIDTH,
        "marker": {"color": colour, "line": {"width": 0}},
        "hoverinfo": "skip",
    }


def _lines(side: str, student: Unshown, name: str) -> list[Json]:
    curve, (_, colour, _) = student.curve, SIDES[side]
    parts: dict[str, tuple[tuple[float, ...], str]] = {
        "all images": (curve.overall, "solid"),
        f"recall of {name}": (curve.recall, "dot"),
    }
    return [
        _line(f"{side}: {what}", curve.by, [100 * one for one in scores], {"color": colour, "dash": dash})
        | {"hoverinfo": "all", "hovertemplate": f"{side}, {what}: %{{y:.1f}} % at %{{x:+.1f}}<extra></extra>"}
        for what, (scores, dash) in parts.items()
    ]


def _line(name: str, xs: Sequence[float | None], ys: Sequence[float | None], look: Json) -> Json:
    line: Json = {"type": "scatter", "mode": "lines", "name": name, "x": list(xs), "y": list(ys)}
    return line | {"line": look, "hoverinfo": "skip"}


def _sentence(found: MissingClass, by: float) -> str:
    name, n = _class(found), found.taught.evaluation().n
    n_class = int((found.taught.data.validation.labels == found.label).sum())
    bias = f"With {by:+.1f} in its bias" if by else "With its bias as it was learned"
    alone, taught = ((_scores(one, by), _before_text(one, by)) for one in (found.alone, found.taught))
    return (
        f"{name} was never shown. {bias}, the student alone recognises {alone[0][0]} of the {n_class:,} validation "
        f"images of {name}, and is right on {alone[0][1]} of all {n:,}{alone[1]}; the student with teacher recognises "
        f"{taught[0][0]}, and is right on {taught[0][1]}{taught[1]}."
    )


def _scores(student: Unshown, by: float) -> tuple[str, str]:
    """Recall of the missing class, and the score on all images."""
    return percent_text(student.recall(by)), percent_text(student.evaluation(by).value)


def _before_text(student: Unshown, by: float) -> str:
    return f" (before {' and '.join(_scores(student, 0.0))})" if by else ""


def _with_interval(row: "pd.Series[float]", name: str) -> str:
    if row[name] != row[name]:  # NaN: there is no such image
        return "no image"
    return f"{percent_text(row[name])} ({interval_text(row[f'{name} low'], row[f'{name} high'])})"


def _recall_table(table: pd.DataFrame) -> pd.DataFrame:
    rows = [
        (row["class"], int(row["n"]), *(cell for name in SIDES for cell in _cells(row, name)))
        for _, row in table.iterrows()
    ]
    sides = [title for name in SIDES for title in (f"{name}, before (%)", f"{name} (%)", "95 % interval")]
    return pd.DataFrame(rows, columns=["class", "images", *sides])


def _cells(row: "pd.Series[float]", name: str) -> tuple[str, str, str]:
    if row[name] != row[name]:
        return "-", "-", "-"
    interval = interval_text(row[f"{name} low"], row[f"{name} high"])
    return fixed(100 * row[f"{name} before"], 1), fixed(100 * row[name], 1), interval


def _curve_sentence(found: MissingClass) -> str:
    name, student = _class(found), found.taught
    best = student.curve.best
    return (
        f"For the student with teacher {best:+.1f} in the bias of {name} is best, chosen on these validation images: "
        f"{percent_text(student.evaluation(best).value)} right on all images in place of "
        f"{percent_text(student.evaluation().value)}, and {percent_text(student.recall(best))} of the images of {name} "
        f"in place of {percent_text(student.recall())}."
    )


def _curve_table(found: MissingClass) -> pd.DataFrame:
    curves = {name: student.curve for name, student in _students(found).items()}
    rows = [
        (
            f"{found.taught.curve.by[i]:+.1f}",
            *(fixed(100 * scores[i], 1) for curve in curves.values() for scores in (curve.overall, curve.recall)),
        )
        for i in thinned(range(len(found.taught.curve.by)), TABLE_ROWS)
    ]
    titles = [f"{name}: {what} (%)" for name in curves for what in ("all images", "recall")]
    return pd.DataFrame(rows, columns=["bias", *titles])
