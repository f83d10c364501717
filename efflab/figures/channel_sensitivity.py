"""Each group of channels cut alone: the multiplications that it saves, the milliseconds, and what that costs.

Reference: Li et al., Pruning filters for efficient ConvNets, 2017, arXiv 1608.08710, figure 2 (accuracy only).
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd

from efflab.figures.picture import MAX_ROWS, Picture, draw
from efflab.figures.text import percent_text, score_text
from efflab.figures.theme import BASE, NOW, Json
from efflab.measure import Evaluation

if TYPE_CHECKING:
    from efflab.lab.channels import ChannelPoint

SHOWN = 0.5
"""The ratio that is drawn, or the nearest to it; the table has them all."""
TEXT_ROOM = 0.55
"""Free space for the scores to the right of the longest line, as a fraction of the axis."""


def channel_sensitivity(points: Sequence["ChannelPoint"], baseline: Evaluation) -> Picture:
    """One row a group: a circle where the MACs say that the time falls, a diamond where it was measured to."""
    rows = _nearest(points)
    traces = [_links(rows), _saved(rows), _measured(rows), _scores(rows)] if rows else []
    return Picture(draw(traces, _layout(rows)), _sentence(rows, baseline), _table(points))


def _nearest(points: Sequence["ChannelPoint"]) -> list["ChannelPoint"]:
    """One point for each group."""
    best: dict[str, ChannelPoint] = {}
    for point in points:
        known = best.get(point.group)
        if known is None or abs(point.ratio - SHOWN) < abs(known.ratio - SHOWN):
            best[point.group] = point
    return list(best.values())


def _percents(point: "ChannelPoint") -> tuple[float, float]:
    """What is saved of the MACs and of the milliseconds."""
    return 100 * (1 - point.macs / point.macs_base), 100 * (1 - point.speed.ratio)


def _links(rows: Sequence["ChannelPoint"]) -> Json:
    xs: list[float | None] = []
    ys: list[float | None] = []
    for place, point in enumerate(rows):
        xs += [*_percents(point), None]
        ys += [place, place, None]
    line = {"color": BASE, "dash": "dot"}
    return {
        "type": "scatter",
        "mode": "lines",
        "x": xs,
        "y": ys,
        "line": line,
        "hoverinfo": "skip",
        "showlegend": False,
    }


def _saved(rows: Sequence["ChannelPoint"]) -> Json:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": "MACs saved (computed)",
        "x": [_percents(point)[0] for point in rows],
        "y": list(range(len(rows))),
        "marker": {"color": BASE, "symbol": "circle-open", "size": 13, "line": {"width": 3}},
        "hovertemplate": "%{x:.1f} %<extra></extra>",
    }


def _measured(rows: Sequence["ChannelPoint"]) -> Json:
    up = [100 * (point.speed.ratio - point.speed.ratio_low) for point in rows]
    down = [100 * (point.speed.ratio_high - point.speed.ratio) for point in rows]
    return {
        "type": "scatter",
        "mode": "markers",
        "name": "time saved (measured)",
        "x": [_percents(point)[1] for point in rows],
        "y": list(range(len(rows))),
        "marker": {"color": NOW, "symbol": "diamond", "size": 13},
        "error_x": {"type": "data", "symmetric": False, "array": up, "arrayminus": down, "color": NOW},
        "hovertemplate": "%{x:.1f} %<extra></extra>",
    }


def _scores(rows: Sequence["ChannelPoint"]) -> Json:
    most = max(max(_percents(point)) for point in rows)
    return {
        "type": "scatter",
        "mode": "text",
        "x": [1.12 * max(most, 1.0)] * len(rows),
        "y": list(range(len(rows))),
        "text": [score_text(point.evaluation.value, point.evaluation.task) for point in rows],
        "textposition": "middle right",
        "cliponaxis": False,
        "hoverinfo": "skip",
        "showlegend": False,
    }


def _layout(rows: Sequence["ChannelPoint"]) -> Json:
    most = max((max(_percents(point)) for point in rows), default=10.0)
    least = min((min(_percents(point)) for point in rows), default=0.0)
    ratio = f", {percent_text(rows[0].ratio, None)} of its channels" if rows else ""
    score = f"; right: {rows[0].evaluation.task.score_name} left" if rows else ""
    return {
        "xaxis": {
            "title": {"text": f"saved of the whole network when one group is cut alone (%){ratio}{score}"},
            "range": [min(-2.0, 1.1 * least), (1.12 + TEXT_ROOM) * max(most, 1.0)],
        },
        "yaxis": {
            "range": [len(rows) - 0.5, -0.5],
            "tickvals": list(range(len(rows))),
            "ticktext": [f"{' + '.join(point.layers)} " for point in rows],
            "ticks": "",
            "showgrid": False,
        },
    }


def _sentence(rows: Sequence["ChannelPoint"], baseline: Evaluation) -> str:
    task = baseline.task
    base = f"The base has {score_text(baseline.value, task)} {task.score_name}."
    if not rows:
        return f"No group has been cut yet. {base}"
    sign = 1 if task.higher_is_better else -1
    worst = min(rows, key=lambda point: sign * point.evaluation.value)
    best = max(rows, key=lambda point: 1 - point.speed.ratio)
    busy = " The machine was busy: the times are rough." if any(point.speed.busy for point in rows) else ""
    return (
        f"Cut alone to {percent_text(1 - rows[0].ratio, None)} of its channels, {' and '.join(worst.layers)} costs "
        f"most ({score_text(worst.evaluation.value, task)} left), and {' and '.join(best.layers)} saves most time: "
        f"{_percents(best)[1]:.0f} % measured, with {_percents(best)[0]:.0f} % fewer MACs computed. {base}{busy}"
    )


def _table(points: Sequence["ChannelPoint"]) -> pd.DataFrame:
    rows = [
        (
            " + ".join(point.layers),
            round(100 * point.ratio, 1),
            point.n_kept,
            round(_percents(point)[0], 1),
            round(_percents(point)[1], 1),
            point.speed.verdict,
            round(point.evaluation.value * point.evaluation.task.per_unit, 1),
        )
        for point in points[:MAX_ROWS]
    ]
    columns = ["group", "cut (%)", "channels left", "MACs saved (%), computed", "time saved (%), measured"]
    return pd.DataFrame(rows, columns=[*columns, "verdict", "score left, measured"])
