"""A learner's report: all that was done, as text whatever is in it, in one file that asks nobody and runs nothing."""

import re
from html import escape
from html.parser import HTMLParser
from pathlib import Path

import pytest

from efflab.journal import Entry, Journal
from efflab.journal.copies import CopyError
from efflab.journal.whole import free_path
from efflab.questions import load
from efflab.scoreboard import front, runs_of
from efflab.scoreboard.drawing import draw_front, ticks
from efflab.scoreboard.embedded import BEGIN, END, embed, extract
from efflab.scoreboard.page import POLICY
from efflab.scoreboard.report import RUBRIC, report, report_file, write_report
from tests.scoreboard.entries import RECIPE, entry, run

EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'&<!--"
VOID = {"meta"}


class Reader(HTMLParser):
    """The tags, attributes and texts of a page; fails where tags are not closed in their order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags, self.attributes, self.texts = list[str](), list[tuple[str, str | None]](), list[str]()
        self._open = list[str]()
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def rows(html: str, heading: str) -> list[list[str]]:
    """The texts of the table below a heading, without its heads."""
    part = html.split(f"<h2>{heading}</h2>")[1].split("</section>")[0]
    return [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.S) for row in part.split("<tr>")[2:]]


def a_course() -> list[Entry]:
    quiz = load("03").quizzes[0]
    right = next(option.key for option in quiz.options if option.right)
    tested = {"network": "net", "data": "tiny", "recipe": RECIPE, "seed": 0, "score": 0.85}
    return [
        entry("prediction", "accuracy_at_80", 71.0),
        entry("measured", "accuracy_at_80", 93.24),
        entry("answer", "accuracy_at_80", "flat, then a cliff"),
        entry("skip", "faster_at_90", None),
        entry("answer", quiz.id, right),
        entry("check", "magnitude_mask", {"passed": True, "n_passed": 4, "n_cases": 4}),
        entry("check", "budget", {"passed": False, "n_passed": 1, "n_cases": 2, "recipe": RECIPE}),
        run(id=9),
        entry("test_opened", "prune_filters", tested),
        entry("test_opened", "prune_filters", tested | {"low": 0.80, "high": 0.892}),
        entry("run", "by hand", "nothing", id=11),
    ]


def test_each_thing_that_was_done_is_in_its_table():
    html = report(a_course())
    guess, skipped = rows(html, "Predictions, beside what came out")
    assert guess == ["03", load("03").prediction("accuracy_at_80").text, "71.0 %", "93.2 %", "not close"]
    assert skipped[2:] == ["skipped", "not yet", "–"]
    assert "2 questions, 1 skipped." in html
    asked = load("03").prediction("accuracy_at_80")
    assert rows(html, "In their own words") == [["03", f"{asked.text} {asked.seen}", "flat, then a cliff"]]
    (answered,) = rows(html, "Quiz")
    assert answered[3:] == ["right at first", "1"]
    assert rows(html, "Exercises and budgets") == [
        ["03", "magnitude_mask", "passed", "4 of 4", "1", ""],
        ["03", "budget", "not passed", "1 of 2", "1", "prune_filters(ratio=0.5)"],
    ]
    opened = ["03", "net", "prune_filters(ratio=0.5)", "85.0 %", "90.0 %", "+5.0 points"]
    judged = "+5.0 points (+0.3 to +10.1): validation was too optimistic"
    assert rows(html, "Openings of the test data") == [opened, [*opened[:-1], judged]]
    (measured,) = rows(html, "Runs")
    assert measured[3:7] == ["0", "90.0 % (88.0 to 91.0)", "80 kB", "1,000,000"]
    assert measured[7:] == ["82.3 kB", "1", "0.4 ms", "0.2 ms"]
    assert "Entry 11 should be a run and cannot be read: it has no fields." in html
    assert [html.count(f"{number}. {escape(text)}") for number, text in enumerate(RUBRIC, 1)] == [1, 1, 1]
    assert html.count("class='blank'") == 3


def test_words_on_a_question_that_nobody_knows_stand_beside_its_name():
    said = [entry("answer", "gone", "nothing"), entry("answer", "accuracy_at_80", "flat", chapter="99")]
    assert rows(report(said), "In their own words") == [["03", "gone", "nothing"], ["99", "accuracy_at_80", "flat"]]


def test_a_run_that_was_taught_by_another_network_than_its_base_says_so():
    (row,) = rows(report([run(teacher="Network 0123abcd")]), "Runs")
    assert row[2] == "prune_filters(ratio=0.5), taught by Network 0123abcd"


def test_the_page_runs_nothing_asks_for_nothing_and_its_tags_are_in_order():
    page = Reader(report(a_course(), name="Ada"))
    assert page.tags.count("script") == 1
    assert ("type", "application/json") in page.attributes
    assert {name for name, _ in page.attributes} & {"src", "href", "style", "action", "srcset"} == set()
    assert [name for name, _ in page.attributes if name.startswith("on")] == []
    assert ("content", POLICY) in page.attributes
    assert "url(" not in report(a_course())
    assert page.tags.count("svg") == 2
    assert "prefers-color-scheme: dark" in report(a_course())


def test_whatever_a_learner_typed_is_shown_as_text_and_comes_back_from_the_json():
    entries = [
        entry("answer", EVIL, EVIL, chapter=EVIL),
        entry("prediction", EVIL, EVIL),
        entry("measured", EVIL, EVIL),
        entry("check", EVIL, {"passed": True, "recipe": EVIL}),
        run(network=EVIL, data=EVIL, verdict=EVIL, recipe=RECIPE.replace("prune_filters", "</script>")),
        entry("test_opened", EVIL, {"network": EVIL, "recipe": EVIL, "score": 0.5}),
        entry("run", EVIL, EVIL),
    ]
    html = report(entries, name=EVIL)
    page = Reader(html)
    assert page.tags.count("script") == 1
    assert "img" not in page.tags
    assert page.texts.count(f"What {EVIL} did in efflab") == 2  # the title and the heading
    assert extract(html) == (EVIL, tuple(entries))


def test_the_json_has_no_letter_that_html_would_understand():
    block = embed(EVIL, [entry("answer", EVIL, EVIL)]).removeprefix(BEGIN).removesuffix(f"{END}\n")
    assert set("<>&") & set(block) == set()


def test_without_a_name_the_report_has_none():
    assert "<h1>What was done in efflab</h1>" in report(a_course())
    assert extract(report(a_course()))[0] == ""


@pytest.mark.parametrize(
    ("html", "said"),
    [
        ("<html></html>", "no journal in it"),
        (embed("Ada", a_course())[:-20], "no journal in it"),
        (embed("Ada", []).replace("}", ""), "it is not JSON"),
        (embed("Ada", []).replace('"Ada"', "3"), "no name"),
        (embed("Ada", []).replace("[]", "{}"), "no list of entries"),
        (embed("Ada", []).replace("[]", "[3]"), "entry 1: it must have the fields id, at, chapter"),
    ],
)
def test_what_is_no_report_is_said(html, said):
    with pytest.raises(CopyError, match=said):
        extract(html)


def test_a_report_is_written_whole_and_never_over_a_file(tmp_path):
    journal = Journal(tmp_path / "journal.sqlite")
    with pytest.raises(FileNotFoundError, match=r"nothing is in the journal .*journal\.sqlite"):
        write_report(tmp_path / "report.html", journal)
    journal.record("skip", "accuracy_at_80", None, chapter="03")
    path = write_report(tmp_path / "report.html", journal, name="Ada")
    assert extract(path.read_text(encoding="utf-8")) == ("Ada", journal.entries())
    with pytest.raises(FileExistsError, match=r"report\.html is there already and was left as it is"):
        write_report(path, journal, name="Eve")
    assert extract(path.read_text(encoding="utf-8"))[0] == "Ada"
    assert extract(write_report(path, journal, name="Eve", overwrite=True).read_text(encoding="utf-8"))[0] == "Eve"


def test_where_a_report_cannot_be_written_is_a_sentence_with_its_name(tmp_path):
    journal = Journal(tmp_path / "journal.sqlite")
    journal.record("skip", "accuracy_at_80", None, chapter="03")
    with pytest.raises(FileExistsError, match=r"is a folder: name the file to write, such as .*efflab-report\.html"):
        write_report(tmp_path, journal, overwrite=True)
    with pytest.raises(
        OSError, match=r"nowhere.report\.html was not written \(No such file or directory\): name a file"
    ):
        write_report(tmp_path / "nowhere" / "report.html", journal)


def test_a_name_with_bytes_that_are_no_letters_is_written(tmp_path):
    journal = Journal(tmp_path / "journal.sqlite")
    journal.record("skip", "accuracy_at_80", None, chapter="03")
    path = write_report(tmp_path / "report.html", journal, name="Ad\udce4")  # as Python reads --name in Latin-1
    assert "<h1>What Ad? did in efflab</h1>" in path.read_text(encoding="utf-8")


# The picture


def circles(svg: str) -> list[tuple[float, float, bool]]:
    found = re.findall(r'<circle cx="([\d.]+)" cy="([\d.]+)" r="4"( class=best)?>', svg)
    return [(float(x), float(y), bool(best)) for x, y, best in found]


def test_the_picture_has_a_point_for_each_run_and_fills_those_of_the_front():
    runs, _ = runs_of([run(score=score, packed_bytes=n) for score, n in ((0.9, 200), (0.7, 150), (0.8, 100))])
    svg = draw_front(runs, "packed_bytes")
    beaten, cheap, dear = circles(svg)
    assert [beaten[2], cheap[2], dear[2]] == [False, True, True]
    assert cheap[0] < beaten[0] < dear[0]
    assert dear[1] < cheap[1] < beaten[1]  # up is small
    assert f'd="M{cheap[0]:.1f} {cheap[1]:.1f}H{cheap[0]:.1f}V{cheap[1]:.1f}H{dear[0]:.1f}V{dear[1]:.1f}"' in svg
    assert ">size, packed (bytes, computed)<" in svg
    assert ">score (%, measured)<" in svg


def test_a_point_stands_where_the_ticks_say():
    runs, _ = runs_of([run(score=score, packed_bytes=n) for score, n in ((0.9, 200), (0.8, 100))])
    svg = draw_front(runs, "packed_bytes")
    ticked = dict(re.findall(r'<text x="([\d.]+)" y="328" text-anchor="middle">([^<]+)<', svg))
    assert {ticked[f"{x:.1f}"] for x, _, _ in circles(svg)} == {"100", "200"}
    ticked = dict(re.findall(r'<text x="62" y="([\d.]+)" dy="4" text-anchor="end">([^<]+)<', svg))
    assert {ticked[f"{y:.1f}"] for _, y, _ in circles(svg)} == {"80", "90"}


def test_many_runs_are_thinned_and_the_front_is_whole():
    runs, _ = runs_of([run(score=i / 2000, packed_bytes=1000 + i) for i in range(600)] + [run(score=0)] * 600)
    svg = draw_front(runs, "packed_bytes")
    assert sum(best for *_, best in circles(svg)) == len(front(runs, "packed_bytes")) == 600
    assert len(circles(svg)) == 600 + 500


def test_without_a_run_there_is_no_picture():
    assert draw_front((), "ms") == ""
    assert draw_front(runs_of([run("ms", "batch")])[0], "ms") == ""


@pytest.mark.parametrize(
    ("low", "high"), [(0, 0), (0, 1e-300), (0, 9.3), (89.9, 90.0), (5e18, 5e18), (1e15, 1e15 + 1), (0, 2.0**63)]
)
def test_ticks_are_few_and_reach_from_end_to_end(low, high):
    found = ticks(low, high)
    assert 3 <= len(found) <= 12
    assert found[0] <= low
    assert found[-1] >= high
    assert len(set(found)) == len(found)


def test_extreme_runs_are_drawn_too():
    runs, _ = runs_of([run(score=0, packed_bytes=0, ms=5e-324), run(score=1, packed_bytes=2**63 - 1, ms=9e18)])
    for cost in ("packed_bytes", "ms"):
        assert "nan" not in draw_front(runs, cost)
        assert len(circles(draw_front(runs, cost))) == 2


def test_no_entries_are_no_report():
    with pytest.raises(ValueError, match=r"^entries must be at least one"):
        report([])


@pytest.mark.parametrize("name", ["../../etc/passwd", "a" * 500, "李雷", "<b>x</b>", "\x1b[31m", "con", "  "])
def test_a_name_never_leads_out_of_the_folder_and_fits_every_file_system(name, tmp_path):
    found = report_file(name)
    assert Path(found).name == found
    assert len(found.encode()) <= 255
    (tmp_path / found).write_text("x", encoding="utf-8")
    assert free_path(tmp_path / found).name == found.replace(".html", "-2.html")
