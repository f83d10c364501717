"""One possible reason why a network is not faster than its base; `reasons.py` and its neighbours look for them."""

from collections.abc import Mapping
from dataclasses import dataclass

Value = int | float | str


@dataclass(frozen=True)
class Reason:
    """One possible reason: whether it `holds`, a sentence with its numbers, and the numbers by name."""

    name: str
    holds: bool
    sentence: str
    evidence: Mapping[str, Value]


def percent(fraction: float, digits: int = 0) -> str:
    """The fraction in percent, as text."""
    return f"{100 * fraction:.{digits}f} %"
