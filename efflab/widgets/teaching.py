"""Teacher mode: predictions are not asked for, quizzes show their answers on a button, and a panel fills the window.

`Chapter("03", teacher=True)` turns it on, and so does EFFLAB_TEACHER=1, which `efflab lab --teacher` and `efflab demo`
set. What a teacher clicks in front of a class is no prediction and no answer: neither is written down.
"""

import os
from collections.abc import Callable, Iterator
from html import escape
from typing import TypeVar

import ipywidgets

from efflab.journal import Journal
from efflab.journal.journal import Kind
from efflab.lab import Lab
from efflab.questions import Prediction, Quiz
from efflab.widgets.asking import Gate, Panel
from efflab.widgets.bench import Bench
from efflab.widgets.parts import button, line
from efflab.widgets.quiz import QuizView

SWITCH = "EFFLAB_TEACHER"
NOT_ASKED = "Teacher mode: not asked, nothing written down."
REVEAL = "Reveal what to say"
SEED = "Seed {}: every run on this machine gives these networks and scores again; only times are measured anew."

AnyPanel = TypeVar("AnyPanel", bound=Panel)


def is_teacher() -> bool:
    """Whether the switch in the environment is on."""
    return os.environ.get(SWITCH, "") not in ("", "0")


class OpenGate(Gate):
    """A prediction that is not asked for: it is open from the start, and what comes out is shown beside no guess."""

    def __init__(self, question: Prediction, journal: Journal, *, chapter: str) -> None:
        super().__init__(question, journal, chapter=chapter)
        self._key = ipywidgets.HTML()
        asked, *_ = self._question.children
        asked.children = asked.children[:1]  # the words, without what a guess is set with
        said = ipywidgets.HBox([self._feedback, _narrow(REVEAL, self.reveal_key)])
        said.layout.align_items = "center"
        self._question.children = (asked, said, self._key)
        self._open(None)

    def reveal_key(self) -> None:
        """Show what each prediction is answered with."""
        if self.question.number is None:
            said = [(option.text, option.feedback) for option in self.question.options]
        else:
            number = self.question.number
            said = [("too low", number.too_low), ("close", number.close), ("too high", number.too_high)]
        self._key.value = _table(said)

    def keep_in(self, journal: Journal, kind: Kind, id: str, value: object, *, chapter: str) -> bool:
        """Write nothing."""
        return True

    def _remember(self) -> None:
        """What a learner has predicted on this machine is not shown to a class."""

    def _ask_what_was_seen(self) -> None:
        asked = f"<span class='efflab-label'>{escape(self.question.seen)}</span>"
        self._seen_box.children = (ipywidgets.HTML(asked),)
        super()._ask_what_was_seen()

    def _tell_next(self) -> None:
        self._feedback.value = f"<div class='efflab-verdict'>{NOT_ASKED} {escape(self._next)}</div>"


class OpenQuiz(QuizView):
    """A quiz whose answers a button shows; what is clicked is not written down."""

    def __init__(self, quiz: Quiz, journal: Journal, *, chapter: str) -> None:
        super().__init__(quiz, journal, chapter=chapter)
        self._key = ipywidgets.HTML()
        box = self.children[0]
        box.children = (*box.children, _narrow(REVEAL, self.reveal_key), self._key)

    def reveal_key(self) -> None:
        """Show which option is right, and what each of them is answered with."""
        marks = {True: "right: ", False: ""}
        self._key.value = _table([(marks[one.right] + one.text, one.feedback) for one in self.quiz.options])

    def keep_in(self, journal: Journal, kind: Kind, id: str, value: object, *, chapter: str) -> bool:
        """Write nothing."""
        return True

    def _remember(self) -> None:
        """What a learner has answered on this machine is not shown to a class."""


def prepare(panel: AnyPanel, lab: Lab | None = None) -> AnyPanel:
    """The panel as a class sees it: its whole curve, where it has one, and the seed of the lab that it runs with."""
    if lab is not None:
        panel.children = (*panel.children, line(SEED.format(lab.seed)))
    if isinstance(panel, Bench) and not panel.technique.is_slow:
        panel.reveal()
    return panel


def fill_window(panel: Panel) -> Panel:
    """Let a panel fill the window of its page, in large type, over everything that stands around it."""
    for one in _inside(panel):
        if isinstance(one, ipywidgets.Checkbox) and one.description == "projector":
            one.value = True
    panel.readout.fills_window = True
    return panel


def _inside(widget: ipywidgets.Widget) -> Iterator[ipywidgets.Widget]:
    yield widget
    for child in getattr(widget, "children", ()):
        yield from _inside(child)


def _narrow(text: str, act: Callable[[], object]) -> ipywidgets.Button:
    made = button(text, act, "for the class to read; nothing is written down")
    made.layout = ipywidgets.Layout(width="max-content")
    return made


def _table(said: list[tuple[str, str]]) -> str:
    rows = "".join(f"<li><b>{escape(answer)}</b>: {escape(feedback)}</li>" for answer, feedback in said)
    return f"<div class='efflab-verdict' role='status'><ul>{rows}</ul></div>"
