"""`efflab demo`: the cells come from the shipped chapter, run by themselves, and give one panel over the window."""

import json
from collections.abc import Iterator
from pathlib import Path

import ipywidgets
import pytest

from efflab import shipped
from efflab.cli.chapters import ChapterError, chapters
from efflab.cli.demo import demo_code
from efflab.widgets import teaching
from efflab.widgets.asking import Panel
from efflab.widgets.teaching import fill_window
from efflab.widgets.worker import worker

ALL = sorted(chapters(shipped.notebooks()))


def notebook(folder: Path, *sources: str, tags: tuple[str, ...] = ("demo",)) -> Path:
    cells = [{"cell_type": "code", "metadata": {"tags": list(tags)}, "source": [source]} for source in sources]
    (folder / "03_weight_pruning.ipynb").write_text(json.dumps({"cells": cells}), encoding="utf-8")
    return folder


def test_there_are_chapters():
    assert ALL[:3] == ["00", "01", "02"]


def test_the_cells_come_in_order_and_the_last_expression_fills_the_window(tmp_path):
    code = demo_code("3", source=notebook(tmp_path, "a = 1", "b = a + 1\nmake(\n    b,\n)"))
    assert code.endswith("fill_window(make(b))\n")
    shown = []
    exec(compile(code.replace("from efflab", "#"), "demo", "exec"), {"make": str, "fill_window": shown.append})
    assert shown == ["2"]


@pytest.mark.parametrize(
    ("chapter", "sources", "tags", "told"),
    [
        ("99", ["panel"], ("demo",), "there is no chapter '99'; there are: 03"),
        ("x", ["panel"], ("demo",), "there is no chapter 'x'"),
        ("03", ["panel"], (), "chapter 03 has no panel to show alone"),
        ("03", ["panel = 3"], ("demo",), "the last line of the demonstration shows no panel: panel = 3"),
    ],
)
def test_what_cannot_be_shown_is_one_sentence(tmp_path, chapter, sources, tags, told):
    with pytest.raises(ChapterError, match=f"^{told}"):
        demo_code(chapter, source=notebook(tmp_path, *sources, tags=tags))


@pytest.fixture
def no_widget_is_left() -> Iterator[None]:
    """Close what was made: ipykernel, once a later test imports it, would no more know how."""
    yield
    ipywidgets.Widget.close_all()


@pytest.mark.slow
@pytest.mark.parametrize("chapter", ALL)
def test_each_chapter_has_a_panel_that_shows_itself(chapter, tmp_path, monkeypatch, no_widget_is_left):
    monkeypatch.setenv("EFFLAB_TEACHER", "1")
    monkeypatch.setenv("EFFLAB_JOURNAL", str(tmp_path / "journal.sqlite"))
    shown: list[Panel] = []
    monkeypatch.setattr(teaching, "fill_window", lambda panel: shown.append(fill_window(panel)))
    exec(compile(demo_code(chapter), f"demo {chapter}", "exec"), {"__name__": "demo"})
    worker().wait(300)
    (panel,) = shown
    assert panel.readout.fills_window
    assert "efflab-projector" in panel._dom_classes
    assert panel.last_error is None
    assert panel.readout.sentence
