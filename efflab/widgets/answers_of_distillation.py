"""What a learner predicted of a teacher, as it was measured: the answers to the questions of chapters 08 and 09."""

from typing import TYPE_CHECKING

from efflab.lab.missing import MissingClass
from efflab.lab.representations import Compared
from efflab.lab.side_by_side import HELPS, HURTS, SAME, Verdict, verdict

if TYPE_CHECKING:  # the panels ask these functions
    from efflab.widgets.loss_lab import LossLab
    from efflab.widgets.side_by_side import SideBySide
    from efflab.widgets.softened import Softened

KEYS = {HELPS: "helps", SAME: "same", HURTS: "hurts"}
"""The options of a question, by the word of a verdict."""
FIVE = 5
UNTRAINED = "not trained"
"""What chapter 09 calls its student before any training."""


def verdict_of_teacher(panel: "SideBySide") -> str | None:
    """For "does the teacher help?": "helps", "same" or "hurts", over the seeds that ran where it is asked; else None.

    None, too, while there are too few for a verdict. "same" where the interval includes zero.
    """
    found = _verdict(panel)
    return KEYS[found.word] if found else None


def gain(panel: "SideBySide") -> float | None:
    """For "how much does the teacher add?": points, the mean over the seeds that ran where it is asked; else None."""
    found = _verdict(panel)
    return found.value * panel.lab.data.task.per_unit if found else None


def _verdict(panel: "SideBySide") -> Verdict | None:
    """What is known, once the seeds are enough."""
    comparison = panel.asked
    found = verdict(comparison.whole) if comparison and comparison.whole else None
    return found if found and found.is_enough else None


def fives_look_like(panel: "Softened") -> str | None:
    """For "which digit gets the most of what a five leaves?": its name, at the temperature that is shown."""
    shown = panel.shown
    if panel.answers is None or shown is None:
        return None
    row = panel.answers.alike(shown.temperature)[FIVE].clone()
    row[FIVE] = 0.0
    return panel.answers.classes[int(row.argmax())]


def effective_weight(panel: "LossLab") -> float | None:
    """For "what part of the pull comes from the teacher?": percent, as measured at the student's weights."""
    return 100 * panel.weighed.at_weights if panel.weighed else None


def recall_of_missing(found: MissingClass) -> float | None:
    """For "what share of the digit never shown is recognised?": percent, before its bias is raised.

    A training that was stopped early does not answer.
    """
    return None if found.taught.is_partial else 100 * found.taught.recall()


def first_layers_alike(name: str, compared: Compared) -> float | None:
    """For "how alike are the first hidden layers?": their CKA, of the student that is `UNTRAINED`; else None."""
    return float(compared.cka.to_numpy()[0, 0]) if name == UNTRAINED else None
