"""The weights of a layer above the values that its grid has: with fewer bits, the values move apart.

Above the line stands the histogram of the float weights; below it hangs, from each value of the grid, how many weights
sit on it now.
"""

import math
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from efflab.costs.texts import plural, three
from efflab.figures.counts import SQUARE_ROOT, Squeeze
from efflab.figures.picture import MAX_ROWS, Picture, draw
from efflab.figures.text import percent_text
from efflab.figures.theme import BASE, LAYER_COLOURS, NOW, Json, translucent
from efflab.runtime.quantized import bits_text

if TYPE_CHECKING:
    from efflab.lab.number_lines import NumberLine
    from efflab.lab.weights_on_grid import WeightsOnGrid

CLIPPED = LAYER_COLOURS[1]
"""What lies so far beyond the grid that it was moved to its end."""
N_ROUND = 40
"""Of more values than so many the heads of the stems would hide one another, and the stems are enough."""
UPPER, LOWER = [0.44, 1.0], [0.0, 0.4]
"""Where the histogram stands, and where the grid hangs, as fractions of the height; the line lies between."""


def number_line(found: "WeightsOnGrid") -> Picture:
    """The float weights as a histogram, and below each value of the grid the number of weights that sit on it.

    With one scale the line has the unit of the weights, with several that of the integers. Bins of clipped weights are
    hatched; values on which nothing sits have an open head.
    """
    what = f"channel {found.channel} of {found.layer}" if found.channel is not None else found.layer
    before, now = "float weights", f"on the grid of {bits_text(found.bits)}"
    traces = line_traces(found.line, before, now, SQUARE_ROOT)
    figure = draw(traces, line_layout(found.line, _title(found, what), "weights", SQUARE_ROOT))
    return Picture(figure, _sentence(found, what), line_table(found.line, _unit(found), "weights"))


def line_traces(line: "NumberLine", before: str, now: str, squeeze: Squeeze) -> list[Json]:
    """Stairs above and stems below, with these names; where there is something clipped, hatched bars in the stairs."""
    return [_stairs(line, before, squeeze), *_clipped(line, squeeze), _stems(line, now, squeeze)]


def line_layout(line: "NumberLine", title: str, what: str, squeeze: Squeeze) -> Json:
    """Both halves over one axis, and dotted lines at the ends of the grid. what: is counted, such as "weights"."""
    room = 0.02 * float(line.edges[-1] - line.edges[0])
    hanging = squeeze.axis("on a value", int(line.held.max()))
    hanging |= {name: hanging[name][1:] for name in ("tickvals", "ticktext")}  # the 0 above is its 0, too
    end = {"type": "line", "yref": "paper", "y0": 0, "y1": 1, "line": {"color": NOW, "dash": "dot"}}
    return {
        "xaxis": {
            "title": {"text": title},
            "range": [float(line.edges[0]) - room, float(line.edges[-1]) + room],
            "anchor": "y2",
        },
        "yaxis": {**squeeze.axis(f"{what} in a bin", int(line.counts.max())), "domain": UPPER, "showline": False},
        "yaxis2": {**hanging, "range": hanging["range"][::-1], "domain": LOWER, "showline": False},
        "legend": {"itemsizing": "constant"},
        "shapes": [end | {"x0": float(value), "x1": float(value)} for value in (line.values[0], line.values[-1])],
    }


def line_table(line: "NumberLine", unit: str, what: str) -> pd.DataFrame:
    """How many sit on each value of the grid; of more values than a table has rows, on so many side by side."""
    together = -(-len(line.values) // MAX_ROWS)
    starts = np.arange(0, len(line.values), together)
    last = np.append(starts[1:], len(line.values)) - 1
    names = [three(float(value) + 0.0) for value in line.values]
    return pd.DataFrame(
        {
            f"from ({unit})": [names[place] for place in starts],
            f"to ({unit})": [names[place] for place in last],
            f"{what} (count)": np.add.reduceat(line.held, starts),
        }
    )


def error_text(line: "NumberLine", what: str) -> str:
    """How much was lost, in decibels, steps and percent that are clipped. what: one of those that are counted."""
    clipped = f"{percent_text(line.clipped, None if line.clipped == 1 else 2)} of them are clipped"
    loss = clipped if line.clipped else f"no {what} is clipped"
    if math.isinf(line.signal_to_noise_db):
        return f"There is no error, and {loss}."
    steps = f"the largest error is {line.max_error_steps:.2f} steps"
    return f"The signal is {line.signal_to_noise_db:.1f} dB above the error, {steps}, and {loss}."


def _stairs(line: "NumberLine", name: str, squeeze: Squeeze) -> Json:
    heights = squeeze.of(line.counts)
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": line.edges,
        "y": np.append(heights, heights[-1:]),
        "line": {"color": BASE, "shape": "hv"},
        "fill": "tozeroy",
        "fillcolor": translucent(BASE, 0.4),
        "hoverinfo": "skip",
    }


def _clipped(line: "NumberLine", squeeze: Squeeze) -> list[Json]:
    """The bins beyond the grid, half a step from its ends."""
    if not line.clipped:
        return []
    half = (line.values[1] - line.values[0]) / 2
    middles = (line.edges[1:] + line.edges[:-1]) / 2
    beyond = (middles < line.values[0] - half) | (middles > line.values[-1] + half)
    return [
        {
            "type": "bar",
            "name": f"clipped: {percent_text(line.clipped, 2)}",
            "x": middles[beyond],
            "y": squeeze.of(line.counts[beyond]),
            "width": float(line.edges[1] - line.edges[0]),
            "marker": {
                "color": CLIPPED,
                "pattern": {"shape": "x", "fillmode": "overlay"},
                "line": {"width": 0},
            },
            "hoverinfo": "skip",
        }
    ]


def _stems(line: "NumberLine", name: str, squeeze: Squeeze) -> Json:
    heights = squeeze.of(line.held)
    is_few = len(line.values) <= N_ROUND
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "yaxis": "y2",
        "x": line.values,
        "y": heights,
        "marker": {
            "color": NOW,
            "symbol": ["circle" if n else "circle-open" for n in line.held] if is_few else "line-ew-open",
            **({} if is_few else {"size": 3}),
        },
        "error_y": {
            "type": "data",
            "symmetric": False,
            "array": np.zeros(len(heights)),
            "arrayminus": heights,
            "color": NOW,
            "width": 0,
        },
        "customdata": line.held,
        "hovertemplate": "%{x:.3g}: %{customdata:,}<extra></extra>",
    }


def _unit(found: "WeightsOnGrid") -> str:
    return "integer" if found.is_in_steps else "weight"


def _title(found: "WeightsOnGrid", what: str) -> str:
    """In two lines where it would be too long for a projector; how many scales there are stands in the sentence."""
    if not found.is_in_steps:
        return f"weight of {what}"
    shift = "" if found.zero_points == (0, 0) else " + zero point"
    return f"weights of {what} as integers<br>(weight / scale{shift})"


def _sentence(found: "WeightsOnGrid", what: str) -> str:
    line = found.line
    low, high = (three(scale) for scale in found.scales)
    scales = f"{found.n_scales:,} scales from {low} to {high}" if found.is_in_steps else f"the scale {low}"
    unused = f", {line.n_dead} of them unused" if line.n_dead else ""
    return (
        f"{what}: {plural(line.n, 'weight')} on {plural(len(line.values), 'value')} of {bits_text(found.bits)}"
        f"{unused}, with {scales}. {error_text(line, 'weight')}"
    )
