"""The right-hand side of the four states: two tiles, the two pictures, and the same in Python.

Everything here may be called from the worker thread.
"""

from collections.abc import Mapping, Sequence
from html import escape

import ipywidgets
from torch import nn

from efflab.figures.states import AnyState, base_bytes, state_sizes, state_speeds
from efflab.knobs import Setting
from efflab.lab import Lab, Preview
from efflab.lab.states import ROWS, NoState, State
from efflab.measure import count_work
from efflab.prune import remove_neurons
from efflab.recipe import Recipe, Step, to_line
from efflab.widgets.parts import code_html
from efflab.widgets.tiles import badge, score_tile, tile
from efflab.widgets.view import PictureView

MACS = "one for each weight and each place where it is used; each comes with an addition"
MEASURED = (
    "Files that were really written, and times in turns with the base. A factor is the median of the ratios of "
    "neighbouring runs; only an interval wholly outside the grey band, the noise floor, counts as a difference."
)

BUSY = "Other programs were running: these times are rough"


class StatesStage(ipywidgets.VBox):
    """Shows the score and the work of one pruned network, and its states as far as they are measured."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._base: tuple[int, int] | None = None
        self.tiles, self.note, self.code = ipywidgets.HTML(), ipywidgets.HTML(), ipywidgets.HTML()
        self.speeds, self.sizes = PictureView(height=380), PictureView(height=280)
        super().__init__([self.tiles, self.note, self.speeds, self.sizes, self.code])
        self.add_class("efflab-main")

    def pause(self, text: str) -> None:
        """Show no numbers but this sentence."""
        self.tiles.value = f"<div class='efflab-verdict'>{escape(text)}</div>"

    def draw(self, preview: Preview, model: nn.Module, batch: str) -> None:
        """Show what is known before anything is written or timed."""
        parts = (score_tile(preview, self._lab.baseline), _work_tile(model, self._lab.data.shape))
        self.tiles.value = f"<div class='efflab-tiles'>{''.join(parts)}</div>"
        self.code.value = code_html(script(preview.recipe[0], batch, self._lab.name), "the same in Python")

    def draw_states(self, states: Sequence[AnyState], doing: str) -> None:
        """Show the states so far. doing: what happens now, while some are missing."""
        self._base = base_bytes(states) or self._base
        self.speeds.show_picture(state_speeds(states))
        self.sizes.show_picture(state_sizes(states, self._base))
        self.tell(doing if len(states) < len(ROWS) else _about(states), badge("measured", MEASURED) if states else "")

    def tell(self, text: str, label: str = "") -> None:
        """Say what happens, or on which machine it happened. label: a badge, as HTML."""
        self.note.value = f"<div class='efflab-line'>{escape(text)} {label}</div>"

    def project(self, is_on: bool) -> None:
        """Large type and thick lines, or back."""
        for view in (self.speeds, self.sizes):
            view.project(is_on)


def script(one: Step, batch: str, name: str) -> str:
    """The states of this step as a loop in Python. name: of the lab."""
    lines = [
        lab_line(name),
        *recipe_lines((one,)),
        f"for state in lab.states(recipe, batch={batch}):",
        "    print(state.name, state.runtime, state.n_bytes, state.speed.verdict)",
    ]
    return "\n".join(lines)


def lab_line(name: str) -> str:
    """A comment that says what `lab` is, for a notebook may call it otherwise, or have several."""
    return f"# lab: {' '.join(name.split())}"


def recipe_lines(recipe: Recipe) -> list[str]:
    """Python that makes a recipe, imports included; a technique of a notebook is there already."""
    techniques = dict.fromkeys(one.technique for one in recipe)
    modules = {one.name: one.function.__module__ for one in techniques}
    imports = [f"from {module} import {name}" for name, module in modules.items() if module != "__main__"]
    return ["from efflab import step", *imports, f"recipe = {to_line(recipe)}"]


def sentence(settings: Mapping[str, Setting], states: Sequence[AnyState]) -> str:
    """What the pictures say, in one sentence."""
    said = [f"{state.name} in {state.runtime} {state.speed.verdict}" for state in states if isinstance(state, State)]
    return f"{', '.join(f'{name} {value}' for name, value in settings.items())}: {'; '.join(said)}."


def _work_tile(model: nn.Module, shape: tuple[int, int, int]) -> str:
    work = count_work(model, shape)
    lines = [f"without the zeros {work.macs_nonzero:,}"]
    try:
        lines.append(f"with the neurons removed {count_work(remove_neurons(model), shape).macs:,}")
    except ValueError as error:
        lines.append(escape(f"neurons removed: {error}"))
    return tile(
        "Multiplications of one image", f"{work.macs:,}", *(f"{line} {badge('computed', MACS)}" for line in lines)
    )


def _about(states: Sequence[AnyState]) -> str:
    """On which machine, and why states are missing."""
    machines = dict.fromkeys(state.speed.machine for state in states if isinstance(state, State))
    missing = [f"{state.name} in {state.runtime}: {state.reason}" for state in states if isinstance(state, NoState)]
    busy = [BUSY] if any(state.speed.busy for state in states if isinstance(state, State)) else []
    return f"{'. '.join([*machines, *busy, *missing])}."
