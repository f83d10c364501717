"""A quiz, as a learner answers it; what was answered goes into the journal, and is there again after a restart."""

import ipywidgets

from efflab.journal import Journal, JournalError
from efflab.questions import Quiz, Verdict
from efflab.widgets.asking import Panel, verdict_html, with_code


class QuizView(Panel):
    """A question with one right option; each answer gets its sentence, and may be changed.

    One that was answered before shows its last answer again.
    """

    def __init__(self, quiz: Quiz, journal: Journal, *, chapter: str) -> None:
        self.quiz, self.journal, self.chapter = quiz, journal, chapter
        options = [(option.text, option.key) for option in quiz.options]
        self._choice = ipywidgets.RadioButtons(options=options, value=None, layout=ipywidgets.Layout(width="auto"))
        self._feedback = ipywidgets.HTML()
        label = ipywidgets.HTML(f"<span class='efflab-label'>{with_code(quiz.text)}</span>")
        asked = ipywidgets.VBox([label, self._choice])
        asked.add_class("efflab-control")
        box = ipywidgets.VBox([asked, self._feedback])
        box.add_class("efflab-question")
        super().__init__([box])
        self._remember()
        self._choice.observe(lambda change: self.choose(change["new"]), "value")

    def choose(self, key: str) -> Verdict:
        """Answer with the option of this key.

        Raises:
            ValueError: there is no such option.
        """
        verdict = self.quiz.answer(key)
        if self._choice.value != key:
            self._choice.value = key  # comes back here through the observer
            return verdict
        self._feedback.value = verdict_html(verdict)
        if self.keep_in(self.journal, "answer", self.quiz.id, key, chapter=self.chapter):
            self.clear_error()
        return verdict

    def _remember(self) -> None:
        """Take up the answer that was given before a restart, with its sentence; nothing is written for that."""
        try:
            given = self.journal.latest("answer", self.quiz.id, chapter=self.chapter)
        except JournalError as error:
            self.show_error(error)
            return
        key = given and given.value
        if isinstance(key, str) and any(option.key == key for option in self.quiz.options):
            self._choice.value = key
            self._feedback.value = verdict_html(self.quiz.answer(key))
