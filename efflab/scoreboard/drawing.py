"""The front of some runs as an SVG picture, for a page that must not load or run anything."""

import math
from collections.abc import Callable, Sequence
from html import escape

from efflab.costs.texts import three
from efflab.scoreboard.front import COSTS, Cost, cost_of, front
from efflab.scoreboard.recipes import recipe_text
from efflab.scoreboard.runs import Run

Scale = Callable[[float], float]
WIDTH, HEIGHT = 640, 360
LEFT, RIGHT, TOP, BOTTOM = 70, 20, 15, 50
MOST_POINTS = 500
"""Runs that are drawn, the newest; those of the front are drawn all."""


def draw_front(runs: Sequence[Run], cost: Cost) -> str:
    """The score over a cost, with the front as a staircase; "" where no run has this cost.

    runs: those that can be compared, see `efflab.scoreboard.front`.
    """
    known = [run for run in runs if cost_of(run, cost) is not None]
    if not known:
        return ""
    best = front(known, cost)
    names = {id(run) for run in best}
    drawn = [*(run for run in known[-MOST_POINTS:] if id(run) not in names), *best]
    xs, ys = ticks(0.0, max(_x(run, cost) for run in drawn)), ticks(*_percents(drawn))
    across = _scale(xs[0], xs[-1], LEFT, WIDTH - RIGHT)
    up = _scale(ys[0], ys[-1], HEIGHT - BOTTOM, TOP)
    places = [(across(_x(run, cost)), up(100 * run.score), run) for run in drawn]
    points = "".join(
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4"{" class=best" * (id(run) in names)}><title>'
        f"{escape(recipe_text(run.recipe))}: {100 * run.score:.1f} %, {three(_x(run, cost))} {COSTS[cost].unit}"
        "</title></circle>"
        for x, y, run in places
    )
    steps = "".join(f"H{x:.1f}V{y:.1f}" for x, y, _ in places[-len(best) :])
    start = f"M{places[-len(best)][0]:.1f} {places[-len(best)][1]:.1f}"
    label = f"Score over {COSTS[cost].text}: {len(known)} runs, {len(best)} of them not beaten in both."
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" role="img" '
        f'aria-label="{escape(label)}">{_axes(xs, ys, across, up, COSTS[cost].text)}'
        f'<path class="front" d="{start}{steps}"/>{points}</svg>\n'
    )


def ticks(low: float, high: float) -> list[float]:
    """Four to twelve round numbers, of which the first is at most `low` and the last at least `high`.

    Example:
        >>> ticks(0, 9.3)
        [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0]
    """
    span = high - low
    if span <= 1e-6 * max(abs(high), 1e-3):  # one value, or as good as one
        span = max(abs(high), 1.0)
    power = 10.0 ** math.floor(math.log10(span / 4))
    step = next(factor * power for factor in (1, 2, 5, 10) if span / (factor * power) <= 10)
    first, last = math.floor(low / step + 1e-9), math.ceil(max(high, low + span) / step - 1e-9)
    return [i * step for i in range(first, last + 1)]


def _x(run: Run, cost: Cost) -> float:
    return cost_of(run, cost) or 0.0


def _percents(runs: Sequence[Run]) -> tuple[float, float]:
    """What the scores and their intervals reach from and to."""
    ends = [100 * one for run in runs for one in (run.score, run.low, run.high)]
    return min(ends), max(ends)


def _scale(low: float, high: float, start: float, end: float) -> Scale:
    return lambda value: start + (value - low) / (high - low) * (end - start)


def _axes(xs: Sequence[float], ys: Sequence[float], across: Scale, up: Scale, text: str) -> str:
    bottom = HEIGHT - BOTTOM
    parts = [f'<path class="axis" d="M{LEFT} {TOP}V{bottom}H{WIDTH - RIGHT}"/>']
    for x in xs:
        at = f"{across(x):.1f}"
        parts.append(f'<path class="axis" d="M{at} {bottom}v5"/>')
        parts.append(f'<text x="{at}" y="{bottom + 18}" text-anchor="middle">{_tick(x)}</text>')
    for y in ys:
        at = f"{up(y):.1f}"
        parts.append(f'<path class="axis" d="M{LEFT} {at}h-5"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{at}" dy="4" text-anchor="end">{_tick(y)}</text>')
    middle_x, middle_y = (LEFT + WIDTH - RIGHT) / 2, (TOP + bottom) / 2
    parts.append(f'<text x="{middle_x}" y="{HEIGHT - 8}" text-anchor="middle">{escape(text)}</text>')
    turned = f'transform="rotate(-90 16 {middle_y})"'
    parts.append(f'<text x="16" y="{middle_y}" {turned} text-anchor="middle">score (%, measured)</text>')
    return "".join(parts)


def _tick(value: float) -> str:
    """1500000 -> "1.5 M"; the unit stands in the axis' label."""
    large = ((1e9, " G"), (1e6, " M"), (1e3, " k"))
    n, letter = next(((n, letter) for n, letter in large if value >= n), (1.0, ""))
    return f"{three(value / n)}{letter}"
