"""The part of a chapter behind its recap: each section says its minutes, and runs without the other sections there."""

import ast
import builtins
import re
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest

SOLVED = Path(__file__).resolve().parents[2] / "notebooks" / "solutions"
PART = "## Going further"
Section = tuple[str, str]
"""The heading of a section, and all its code."""


def sections(path: Path) -> Iterator[Section]:
    """What stands below each heading of a notebook, in order."""
    heading, code = "", ""
    for cell in nbformat.read(path, as_version=4).cells:
        found = re.search(r"(?m)^#+ .+$", cell.source) if cell.cell_type == "markdown" else None
        if found:
            yield heading, code
            heading, code = found[0], ""
        elif cell.cell_type == "code":
            code += cell.source + "\n"
    yield heading, code


def divided(path: Path) -> tuple[list[Section], list[Section]]:
    """The sections of the chapter, and those of its last part."""
    found = list(sections(path))
    at = [heading for heading, _ in found].index(PART)
    return found[:at], found[at + 1 :]


def names(code: str) -> tuple[set[str], set[str]]:
    """The names that a text binds, and those that it uses."""
    bound, used = set(dir(builtins)), set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Name):
            (used if isinstance(node.ctx, ast.Load) else bound).add(node.id)
        elif isinstance(node, ast.alias):
            bound.add((node.asname or node.name).split(".")[0])
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            bound.add(node.name)
        elif isinstance(node, ast.arg):
            bound.add(node.arg)
    return bound, used


def minutes(heading: str) -> int:
    found = re.fullmatch(r"### .+ \((\d+) minutes\)", heading)
    assert found, f"{heading!r} does not end with its minutes, like '### The lottery ticket (10 minutes)'"
    return int(found[1])


CHAPTERS = [path for path in sorted(SOLVED.glob("*.ipynb")) if PART in path.read_text(encoding="utf-8")]


def test_there_is_such_a_part() -> None:
    assert "03_weight_pruning" in [path.stem for path in CHAPTERS]


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_each_section_needs_nothing_of_the_others(path: Path) -> None:
    core, further = divided(path)
    assert len(further) > 1
    first = next(code for _, code in core if code)
    for heading, code in further:
        bound, used = names(first + code)
        assert code, f"{heading} has no code"
        assert used <= bound, f"{heading} uses {used - bound}, which the first cell of the chapter does not define"


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_the_head_says_the_minutes_of_the_chapter_and_of_the_rest(path: Path) -> None:
    head = nbformat.read(path, as_version=4).cells[0].source
    promised = re.search(r"(\d+) minutes, and (\d+) more", head)
    assert promised, "the head does not say '50 minutes, and 35 more'"
    assert 20 <= int(promised[1]) <= 50
    assert int(promised[2]) == sum(minutes(heading) for heading, _ in divided(path)[1])
