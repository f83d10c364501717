"""The public names: each is there, is what the type checker is told, and costs nothing until it is asked for."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import efflab


def test_every_public_name_is_there_and_they_are_sorted_as_ruff_sorts_them():
    assert efflab.__all__
    assert all(getattr(efflab, name) is not None for name in efflab.__all__)
    assert dir(efflab) == sorted(efflab.__all__)


def test_the_type_checker_is_told_the_same_names_from_the_rooms_they_come_from():
    told = {}
    for node in ast.walk(ast.parse(Path(efflab.__file__).read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("efflab"):
            told |= {alias.name: node.module for alias in node.names}
    assert sorted(told) == sorted(efflab.__all__)
    for name, module in told.items():
        if module != "efflab":
            __import__(module)
            assert getattr(efflab, name) is getattr(sys.modules[module], name)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'quantise'"):
        efflab.quantise  # noqa: B018


def test_importing_efflab_alone_does_not_load_torch():
    code = "import sys, efflab; print('torch' in sys.modules, end='')"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False"
