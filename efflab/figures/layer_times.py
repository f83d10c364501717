"""Where the time goes and where the work is: two shares a layer, which one expects to be equal and which are not."""

from collections.abc import Sequence

import pandas as pd

from efflab.figures.bars import bar_layout, bars
from efflab.figures.picture import MAX_ROWS, Picture, draw
from efflab.figures.text import ms_text, percent_text
from efflab.figures.theme import BASE, NOW
from efflab.measure import Work
from efflab.measure.layer_speed import LayerTimes

N_BARS = 12
"""Rows that are shown, those that take longest; the table has them all."""
OVERHEAD, ADDED = "the call itself", "added nodes"
"""The rows of what belongs to no layer."""

Row = tuple[str, float, int]
"""A name, its time in milliseconds, and its MACs."""


def layer_times(work: Work, times: LayerTimes) -> Picture:
    """Each layer's share of the measured time beside its share of the computed MACs, in percent.

    Layers that take no time of their own are merged into another and have no row; nodes that ONNX Runtime added, and
    the call itself, have time but no MACs.

    Raises:
        ValueError: `work` and `times` are of different batches.
    """
    if work.batch != times.batch:
        raise ValueError(f"work is of batch {work.batch} and times are of batch {times.batch}; take the same for both")
    rows = layer_rows(work, times)
    total_ms, macs = sum(ms for _, ms, _ in rows), max(1, work.macs)
    kept = {name for name, _, _ in sorted(rows, key=lambda row: row[1], reverse=True)[:N_BARS]}
    shown = [row for row in rows if row[0] in kept]
    places = range(len(shown))
    shares = [100 * ms / total_ms for _, ms, _ in shown], [100 * n / macs for _, _, n in shown]
    traces = [
        bars("time, measured", places, shares[0], [ms_text(ms) for _, ms, _ in shown], {"color": NOW}),
        bars("MACs, computed", places, shares[1], [""] * len(shown), {"color": BASE, "pattern": {"shape": "/"}}),
    ]
    layout = bar_layout([name for name, _, _ in shown], "share of the whole (%)", max(map(max, shares)))
    return Picture(draw(traces, layout), _sentence(rows, times), _table(rows, total_ms, macs))


def layer_rows(work: Work, times: LayerTimes) -> list[Row]:
    """Each layer, the nodes of no layer together, and the call itself last: name, milliseconds, MACs."""
    macs = {layer.name: layer.macs for layer in work.layers}
    rows: list[Row] = [
        (layer.name or "between layers", layer.median_ms, macs.get(layer.name, 0)) for layer in times.layers
    ]
    if times.others:
        rows.append((ADDED, sum(node.median_ms for node in times.others), 0))
    return [*rows, (OVERHEAD, max(0.0, times.overhead_ms), 0)]


def _sentence(rows: Sequence[Row], times: LayerTimes) -> str:
    name, ms, _ = max(rows[: len(times.layers)], key=lambda row: row[1])
    share = percent_text(max(0.0, times.overhead_ms) / times.whole_ms, 0)
    busy = " The machine was busy, so the times are rough." if times.busy else ""
    return (
        f"While the layers were timed, a batch of {times.batch} took {ms_text(times.whole_ms)} on {times.threads} "
        f"thread{'s' if times.threads > 1 else ''} of {times.machine}; of the layers {name} took "
        f"longest ({ms_text(ms)}), and the call itself took {share}.{busy}"
    )


def _table(rows: Sequence[Row], total_ms: float, macs: int) -> pd.DataFrame:
    table = [
        (name, float(f"{ms:.3g}"), round(100 * ms / total_ms, 1), n, round(100 * n / macs, 1))
        for name, ms, n in rows[:MAX_ROWS]
    ]
    return pd.DataFrame(table, columns=["layer", "time (ms)", "of the time (%)", "MACs", "of the MACs (%)"])
