"""What the learner is asked: a prediction before the controls unlock, and a verdict as it is shown.

Each widget writes what the learner did into the journal and reads it back, so that an answer survives a restart. A
journal that cannot be written says so in the error line; the answer counts all the same.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from html import escape

import ipywidgets

from efflab.journal import Entry, Journal, JournalError, day_text
from efflab.journal.journal import Kind
from efflab.questions import Prediction, Verdict
from efflab.widgets.controls import number_format
from efflab.widgets.live_figure import Reopened
from efflab.widgets.readout import ReadOut

Answer = float | str
LOOK_BELOW = "Now look below."
TOO_BUSY = "The machine was too busy to answer your prediction"
KEPT = "The answer is that of {day}; a new one takes its place."
PREDICT_FIRST = "Predict first: lock in what you expect, or skip."


class Panel(Reopened, ipywidgets.VBox):
    """A box with our looks and a read-out; `last_error` keeps what its error line says."""

    def __init__(self, children: list[ipywidgets.Widget]) -> None:
        self.readout = ReadOut()
        self.last_error: BaseException | None = None
        super().__init__([*children, self.readout])
        self.add_class("efflab-panel")

    def show_error(self, error: BaseException) -> None:
        """Put an error into the error line; a sentence of ours as it is, others with their type."""
        self.last_error = error
        ours = isinstance(error, (ValueError, OSError, TypeError, RuntimeError))
        self.readout.error = str(error) if ours else f"{type(error).__name__}: {error}"

    def clear_error(self) -> None:
        """Empty the error line."""
        self.last_error, self.readout.error = None, ""

    def keep_in(self, journal: Journal, kind: Kind, id: str, value: object, *, chapter: str) -> bool:
        """Record something in the journal; if it cannot be written, say so in the error line, and return False."""
        try:
            journal.record(kind, id, value, chapter=chapter)
        except JournalError as error:
            self.show_error(error)
            return False
        return True

    def begin(
        self, gate: "Gate | None", unlock: Callable[[], object], pause: Callable[[str], object], then: str = ""
    ) -> None:
        """Call `unlock()` now, or once the prediction of `gate` is made or skipped; `pause(text)` until then.

        then: a sentence on what to do after that, which the gate says.
        """
        if gate is None:
            unlock()
            return
        pause(PREDICT_FIRST)
        self.readout.sentence = PREDICT_FIRST
        gate.say_next(then)
        gate.on_open(unlock)

    def tell_answer(self, gate: "Gate | None", answer: Answer | None) -> None:
        """Put the answer beside the prediction once there are both, and say so."""
        if gate is not None and answer is not None and gate.reveal(answer):
            self.readout.sentence += " Your prediction has its answer now, above."

    def ask_to_repeat(self, gate: "Gate | None", what: str) -> None:
        """Say of a prediction without an answer that the machine was too busy, and what to do: "look again"."""
        if gate is not None and gate.measured is None:
            text = f"{TOO_BUSY}: close other programs, and {what}."
            gate.say_next(text)
            self.readout.sentence += f" {text}"


class Gate(Panel):
    """A prediction, made before anything is seen: lock in or skip, and whoever waits is told.

    `answer` is the prediction, or None when it was skipped; `is_open` once either happened. After a restart both the
    prediction and what was measured are there again; a new measurement takes the place of the kept one, once.
    """

    def __init__(self, question: Prediction, journal: Journal, *, chapter: str) -> None:
        self.question, self.journal, self.chapter = question, journal, chapter
        self.is_open = False
        self.answer: Answer | None = None
        self.measured: Answer | None = None
        self._is_kept = False  # whether `measured` is what the journal has from before
        self._next = LOOK_BELOW
        self._callbacks: list[Callable[[], object]] = []
        self._input = _input_for(question)
        self._lock = ipywidgets.Button(description="Lock in", tooltip="write down what you expect")
        self._skip = ipywidgets.Button(description="Skip", tooltip="go on without a prediction")
        self._feedback = ipywidgets.HTML()
        self._seen = ipywidgets.Textarea(placeholder="What did you see? One sentence is enough.", rows=2)
        self._keep = ipywidgets.Button(description="Write down")
        label = ipywidgets.HTML(f"<b>Predict.</b> <span class='efflab-label'>{with_code(question.text)}</span>")
        asked = ipywidgets.VBox([label, _with_unit(question, self._input)])
        asked.add_class("efflab-control")
        seen = ipywidgets.HTML(f"<span class='efflab-label'>{with_code(question.seen)}</span>")
        self._seen_box = ipywidgets.VBox([seen, self._seen, self._keep])
        self._seen_box.add_class("efflab-control")
        self._buttons = ipywidgets.HBox([self._lock, self._skip])
        self._question = ipywidgets.VBox([asked, self._buttons, self._feedback])
        self._question.add_class("efflab-question")
        super().__init__([self._question])
        self._lock.on_click(lambda _: self.lock_in_chosen())
        self._skip.on_click(lambda _: self.skip())
        self._keep.on_click(lambda _: self.write_down(self._seen.value))
        self._remember()

    def on_open(self, callback: Callable[[], object]) -> None:
        """Call `callback()` once the prediction is made or skipped; at once if it is already."""
        if self.is_open:
            callback()
        self._callbacks.append(callback)

    def say_next(self, sentence: str) -> None:
        """What the learner is told to do once the prediction is made or skipped; where it is empty, to look below."""
        self._next = sentence or LOOK_BELOW
        if self.is_open and self.measured is None:
            self._tell_next()

    def lock_in_chosen(self) -> None:
        """Make the prediction that the input shows; while nothing is chosen, say so."""
        if self._input.value is None:
            self.readout.error = "Choose one of the answers first, or skip."
        else:
            self.lock_in(self._input.value)

    def lock_in(self, answer: Answer) -> None:
        """Make the prediction: a number, or the key of an option."""
        self._record("prediction", answer)
        self._open(answer)

    def skip(self) -> None:
        """Go on without a prediction; that, too, is recorded."""
        self._record("skip", None)
        self._open(None)

    def reveal(self, measured: Answer) -> bool:
        """Put what was measured beside the prediction, with the thought behind the difference, and record it; once.

        Whether it was done now.
        """
        if not self.is_open or (self.measured is not None and not self._is_kept):
            return False
        self._show_answer(measured, self.question.feedback_for(self.answer, measured))
        self._is_kept = False
        found = measured if isinstance(measured, str) else float(measured)
        self.keep_in(self.journal, "measured", self.question.id, found, chapter=self.chapter)
        return True

    def _show_answer(self, measured: Answer, text: str) -> None:
        self.measured = measured
        self._feedback.value = f"<div class='efflab-verdict' role='status'>{with_code(text)}</div>"
        self._ask_what_was_seen()

    def _ask_what_was_seen(self) -> None:
        if self._seen_box not in self._question.children:
            self._question.children = (*self._question.children, self._seen_box)

    def write_down(self, text: str) -> None:
        """Keep the learner's own words on what they saw; without any, ask for them."""
        if not text.strip():
            self.readout.error = "There is nothing to write down yet: one sentence is enough."
            return
        self._record("answer", text.strip())
        self._keep.description = "Written down"

    def _remember(self) -> None:
        """Take up the prediction that was made before a restart, its answer, and the sentence that was written."""
        try:
            made = self.journal.latest("prediction", self.question.id, chapter=self.chapter)
            found = self.journal.latest("measured", self.question.id, chapter=self.chapter)
            written = self.journal.latest("answer", self.question.id, chapter=self.chapter)
        except JournalError as error:
            self.show_error(error)
            return
        if made is not None and isinstance(made.value, (int, float, str)):
            self._open(made.value)
            if found is not None:
                self._take_up(found)
        if written is not None and isinstance(written.value, str):
            self._seen.value, self._keep.description = written.value, "Written down"
            if self.is_open:
                self._ask_what_was_seen()

    def _take_up(self, found: Entry) -> None:
        if not isinstance(found.value, (int, float, str)):
            return
        try:
            text = self.question.feedback_for(self.answer, found.value)
        except ValueError:  # the question was another one then
            return
        self._show_answer(found.value, f"{text} {KEPT.format(day=day_text(found.at))}")
        self._is_kept = True

    def _open(self, answer: Answer | None) -> None:
        self.is_open, self.answer = True, answer
        self._buttons.layout.display = "none"
        self._input.disabled = True
        if answer is not None:
            self._input.value = answer
        self._tell_next()
        for callback in self._callbacks:
            callback()

    def _tell_next(self) -> None:
        said = "You skipped it." if self.answer is None else "Locked in."
        self._feedback.value = f"<div class='efflab-verdict'>{said} {escape(self._next)}</div>"

    def _record(self, kind: Kind, value: Answer | None) -> None:
        if self.keep_in(self.journal, kind, self.question.id, value, chapter=self.chapter):
            self.clear_error()


@dataclass(frozen=True)
class Checked:
    """A verdict that a notebook can show, with a note when the journal could not be written."""

    verdict: Verdict
    note: str = ""

    def __repr__(self) -> str:
        return " ".join(part for part in (self.verdict.message, self.note) if part)

    def _repr_html_(self) -> str:
        return verdict_html(self.verdict) + (f"<p>{escape(self.note)}</p>" if self.note else "")


def verdict_html(verdict: Verdict) -> str:
    """The verdict with a word and a colour; a message of several lines as a list."""
    word, look = ("Right.", "passed") if verdict.passed else ("Not yet.", "failed")
    message = with_code(verdict.message.removeprefix(word).lstrip())
    if "\n" in message:
        message = f"<ul>{''.join(f'<li>{line}</li>' for line in message.splitlines())}</ul>"
    return f"<div class='efflab-verdict efflab-{look}' role='status'><b>{word}</b> {message}</div>"


def with_code(text: str) -> str:
    """A text as HTML, with what stands between backticks as code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))


def _with_unit(question: Prediction, entry: ipywidgets.ValueWidget) -> ipywidgets.Widget:
    """The input, and beside a number its unit."""
    if question.number is None or not question.number.unit:
        return entry
    unit = ipywidgets.HTML(escape(question.number.unit))
    return ipywidgets.HBox([entry, unit], layout=ipywidgets.Layout(align_items="center"))


def _input_for(question: Prediction) -> ipywidgets.ValueWidget:
    wide = ipywidgets.Layout(width="auto", max_width="600px")
    if question.number is None:
        options = [(option.text, option.key) for option in question.options]
        return ipywidgets.RadioButtons(options=options, value=None, layout=wide)
    number = question.number
    middle = number.low + round((number.high - number.low) / 2 / number.step) * number.step
    return ipywidgets.FloatSlider(
        value=middle,
        min=number.low,
        max=number.high,
        step=number.step,
        readout_format=number_format(number.step),
        layout=ipywidgets.Layout(width="auto", flex="0 1 600px"),
    )
