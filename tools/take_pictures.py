"""Take the pictures that stand in the README and above the labs, from the real page: `python tools/take_pictures.py`.

With names behind it (02_states ...) it takes only those. It needs a Chromium, as the browser tests do, and drives it
with their driver; they take each picture, too, and compare it with the one that is shipped.
"""

import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.browser.driver import NotebookPage

ROOT = Path(__file__).resolve().parent.parent
PICTURES = ROOT / "notebooks" / "pictures"

LABS = {
    "00_bench": ("mlp-digits", "prune_weights", "sparsity", 0.5),
    "03_bench": ("lenet5-scattered", "prune_weights", "sparsity", 0.8),
    "04_bench": ("cnn64-scattered", "prune_filters", "ratio", 0.5),
    "07_bench": ("lenet5-scattered", "share_weights", "bits", 2),
}
"""Name of the picture: the checkpoint that it shows, the technique, and the control with the value it stands at."""

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
    "05_bench": """
from efflab import Lab, fold_batch_norms, quantize_weights, step
from efflab.widgets.worker import worker
lab = Lab.open("cnn-scattered").after((step(fold_batch_norms),))
bench = lab.bench(quantize_weights, controls=("bits",), start={"bits": 4}, recover=None)
bench.reveal()
worker().wait(120)
bench
""",
    "06_bench": """
from efflab import Lab, fold_batch_norms, step, train_quantized
from efflab.widgets.worker import worker
lab = Lab.open("cnn-scattered").after((step(fold_batch_norms),))
bench = lab.bench(train_quantized, controls=("bits", "epochs"), start={"bits": 2, "epochs": 3}, recover=None)
bench.run()
worker().wait(300)
bench
""",
    "08_softened": """
from efflab import Lab
from efflab.widgets import Softened
from efflab.widgets.worker import worker
panel = Softened(Lab.open("resnet8-scattered"), start={"temperature": 4.0})
worker().wait(120)
panel
""",
    "09_representations": """
from efflab import Lab, fine_tune, start_student, step
from efflab.widgets import Representations
from efflab.widgets.worker import worker
recipe = (step(start_student, kind="cnn", width=3), step(fine_tune, epochs=8, learning_rate=0.01))
panel = Representations(Lab.open("resnet8-scattered"), recipe)
panel.train()
worker().wait(300)
panel
""",
    "18_recipe": """
from efflab import Lab, fold_batch_norms, prune_weights, step
from efflab.widgets import RecipeBench
from efflab.widgets.worker import worker
panel = RecipeBench(Lab.open("resnet8-scattered"), (step(fold_batch_norms), step(prune_weights, sparsity=0.5)))
worker().wait(120)
panel
""",
}
"""Name of the picture: the cell that shows another panel, or a bench that is made in another way."""

CELL = """
from efflab import Lab, {technique}
from efflab.widgets.worker import worker
lab = Lab.open("{checkpoint}")
bench = lab.bench({technique}, controls=("{knob}",), start={{"{knob}": {value}}}, recover=None)
bench.reveal()
worker().wait(120)
bench
"""


def cells() -> dict[str, str]:
    """The cell behind each picture."""
    names = ("checkpoint", "technique", "knob", "value")
    labs = {name: CELL.format(**dict(zip(names, about, strict=True))) for name, about in LABS.items()}
    return {**labs, **PANELS}


def take(page: "NotebookPage", root: Path, name: str, target: Path) -> None:
    """Run the cell behind a picture in an empty tab, and write what its panel looks like, once all is drawn.

    root: the folder that the page's JupyterLab shows.
    """
    from tests.browser.driver import write_notebook

    notebook = f"picture_{name}.ipynb"
    write_notebook(root / notebook, cells()[name])
    page.page.set_viewport_size({"width": 1280, "height": 1750})
    page.page.set_default_timeout(300_000)  # a bench may train first
    page.open(notebook)
    page.page.evaluate("() => window.jupyterapp.commands.execute('application:toggle-left-area')")
    page.run_all()  # afterwards: pictures that are drawn for a narrow page take a while to become wider
    is_bench = name.endswith("_bench")
    drawn = ".widget-tab figure[data-drawn]" if is_bench else ".efflab-figure[data-drawn]"
    page.page.locator(f".efflab-main {drawn}").first.wait_for()
    if is_bench:
        page.page.locator(".efflab-tile:has-text('images a second')").wait_for()
    page.page.locator(".efflab-panel").screenshot(path=target)


def main() -> None:
    """Take every picture anew."""
    sys.path.insert(0, str(ROOT))
    from tests.browser.driver import Lab, NotebookPage, chromium

    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["EFFLAB_JOURNAL"] = str(Path(folder) / "journal.sqlite")
        notebooks = Path(folder) / "notebooks"
        notebooks.mkdir()
        with Lab(notebooks, Path(folder) / "jupyter") as lab, chromium() as browser:
            for name in sys.argv[1:] or cells():
                page = NotebookPage(browser, lab)
                take(page, notebooks, name, PICTURES / f"{name}.png")
                page.close()
                page.check()


if __name__ == "__main__":
    main()
