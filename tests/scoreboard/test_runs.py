"""A run comes back as it was written down, by whichever version; and what is no run is said."""

import json

import pytest
import torch

from efflab import Lab, distill_predictions, prune_weights, step
from efflab.journal import Journal
from efflab.lab import Report
from efflab.lab.networks import fingerprint
from efflab.measure import count_work
from efflab.recipe import from_json, to_json
from efflab.scoreboard import Run, judged_entry, newest_of_each, opened_entry, recipe_text, run_entry, runs_of
from tests import support
from tests.scoreboard.entries import RECIPE, entry, run

RECIPE_OF_HALF = (step(prune_weights, sparsity=0.5),)


@pytest.fixture(scope="module")
def lab() -> Lab:
    return Lab(support.tiny_mlp(), support.tiny_data(), seed=3, name="tiny-mlp")


def read(*entries) -> tuple[Run, ...]:
    """The runs, where all entries are some."""
    runs, unread = runs_of(entries)
    assert unread == ()
    return runs


def reason(*without: str, **more) -> str:
    runs, (unread,) = runs_of([run(*without, **more)])
    assert runs == ()
    return unread.reason


def test_what_is_written_of_a_report_comes_back_from_a_journal(lab, stopwatch, tmp_path):
    report = lab.measure(RECIPE_OF_HALF)
    assert isinstance(report, Report)
    journal = Journal(tmp_path / "journal.sqlite")
    written = journal.record("run", "prune_weights", run_entry(report, lab), chapter="03")
    (found,) = read(*journal.entries())
    assert (found.id, found.at, found.chapter) == (written.id, written.at, "03")
    assert (found.network, found.data, found.seed) == ("tiny-mlp", "tiny", 3)
    assert from_json(found.recipe) == RECIPE_OF_HALF
    assert found.score == pytest.approx(report.preview.evaluation.value, abs=5e-5)
    assert (found.low, found.high) == pytest.approx(report.preview.evaluation.interval, abs=5e-5)
    assert (found.packed_bytes, found.file_bytes) == (report.preview.size.packed_bytes, report.file_bytes)
    times = (report.speed.now.median_ms, report.speed.base.median_ms)
    assert (found.ms, found.base_ms) == pytest.approx(times, abs=5e-5)
    assert (found.batch, found.verdict) == (1, report.speed.verdict)
    assert found.macs == 64 * 12 + 12 * 8 + 8 * 3  # zeros included: a dense kernel multiplies by them
    assert found.macs == count_work(lab.build(RECIPE_OF_HALF), support.SHAPE).macs


def test_what_was_only_judged_has_no_times_and_no_file(lab):
    preview = lab.preview(RECIPE_OF_HALF)
    (found,) = read(entry("run", "prune_weights", judged_entry(preview, lab)))
    assert not found.is_timed
    assert (found.batch, found.ms, found.base_ms, found.file_bytes, found.verdict) == (None, None, None, None, "")
    assert found.packed_bytes == preview.size.packed_bytes


def test_a_look_at_the_test_data_says_whose_it_was_beside_its_validation(lab):
    test, validation = lab.open_test(RECIPE_OF_HALF), lab.preview(RECIPE_OF_HALF).evaluation
    found = opened_entry(RECIPE_OF_HALF, test, lab)
    assert found == {
        "network": "tiny-mlp",
        "data": "tiny",
        "recipe": to_json(RECIPE_OF_HALF),
        "seed": 3,
        "teacher": "",
        "score": test.value,
        "low": pytest.approx(test.interval[0], abs=5e-5),
        "high": pytest.approx(test.interval[1], abs=5e-5),
        "validation": validation.value,
        "validation_low": pytest.approx(validation.interval[0], abs=5e-5),
        "validation_high": pytest.approx(validation.interval[1], abs=5e-5),
    }


def test_a_teacher_that_is_not_the_base_is_named_where_it_taught(lab):
    teacher = support.tiny_cnn()
    own = Lab(support.tiny_mlp(), support.tiny_data(n=60), teacher=teacher)
    taught, alone = (step(distill_predictions, epochs=1),), RECIPE_OF_HALF
    (of_own,) = read(entry("run", "r", judged_entry(own.preview(taught), own)))
    assert of_own.teacher == f"Network {fingerprint(teacher)}" == own.own_teacher
    assert opened_entry(taught, own.open_test(taught), own)["teacher"] == of_own.teacher
    assert judged_entry(own.preview(alone), own)["teacher"] == ""  # nobody taught
    base = Lab(support.tiny_mlp(), support.tiny_data(n=60))
    assert judged_entry(base.preview(taught), base)["teacher"] == ""


def test_a_fingerprint_says_which_network_it_is():
    prints = [fingerprint(model) for model in (support.tiny_cnn(), support.tiny_cnn(), support.tiny_cnn(1))]
    assert prints[0] == prints[1] != prints[2]
    assert fingerprint(support.tiny_cnn().to(memory_format=torch.channels_last)) == prints[0]  # the same numbers
    assert len(prints[0]) == 8


def test_runs_of_older_versions_are_read_and_what_they_lack_is_not_made_up():
    (oldest,) = read(run("data", "seed", "macs", "batch", "network", "teacher"))
    assert oldest.teacher == ""
    assert (oldest.data, oldest.seed, oldest.macs, oldest.network) == ("", None, None, "")
    assert oldest.batch == 1  # there was no other


def test_other_kinds_of_entries_are_passed_over():
    found = read(entry("answer", "nnz", "kernel"), run(id=2), entry("check", "mask", {"passed": True}), run(id=4))
    assert [one.id for one in found] == [2, 4]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"score": "0.9"}, "its score is '0.9'; it must be a number from 0 to 1"),
        ({"score": 90.0}, "its score is 90.0; it must be a number from 0 to 1"),
        ({"high": 1.01}, "its high is 1.01; it must be a number from 0 to 1"),
        ({"base_ms": "1"}, "its base_ms is '1'; it must be a finite number from 0 up"),
        ({"score": True}, "its score is True"),
        ({"low": -0.1}, "its low is -0.1"),
        ({"ms": float("inf")}, "its ms is inf"),
        ({"packed_bytes": 10.5}, "its packed_bytes is 10.5; it must be a whole number from 0 up"),
        ({"packed_bytes": 10**400}, "its packed_bytes is 1000"),
        ({"network": ["net"]}, "its network is ['net'], which is no text"),
        ({"recipe": "prune"}, "its recipe cannot be read: a recipe in JSON must be"),
        ({"recipe": "[" * 10_000}, "nested too deeply"),
        ({"recipe": '{"technique": "a"}'}, "its version must be 1"),
        ({"recipe": '[{"technique": "a"}]'}, "the settings of step 1"),
    ],
)
def test_a_field_that_cannot_be_is_named_with_its_value(more, said):
    assert said in reason(**more)


@pytest.mark.parametrize("name", ["recipe", "score", "low", "high", "packed_bytes"])
def test_a_field_that_must_be_there_is_missed_by_name(name):
    assert reason(name) == f"it has no {name}"


def test_an_entry_that_is_no_run_is_returned_with_the_reason_and_the_others_are_read():
    broken = entry("run", "by hand", [1, 2], id=2)
    runs, unread = runs_of([run(id=1), broken, run(id=3)])
    assert [one.id for one in runs] == [1, 3]
    assert [(one.entry, one.reason) for one in unread] == [(broken, "it has no fields")]


def test_one_broken_recipe_is_found_however_often_it_comes():
    assert len(runs_of([run(recipe="["), run(recipe="["), run()])[1]) == 2


@pytest.mark.parametrize(
    ("recipe", "text"),
    [
        (RECIPE, "prune_filters(ratio=0.5)"),
        (
            json.dumps(
                [
                    {"technique": "prune_filters", "settings": {"ratio": 0.3, "form": "zeroed"}},
                    {"technique": "prune_weights", "settings": {"sparsity": 0.8}},
                ]
            ),
            "prune_filters(ratio=0.3, form=zeroed), then prune_weights(sparsity=0.8)",
        ),
        ("[]", ""),
        (json.dumps([{"technique": "mine", "settings": {"a": 1, "b": "x"}}]), "mine(a=1, b=x)"),
    ],
    ids=["first setting", "what is unusual", "nothing", "a technique of one's own"],
)
def test_a_recipe_is_told_by_its_first_setting_and_what_is_unusual(recipe, text):
    assert recipe_text(recipe) == text


def test_of_repeats_only_the_newest_stays_where_it_is_and_what_differs_stays_too():
    made, _ = runs_of([run(id=0), run(id=1, packed_bytes=7), run(id=2), run(id=3, seed=7)])
    assert [one.id for one in newest_of_each(made)] == [1, 2, 3]
    made, _ = runs_of([run(id=0), run(id=1), run(id=2, packed_bytes=7), run(id=3)])
    assert [one.id for one in newest_of_each(made)] == [2, 3]
