"""The scoreboard without a browser: what is shown of which runs, a chosen one, and what is written."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from efflab import Lab, distill_predictions, fine_tune, prune_weights, step, to_json, to_line
from efflab.figures.picture import MAX_ROWS
from efflab.journal import Journal, store
from efflab.scoreboard import COSTS
from efflab.widgets import Scoreboard
from efflab.widgets.exports import CSV
from efflab.widgets.live_figure import Clicked
from efflab.widgets.scoreboard import NO_RUN, NONE, NOT_CHOSEN
from efflab.widgets.worker import worker

SECONDS = 60
SMALL, LARGE = (step(prune_weights, sparsity=0.9),), (step(prune_weights, sparsity=0.5), step(fine_tune, epochs=1))


def entry(recipe, score: float, n_bytes: int, ms: float | None = None, **changes) -> dict[str, object]:
    timed = {"file_bytes": 9000, "batch": 1, "ms": ms, "base_ms": 1.0, "verdict": "2.0x faster"} if ms else {}
    about = {"network": "mlp-digits", "data": "digits", "recipe": to_json(recipe), "seed": 0, "macs": 1000}
    return {
        **about,
        "score": score,
        "low": score - 0.02,
        "high": min(1, score + 0.02),
        "packed_bytes": n_bytes,
        **timed,
        **changes,
    }


@pytest.fixture
def journal(tmp_path) -> Journal:
    made = Journal(tmp_path / "journal.sqlite")
    runs = [
        entry(SMALL, 0.80, 1000, 0.2),
        entry(LARGE, 0.95, 5000, 0.3),
        entry(SMALL, 0.70, 2000, 0.4),
        entry(LARGE, 0.90, 4000, network="mine <b>", data="faces"),
    ]
    for run in runs:
        made.record("run", "r", run, chapter="03")
    return made


@pytest.fixture
def board(journal, tmp_path) -> Iterator[Scoreboard]:
    made = Scoreboard(journal, folder=tmp_path)
    worker().wait(SECONDS)
    yield made
    worker().wait(SECONDS)


def after(act, *arguments, **settings) -> None:
    act(*arguments, **settings)
    worker().wait(SECONDS)


def test_runs_on_other_data_are_never_in_one_picture(board):
    assert board.settings["data"] == "faces"  # that of the newest run
    assert len(board.selected) == 1
    after(board.set, data="digits")
    assert [run.score for run in board.selected] == [0.80, 0.95, 0.70]
    count = "Of 3 runs, 2 not beaten in both accuracy and size, packed (computed), the best first"
    assert board.readout.sentence == f"{count}: 95.0 % at 5,000 bytes; 80.0 % at 1,000 bytes."
    assert list(board.board.shown.table["on the front"]) == ["", "yes", "yes"]  # newest first


def test_another_cost_is_another_axis_and_says_where_it_comes_from(board):
    after(board.set, data="digits", cost=COSTS["ms"].text)
    assert board.board.shown.figure.layout.xaxis.title.text == "time of one run (ms, measured)"
    assert "80.0 % at 0.200 ms" in board.readout.sentence
    after(board.set, cost=COSTS["joules"].text)
    assert "estimated" in board.board.shown.figure.layout.xaxis.title.text


def test_a_network_can_be_picked(board):
    after(board.set, data="digits", network="mine <b>")
    assert board.selected == ()
    assert board.readout.sentence == "No run of this kind is in the journal yet."


def test_a_click_shows_recipe_seed_and_code_and_large_in_the_picture(board):
    after(board.set, data="digits")
    after(board.choose_point, Clicked(5000, 95.0, 1, 1))
    assert board.chosen.score == 0.95
    assert "fine_tune" in board.detail.value
    assert "seed 0" in board.detail.value
    for told in ("validation data (measured)", "bytes (computed)", "0.300 ms (measured)", "J (estimated)"):
        assert told in board.detail.value
    assert to_line(LARGE).replace("'", "&#x27;") in board.code.value
    assert "chosen" in [trace.name for trace in board.board.shown.figure.data]


def test_the_list_chooses_a_run_too_and_has_the_front_first(board):
    after(board.set, data="digits")
    titles = [text for text, _ in board.list.options]
    assert [title.split(":")[0] for title in titles] == [
        NONE,
        "80.0 %, 1,000 bytes",
        "95.0 %, 5,000 bytes",
        "70.0 %, 2,000 bytes",
    ]
    after(lambda: setattr(board.list, "index", 2))
    assert board.chosen.score == 0.95
    assert "fine_tune" in board.detail.value
    assert board.readout.sentence.endswith(" Chosen: 95.0 % at 5,000 bytes.")
    after(lambda: setattr(board.list, "index", 0))
    assert (board.chosen, board.detail.value, board.code.value) == (None, "", "")
    assert (board.list.index, board.list.label) == (0, NONE)  # a list that shows nothing loses the next arrow key


def test_the_list_follows_the_picture_and_lets_go_what_is_not_in_it(board):
    after(board.set, data="digits")
    after(board.choose_point, Clicked(5000, 95.0, 1, 1))
    assert board.list.value is board.chosen
    after(board.set, cost=COSTS["ms"].text)
    assert board.list.label.startswith("95.0 %, 0.300 ms: prune_weights")
    after(board.set, data="faces", cost=COSTS["packed_bytes"].text)
    assert (board.chosen, board.list.label, board.detail.value) == (None, NONE, "")
    assert len(board.list.options) == 2


def test_of_very_many_runs_the_list_has_the_front_the_newest_and_the_chosen_one(tmp_path):
    journal = Journal(tmp_path / "many.sqlite")
    rows = [entry(SMALL, 0.99, 100), *(entry(SMALL, 0.5, 1000 + i) for i in range(MAX_ROWS + 5))]
    store.insert(journal.path, [("2025-03-01T18:20:05.123Z", "03", "run", "r", json.dumps(row)) for row in rows])
    board = Scoreboard(journal, folder=tmp_path)
    offered = [run.packed_bytes for _, run in board.list.options[1:]]
    assert offered == [100, *range(1004 + MAX_ROWS, 1004, -1)]
    after(board.choose_point, Clicked(1001, 50.0, 0, 0))
    assert board.list.value.packed_bytes == 1001
    assert len(board.list.options) == len(offered) + 2


def test_a_run_of_a_technique_that_is_not_here_is_shown_and_its_code_is_not(tmp_path):
    journal = Journal(tmp_path / "own.sqlite")
    recipe = '[{"technique": "my_own", "settings": {"strength": 3}}]'
    journal.record("run", "r", entry(SMALL, 0.9, 1000) | {"recipe": recipe}, chapter="03")
    board = Scoreboard(journal, folder=tmp_path)
    after(board.choose, board.selected[0])
    assert "my_own(strength=3)" in board.detail.value
    assert "There is no code to show" in board.code.value
    assert "my_own" in board.code.value
    after(board.open_bench)
    assert "my_own" in board.readout.error


def test_a_name_with_html_in_it_is_text(board):
    after(board.choose, board.selected[0])
    assert "mine &lt;b&gt;" in board.detail.value
    assert "mine <b>" not in board.detail.value


def test_the_chosen_recipe_opens_in_its_bench(board):
    after(board.set, data="digits")
    after(board.choose, board.selected[0])
    after(board.open_bench)
    (bench,) = board.place.children
    assert bench.recipe == SMALL
    assert bench.lab.name == "mlp-digits"
    assert bench.prefixes[-1].preview.evaluation.value == Lab.open("mlp-digits").preview(SMALL).evaluation.value
    after(board.refresh)
    assert board.place.children == (bench,)
    after(board.choose, board.selected[1])
    assert board.place.children == ()  # nobody opens the test set for another run than the one that is chosen


def test_a_network_of_ones_own_and_no_choice_are_told(board):
    after(board.open_bench)
    assert board.readout.error == NOT_CHOSEN
    after(board.choose, board.selected[0])
    after(board.open_bench)
    assert "mine <b> is a network of your own" in board.readout.error
    assert board.place.children == ()


def test_a_run_with_a_teacher_of_its_own_says_what_it_needs(tmp_path):
    journal = Journal(tmp_path / "taught.sqlite")
    recipe = (step(distill_predictions, epochs=1),)
    for teacher in ("Network 0123abcd", ""):
        journal.record("run", "r", entry(recipe, 0.9, 1000, teacher=teacher), chapter="08")
    board = Scoreboard(journal, folder=tmp_path)
    own, base = board.selected
    after(board.choose, own)
    assert "taught by Network 0123abcd" in board.detail.value
    assert "They need `teacher`, which was Network 0123abcd and not the base:" in board.code.value
    assert "teacher = model" not in board.code.value
    after(board.open_bench)
    assert "this run was taught by Network 0123abcd, and not by its base" in board.readout.error
    assert "Lab(model, data, teacher=...)" in board.readout.error
    assert board.place.children == ()
    after(board.choose, base)
    assert "taught by" not in board.detail.value
    assert "teacher = model" in board.code.value


def test_repeats_of_a_run_are_one_point_and_one_row_and_all_are_in_the_file(board, journal, tmp_path):
    after(board.set, data="digits")
    n = len(board.list.options)
    for _ in range(3):
        journal.record("run", "r", entry(LARGE, 0.55, 3000), chapter="03")
    after(board.read_again)
    assert len(board.list.options) == n + 1
    assert "shown are 4 on digits, repeats only once" in board.note.value
    after(board.export_csv)
    assert len(Path(tmp_path / CSV).read_text(encoding="utf-8-sig").splitlines()) == 7
    assert str(tmp_path / CSV) in board.exports.said.value


def test_the_axis_of_the_scores_begins_where_the_learner_wants_and_says_what_is_below(board):
    after(board.set, data="digits", scores="from 80 %")
    axis = board.board.shown.figure.layout.yaxis
    assert (axis.title.text, axis.tickvals[0]) == ("accuracy (%), from 80 %", 80)
    assert "Below the axis, which begins at 80 %: 1." in board.readout.sentence


def test_both_files_are_written_and_named(board, tmp_path):
    after(board.set, data="digits")
    after(board.export_csv)
    assert board.readout.sentence == f"Written: {tmp_path / CSV}"
    assert len(Path(tmp_path / CSV).read_text(encoding="utf-8-sig").splitlines()) == 4
    board.exports.name.value = " Ada  King "
    after(board.export_report)
    path = tmp_path / "efflab-report-ada-king.html"
    assert board.readout.sentence == f"Written: {path}"
    assert "What Ada King did in efflab" in path.read_text(encoding="utf-8")


def test_a_file_that_lies_there_stays_and_one_that_was_written_here_is_written_anew(board, journal, tmp_path):
    other = tmp_path / "efflab-report.html"
    other.write_text("of somebody else", encoding="utf-8")
    after(board.export_report)
    assert board.readout.sentence == f"Written: {tmp_path / 'efflab-report-2.html'}"
    journal.record("skip", "later", None, chapter="03")
    after(board.export_report)
    assert "5 entries of the journal" in (tmp_path / "efflab-report-2.html").read_text(encoding="utf-8")
    assert sorted(path.name for path in tmp_path.glob("*.html")) == ["efflab-report-2.html", "efflab-report.html"]
    assert other.read_text(encoding="utf-8") == "of somebody else"


def test_a_run_on_other_data_than_the_checkpoints_is_not_opened_on_those(board):
    run = board.runs[0]._replace(data="letters")
    after(board.choose, run)
    board.chosen = run
    after(board.open_bench)
    assert "this run was judged on letters, and mlp-digits comes with digits" in board.readout.error
    assert board.place.children == ()


def test_runs_that_were_measured_since_are_read_and_what_they_bring_can_be_chosen(board, journal):
    after(board.set, data="digits", network="mlp-digits")
    new = {"data": "later", "network": "cnn-later", "batch": 64}
    for row in (entry(SMALL, 0.99, 100, 0.1), entry(SMALL, 0.85, 300, 0.1, **new)):
        journal.record("run", "r", row, chapter="03")
    after(board.read_again)
    assert (board.settings["data"], board.settings["network"]) == ("digits", "mlp-digits")  # as they were chosen
    assert "99.0 % at 100 bytes" in board.readout.sentence
    after(board.set, data="later", network="cnn-later", batch="64", cost=COSTS["ms"].text)
    assert [run.score for run in board.selected] == [0.85]


def test_the_chosen_run_stays_chosen_when_others_come(board, journal):
    after(board.set, data="digits")
    after(board.choose_point, Clicked(5000, 95.0, 1, 1))
    journal.record("run", "r", entry(SMALL, 0.99, 100, 0.1), chapter="03")
    after(board.read_again)
    assert board.chosen.score == board.list.value.score == 0.95


def test_a_journal_that_cannot_be_read_again_is_told_and_what_was_read_stays(board, journal, monkeypatch):
    monkeypatch.setattr(store, "select", lambda *_, **__: (_ for _ in ()).throw(OSError("no disk")))
    after(board.read_again)
    assert "The journal was not read" in board.readout.error
    assert len(board.runs) == 4


@pytest.mark.parametrize(("network", "data"), [("cnn-scattered", "scattered"), ("mine", "not written down")])
def test_an_older_run_did_not_say_its_data_and_a_checkpoint_does(tmp_path, network, data):
    old = entry(SMALL, 0.9, 1000, network=network)
    del old["data"], old["seed"], old["macs"]
    journal = Journal(tmp_path / "old.sqlite")
    journal.record("run", "r", old, chapter="03")
    board = Scoreboard(journal, folder=tmp_path)
    worker().wait(SECONDS)
    assert board.settings["data"] == data
    assert len(board.selected) == 1
    assert "Of 1 run, 1 not beaten" in board.readout.sentence


def test_an_empty_journal_says_what_to_do(tmp_path):
    journal = Journal(tmp_path / "empty.sqlite")
    board = Scoreboard(journal, folder=tmp_path)
    worker().wait(SECONDS)
    assert board.readout.sentence == NO_RUN
    assert board.board.shown is None
    after(board.export_report)
    assert "there is no report yet" in board.readout.error
    journal.record("run", "r", entry(SMALL, 0.8, 1000), chapter="03")
    after(board.read_again)
    assert board.settings["data"] == "digits"
    assert "Of 1 run, 1 not beaten" in board.readout.sentence
