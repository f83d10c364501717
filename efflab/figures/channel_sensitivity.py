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
N_ROWS = 16
"""Groups that are drawn; of more, the table has the others."""
N_TALL = 8
"""Up to so many rows there is room for two lines beside each."""
LEFT, RIGHT = [0.0, 0.74], [0.76, 1.0]
"""Where what is saved stands, and where the scores, as fractions of the width."""


def channel_sensitivity(points: Sequence["ChannelPoint"], baseline: Evaluation) -> Picture:
    """One row a group: a circle where the MACs say that the time falls, a diamond where it was measured to.

    The diamond is open where the time does not differ measurably from the base's.
    """
    rows = _nearest(points)
    shown = rows[:N_ROWS]
    traces = [_links(shown), _saved(shown), _measured(shown), _scores(shown)] if rows else []
    return Picture(draw(traces, _layout(shown)), _sentence(rows, baseline), _table(points, baseline))


def _nearest(points: Sequence["ChannelPoint"]) -> list["ChannelPoint"]:
    """The points at one ratio, so that they can be compared; a group that was not cut to it yet is left out."""
    ratio = min((point.ratio for point in points), key=lambda ratio: abs(ratio - SHOWN), default=SHOWN)
    return [point for point in points if point.ratio == ratio]


def _name(point: "ChannelPoint") -> str:
    """The layers that make the channels of the group: "conv1 + block1.conv2"."""
    return " + ".join(point.layers)


def _label(point: "ChannelPoint", n_rows: int) -> str:
    """The same where there is little room: the second layer on a line of its own; of three or more their number."""
    first, *others = point.layers
    if not others:
        return f"{first} "
    line = "<br>" if n_rows <= N_TALL else " "
    return f"{first}{line}+ {others[0] if len(others) == 1 else f'{len(others)} more'} "


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
        "hovertext": [_name(point) for point in rows],
        "hovertemplate": "%{hovertext}<br>%{x:.1f} % of the MACs saved (computed)<extra></extra>",
    }


def _measured(rows: Sequence["ChannelPoint"]) -> Json:
    up = [100 * (point.speed.ratio - point.speed.ratio_low) for point in rows]
    down = [100 * (point.speed.ratio_high - point.speed.ratio) for point in rows]
    symbols = ["diamond" if point.speed.is_different else "diamond-open" for point in rows]
    return {
        "type": "scatter",
        "mode": "markers",
        "name": "time saved (measured)",
        "x": [_percents(point)[1] for point in rows],
        "y": list(range(len(rows))),
        "marker": {"color": NOW, "symbol": symbols, "size": 13},
        "error_x": {"type": "data", "symmetric": False, "array": up, "arrayminus": down, "color": NOW},
        "hovertext": [f"{_name(point)}: {point.speed.verdict}" for point in rows],
        "hovertemplate": "%{hovertext}<br>%{x:.1f} % of the time saved (measured)<extra></extra>",
    }


def _scores(rows: Sequence["ChannelPoint"]) -> Json:
    """What is left, in a column of its own below its head."""
    scores = [score_text(point.evaluation.value, point.evaluation.task) for point in rows]
    return {
        "type": "scatter",
        "mode": "text",
        "xaxis": "x2",
        "x": [0] * (len(rows) + 1),
        "y": [-1, *range(len(rows))],
        "text": [f"{rows[0].evaluation.task.score_name}<br>left", *scores],
        "textposition": "middle right",
        "cliponaxis": False,
        "hoverinfo": "skip",
        "showlegend": False,
    }


def _layout(rows: Sequence["ChannelPoint"]) -> Json:
    ends = [100 * (1 - end) for point in rows for end in (point.speed.ratio_low, point.speed.ratio_high)]
    ends += [_percents(point)[0] for point in rows]
    least, most = min([0.0, *ends]), max([10.0, *ends])
    room = 0.04 * (most - least)
    cut = f"<br>by a cut of {percent_text(rows[0].ratio, None)}, batch {rows[0].speed.batch}" if rows else ""
    return {
        "xaxis": {
            "title": {"text": f"saved of the network (%){cut}"},
            "range": [least - room, most + room],
            "domain": LEFT,
        },
        "xaxis2": {"domain": RIGHT, "range": [0, 1], "visible": False},
        "yaxis": {
            "range": [len(rows) - 0.5, -1.5],
            "tickvals": list(range(len(rows))),
            "ticktext": [_label(point, len(rows)) for point in rows],
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
    busy = " The machine was busy: the times are rough." if any(point.speed.busy for point in rows) else ""
    left_out = f" The first {N_ROWS} of {len(rows)} groups are drawn." if len(rows) > N_ROWS else ""
    return (
        f"Of groups that lose {percent_text(rows[0].ratio, None)} of their channels alone, {_name(worst)} costs most "
        f"({score_text(worst.evaluation.value, task)} {task.score_name} left), and {_fastest(rows)}. "
        f"{base}{busy}{left_out}"
    )


def _fastest(rows: Sequence["ChannelPoint"]) -> str:
    """Which group saves most time, if that can be measured of any."""
    faster = [point for point in rows if point.speed.is_different and point.speed.ratio < 1]
    if not faster:
        return "none saves time measurably"
    best = min(faster, key=lambda point: point.speed.ratio)
    macs, time = (percent_text(percents / 100) for percents in _percents(best))
    return f"{_name(best)} saves most time: {time} (measured), with {macs} of the MACs (computed)"


def _table(points: Sequence["ChannelPoint"], baseline: Evaluation) -> pd.DataFrame:
    task = baseline.task
    rows = [
        (
            _name(point),
            round(100 * point.ratio, 1),
            point.n_kept,
            round(_percents(point)[0], 1),
            round(_percents(point)[1], 1),
            point.speed.verdict,
            round(point.evaluation.value * task.per_unit, 1),
        )
        for point in points[:MAX_ROWS]
    ]
    columns = ["group", "cut (%)", "channels left", "MACs saved (%), computed", "time saved (%), measured"]
    return pd.DataFrame(rows, columns=[*columns, "verdict", f"{task.score_name} left ({task.unit}), measured"])
