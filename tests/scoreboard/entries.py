"""Entries of a journal as the course writes them, for the tests of this room."""

from efflab import prune_filters, step
from efflab.journal import Entry, Json
from efflab.recipe import to_json

RECIPE = to_json((step(prune_filters, ratio=0.5),))
RUN: dict[str, Json] = {
    "network": "net",
    "data": "tiny",
    "recipe": RECIPE,
    "seed": 0,
    "teacher": "",
    "score": 0.9,
    "low": 0.88,
    "high": 0.91,
    "packed_bytes": 80_000,
    "macs": 1_000_000,
    "file_bytes": 82_300,
    "batch": 1,
    "ms": 0.2,
    "base_ms": 0.4,
    "verdict": "2.0x faster",
}


def entry(kind: str, name: str, value: Json, *, id: int = 1, chapter: str = "03") -> Entry:
    """An entry of a fixed moment."""
    return Entry(id, "2025-03-01T18:20:05.123Z", chapter, kind, name, value)


def run(*without: str, id: int = 1, chapter: str = "03", **more: Json) -> Entry:
    """A run as the bench writes it down, without some fields, and with others."""
    value = {name: field for name, field in (RUN | more).items() if name not in without}
    return entry("run", "prune_filters", value, id=id, chapter=chapter)
