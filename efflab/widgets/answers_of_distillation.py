"""What a learner predicted of a teacher, as it was measured: the answers to the questions of chapters 08 and 09."""

from typing import TYPE_CHECKING

from efflab.lab.side_by_side import HELPS, HURTS, SAME, Verdict, verdict

if TYPE_CHECKING:  # the panel asks these functions
    from efflab.widgets.side_by_side import SideBySide

KEYS = {HELPS: "helps", SAME: "same", HURTS: "hurts"}
"""The options of a question, by the word of a verdict."""


def verdict_of_teacher(panel: "SideBySide") -> str | None:
    """For "does the teacher help?": "helps", "same" or "hurts", over the seeds that ran where it is asked; else None.

    "same" where the interval includes zero.
    """
    found = _verdict(panel)
    return KEYS[found.word] if found else None


def gain(panel: "SideBySide") -> float | None:
    """For "how much does the teacher add?": points, the mean over the seeds that ran where it is asked; else None."""
    found = _verdict(panel)
    return found.value * panel.lab.data.task.per_unit if found else None


def _verdict(panel: "SideBySide") -> Verdict | None:
    comparison = panel.asked
    return verdict(comparison.whole) if comparison and comparison.whole else None
