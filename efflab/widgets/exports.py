"""What a scoreboard writes beside the notebook: the runs for a spreadsheet, and the report that a learner hands in."""

from collections.abc import Callable, Sequence
from pathlib import Path

import ipywidgets

from efflab.journal import Journal
from efflab.journal.whole import free_path
from efflab.scoreboard import Run
from efflab.scoreboard.report import report_file, write_report
from efflab.scoreboard.table import write_csv
from efflab.widgets.parts import button, wide

CSV = "efflab-runs.csv"
NAME = "Your name, as it stands in the report and in its file"


class Exports(ipywidgets.VBox):
    """A field for the learner's name, and a button for each file. csv, report: what the buttons do.

    What lies there from an earlier day, or from somebody else, stays: a file gets the next free name. What was written
    here before is written anew.
    """

    def __init__(self, folder: Path, csv: Callable[[], object], report: Callable[[], object]) -> None:
        self._folder, self._own = folder, dict[str, Path]()
        self.name = ipywidgets.Text(placeholder="Ada Lovelace", layout=wide())
        named = ipywidgets.VBox([ipywidgets.HTML(f"<span class='efflab-label'>{NAME}</span>"), self.name])
        named.add_class("efflab-control")
        self._buttons = [
            button("Write the runs as CSV", csv, "writes those that are shown beside the notebook"),
            button("Write the report", report, "writes a page beside the notebook: predictions, answers and runs"),
        ]
        self.said = ipywidgets.HTML()
        runs, page = self._buttons
        super().__init__([runs, named, page, self.said])

    def write_runs(self, runs: Sequence[Run]) -> Path:
        """Write runs as CSV, and say where.

        Raises:
            OSError: it cannot be written.
        """
        return write_csv(self._place(CSV), runs)

    def write_report(self, journal: Journal) -> Path:
        """Write the page that a learner hands in, and say where.

        Raises:
            OSError: nothing is in the journal yet, or it cannot be read, or the page not be written.
        """
        name = " ".join(self.name.value.split())
        return write_report(self._place(report_file(name)), journal, name=name, overwrite=True)

    def lock(self, is_locked: bool) -> None:
        """Let nobody write, or let them again."""
        for one in (self.name, *self._buttons):
            one.disabled = is_locked

    def _place(self, name: str) -> Path:
        return self._own.setdefault(name, free_path(self._folder / name))
