"""The teacher's kit: each chapter has its page, whose plan fills 50 minutes and which answers all that is asked."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from efflab.questions import load

ROOT = Path(__file__).parent.parent
TEACHING = ROOT / "docs" / "teaching"
CHAPTERS = sorted((ROOT / "notebooks" / "src").glob("*.py"))
HEADINGS = [
    "In one sentence",
    "50 minutes",
    "In a workshop of 3 hours",
    "Pictures",
    "Misconceptions",
    "Answers",
    "Rubric",
]
PLAN = ["minutes", "what", "who"]
ANSWER = r"(?m)^- `(\w+)`(?: \([^)]+\))?: \S"


def page(chapter: Path) -> str:
    return (TEACHING / f"{chapter.stem[:2]}.md").read_text(encoding="utf-8")


def sections(text: str) -> dict[str, str]:
    """What stands below each heading of the second level, in order."""
    parts = re.split(r"(?m)^## (.+)\n", text)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def rows(section: str) -> list[list[str]]:
    """The first table of a section, cell by cell."""
    lines = re.findall(r"(?m)^\|(.+)\|$", section)
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)] for line in lines]


def asked(chapter: str) -> set[str]:
    questions = load(chapter)
    return {one.id for group in (questions.predictions, questions.quizzes, questions.checks) for one in group}


def test_there_are_chapters_to_teach():
    assert [path.stem[:2] for path in CHAPTERS][:5] == ["00", "01", "02", "03", "04"]


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_a_page_has_its_chapters_title_and_the_headings_of_the_form(chapter):
    title = re.findall(r"(?m)^# # (.+)$", chapter.read_text(encoding="utf-8"))[0]
    assert page(chapter).startswith(f"# {title}\n")
    assert list(sections(page(chapter))) == HEADINGS
    assert all(text.strip() for text in sections(page(chapter)).values())


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_a_plan_fills_50_minutes_in_steps_of_five_and_says_who(chapter):
    head, rule, *steps = rows(sections(page(chapter))["50 minutes"])
    assert head == PLAN
    assert all(set(cell) <= set("-:") for cell in rule)
    minutes = [int(minutes) for minutes, _, _ in steps]
    assert all(one > 0 and one % 5 == 0 for one in minutes), minutes
    assert sum(minutes) == 50
    assert all(what and who for _, what, who in steps)


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_the_pictures_of_a_chapter_are_named_and_each_that_is_named_is_there(chapter):
    named = {Path(name).name for name in re.findall(r"[\w./-]+\.png", page(chapter))}
    pictures = ROOT / "notebooks" / "pictures"
    assert {path.name for path in pictures.glob(f"{chapter.stem[:2]}_*.png")} <= named
    assert [name for name in named if not (pictures / name).exists()] == []


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_all_that_a_chapter_asks_is_answered_and_nothing_else_is_named_as_asked(chapter):
    answers = sections(page(chapter))["Answers"]
    ids = asked(chapter.stem[:2])
    assert ids
    assert ids - set(re.findall(ANSWER, answers)) == set()
    assert set(re.findall(ANSWER, answers)) - ids == set()


def test_every_file_that_the_kit_links_to_is_there():
    pages = sorted(TEACHING.glob("*.md"))
    assert len(pages) >= 7
    links = [(path, link) for path in pages for link in re.findall(r"\]\(([^)#\s]+)\)", path.read_text("utf-8"))]
    assert links
    assert [(p.name, link) for p, link in links if "://" not in link and not (p.parent / link).exists()] == []


def test_the_kits_first_page_links_to_each_chapters_page():
    text = (TEACHING / "README.md").read_text(encoding="utf-8")
    assert [path.stem for path in CHAPTERS if f"]({path.stem[:2]}.md)" not in text] == []


def workshops() -> dict[str, str]:
    """The plans of 3 hours by their names: those of the table, column by column, and those below it."""
    text = (TEACHING / "README.md").read_text(encoding="utf-8")
    text = text[text.index("**3 hours.**") : text.index("**A term.**")]
    names, _, *lines = rows(text)
    columns = {
        name.strip("*"): ", ".join(cells) for name, *cells in zip(names[1:], *(line[1:] for line in lines), strict=True)
    }
    return columns | dict(re.findall(r"(?m)^- \*(.+)\*: (.+)$", text))


def test_a_workshop_fills_3_hours_with_a_break_and_the_minutes_that_the_pages_of_its_chapters_say():
    plans, shown = workshops(), set[str]()
    assert len(plans) == 5
    for plan in plans.values():
        assert sum(map(int, re.findall(r"\((\d+)\)", plan))) == 180
        assert "break (15)" in plan
        for chapter, minutes in re.findall(r"\b(\d\d)(?:: [^()]+)? \((\d+)\)", plan):
            (path,) = (path for path in CHAPTERS if path.stem[:2] == chapter)
            assert re.search(rf"Take (the last )?{minutes} minutes", sections(page(path))["In a workshop of 3 hours"])
            shown.add(chapter)
    assert shown == {path.stem[:2] for path in CHAPTERS}


def recorded(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((ROOT / "data" / "expected" / f"{name}_scattered.json").read_text("utf-8"))
    return found


def row(chapter: str, name: str) -> list[float]:
    """The numbers of the first row of a page that begins with this name."""
    text = (TEACHING / f"{chapter}.md").read_text(encoding="utf-8")
    return [float(cell) for cells in rows(text) if cells[0] == name for cell in cells[1:]]


def percent(*fractions: float) -> list[float]:
    return [round(100 * one, 3) for one in fractions]


def test_the_curves_of_the_kit_are_those_that_are_recorded():
    pruning = {one["sparsity"]: one["score"] for one in recorded("pruning")["curve"]}
    removed = row("03", "removed, %")[:9]
    assert row("03", "accuracy, %")[:9] == percent(*(pruning[one / 100] for one in removed))
    for network in recorded("structure")["networks"]:
        name, curve = network["network"].removesuffix("-scattered"), network["curve"]
        assert row("04", "filters removed, %") == percent(*(one["ratio"] for one in curve))
        assert row("04", f"{name}, cut") == percent(*(one["score"] for one in curve))
        assert row("04", f"{name}, recalibrated") == percent(*(one["recalibrated"] for one in curve))


def test_what_the_kit_tells_of_chance_and_of_the_search_is_recorded():
    text = " ".join(page(CHAPTERS[3]).split())
    for one in recorded("pruning")["random"][:3]:
        low, high = percent(min(one["scores"]), max(one["scores"]))
        assert f"{low} to {high} % at {100 * one['sparsity']:.0f} %" in text
    text, best = " ".join((TEACHING / "18.md").read_text("utf-8").split()), recorded("search")["best"]
    mean, low, high, test = (f"{100 * best[name]:.2f}" for name in ("mean", "low", "high", "test"))
    assert f"{mean} % over five seeds, interval {low} to {high}, of 27 recipes" in text
    assert f"On the test data the winner has {float(test)} %" in text


def test_each_answer_begins_a_line_of_its_own():
    assert [path.name for path in TEACHING.glob("*.md") if re.search(r"\S - \*", path.read_text("utf-8"))] == []
