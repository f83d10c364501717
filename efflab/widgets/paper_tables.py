"""A paper's published table beside what was measured here, in the same columns, written for reading."""

from typing import TYPE_CHECKING, TypeAlias

from efflab import papers
from efflab.widgets.bench import Bench
from efflab.widgets.break_even import BreakEvenExplorer
from efflab.widgets.encoded import EncodedView
from efflab.widgets.recipe_bench import RecipeBench
from efflab.widgets.side_by_side import SideBySide

if TYPE_CHECKING:
    from pandas.io.formats.style import Styler

Yours: TypeAlias = Bench | BreakEvenExplorer | EncodedView | RecipeBench | SideBySide
"""The panels that have rows of their own for a table."""
NOT_READY = "Yours is not ready yet: once it is there, run this cell again."
"""What stands above a paper's table that has no row of one's own, though one was asked for."""


def styled_paper(name: str, yours: Yours | None = None) -> "Styler":
    """The table of a paper, whose column `kind` says cited or measured; see `Chapter.paper`.

    Raises:
        FileNotFoundError: there is no table of this name.
    """
    table = papers.table(name).assign(kind="cited")
    if isinstance(yours, BreakEvenExplorer):
        table = papers.beside_products(table, yours.points)
    elif isinstance(yours, EncodedView):
        table = papers.beside_encoded(table, yours.encoded, yours.lab) if yours.encoded else table
    elif isinstance(yours, RecipeBench):
        table = papers.beside_shipped(table, yours.report, yours.lab) if yours.report else table
    elif isinstance(yours, SideBySide):
        table = papers.beside_students(table, yours.lab, yours.shown)
    elif yours is not None and yours.preview is not None and yours.preview.recipe:
        table = papers.beside(table, yours.preview, yours.lab, yours.report)
    written = table.style.format(precision=2, thousands=",", na_rep="–")
    whole = [name for name in table.select_dtypes("float") if (table[name].dropna() % 1 == 0).all()]
    written = written.format(precision=0, thousands=",", na_rep="–", subset=whole)  # counts, with some missing
    if yours is not None and "measured" not in set(table["kind"]):
        written = written.set_caption(NOT_READY)
    return written.format_index(_heading, axis="columns").hide(axis="index")


def _heading(column: object) -> str:
    """The name of a column as a heading: `pruned_error_percent` -> "pruned error (%)", `dense_us` -> "dense (µs)"."""
    units = {"_percent": " (%)", "_us": " (µs)", "_kb": " (kB)"}
    name = str(column)
    unit = next((end for end in units if name.endswith(end)), "")
    return name.removesuffix(unit).replace("_", " ") + units.get(unit, "")
