"""The runs for a spreadsheet: a CSV file in which no cell can become a formula.

A spreadsheet runs a cell that begins with an equals sign, and a name of a network is whatever somebody typed.

Reference: OWASP, CSV Injection, https://owasp.org/www-community/attacks/CSV_Injection: quote each text, and begin it
with a single quote where it begins with = + - @, a tab or a line end.
"""

import csv
import io
import os
import re
from collections.abc import Iterable
from pathlib import Path

from efflab.journal.whole import write_whole
from efflab.scoreboard.recipes import recipe_text
from efflab.scoreboard.runs import Run

COLUMNS = (*Run._fields, "recipe_in_words")
"""As in `Run`, which says what each is: scores are fractions, sizes bytes, times milliseconds."""
_DANGEROUS = tuple("=+-@\t\r\n＝＋－＠")  # the last four are full-width: some programs run them, too
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?")


def write_csv(path: str | os.PathLike[str], runs: Iterable[Run]) -> Path:
    """Write a row for each run, in UTF-8 with a mark that spreadsheets know it by; whole or not at all.

    Raises:
        OSError: `path` cannot be written; what was there before is unchanged.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text, quoting=csv.QUOTE_NONNUMERIC)
    writer.writerow(COLUMNS)
    for run in runs:
        values = (*(getattr(run, name) for name in COLUMNS[:-1]), recipe_text(run.recipe))
        writer.writerow([safe_cell(value) for value in values])
    write_whole(Path(path), f"\ufeff{text.getvalue()}")
    return Path(path)


def safe_cell(value: str | float | None) -> str | float:
    """What a spreadsheet shows as it is: numbers stay, and a text that it would run gets a single quote before it.

    Example:
        >>> safe_cell("=1+1"), safe_cell("-0.5"), safe_cell(-0.5), safe_cell("net"), safe_cell(None)
        ("'=1+1", '-0.5', -0.5, 'net', '')
    """
    if value is None:
        return ""
    if isinstance(value, str) and value.lstrip(" ").startswith(_DANGEROUS) and not _NUMBER.fullmatch(value):
        return f"'{value}"
    return value
