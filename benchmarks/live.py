"""From a key press to the painted picture of the real bench, beside an empty label in the same page: milliseconds.

What is timed: the arrow key reaches the slider; ipywidgets tells the kernel; the worker prunes (in the residual network
it cuts filters out) and evaluates; tiles, main picture, sentence and table come back; plotly draws; the browser paints.
The stamps are taken in the page. The marker is the sentence of the picture, which the page sets together with the
drawing, and which must name the new setting; after each press the point that plotly drew last is compared with the
slider.

A hand does three things, and each round does all, after a floor:

    floor    a slider that writes its number into an HTML label: what JupyterLab itself takes; nothing else runs.
    first    one press when all is still: the file is weighed, the speed timed, the tabs drawn.
    next     one more, `DRAG_MS` after the first was painted: a hand that drags, looks and drags on.
    busy     one more, `LOOK_MS` after that: the kernel thought that the hand was still, and is at work on the setting
             before, drawing the tab, exporting and timing.

The goal is for all of them. Every press makes a setting that is new to the lab, so nothing comes from its cache.
"""

import statistics
import sys

from _page import NotebookPage, browser, notebook
from _report import versions

from efflab.widgets.bench import STILL_SECONDS

GOALS_MS = {
    "mlp-digits": 60,
    "cnn-digits": 60,
    "lenet5-scattered": 100,
    "cnn-scattered": 100,
    "resnet8-scattered": 300,
}
HOW, USUAL = {"resnet8-scattered": ("prune_filters", "ratio")}, ("prune_weights", "sparsity")
"""The technique and the knob that is moved."""
N_WARM_UPS, N_ROUNDS = 2, 24
DRAG_MS, LOOK_MS = 200, round(1000 * STILL_SECONDS) + 150
START = 10
"""Sparsity in percent where the hand begins; three presses a round end below 90."""

CELL = """
import ipywidgets
from efflab import Lab, {technique}
from efflab.journal import Journal
from efflab.widgets import Bench

slider, label = ipywidgets.IntSlider(max=1000), ipywidgets.HTML("0")
slider.add_class("floor-slider"), label.add_class("floor-label")
slider.observe(lambda change: setattr(label, "value", str(change["new"])), "value")
bench = Bench(Lab.open({name!r}), {technique}, controls=({knob!r},), start={{{knob!r}: {start}}},
              journal=Journal({journal!r}))
ipywidgets.VBox([slider, label, bench])
"""
FLOOR, HANDLE, FIGURE = ".floor-slider .noUi-handle", ".efflab-controls .noUi-handle", ".efflab-main figure"
MEASURED = ".efflab-tile:has-text('middle half of the runs')"
DRAWN = "() => document.querySelector('.efflab-main .efflab-plot')._fullData.at(-1).x[0]"
SETTLED = """async ([selector, still]) => {
  const drawn = () => document.querySelector(selector).dataset.drawn;
  for (let before; before !== drawn(); ) {
    before = drawn();
    await new Promise((resolve) => setTimeout(resolve, still));
  }
}"""


def press_floor(tab: NotebookPage, count: int) -> float:
    """Milliseconds until the label shows `count`."""
    tab.page.locator(FLOOR).focus()
    marker = ".floor-label .widget-html-content"
    return tab.press("ArrowRight", marker=marker, value=str(count)).painted_ms


def press_bench(tab: NotebookPage, percent: int) -> float:
    """Milliseconds until the main picture shows this setting."""
    tab.page.locator(HANDLE).focus()
    marker = f"{FIGURE}[aria-label^='At {percent} % ']"
    latency = tab.press("ArrowRight", marker=marker, attribute="role", value="figure").painted_ms
    drawn = tab.page.evaluate(DRAWN)
    assert round(drawn) == percent, f"plotly drew {drawn} %, the slider stands at {percent} %"
    return latency


def wait_until_still(tab: NotebookPage) -> None:
    """Until the file is weighed and the speed timed, and no picture has been drawn for a while."""
    tab.page.wait_for_selector(MEASURED)
    tab.page.evaluate(SETTLED, [FIGURE, 2 * DRAG_MS])


def rounds(tab: NotebookPage) -> dict[str, list[float]]:
    """The times of each kind of press, without the warm-ups."""
    times: dict[str, list[float]] = {"floor": [], "first": [], "next": [], "busy": []}
    for i in range(N_WARM_UPS + N_ROUNDS):
        wait_until_still(tab)
        times["floor"].append(press_floor(tab, i + 1))
        times["first"].append(press_bench(tab, START + 3 * i + 1))
        tab.page.wait_for_timeout(DRAG_MS)
        times["next"].append(press_bench(tab, START + 3 * i + 2))
        tab.page.wait_for_timeout(LOOK_MS)
        times["busy"].append(press_bench(tab, START + 3 * i + 3))
    return {kind: values[N_WARM_UPS:] for kind, values in times.items()}


def report(name: str, times: dict[str, list[float]]) -> None:
    """One line a kind of press."""
    goal, floor = GOALS_MS[name], statistics.median(times["floor"])
    for kind, values in times.items():
        median, p95 = statistics.median(values), statistics.quantiles(values, n=20)[-1]
        verdict = f"{goal:4d}  {'reached' if median <= goal else 'NOT reached'}" if kind != "floor" else ""
        print(f"  {name:<18} {kind:<6} {median:8.1f} {p95:8.1f} {median / floor:8.2f}  {verdict}".rstrip())


def main() -> None:
    """All networks, or those that are named."""
    print(f"\nkey press to painted picture, {N_ROUNDS} presses of each kind, ms")
    with browser() as (chromium, lab):
        print(f"  {'network':<18} {'press':<6} {'median':>8} {'p95':>8} {'/ floor':>8}  goal")
        for name in sys.argv[1:] or GOALS_MS:
            journal, (technique, knob) = str(lab.root / f"{name}.sqlite"), HOW.get(name, USUAL)
            cell = CELL.format(name=name, technique=technique, knob=knob, start=START / 100, journal=journal)
            with notebook(chromium, lab, name, cell) as tab:
                tab.run_all()
                report(name, rounds(tab))
    versions()


if __name__ == "__main__":
    main()
