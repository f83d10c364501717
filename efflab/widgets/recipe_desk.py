"""The steps of a recipe as cards: each can be switched off, moved, removed and tuned, by hand or by keyboard."""

from collections.abc import Callable, Sequence
from html import escape
from typing import Protocol

import ipywidgets

from efflab.knobs import Setting
from efflab.recipe import TECHNIQUES, AnyTechnique, Recipe, Step, step
from efflab.widgets.controls import Control
from efflab.widgets.parts import button, named_choice, offer, wide

MORE, FEWER = "More settings", "Fewer settings"
TOPICS = {"prune": "Pruning", "quantize": "Quantization", "distill": "Distillation"}
"""What the rooms of the techniques are called on the screen."""
EMPTY = "No step yet: choose a technique, and press Add."


class Changes(Protocol):
    """What the buttons of a card do; steps are counted from 1, as on the screen."""

    def move(self, number: int, by: int) -> None:
        """Move a step up (-1) or down (1)."""

    def remove(self, number: int) -> None:
        """Take a step away."""

    def refresh(self) -> None:
        """A control moved, or a step was switched on or off."""


class StepCard(ipywidgets.VBox):
    """One step: its number and name, whether it is on, its place, and its knobs."""

    def __init__(self, one: Step, changes: Changes) -> None:
        self.technique: AnyTechnique = one.technique
        self.number = 0
        self._rest = {name: value for name, value in one.values.items() if isinstance(value, dict)}
        self.controls = {
            name: Control(name, knob, one.values[name])  # type: ignore[arg-type]  # those that differ by layer stay
            for name, knob in one.technique.knobs.items()
            if name not in self._rest
        }
        self.switch = ipywidgets.Checkbox(True, indent=False, layout=wide())
        self.problem = ipywidgets.HTML()
        self.up = button("Up", lambda: changes.move(self.number, -1))
        self.down = button("Down", lambda: changes.move(self.number, 1))
        self.gone = button("Remove", lambda: changes.remove(self.number))
        by_layer = [ipywidgets.HTML(f"<span class='efflab-label'>{name}: by layer</span>") for name in self._rest]
        first, *others = [*self.controls.values(), *by_layer] or [ipywidgets.HTML()]
        self._others, self._more = ipywidgets.VBox(others), button(MORE, self.show_others)
        self._others.layout.display = "none"
        folded = [self._more, self._others] if others else []
        moves = ipywidgets.HBox([self.up, self.down, self.gone])
        super().__init__([self.switch, self.problem, moves, first, *folded])
        self.add_class("efflab-step")
        self.switch.observe(lambda _: changes.refresh(), "value")
        for control in self.controls.values():
            control.on_change(changes.refresh)

    def tell_problem(self, text: str) -> None:
        """Say in the card why its step cannot act, and mark it; an empty text takes both away."""
        self.problem.value = f"<div class='efflab-verdict efflab-failed'>{escape(text)}</div>" if text else ""
        (self.add_class if text else self.remove_class)("efflab-refused")

    def show_others(self) -> None:
        """Show the settings behind the first one, or hide them again."""
        is_hidden = self._others.layout.display == "none"
        self._others.layout.display = "" if is_hidden else "none"
        self._more.description = FEWER if is_hidden else MORE

    @property
    def is_on(self) -> bool:
        """Whether the recipe has it."""
        return bool(self.switch.value)

    @property
    def step(self) -> Step:
        """The technique with the settings of the controls."""
        settings: dict[str, Setting] = {name: control.setting for name, control in self.controls.items()}
        return step(self.technique, **settings, **self._rest)

    def place(self, number: int, n: int) -> None:
        """Be step `number` of `n`: the name says it, and the ends cannot be passed."""
        self.number = number
        self.switch.description = f"{number}. {self.technique.label}"
        self.up.disabled, self.down.disabled = number == 1, number == n
        for one, act in ((self.up, "move up"), (self.down, "move down"), (self.gone, "remove")):
            one.tooltip = f"{act}: step {number}, {self.technique.label}"

    def lock(self, is_locked: bool, n: int) -> None:
        """Let nobody change it, or let them again."""
        self.switch.disabled = self.gone.disabled = is_locked
        self.up.disabled, self.down.disabled = is_locked or self.number == 1, is_locked or self.number == n
        for control in self.controls.values():
            control.lock(is_locked)


class RecipeDesk(ipywidgets.VBox):
    """The cards of a recipe in their order, and below them what adds one.

    below: what stands under the steps, such as buttons. lockable: buttons that are locked with the steps.
    """

    def __init__(
        self,
        changes: Changes,
        add: Callable[[AnyTechnique], object],
        below: Sequence[ipywidgets.Widget],
        lockable: Sequence[ipywidgets.Button],
    ) -> None:
        self._changes, self._lockable = changes, list(lockable)
        self.cards: list[StepCard] = []
        self._none = ipywidgets.HTML(f"<span class='efflab-label'>{EMPTY}</span>")
        self._steps = ipywidgets.VBox([self._none])
        self._steps.add_class("efflab-steps")
        topics = dict.fromkeys(_room(technique) for technique in TECHNIQUES.values())
        self.topic = ipywidgets.Dropdown(options=[(TOPICS.get(room, room), room) for room in topics], layout=wide())
        self.choice = ipywidgets.Dropdown(options=techniques_of(self.topic.value), layout=wide())
        self.topic.observe(lambda change: offer(self.choice, techniques_of(change["new"])), "value")
        self.add_button = button("Add", lambda: add(TECHNIQUES[self.choice.value]), "puts this technique at the end")
        chosen = [named_choice("Topic", self.topic), named_choice("Technique", self.choice)]
        super().__init__([self._steps, *chosen, self.add_button, *below])
        self.add_class("efflab-controls")

    @property
    def recipe(self) -> Recipe:
        """The steps that are on."""
        return tuple(card.step for card in self.cards if card.is_on)

    def put(self, recipe: Recipe) -> None:
        """Show these steps, in place of those before."""
        self._show([StepCard(one, self._changes) for one in recipe])

    def add(self, one: Step) -> None:
        """Put a step at the end."""
        self._show([*self.cards, StepCard(one, self._changes)])

    def remove(self, number: int) -> None:
        """Take a step away, counted from 1."""
        self._show([card for card in self.cards if card.number != self.card(number).number])

    def move(self, number: int, by: int) -> None:
        """Move a step by so many places; at an end it stays."""
        card, cards = self.card(number), list(self.cards)
        cards.remove(card)
        cards.insert(min(max(number - 1 + by, 0), len(cards)), card)
        self._show(cards)

    def card(self, number: int) -> StepCard:
        """The card of a step, counted from 1.

        Raises:
            ValueError: there is no such step.
        """
        if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= len(self.cards):
            raise ValueError(f"number must be that of a step, from 1 to {len(self.cards)}, not {number!r}")
        return self.cards[number - 1]

    def mark(self, number: int, text: str) -> None:
        """Say in a card why its step cannot act. number: from 1, among the steps that are on, as a recipe counts."""
        [card for card in self.cards if card.is_on][number - 1].tell_problem(text)

    def clear_marks(self) -> None:
        """Take away what `mark` said."""
        for card in self.cards:
            card.tell_problem("")

    def lock(self, is_locked: bool) -> None:
        """Let nobody change the recipe, or let them again."""
        for card in self.cards:
            card.lock(is_locked, len(self.cards))
        for one in (self.topic, self.choice, self.add_button, *self._lockable):
            one.disabled = is_locked

    def _show(self, cards: list[StepCard]) -> None:
        self.cards = cards
        for number, card in enumerate(cards, start=1):
            card.place(number, len(cards))
        self._steps.children = tuple(cards) or (self._none,)


def techniques_of(topic: str) -> list[tuple[str, str]]:
    """The labels and names of a topic's techniques, in teaching order."""
    return [(technique.label, name) for name, technique in TECHNIQUES.items() if _room(technique) == topic]


def _room(technique: AnyTechnique) -> str:
    return technique.__module__.split(".")[1]
