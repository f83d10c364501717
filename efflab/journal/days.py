"""The day of an entry, as a sentence says it: in English whatever the system speaks, and in UTC as the entry is."""

from datetime import datetime

MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)


def day_text(at: str) -> str:
    """The day of a moment in ISO form; what is no moment, as a journal of somebody else may have it, stays as it is.

    Example:
        >>> day_text("2026-11-29T18:20:05.123Z"), day_text("some day")
        ('29 November 2026', 'some day')
    """
    try:
        day = datetime.fromisoformat(at)
    except ValueError:
        return at
    return f"{day.day} {MONTHS[day.month - 1]} {day.year}"
