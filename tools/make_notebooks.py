"""Make the student notebook and the solved one of every chapter from its one source.

    python tools/make_notebooks.py            write notebooks/*.ipynb and notebooks/solutions/*.ipynb
    python tools/make_notebooks.py --check    write nothing; exit 1 if a committed notebook is not what would be written

A source, notebooks/src/NN_name.py, is Python in the percent format, runs as the solution and is linted like any other
file. What the two versions do not share is marked (docs/writing_a_chapter.md shows how it looks):

    # --- solution      the lines below are for the solved notebook
    # --- stub          the lines below, each behind "# >>> ", take their place in the student's
    # --- end
    # %% tags=["solution-only"]     a cell for the solved notebook; "student-only" for the student's
    # %% tags=["demo"]              a cell that `efflab demo` runs; the last of them shows the panel

The notebooks hold no outputs, no execution counts and no widget state, and the same source gives the same bytes. A
cell's id comes from its text, so that a new cell changes no other.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

import jupytext  # type: ignore[import-untyped]  # ships no types

ROOT = Path(__file__).resolve().parent.parent
MAX_LINES = 15
VERSIONS = ("student", "solution")
AUDIENCE = {"student-only": ("student",), "solution-only": ("solution",)}
DEMO = "demo"
"""The tag of the cells that `efflab demo` runs; it goes along into the notebook."""
MARKERS = ("# --- solution", "# --- stub", "# --- end")
BLOCK = re.compile(
    r"^ *# --- solution\n(?P<solution>.*?)^ *# --- stub\n(?P<stub>.*?)^ *# --- end *(?:\n|\Z)", re.MULTILINE | re.DOTALL
)
STUB_LINE = re.compile(r"^( *)# >>>(?: (.*))?$", re.MULTILINE)
STUB_RAISES = re.compile(r"^ +raise NotImplementedError\(", re.MULTILINE)
HINT = "<details><summary>Hint"
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


@dataclass(frozen=True)
class Cell:
    """One cell of a source: its raw text, what it becomes in each version (None: it is not there), and its faults."""

    kind: str
    raw: str
    texts: dict[str, str | None]
    has_stub: bool
    faults: tuple[str, ...]
    is_demo: bool = False

    @property
    def label(self) -> str:
        """The first line, which tells an author which cell is meant."""
        return next((line.strip() for line in self.raw.splitlines() if line.strip()), "empty")[:50]


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; 0 if every notebook is written, or is what it should be."""
    parser = argparse.ArgumentParser(description="make the notebooks of all chapters from notebooks/src")
    parser.add_argument("--check", action="store_true", help="write nothing, report what differs")
    parser.add_argument("--folder", type=Path, default=ROOT / "notebooks", help="where src/ and solutions/ lie")
    options = parser.parse_args(arguments)
    wanted, faults = make_all(options.folder)
    if options.check:
        faults += [fault for path, text in wanted.items() if (fault := difference(path, text))]
    elif not faults:
        for path, text in wanted.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8", newline="\n")
    for fault in faults:
        print(fault, file=sys.stderr)
    done = "checked" if options.check else "not made" if faults else "made"
    print(f"{len(wanted)} notebooks {done}, {len(faults)} faults")
    return 1 if faults else 0


def make_all(folder: Path) -> tuple[dict[Path, str], list[str]]:
    """What every notebook below the folder should hold, by its path; and each fault, as a sentence."""
    sources = sorted((folder / "src").glob("*.py"))
    if not sources:
        return {}, [f"{folder / 'src'} holds no chapter: a source is called like 03_weight_pruning.py"]
    wanted: dict[Path, str] = {}
    faults: list[str] = []
    for source in sources:
        cells = read(source)
        faults += faults_of(source.name, cells)
        for version, place in zip(VERSIONS, (folder, folder / "solutions"), strict=True):
            wanted[place / f"{source.stem}.ipynb"] = notebook(cells, version, source.stem[:2])
    there = [path for place in (folder, folder / "solutions") for path in sorted(place.glob("[0-9][0-9]_*.ipynb"))]
    strays = [path for path in there if path not in wanted]
    return wanted, faults + [f"{path.name} in {path.parent.name}/ has no source in src/: remove it" for path in strays]


def read(source: Path) -> list[Cell]:
    """The cells of a source."""
    found = jupytext.read(source, fmt="py:percent").cells
    return [cell_of(cell.cell_type, cell.source, cell.metadata.get("tags", [])) for cell in found]


def cell_of(kind: str, raw: str, tags: list[str]) -> Cell:
    """Divide one cell into its two versions and note what is wrong with its markup."""
    shared, faults = divide(raw) if kind == "code" else (dict.fromkeys(VERSIONS, raw), [])
    if kind not in ("code", "markdown"):
        faults = [f"is a {kind} cell; a chapter has code and Markdown cells only"]
    if not raw.strip():
        faults = [*faults, "is empty; remove it"]
    known = (*AUDIENCE, DEMO)
    faults += [f"has the tag {tag!r}; known are {', '.join(known)}" for tag in tags if tag not in known]
    audiences = [AUDIENCE[tag] for tag in tags if tag in AUDIENCE]
    texts = {
        version: text if all(version in audience for audience in audiences) else None
        for version, text in shared.items()
    }
    has_stub = kind == "code" and bool(BLOCK.search(raw))
    return Cell(kind, raw, texts, has_stub, tuple(faults), DEMO in tags)


def divide(raw: str) -> tuple[dict[str, str], list[str]]:
    """The text of a code cell for each version, and the faults of its markers."""
    texts = {
        "student": BLOCK.sub(lambda block: STUB_LINE.sub(r"\1\2", block["stub"]), raw),
        "solution": BLOCK.sub(lambda block: block["solution"], raw),
    }
    faults = []
    for block in BLOCK.finditer(raw):
        lines = block["stub"].splitlines()
        bare = [line.strip() for line in lines if not STUB_LINE.fullmatch(line)]
        faults += [f"has the stub line {line!r}, which does not begin with '# >>> '" for line in bare]
        if not STUB_RAISES.search(STUB_LINE.sub(r"\1\2", block["stub"])):
            faults.append("has a stub that does not raise NotImplementedError(...) inside a function")
    left = [line.strip() for line in texts["solution"].splitlines() if line.strip().startswith("# ---")]
    faults += [f"has {line!r} out of place; the order is {', '.join(MARKERS)}" for line in left]
    return {version: text.strip("\n") for version, text in texts.items()}, faults


def faults_of(name: str, cells: list[Cell]) -> list[str]:
    """Each breach of a chapter's rules, as a sentence that names the file and the cell."""
    found = [] if re.fullmatch(r"\d\d_[a-z0-9_]+\.py", name) else [f"{name}: call it like 03_weight_pruning.py"]
    for number, cell in enumerate(cells, start=1):
        faults = [*cell.faults, *dict.fromkeys(faults_of_code(cell) if cell.kind == "code" else ())]
        if cell.has_stub and not any(HINT in near.raw for near in cells[max(0, number - 2) : number + 1]):
            faults.append(f"is an exercise without a hint: put {HINT}</summary> into the Markdown cell beside it")
        found += [f"{name}, cell {number} ({cell.label}): {fault}" for fault in faults]
    for version in VERSIONS:
        titles = [title for cell in cells if cell.kind == "markdown" for title in titles_of(cell.texts[version] or "")]
        if len(titles) != 1:
            found.append(f"{name}: the {version} notebook has {len(titles)} titles (# ...); it needs exactly one")
    return found


def faults_of_code(cell: Cell) -> Iterator[str]:
    """What is wrong with a code cell in either version."""
    for version, text in cell.texts.items():
        if text is None:
            continue
        if (n_lines := len(text.splitlines())) > MAX_LINES:
            yield f"has {n_lines} lines in the {version} notebook; at most {MAX_LINES} fit beside a picture"
        try:
            compile(text, "cell", "exec", dont_inherit=True)
        except SyntaxError as error:
            yield f"is not plain Python in the {version} notebook: {error.msg}"


def titles_of(markdown: str) -> list[str]:
    """The first-level headings of a Markdown text, without the comments in its code blocks."""
    outside = re.sub(r"(?ms)^(```|~~~).*?^\1", "", markdown)
    return re.findall(r"(?m)^# +(.+)$", outside)


def notebook(cells: list[Cell], version: str, chapter: str) -> str:
    """The text of the .ipynb file: one version of all cells."""
    used: Counter[str] = Counter()
    shown = []
    for cell in cells:
        digest = hashlib.sha256(f"{cell.kind}\n{cell.raw}".encode()).hexdigest()[:8]
        used[digest] += 1
        text = cell.texts[version]
        if text is not None:
            key = f"{chapter}-{digest}" + (f"-{used[digest]}" if used[digest] > 1 else "")
            there = text if version == VERSIONS[0] else one_folder_down(text)
            shown.append(as_json(cell.kind, key, there, {"tags": [DEMO]} if cell.is_demo else {}))
    content = {
        "cells": shown,
        "metadata": {"kernelspec": KERNEL, "language_info": {"name": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def one_folder_down(text: str) -> str:
    """The solved notebook lies one folder deeper than the pictures that both show."""
    return text.replace("](pictures/", "](../pictures/")


def as_json(kind: str, key: str, text: str, metadata: dict[str, Any]) -> dict[str, Any]:
    """One cell as an .ipynb file holds it, without anything that running it would add."""
    cell = {"cell_type": kind, "id": key, "metadata": metadata, "source": text.splitlines(keepends=True)}
    return cell | ({"execution_count": None, "outputs": []} if kind == "code" else {})


def difference(path: Path, wanted: str) -> str:
    """How a committed notebook differs from what its source makes, as a sentence; empty if it does not."""
    name, advice = "/".join(path.parts[-2:]), "run: python tools/make_notebooks.py"
    if not path.exists():
        return f"{name} is missing; {advice}"
    found = path.read_text(encoding="utf-8")
    if found == wanted:
        return ""
    try:
        pairs = zip_longest(json.loads(found)["cells"], json.loads(wanted)["cells"])
        number, what = next(
            ((n, how(there, here)) for n, (there, here) in enumerate(pairs, start=1) if there != here),
            (0, "only its metadata or its layout"),
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return f"{name} is not a notebook; {advice}"
    return f"{name} differs from its source in {f'cell {number}: {what}' if number else what}; {advice}"


def how(there: dict[str, Any] | None, here: dict[str, Any] | None) -> str:
    """What differs between a committed cell and the one that its source makes."""
    if there is None or here is None:
        lines = "".join((there or here or {}).get("source", [])).splitlines()
        return f"{'too many' if here is None else 'missing'} ({lines[0] if lines else 'empty'})"
    if there.get("outputs"):
        return "it holds outputs"
    pairs = zip_longest(*("".join(cell.get("source", [])).splitlines() for cell in (there, here)))
    found, source = next(((a, b) for a, b in pairs if a != b), ("", ""))
    return f"{found!r} instead of {source!r}" if found != source else "its id, kind or metadata"


if __name__ == "__main__":
    sys.exit(main())
