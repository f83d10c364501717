"""Four states of one pruned network on the screen: what masks, zeros, an encoding and smaller shapes do.

The accuracy follows the hand. Files are written and timed once it is still, one state after the other; a setting that
was measured is there at once when the hand comes back to it.
"""

from collections.abc import Callable, Mapping, Sequence

from efflab.figures.states import AnyState
from efflab.knobs import Choice, Knob, Setting, Value
from efflab.lab import Lab
from efflab.lab.states import ROWS, State
from efflab.prune import zero_neurons
from efflab.recipe import AnyTechnique, Recipe, step
from efflab.training.turns import one_thread
from efflab.widgets.answers import is_too_rough
from efflab.widgets.asking import Answer, Gate, Panel
from efflab.widgets.bench import LIVE_SECONDS, STILL_SECONDS
from efflab.widgets.controls import Control
from efflab.widgets.desk import Desk
from efflab.widgets.parts import button, side_by_side
from efflab.widgets.states_stage import StatesStage, sentence
from efflab.widgets.worker import Stale, Turns, worker

BATCHES = Choice(("1", "8", "64"), "images in a run")

Settings = Mapping[str, Setting]
Answered = Callable[[Sequence[AnyState]], Answer | None]


class FourStates(Panel):
    """A pruned network masked, zeroed, encoded and removed. Make one with `chapter.states(lab)`.

    technique: what prunes; its knobs, and "batch", can be controls.
    controls: which of them to show; the others stay as in `start`. All if not given.
    start: settings to begin with.
    gate: a prediction that must be made before the controls unlock.
    at: the settings that the prediction is about; those of `start` if not given.
    answer: a function of the states of these settings that gives the answer, or None while it is not known.

    Raises:
        ValueError, TypeError: there is no such control, or no such value for it.
    """

    def __init__(
        self,
        lab: Lab,
        technique: AnyTechnique = zero_neurons,
        *,
        controls: Sequence[str] | None = None,
        start: Mapping[str, Value] | None = None,
        gate: Gate | None = None,
        at: Mapping[str, Value] | None = None,
        answer: Answered | None = None,
    ) -> None:
        self.lab, self.technique, self.gate = lab, technique, gate
        knobs: dict[str, Knob] = {**technique.knobs, "batch": BATCHES}
        self._start: dict[str, Value] = {**technique.defaults, "batch": "1", **(start or {})}
        self.at: dict[str, Value] = {**self._start, **(at or {})}
        _check(knobs, self.at, controls or ())
        self._answer: Answered = answer or (lambda states: None)
        self._measured: dict[tuple[tuple[str, Setting], ...], tuple[AnyState, ...]] = {}
        shown = {name: Control(name, knobs[name], self._start[name]) for name in controls or knobs}
        again = button("Measure again", self.measure, "writes and times all states once more")
        self.desk, self.stage = Desk(shown, [], [again], self.project), StatesStage(lab)
        super().__init__([*([gate] if gate else []), side_by_side(self.desk, self.stage)])
        for control in shown.values():
            control.on_change(self.refresh)
        self.begin(gate, self.unlock, self._pause)

    @property
    def controls(self) -> dict[str, Control]:
        """What can be moved, by its name."""
        return self.desk.controls

    @property
    def settings(self) -> dict[str, Setting]:
        """What the controls are set to, and what those that are not shown stay at."""
        return {**self._start, **self.desk.settings}

    @property
    def recipe(self) -> Recipe:
        """The one step that the controls ask for."""
        return (step(self.technique, **{name: self.settings[name] for name in self.technique.knobs}),)

    @property
    def states(self) -> tuple[AnyState, ...]:
        """What was measured of the settings of the controls, so far."""
        return self._measured.get(_key(self.settings), ())

    def set(self, **settings: Setting) -> None:
        """Move controls as a hand would: `panel.set(ratio=0.9, batch="64")`.

        Raises:
            ValueError, TypeError: no such control, or no value for it.
        """
        self.desk.set(settings)

    def refresh(self) -> None:
        """Show the settings of the controls, and measure what is missing of them once the hand is still."""
        self.clear_error()
        settings, recipe = self.settings, self.recipe
        worker().submit((id(self), "states"), lambda stale: self._follow(settings, recipe, stale), on_error=self._fail)

    def measure(self) -> None:
        """Measure these settings once more."""
        self._measured.pop(_key(self.settings), None)
        self.refresh()

    def unlock(self) -> None:
        """Give the controls free: there is no prediction to make, or it was made or skipped."""
        self.desk.lock(False)
        self.stage.pause("Evaluating the network ...")
        self.refresh()

    def project(self, is_on: bool) -> None:
        """Large type and thick lines for a room, or back."""
        (self.add_class if is_on else self.remove_class)("efflab-projector")
        self.stage.project(is_on)

    def _pause(self, text: str) -> None:
        self.desk.lock(True)
        self.stage.pause(text)

    # What the worker does.

    def _fail(self, error: BaseException) -> None:
        self.show_error(error)
        self.stage.tell("not measured: see the message below")

    def _follow(self, settings: Settings, recipe: Recipe, stale: Stale) -> Turns:
        states = self._measured.get(_key(settings), ())
        self._take(settings, states, "to be measured once the hand is still")  # first, for old numbers must go
        self._draw(settings, recipe, LIVE_SECONDS)
        yield STILL_SECONDS
        self._draw(settings, recipe)
        if len(states) < len(ROWS):
            yield from self._measure(settings, recipe, stale)

    def _measure(self, settings: Settings, recipe: Recipe, stale: Stale) -> Turns:
        states: tuple[AnyState, ...] = ()
        self.stage.tell(_doing(0))
        for state in self.lab.states(recipe, batch=int(str(settings["batch"])), stale=stale):
            if stale():
                return
            states = (*states, state)
            self._take(settings, states, _doing(len(states)))
            yield None

    def _draw(self, settings: Settings, recipe: Recipe, seconds: float = float("inf")) -> None:
        with one_thread():
            preview = self.lab.preview(recipe, seconds=seconds)
        self.stage.draw(preview, self.lab.build(recipe), str(settings["batch"]))

    def _take(self, settings: Settings, states: tuple[AnyState, ...], doing: str) -> None:
        self._measured[_key(settings)] = states
        self.stage.draw_states(states, doing)
        if len(states) < len(ROWS):
            self.readout.sentence = f"{doing[:1].upper()}{doing[1:]}."
            return
        self.readout.sentence = sentence(settings, states)
        if all(settings[name] == value for name, value in self.at.items()):
            self.tell_answer(self.gate, self._answer(states))
            if any(isinstance(state, State) and is_too_rough(state.speed) for state in states):
                self.ask_to_repeat(self.gate, "press Measure again")


def _key(settings: Settings) -> tuple[tuple[str, Setting], ...]:
    return tuple(sorted(settings.items()))


def _doing(n_measured: int) -> str:
    if n_measured == len(ROWS):
        return "all measured"
    name, runtime = ROWS[n_measured]
    return f"measuring {n_measured + 1} of {len(ROWS)}: {name} in {runtime}"


def _check(knobs: Mapping[str, Knob], settings: Mapping[str, Value], controls: Sequence[str]) -> None:
    for name in (*settings, *controls):
        if name not in knobs:
            raise ValueError(f"there is no control {name!r}; there are: {', '.join(knobs)}")
    for name, value in settings.items():
        knobs[name].check(name, value)
