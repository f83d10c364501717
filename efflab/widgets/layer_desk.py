"""Two layers to choose, one of a teacher and one of a student, and what they would be as a hint."""

from collections.abc import Mapping
from html import escape

import ipywidgets

from efflab.knobs import Setting
from efflab.lab.representations import Compared, Pairing
from efflab.widgets.parts import named_choice, offer


class LayerDesk(ipywidgets.VBox):
    """Which layer of the teacher and which of the student."""

    def __init__(self, choices: Mapping[str, ipywidgets.Dropdown]) -> None:
        self._choices, self.is_locked = dict(choices), False
        titles = {"teacher_layer": "Layer of the teacher", "student_layer": "Layer of the student"}
        super().__init__([named_choice(titles[name], choice) for name, choice in self._choices.items()])

    @property
    def chosen(self) -> tuple[str, str]:
        """The teacher's and the student's."""
        return str(self._choices["teacher_layer"].value), str(self._choices["student_layer"].value)

    def set(self, name: str, layer: Setting) -> None:
        """Choose a layer.

        Raises:
            ValueError: there is no such layer.
        """
        known = [value for _, value in self._choices[name].options]
        if layer not in known:
            raise ValueError(f"{name} must be one of {', '.join(known) or 'none: nothing is shown yet'}, not {layer!r}")
        self._choices[name].value = layer

    def offer(self, compared: Compared) -> None:
        """Offer the layers that there are; the deepest are chosen at first."""
        for choice, layers in zip(self._choices.values(), (compared.teacher, compared.student), strict=True):
            is_first = not choice.options
            offer(choice, [(name, name) for name in layers])
            if is_first:
                choice.value = list(layers)[-1]

    def lock(self, is_locked: bool) -> None:
        """Let nobody choose, or let them again."""
        self.is_locked = is_locked
        for choice in self._choices.values():
            choice.disabled = is_locked


def hint_html(pairing: Pairing) -> str:
    """The pair as a hint, or why it is none."""
    if pairing.why_not:
        return f"<div class='efflab-line'>No hint can be made of this pair: {escape(pairing.why_not)}.</div>"
    return f"<div class='efflab-line'>As a hint: <code>distill_hints({pairing.setting})</code></div>"
