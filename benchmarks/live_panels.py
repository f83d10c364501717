"""From a key press on the temperature to the painted picture of the panels of chapter 08: milliseconds.

As `live.py`, which has the presses, the page and the floor; here the worker softens a teacher's answers, or takes the
terms of a loss apart. One press when all is still, and one `DRAG_MS` after each, as a hand that drags.
"""

import statistics

from _page import NotebookPage, browser, notebook
from _report import versions
from live import DRAG_MS, HANDLE, SETTLED, press_floor

GOAL_MS = 100
N_ROUNDS = 12
N_NEXT = 2
STEP = 0.5
"""By how much a press moves the temperature, which begins at 1."""

CELL = """
import ipywidgets
from efflab import Lab, start_student, step
from efflab.widgets import LossLab, Softened
from efflab.widgets.worker import worker

slider, label = ipywidgets.IntSlider(max=1000), ipywidgets.HTML("0")
slider.add_class("floor-slider"), label.add_class("floor-label")
slider.observe(lambda change: setattr(label, "value", str(change["new"])), "value")
lab = Lab.open("resnet8-scattered")
panel = {panel}
worker().wait(120)
ipywidgets.VBox([slider, label, panel])
"""
PANELS = {
    "softened answers": ("Softened(lab)", "At temperature {temperature:g} the teacher says"),
    "loss lab": (
        "LossLab(lab, (step(start_student, kind='mlp', width=64),), start={'temperature': 1.0})",
        "At temperature {temperature:g}, asked for",
    ),
}
"""The panel, and the words of its first picture by which a setting is known."""


def press(tab: NotebookPage, words: str, temperature: float) -> float:
    """Milliseconds until the first picture shows this temperature."""
    tab.page.locator(HANDLE).first.focus()
    marker = f".efflab-main figure[aria-label*='{words.format(temperature=temperature)}']"
    return tab.press("ArrowRight", marker=marker, attribute="role", value="figure").painted_ms


def rounds(tab: NotebookPage, words: str) -> dict[str, list[float]]:
    """The times of each kind of press."""
    times: dict[str, list[float]] = {"floor": [], "first": [], "next": []}
    temperature = 1.0
    for i in range(N_ROUNDS):
        tab.page.evaluate(SETTLED, [".efflab-main figure", 4 * DRAG_MS])
        times["floor"].append(press_floor(tab, i + 1))
        for kind in ("first", *["next"] * N_NEXT):
            temperature += STEP
            times[kind].append(press(tab, words, temperature))
            tab.page.wait_for_timeout(DRAG_MS)
    return times


def main() -> None:
    """Both panels."""
    print("\nkey press on the temperature to painted picture, ms")
    with browser() as (chromium, lab):
        print(f"  {'panel':<18} {'press':<6} {'n':>3} {'median':>8} {'max':>8} {'/ floor':>8}  goal")
        for number, (name, (panel, words)) in enumerate(PANELS.items()):
            with notebook(chromium, lab, f"panel_{number}", CELL.format(panel=panel)) as tab:
                tab.run_all()
                tab.page.wait_for_selector(".efflab-main figure")
                times = rounds(tab, words)
            floor = statistics.median(times["floor"])
            for kind, values in times.items():
                median = statistics.median(values)
                verdict = (
                    f"{GOAL_MS:4d}  {'reached' if median <= GOAL_MS else 'NOT reached'}" if kind != "floor" else ""
                )
                numbers = f"{len(values):3d} {median:8.1f} {max(values):8.1f} {median / floor:8.2f}"
                print(f"  {name:<18} {kind:<6} {numbers}  {verdict}".rstrip())
    versions()


if __name__ == "__main__":
    main()
