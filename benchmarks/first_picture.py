"""A page with eight pictures: seconds from Run until all eight are painted, in a fresh kernel and a fresh page.

The notebook has two cells. The first imports what a chapter imports and makes eight pictures of a lab, like those of a
bench; the second shows them, as a bench does. `warm` runs the second after the first: the bundle of plotly.js goes to
the page, it is parsed there, and eight pictures are drawn. `cold` runs both at once, so the imports, the data and the
network are in it. The start of the kernel is in neither. The goal is for `warm`: what the pictures themselves cost.
"""

import statistics

from _page import Chromium, Lab, browser, notebook
from _report import versions

GOAL_S = 2.5
N = 3
PREPARE = """
import ipywidgets
from efflab import Lab, prune_weights, step
from efflab.figures import histogram, layers, mask, tradeoff
from efflab.prune import prunable_weights
from efflab.widgets.view import PictureView

lab = Lab.open("mlp-digits")
trail = [lab.preview((step(prune_weights, sparsity=percent / 100),)) for percent in (0, 25, 50, 75, 95)]
pictures = [tradeoff(trail[:n], "sparsity", baseline=lab.baseline) for n in range(1, 5)]
pictures.append(layers(trail[-1].size, lab.base_size))
before, now = lab.layers(), prunable_weights(lab.build(trail[-1].recipe))
pictures += [histogram(name, before[name], now[name]) for name in ("hidden1", "hidden2")]
pictures.append(mask("hidden1", now["hidden1"]))
"""
SHOW = """
views = [PictureView(height=240) for _ in pictures]
for view, picture in zip(views, pictures, strict=True):
    view.show_picture(picture)
ipywidgets.VBox(views)
"""
RUN_ALL, RUN_NEXT = "notebook:run-all-cells", "notebook:run-cell-and-select-next"
START = """async ([before, timed]) => {
  const {commands} = window.jupyterapp;
  if (before) await commands.execute(before);
  const start = performance.now();
  commands.execute(timed);
  const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
  const drawn = () => document.querySelectorAll(".efflab-figure[data-drawn='2']").length;
  const times = {};
  while (!times.all) {
    await frame(); // drawn before this frame: painted by the next one
    const n = drawn();
    await frame();
    if (n > 0) times.first ??= (performance.now() - start) / 1000;
    if (n === 8) times.all = (performance.now() - start) / 1000;
  }
  window.eightPainted = times;
}"""


def seconds(chromium: Chromium, lab: Lab, kind: str, i: int) -> dict[str, float]:
    """Until the `first` picture and until `all` of them are painted."""
    commands = [RUN_NEXT, RUN_NEXT] if kind == "warm" else [None, RUN_ALL]
    with notebook(chromium, lab, f"{kind}{i}", PREPARE, SHOW) as tab:
        tab.page.evaluate(f"(commands) => {{ ({START})(commands); }}", commands)  # waited for below, with a limit
        times: dict[str, float] = tab.page.wait_for_function("() => window.eightPainted").json_value()
        return times


def main() -> None:
    """Warm and cold in turns."""
    runs: dict[str, list[dict[str, float]]] = {"warm": [], "cold": []}
    print(f"\neight pictures on a fresh page, {N} pages of each kind, s")
    with browser() as (chromium, lab):
        for i in range(N):
            for kind in runs:
                runs[kind].append(seconds(chromium, lab, kind, i))
    print(f"  {'':<6} {'first':>8} {'eight':>8} {'slowest':>8}")
    for kind, times in runs.items():
        first, last = (statistics.median(time[key] for time in times) for key in ("first", "all"))
        print(f"  {kind:<6} {first:8.2f} {last:8.2f} {max(time['all'] for time in times):8.2f}")
    ratio = statistics.median(time["all"] for time in runs["warm"]) / GOAL_S
    print(f"  warm / goal of {GOAL_S} s: {ratio:.2f} {'reached' if ratio <= 1 else 'NOT reached'}")
    versions()


if __name__ == "__main__":
    main()
