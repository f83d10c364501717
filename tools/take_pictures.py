"""Take the pictures that stand in the README and above the labs, from the real page: `python tools/take_pictures.py`.

With names behind it (02_states ...) it takes only those. It needs a Chromium, as the browser tests do, and drives it
with their driver.
"""

import os
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PICTURES = ROOT / "notebooks" / "pictures"

LABS = {
    "00_bench": ("mlp-digits", 0.5),
    "03_bench": ("lenet5-scattered", 0.8),
}
"""Name of the picture: the checkpoint that it shows, and the sparsity that it stands at."""

PANELS = {
    "01_memory": """
from efflab.widgets import llm_memory_calculator
llm_memory_calculator(controls=("bits",), start={"context": 1})
""",
    "02_states": """
from efflab import Lab
from efflab.widgets import FourStates
from efflab.widgets.worker import worker
panel = FourStates(Lab.open("mlp-scattered"), controls=("ratio",), start={"ratio": 0.9})
worker().wait(120)
panel
""",
}
"""Name of the picture: the cell that shows another panel."""

CELL = """
from efflab import Lab, prune_weights
from efflab.widgets.worker import worker
lab = Lab.open("{checkpoint}")
bench = lab.bench(prune_weights, controls=("sparsity",), start={{"sparsity": {sparsity}}}, recover=None)
bench.reveal()
worker().wait(120)
bench
"""


def cells() -> dict[str, str]:
    """The cell behind each picture."""
    labs = {name: CELL.format(checkpoint=one, sparsity=sparsity) for name, (one, sparsity) in LABS.items()}
    return {**labs, **PANELS}


def main() -> None:
    """Take every picture anew."""
    sys.path.insert(0, str(ROOT))
    from tests.browser.driver import Lab, NotebookPage, chromium, write_notebook

    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["EFFLAB_JOURNAL"] = str(Path(folder) / "journal.sqlite")
        notebooks = Path(folder) / "notebooks"
        notebooks.mkdir()
        with Lab(notebooks, Path(folder) / "jupyter") as lab, chromium() as browser:
            for name in sys.argv[1:] or cells():
                write_notebook(notebooks / f"{name}.ipynb", cells()[name])
                page = NotebookPage(browser, lab)
                page.page.set_viewport_size({"width": 1280, "height": 1500})
                page.open(f"{name}.ipynb")
                page.run_all()
                page.page.evaluate("() => window.jupyterapp.commands.execute('application:toggle-left-area')")
                drawn = ".efflab-figure[data-drawn]" if name in PANELS else ".widget-tab figure[data-drawn]"
                page.page.locator(f".efflab-main {drawn}").first.wait_for()
                page.page.locator(".efflab-panel").screenshot(path=PICTURES / f"{name}.png")
                page.close()
                page.check()


if __name__ == "__main__":
    main()
