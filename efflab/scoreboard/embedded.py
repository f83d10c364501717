"""The journal inside a report: JSON in a block that no browser runs, so that a folder of reports can be summarised."""

import json
from collections.abc import Sequence

from efflab.journal import Entry
from efflab.journal.copies import CopyError, entries_from, parsed

BEGIN, END = '<script type="application/json" id="efflab-journal">', "</script>"
_HARMLESS = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"}  # JSON's own way to write what HTML would understand


def embed(name: str, entries: Sequence[Entry]) -> str:
    """The block of HTML; whatever is in the entries, it ends where it should."""
    text = json.dumps({"name": name, "entries": [entry._asdict() for entry in entries]})
    for mark, code in _HARMLESS.items():
        text = text.replace(mark, code)
    return f"{BEGIN}{text}{END}\n"


def extract(html: str) -> tuple[str, tuple[Entry, ...]]:
    """The learner's name, or "", and the entries of a report. Nothing of it is run.

    Raises:
        CopyError: it is no report of efflab, or its block is damaged.
    """
    _, begin, rest = html.partition(BEGIN)  # whatever the page shows is escaped, so that this stands in it once
    text, end, _ = rest.partition(END)
    if not (begin and end):
        raise CopyError("it is no whole report of efflab: there is no journal in it")
    block = parsed(text)
    if not isinstance(block, dict) or not isinstance(block.get("name"), str):
        raise CopyError("its journal has no name and no entries")
    return block["name"], entries_from(block.get("entries"))
