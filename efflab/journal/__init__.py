"""What the learner did: predictions, skips, answers, checks and runs, kept in one SQLite file on this laptop.

`journal.py` says what an entry is; `store.py` how the file survives crashes, full disks and two notebooks.
"""

from efflab.journal.journal import KINDS, Entry, Journal, JournalError, JournalWarning, Json, Kind

__all__ = ["KINDS", "Entry", "Journal", "JournalError", "JournalWarning", "Json", "Kind"]
