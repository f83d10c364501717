"""What the learner did: predictions, skips, answers, checks and runs, kept in one SQLite file on this laptop.

`journal.py` says what an entry is, and `days.py` its day in words; `store.py` how the file survives crashes, full disks
and two notebooks.
"""

from efflab.journal.days import day_text
from efflab.journal.journal import KINDS, Entry, Journal, JournalError, JournalWarning, Json, Kind

__all__ = ["KINDS", "Entry", "Journal", "JournalError", "JournalWarning", "Json", "Kind", "day_text"]
