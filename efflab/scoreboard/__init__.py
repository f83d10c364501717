"""What the journal says about a learner's runs, for the learner, a table, a teacher and a class; no screen needed.

    runs, unread = runs_of(Journal().entries(kind="run"))
    best = front(select(runs, network="cnn-scattered", batch=1), "ms")

`runs.py` says what is kept of a run, `front.py` which runs no other beats; `table.py` writes them for a spreadsheet,
`report.py` a page for a teacher; `folder.py` reads a class's pages, and `gain.py` says what the class gained.
"""

from efflab.scoreboard.front import COSTS, Cost, cost_of, front, select, unbeaten
from efflab.scoreboard.recipes import recipe_text, recipe_words
from efflab.scoreboard.runs import Run, Unread, judged_entry, newest_of_each, opened_entry, run_entry, runs_of

__all__ = [
    "COSTS",
    "Cost",
    "Run",
    "Unread",
    "cost_of",
    "front",
    "judged_entry",
    "newest_of_each",
    "opened_entry",
    "recipe_text",
    "recipe_words",
    "run_entry",
    "runs_of",
    "select",
    "unbeaten",
]
