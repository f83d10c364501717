"""The floors of the house (see CONTRIBUTING): a room imports only from floors below it."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

PACKAGE = "efflab"
FRONT_DOOR = "__init__"
FLOORS = [
    {"shipped", "knobs", "data", "models", "training", "runtime", "measure"},
    {"prune", "quantize", "distill", "costs"},
    {"recipe", "lab", "budget", "papers", "journal", "questions", "scoreboard", "capstone"},
    {"figures"},
    {FRONT_DOOR},  # efflab/__init__.py: names the public API, and so sees everything but the roof
    {"widgets", "cli"},
]
FLOOR_OF = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}

# The only imports between rooms of one floor, (from, to), and why.
NEIGHBOURS = {
    ("models", "shipped"): "checkpoints lie in the shipped folder",
    ("models", "data"): "a checkpoint names the data it was trained on",
    ("models", "training"): "the maker of the checkpoints trains them",
    ("models", "runtime"): "layers whose weights have a code are not saved as if they were floats",
    ("training", "data"): "the loss belongs to the data",
    ("training", "knobs"): "how long and how fast are knobs of every technique that trains",
    ("training", "runtime"): "layers whose weights have a code are not trained as if they were floats",
    ("measure", "data"): "the score belongs to the data",
    ("measure", "runtime"): "what is timed and weighed is what would be shipped",
    ("measure", "shipped"): "cited carbon intensities lie in the shipped folder",
    ("lab", "recipe"): "a lab runs recipes",
    ("budget", "lab"): "a budget judges a lab's previews",
    ("budget", "recipe"): "it judges what a recipe makes",
    ("budget", "questions"): "its judgement is a verdict, like that of an exercise",
    ("capstone", "budget"): "what is handed in is judged by a budget",
    ("capstone", "journal"): "earlier tries of a budget are entries of the journal",
    ("capstone", "lab"): "its recipe runs again in a lab",
    ("capstone", "questions"): "the judgement is a verdict",
    ("capstone", "recipe"): "the journal keeps recipes as JSON",
    ("capstone", "scoreboard"): "handed in is a run of the journal",
    ("papers", "lab"): "a learner's preview stands beside the paper's row",
    ("scoreboard", "journal"): "runs are entries of the journal",
    ("scoreboard", "lab"): "what is written down of a run is what a lab answered",
    ("scoreboard", "questions"): "an answer is judged by its question",
    ("scoreboard", "recipe"): "a run's recipe is written down, and told in words",
}
# The only climb, (from, to, inside which function), and why.
STAIRS = {
    ("lab", "widgets", "bench"): "lab.bench() opens the widget; imported on the call, so that a lab stays headless",
    ("lab", "widgets", "TYPE_CHECKING"): "what lab.bench() returns; read by type checkers only",
}
# The only imports whose name is computed, (from, inside which function), and why.
COMPUTED = {
    (FRONT_DOOR, "__getattr__"): "the public names, each when it is first asked for",
    ("questions", "_reference"): "a check's file names the function that gives the right answers",
}
# Libraries that only some rooms may import.
LIBRARIES = {
    "ipywidgets": {"widgets", "cli"},
    "anywidget": {"widgets", "cli"},
    "IPython": {"widgets", "cli"},
    "plotly": {"figures", "widgets"},
    "time": {"measure"},
    "timeit": {"measure"},
    "torch.utils.benchmark": {"measure"},
    # Opening a pickled file runs whatever code its author put there.
    "pickle": set(),
    "shelve": set(),
    "dill": set(),
    "cloudpickle": set(),
    "joblib.load": set(),
    "joblib.dump": set(),
    "joblib.Memory": set(),
    "joblib": {"lab"},  # for its workers, which are ours; what it pickles on the way it reads back itself
    "torch.load": set(),
}


@dataclass(frozen=True)
class Use:
    """A dotted name that a room imports or calls: where, and inside which function ("" at module level)."""

    room: str
    target: str
    function: str
    where: str


def uses(package: Path) -> list[Use]:
    """Everything that the package's files import, at any depth of nesting."""
    found = []
    for file in sorted(package.rglob("*.py")):
        parts = file.relative_to(package).with_suffix("").parts
        for target, function, line in dotted_names(ast.parse(file.read_text(encoding="utf-8")), parts):
            found.append(Use(parts[0], target, function, f"{file.relative_to(package.parent).as_posix()}:{line}"))
    return found


def dotted_names(node: ast.AST, parts: tuple[str, ...], function: str = "") -> Iterator[tuple[str, str, int]]:
    """(absolute dotted name, enclosing function or TYPE_CHECKING, line) of each import below a node."""
    for child in ast.iter_child_nodes(node):
        inner = function
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            inner = child.name
        elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            inner = "TYPE_CHECKING"
        for name in names_in(child, parts):
            yield name, inner, child.lineno
        yield from dotted_names(child, parts, inner)


def names_in(node: ast.AST, parts: tuple[str, ...]) -> list[str]:
    """The dotted names that one statement or call brings in."""
    match node:
        case ast.Import(names=names):
            return [alias.name for alias in names]
        case ast.ImportFrom(names=names, level=level, module=module):
            base = [*((PACKAGE, *parts)[:-level] if level else ()), *([module] if module else [])]
            return [".".join([*base, alias.name]) for alias in names]
        case ast.Call(func=ast.Name(id="__import__" | "import_module") | ast.Attribute(attr="import_module")):
            first = node.args[0] if node.args else None
            return [first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else "?"]
        case ast.Attribute(value=ast.Name(id="torch"), attr="load"):
            return ["torch.load"]
        case ast.Attribute(value=ast.Name(id="joblib"), attr="load" | "dump" | "Memory" as name):
            return [f"joblib.{name}"]
    return []


def room_of(target: str) -> str:
    """The room that an absolute name leads to: "" outside the package, the front door for public names."""
    first, *rest = target.split(".")
    if first != PACKAGE:
        return ""
    return rest[0] if rest and rest[0] in FLOOR_OF else FRONT_DOOR


def faults(package: Path) -> list[str]:
    """Each breach of the house rules, as a sentence with file and line."""
    files = list(package.rglob("*.py"))
    if not files:
        return [f"no Python file was found below {package}"]
    strangers = sorted({file.relative_to(package).with_suffix("").parts[0] for file in files} - set(FLOOR_OF))
    unknown = [f"{room} is a room without a floor: give it one in FLOORS" for room in strangers]
    return unknown + [fault for use in uses(package) if use.room in FLOOR_OF and (fault := fault_of(use))]


def fault_of(use: Use) -> str:
    """What is wrong with one import, or nothing."""
    for library, rooms in LIBRARIES.items():
        if (use.target + ".").startswith(library + ".") and use.room not in rooms:
            return f"{use.where}: {use.target} is for {sorted(rooms) or 'no room'}, not for {use.room}"
    if use.target == "?" and (use.room, use.function) not in COMPUTED:
        return f"{use.where}: imports a computed name, which nobody can check: write the name out"
    to = room_of(use.target)
    if not to or to == use.room or (use.room, to, use.function) in STAIRS:
        return ""
    here, there = FLOOR_OF[use.room], FLOOR_OF[to]
    if there > here:
        return f"{use.where}: {use.room} (floor {here}) climbs to {to} (floor {there})"
    if there == here and (use.room, to) not in NEIGHBOURS:
        return f"{use.where}: {use.room} imports its neighbour {to} on floor {here}"
    return ""


def unused_rows(package: Path) -> list[tuple[str, ...]]:
    """Exceptions that no import uses, although the rooms exist."""
    rooms = {file.relative_to(package).with_suffix("").parts[0] for file in package.rglob("*.py")}
    found = uses(package)
    used: set[tuple[str, ...]] = {(use.room, room_of(use.target)) for use in found}
    used |= {(use.room, room_of(use.target), use.function) for use in found}
    used |= {(use.room, use.function) for use in found if use.target == "?"}
    rows: list[tuple[str, ...]] = [row for row in [*NEIGHBOURS, *STAIRS] if {row[0], row[1]} <= rooms]
    rows += [row for row in COMPUTED if row[0] in rooms]
    return [row for row in rows if row not in used]


def test_every_room_imports_only_from_the_floors_below(repository: Path) -> None:
    assert faults(repository / PACKAGE) == []


def test_every_exception_to_the_floors_is_used(repository: Path) -> None:
    assert unused_rows(repository / PACKAGE) == []


def modules_after(code: str, folder: Path) -> set[str]:
    """The top-level modules that a fresh Python has loaded after running the code."""
    report = "\nimport sys; print('LOADED', *{name.split('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code + report], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()[-1].split()[1:])


@pytest.mark.parametrize(
    "code",
    [
        "import efflab",
        "import efflab as e; e.Lab.open('mlp-digits').preview((e.step(e.prune_weights, sparsity=0.5),))",
    ],
    ids=["import", "headless lab"],
)
def test_the_core_brings_in_no_widget_and_no_plot(code: str, repository: Path) -> None:
    loaded = modules_after(code, repository)
    assert PACKAGE in loaded
    assert loaded & {"ipywidgets", "anywidget", "IPython", "plotly"} == set()


def build(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        file = folder / PACKAGE / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return folder / PACKAGE


WRONG = {
    "joblib as a pickle": ("lab/kept.py", "import joblib\njoblib.load('x')", "joblib.load is for no room"),
    "a climb": ("knobs.py", "import efflab.figures", "knobs (floor 0) climbs to figures (floor 3)"),
    "a climb by from": ("knobs.py", "from efflab import figures", "climbs to figures"),
    "a climb inside a function": ("knobs.py", "def f():\n    from efflab.lab import Lab", "climbs to lab"),
    "a relative climb": ("prune/weights.py", "from ..figures import tradeoff", "climbs to figures"),
    "a relative climb from a package": ("prune/__init__.py", "from .. import figures", "climbs to figures"),
    "a climb by import_module": (
        "knobs.py",
        "import importlib\nimportlib.import_module('efflab.lab')",
        "lab",
    ),
    "a climb for types": (
        "knobs.py",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import efflab.lab",
        "lab",
    ),
    "a computed import": (
        "knobs.py",
        "from importlib import import_module\nimport_module('a' + 'b')",
        "computed",
    ),
    "the front door from inside": ("prune/masks.py", "from efflab import Lab", "climbs to __init__"),
    "a sibling": ("knobs.py", "from efflab import data", "knobs imports its neighbour data"),
    "a relative sibling": (
        "questions.py",
        "from .journal import Journal",
        "questions imports its neighbour journal",
    ),
    "an unknown room": ("attic.py", "import math", "attic is a room without a floor"),
    "a stair from elsewhere": ("lab.py", "def show():\n    import efflab.widgets", "climbs to widgets"),
    "a stair at module level": ("lab.py", "import efflab.widgets", "climbs to widgets"),
    "a widget below the roof": ("figures/charts.py", "import ipywidgets as W", "ipywidgets is for"),
    "a plot below the figures": ("lab.py", "from plotly import graph_objects", "plotly.graph_objects is for"),
    "a clock elsewhere": ("lab.py", "from time import perf_counter", "time.perf_counter is for ['measure']"),
    "a pickle": ("models/files.py", "import pickle", "pickle is for no room"),
    "an unpickling load": ("models/files.py", "import torch\ntorch.load('x')", "torch.load is for no room"),
    "an unpickling load by name": ("models/files.py", "from torch import load", "torch.load is for no room"),
}


@pytest.mark.parametrize("case", WRONG.values(), ids=WRONG)
def test_a_wrong_house_is_refused(case: tuple[str, str, str], tmp_path: Path) -> None:
    file, text, sentence = case
    (fault,) = faults(build(tmp_path, {file: text}))
    assert sentence in fault


def test_an_empty_house_is_refused(tmp_path: Path) -> None:
    (fault,) = faults(tmp_path)
    assert "no Python file" in fault


def test_a_right_house_is_accepted(tmp_path: Path) -> None:
    files = {
        "__init__.py": "from efflab.lab import Lab",
        "prune/weights.py": "import timeout_decorator\nfrom . import masks\nfrom ..knobs import Range",
        "prune/masks.py": "import torch",
        "knobs.py": "from dataclasses import dataclass",
        "measure/speed.py": "import time\nfrom efflab.runtime import export",
        "runtime/export.py": "import torch.onnx",
        "lab.py": "from efflab.prune import weights\ndef bench(self):\n    from efflab.widgets import Bench",
        "widgets/bench.py": "import ipywidgets\nfrom efflab import Lab",
    }
    assert faults(build(tmp_path, files)) == []


def test_an_exception_that_nobody_uses_is_reported(tmp_path: Path) -> None:
    package = build(tmp_path, {"lab.py": "from efflab import recipe", "recipe.py": "", "widgets/bench.py": ""})
    assert unused_rows(package) == [("lab", "widgets", "bench"), ("lab", "widgets", "TYPE_CHECKING")]


def test_a_computed_import_that_nobody_makes_is_reported(tmp_path: Path) -> None:
    assert unused_rows(build(tmp_path, {"questions.py": "import importlib"})) == [("questions", "_reference")]


def test_an_exception_between_rooms_that_do_not_exist_yet_is_not_reported(tmp_path: Path) -> None:
    assert unused_rows(build(tmp_path, {"knobs.py": ""})) == []
