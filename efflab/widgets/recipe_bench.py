"""The recipe bench: steps added, ordered, switched off and tuned, and what each of them does, measured.

Steps that need no training follow the hand. One that trains waits for its button, and so does everything behind it;
what was run before is kept, so that tuning the last step does not train the first one again.
"""

from html import escape

import ipywidgets

from efflab.journal import Journal
from efflab.knobs import Setting
from efflab.lab import Lab, Report
from efflab.lab.prefixes import Prefix
from efflab.recipe import AnyTechnique, Recipe, check_recipe, recipe_from, step
from efflab.training import warm_up
from efflab.widgets.asking import Gate
from efflab.widgets.controls import Control
from efflab.widgets.parts import button, line_text, side_by_side, wide
from efflab.widgets.recipe_desk import RecipeDesk
from efflab.widgets.recipe_runs import NOTHING_OPENED, SEEDS, RecipeRuns
from efflab.widgets.recipe_stage import RecipeStage
from efflab.widgets.running import Running

PASTE = "A recipe as JSON or as one line"


class RecipeBench(RecipeRuns):
    """Recipes on a lab, step by step. Make one with `chapter.recipe_bench(lab)`.

    recipe: the steps to begin with.
    gate: a prediction that must be made before the steps unlock.
    at: the recipe that the prediction is about; once it is shown, its score answers.

    Raises:
        TypeError: `recipe` or `at` is no recipe.
    """

    def __init__(
        self,
        lab: Lab,
        recipe: Recipe = (),
        *,
        gate: Gate | None = None,
        at: Recipe = (),
        journal: Journal | None = None,
        chapter: str = "recipe bench",
    ) -> None:
        check_recipe(recipe)
        check_recipe(at)
        self.lab, self.journal, self.chapter = lab, journal or Journal(), chapter
        self.gate, self.at = gate, at
        self._asked: Recipe | None = None
        self.running = Running("Training")
        self.test_line = ipywidgets.HTML()
        self.pasted = ipywidgets.Textarea(placeholder="(step(prune_weights, sparsity=0.9),)", rows=3, layout=wide())
        buttons = [
            button("Run", self.run, "trains the steps that train, and measures each"),
            button("", self.run_seeds, "the whole recipe from several seeds, each a point"),
            button("Open the test set", self.open_test, "once, at the end: choose with validation data"),
            button("Take what is pasted", self.take_pasted, "puts these steps in place of those above"),
        ]
        projector = ipywidgets.Checkbox(False, description="projector", indent=False)
        projector.observe(lambda change: self.project(change["new"]), "value")
        box = ipywidgets.VBox([ipywidgets.HTML(f"<span class='efflab-label'>{PASTE}</span>"), self.pasted])
        box.add_class("efflab-control")
        self.paste_line = ipywidgets.HTML()
        run, self._run_seeds, test, take = buttons
        self.seeds = Control("seeds", SEEDS, 3)
        self.seeds.on_change(self._name_seeds)
        self._name_seeds()
        below = [
            run,
            self.running,
            self.seeds,
            self._run_seeds,
            test,
            self.test_line,
            box,
            take,
            self.paste_line,
            projector,
        ]
        self.desk = RecipeDesk(self, self.add, below, buttons)
        self.stage = RecipeStage(lab, self.journal, chapter, self.redraw_tab)
        super().__init__([*([gate] if gate else []), side_by_side(self.desk, self.stage)])
        self.add_class("efflab-recipe")
        self._submit("warm-up", lambda stale: warm_up())
        self.desk.put(recipe)
        self.begin(gate, self.unlock, self._pause)

    @property
    def recipe(self) -> Recipe:
        """The steps that are on."""
        return self.desk.recipe

    @property
    def n_seeds(self) -> int:
        """How many seeds the button runs."""
        return int(str(self.seeds.setting))

    @property
    def prefixes(self) -> list[Prefix]:
        """What is shown, the base first."""
        return self.stage.prefixes

    @property
    def report(self) -> Report | None:
        """What was weighed and timed of the whole recipe, or None while it is not known."""
        last = self.prefixes[-1] if self.prefixes else None
        return last.report if last is not None and last.recipe == self.recipe else None

    # What a hand does; steps are counted from 1.

    def unlock(self) -> None:
        """Give the steps free: the prediction was made or skipped."""
        self.desk.lock(False)
        self.stage.tell("")
        self.refresh()

    def put(self, recipe: Recipe) -> None:
        """Show these steps, in place of those before.

        Raises:
            TypeError: it is no recipe.
        """
        check_recipe(recipe)
        self.clear_error()
        self.desk.put(recipe)
        self.refresh()

    def add(self, technique: AnyTechnique, **settings: Setting) -> None:
        """Put a step at the end.

        Raises:
            ValueError, TypeError: as `step`.
        """
        self.desk.add(step(technique, **settings))
        self.refresh()

    def move(self, number: int, by: int) -> None:
        """Move a step up (-1) or down (1), and leave the keyboard where it was.

        Raises:
            ValueError: there is no such step.
        """
        card = self.desk.card(number)
        self.desk.move(number, by)
        self.refresh()
        first, second = (card.up, card.down) if by < 0 else (card.down, card.up)
        self._focus(second if first.disabled else first)  # at an end the one that was pressed is dead

    def remove(self, number: int) -> None:
        """Take a step away.

        Raises:
            ValueError: there is no such step.
        """
        self.desk.remove(number)
        self.refresh()
        self._focus(self.desk.add_button)

    def switch(self, number: int, is_on: bool) -> None:
        """Switch a step on or off.

        Raises:
            ValueError: there is no such step.
        """
        self.desk.card(number).switch.value = is_on

    def set(self, number: int, **settings: Setting) -> None:
        """Move controls of a step as a hand would: `bench.set(1, sparsity=0.9)`.

        Raises:
            ValueError, TypeError: no such step or control, or no value for it.
        """
        card = self.desk.card(number)
        for name, setting in settings.items():
            if name not in card.controls:
                raise ValueError(f"step {number} has no control {name!r}; it has: {', '.join(card.controls)}")
            card.controls[name].set(setting)

    def take(self, text: str) -> None:
        """Show the steps of a recipe in JSON or in one line; if it cannot be read, say why and change nothing."""
        try:
            recipe = recipe_from(text)
        except (ValueError, TypeError) as error:
            self.show_error(error)
            self.paste_line.value = f"<div class='efflab-verdict efflab-failed'>{escape(str(error))}</div>"
            return
        self.put(recipe)

    def take_pasted(self) -> None:
        """Show the steps of what was pasted."""
        self.take(self.pasted.value)

    def refresh(self) -> None:
        """Show what the steps come to, as far as nothing has to be trained; the rest waits for Run.

        Nothing happens while they are what they were: a page that lays out a slider tells its value, too.
        """
        if self.recipe == self._asked:
            return
        self.clear_error()
        self.test_line.value = ""  # it was about another network
        self.stage.training.hide()
        self.stage.draw_seeds([])
        recipe = self._asked = self.stage.recipe = self.recipe
        self.stage.wait()
        self._submit("live", lambda stale: self._follow(recipe, self._known(recipe), stale))

    def run(self) -> None:
        """Train what has to be trained, and measure each step."""
        self.clear_error()
        recipe, progress = self.recipe, self.running.start()
        self._submit("live", lambda stale: self._train(recipe, progress, stale))

    def run_seeds(self) -> None:
        """Run the whole recipe with as many seeds as the control says, that of the lab first; each is a point."""
        self.clear_error()
        recipe, progress, n = self.recipe, self.running.start(), self.n_seeds
        self._submit("live", lambda stale: self._train_seeds(recipe, n, progress, stale))

    def stop(self) -> None:
        """End a training after its batch; the best network so far is shown, and is not written down."""
        self.running.stop()

    def open_test(self) -> None:
        """Evaluate what is shown on the test data, and write down that it was opened; not before it ran to its end."""
        last = self.prefixes[-1] if self.prefixes else None
        if last is None or last.recipe != self.recipe or last.preview.is_partial:
            self.test_line.value = line_text(NOTHING_OPENED)
            return
        self._submit("test", lambda stale: self._open_test(last))

    def redraw_tab(self) -> None:
        """Draw the open tab again."""
        self._submit("tab", lambda stale: self.stage.draw_tab())

    def _name_seeds(self) -> None:
        self._run_seeds.description = f"Run with {self.n_seeds} seeds"

    def _pause(self, text: str) -> None:
        self.desk.lock(True)
        self.stage.tell(text)

    def project(self, is_on: bool) -> None:
        """Large type and thick lines for a room, or back."""
        (self.add_class if is_on else self.remove_class)("efflab-projector")
        self.stage.project(is_on)
