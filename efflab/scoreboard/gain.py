"""How much a learner gained from the quiz before the course to the one after it, of what they could gain.

The quizzes are the chapters `pre` and `post`. The first answer to each question counts: later ones come after a hint.

Reference: Hake, Interactive-engagement versus traditional methods, American Journal of Physics 66, 1998.
"""

from collections.abc import Iterable, Mapping

from efflab.questions import Questions
from efflab.scoreboard.story import Story

PRE, POST = "pre", "post"


def share_right(story: Story, questions: Mapping[str, Questions], chapter: str) -> float | None:
    """The fraction of a chapter's quizzes that were right at the first try; None unless all were answered."""
    there = questions[chapter].quizzes if chapter in questions else ()
    answered = [one for one in story.answers if one.chapter == chapter]
    if not there or len(answered) < len(there):
        return None
    return sum(one.is_right_first for one in answered) / len(there)


def normalised_gain(pre: float | None, post: float | None) -> float | None:
    """(post - pre) / (1 - pre): 1 is all that could be gained; None where one is missing, or nothing could be gained.

    Example:
        >>> normalised_gain(0.5, 0.75)
        0.5
    """
    if pre is None or post is None or pre >= 1:
        return None
    return (post - pre) / (1 - pre)


def class_gain(shares: Iterable[tuple[float | None, float | None]]) -> float | None:
    """The gain of a class, from (pre, post) of each learner: that of the means of those who took both, as Hake does."""
    both = [(pre, post) for pre, post in shares if pre is not None and post is not None]
    if not both:
        return None
    return normalised_gain(*(sum(part) / len(both) for part in zip(*both, strict=True)))
