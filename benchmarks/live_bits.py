"""From a key press on the slider of bits to the painted picture of the real bench: milliseconds.

As `live.py`, which has the presses, the page and the floor; here the worker puts the weights onto a grid of one bit
less and evaluates. There are few bits, so each run of the cell, with a lab of its own, gives six presses: one when all
is still, one `DRAG_MS` after each, and nothing comes from a cache.
"""

import statistics
import sys

from _page import NotebookPage, browser, notebook
from _report import versions
from live import DRAG_MS, FIGURE, HANDLE, press_floor, wait_until_still

GOALS_MS = {"mlp-digits": 60, "cnn-digits": 60, "lenet5-scattered": 100, "cnn-scattered": 100}
N_RUNS = 4
BITS = (7, 6, 5, 4, 3, 2)

CELL = """
import ipywidgets
from efflab import Lab, fold_batch_norms, quantize_weights, step
from efflab.journal import Journal
from efflab.widgets import Bench

slider, label = ipywidgets.IntSlider(max=1000), ipywidgets.HTML("0")
slider.add_class("floor-slider"), label.add_class("floor-label")
slider.observe(lambda change: setattr(label, "value", str(change["new"])), "value")
lab = Lab.open({name!r})
if {has_norms}:
    lab = lab.after((step(fold_batch_norms),))
bench = Bench(lab, quantize_weights, controls=("bits",), start={{"bits": 8}}, recover=None,
              journal=Journal({journal!r}))
ipywidgets.VBox([slider, label, bench])
"""


def press_bits(tab: NotebookPage, bits: int) -> float:
    """Milliseconds until the main picture shows so many bits."""
    tab.page.locator(HANDLE).focus()
    marker = f"{FIGURE}[aria-label^='At {bits} bits']"
    return tab.press("ArrowLeft", marker=marker, attribute="role", value="figure").painted_ms


def presses(tab: NotebookPage) -> dict[str, list[float]]:
    """The times of one run of the cell."""
    wait_until_still(tab)
    times: dict[str, list[float]] = {"floor": [press_floor(tab, 1)], "first": [], "next": []}
    for bits in BITS:
        times["first" if bits == BITS[0] else "next"].append(press_bits(tab, bits))
        tab.page.wait_for_timeout(DRAG_MS)
    return times


def report(name: str, times: dict[str, list[float]]) -> None:
    """One line a kind of press."""
    floor = statistics.median(times["floor"])
    for kind, values in times.items():
        median = statistics.median(values)
        verdict = f"{GOALS_MS[name]:4d}  {'reached' if median <= GOALS_MS[name] else 'NOT reached'}"
        numbers = f"{len(values):3d} {median:8.1f} {max(values):8.1f} {median / floor:8.2f}"
        print(f"  {name:<18} {kind:<6} {numbers}  {verdict if kind != 'floor' else ''}".rstrip())


def main() -> None:
    """All networks, or those that are named."""
    print("\nkey press on the slider of bits to painted picture, ms")
    with browser() as (chromium, lab):
        print(f"  {'network':<18} {'press':<6} {'n':>3} {'median':>8} {'max':>8} {'/ floor':>8}  goal")
        for name in sys.argv[1:] or GOALS_MS:
            times: dict[str, list[float]] = {"floor": [], "first": [], "next": []}
            for i in range(N_RUNS):
                cell = CELL.format(name=name, has_norms="cnn" in name, journal=str(lab.root / f"{name}{i}.sqlite"))
                with notebook(chromium, lab, f"{name}_{i}", cell) as tab:
                    tab.run_all()
                    for kind, values in presses(tab).items():
                        times[kind] += values
            report(name, times)
    versions()


if __name__ == "__main__":
    main()
