"""The diagnosis: all pieces of the same two files at the same batch, stopped anywhere, and honest about its gaps."""

import gc
import itertools
from dataclasses import replace

import pytest
from torch import nn

from efflab.lab import Lab
from efflab.lab import course as course_module
from efflab.lab import diagnosis as diagnosis_module
from efflab.lab import measuring as measuring_module
from efflab.lab.diagnosis import diagnose
from efflab.lab.rates import Rates
from efflab.lab.shipping import ship
from efflab.measure.carbon import carbon_intensities
from efflab.measure.kept import Kept
from efflab.measure.memory import MemoryUnknownError
from efflab.measure.reasons import why_not_faster
from efflab.measure.speed import SpeedError
from efflab.measure.work import count_work
from efflab.prune import prune_weights
from efflab.quantize import quantize_weights
from efflab.recipe import step
from efflab.runtime import ExportError, export, export_integers
from efflab.training import Progress
from tests.diagnosing import N_REASONS, PIECES, ROOF, install
from tests.support import SHAPE, tiny_cnn, tiny_data, tiny_mlp


@pytest.fixture
def instruments(monkeypatch):
    return install(monkeypatch)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where temporary files go."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture
def pair():
    base = tiny_mlp()
    return prune_weights(base, sparsity=0.9), base


def test_the_reasons_are_those_of_what_was_counted_and_measured(instruments, pair):
    found = diagnose(*pair, SHAPE)
    model, base = pair
    machine = found.machine
    expected = why_not_faster(
        model,
        base,
        speed=found.speed,
        work=count_work(model, SHAPE),
        base_work=count_work(base, SHAPE),
        times=found.now.times,
        base_times=found.base.times,
        roofline=ROOF,
        n_cores=machine.n_cores,
        instruction_sets=machine.instruction_sets,
        cache_bytes=machine.cache_bytes,
    )
    assert found.reasons == expected
    assert len(found.reasons) == N_REASONS
    assert [reason.name for reason in found.holding] == ["zeros are not removed", "overhead of the call"]
    assert found.notes == ()


def test_everything_is_measured_of_both_files_at_the_batch_and_threads_that_were_asked(instruments, pair, tmp_path):
    found = diagnose(*pair, SHAPE, batch=64, threads=2)
    assert {asked["batch"] for piece, asked in instruments.asked if piece != "roofline"} == {64}
    assert {asked["threads"] for piece, asked in instruments.asked if piece != "memory"} == {2}
    files = [export(model, SHAPE, tmp_path, name).path.read_bytes() for model, name in zip(pair, "nb", strict=True)]
    assert instruments.asked[0][1]["bytes"] == (files[1], files[0])
    assert (found.now.work.batch, found.now.computed.batch, found.speed.batch) == (64, 64, 64)
    assert found.speed.throughput == found.base_throughput == 64_000


def test_the_points_under_the_roof_are_the_layers_that_were_timed(instruments, pair):
    found = diagnose(*pair, SHAPE)
    assert [point.name for point in found.points] == ["hidden1", "hidden2", "output"]
    hidden1 = next(layer for layer in found.now.work.layers if layer.name == "hidden1")
    assert found.points[0].flops_per_s == pytest.approx(hidden1.flops / 0.0002)


# Stopped


@pytest.mark.parametrize("nth", range(len(PIECES)))
def test_stopped_in_any_piece_it_ends_without_an_answer_or_a_file(nth, instruments, pair, folder):
    instruments.kept = Kept()
    progress = Progress()
    instruments.before = lambda piece: progress.stop() if len(instruments.asked) == nth + 1 else None
    assert diagnose(*pair, SHAPE, progress=progress) is None
    assert len(instruments.asked) <= nth + 1 + (PIECES[nth] == "memory")  # the two memories run at once
    assert list(folder.iterdir()) == []


def test_for_one_who_does_not_want_the_answer_from_the_start_nothing_is_written_or_timed(
    instruments, pair, monkeypatch
):
    monkeypatch.setattr(diagnosis_module, "ship", lambda *_: pytest.fail("a file was written"))
    assert diagnose(*pair, SHAPE, stale=lambda: True) is None
    assert instruments.asked == []


def test_while_a_piece_lasts_the_fraction_grows_with_the_clock_and_not_beyond_the_piece(monkeypatch):
    seconds = iter([0.0, 0.5, 1.0, 1.5, 2.0, 50.0])
    monkeypatch.setattr(course_module, "now", lambda: next(seconds))
    fractions: list[float] = []
    course = course_module.Course(Progress(on_batch=fractions.append), None, has_roofline=True)
    polls = iter([True] * 5 + [False])

    class Slow:
        def __init__(self, *_):
            self.not_done = next(polls)

    monkeypatch.setattr(course_module, "wait", Slow)
    course.together([lambda: 1], "memory")
    steps = [b - a for a, b in itertools.pairwise(fractions)]
    total = sum(course_module.ABOUT_S.values()) - course_module.ABOUT_S["roofline"]
    assert steps[:2] == pytest.approx([0.5 / total] * 2, abs=1e-5)
    assert fractions[-2] < fractions[-1] < course_module.ABOUT_S["memory"] / total


def test_the_fraction_done_grows_to_one(instruments, pair):
    fractions = []
    assert diagnose(*pair, SHAPE, progress=Progress(on_batch=fractions.append))
    assert fractions == sorted(fractions)
    assert fractions[0] == 0 < fractions[1] < 0.1
    assert fractions[-1] == 1


def test_nothing_is_left_on_the_disk(instruments, pair, folder):
    assert diagnose(*pair, SHAPE)
    assert list(folder.iterdir()) == []


# The roofline


def test_a_roofline_that_was_kept_is_not_measured_again(instruments, pair):
    assert diagnose(*pair, SHAPE).roofline == ROOF
    assert "roofline" not in instruments.pieces
    assert instruments.written == []


@pytest.mark.parametrize("kept", [Kept(reason="nothing was measured"), Kept(replace(ROOF, contention=0.5), "2026")])
def test_without_a_roofline_or_with_one_of_a_busy_moment_it_is_measured_and_kept(kept, instruments, pair):
    instruments.kept = kept
    assert diagnose(*pair, SHAPE).roofline == ROOF
    assert instruments.pieces.count("roofline") == 1
    assert instruments.written == [ROOF]


# What cannot be had


def failing(piece, error):
    def fail(asked):
        if asked == piece:
            raise error

    return fail


def test_memory_that_the_system_does_not_tell_becomes_a_note(instruments, pair):
    instruments.before = failing("memory", MemoryUnknownError("this system does not tell"))
    found = diagnose(*pair, SHAPE)
    assert (found.now.measured, found.notes) == (None, ("this system does not tell",))
    assert found.now.computed.weight_bytes == 4 * 911
    assert len(found.reasons) == N_REASONS


def test_a_roofline_that_cannot_be_measured_becomes_a_note_and_its_reason_is_left_out(instruments, pair):
    instruments.kept = Kept()
    instruments.before = failing("roofline", SpeedError("there is no memory for it"))
    found = diagnose(*pair, SHAPE)
    assert (found.roofline, found.notes) == (None, ("there is no memory for it",))
    assert "bound by memory" not in [reason.name for reason in found.reasons]


def test_a_roofline_that_cannot_be_kept_is_used_all_the_same(instruments, pair):
    instruments.kept = Kept()
    instruments.before = failing("write", SpeedError("the cache cannot be written"))
    found = diagnose(*pair, SHAPE)
    assert (found.roofline, found.notes) == (ROOF, ("the cache cannot be written",))


def test_a_stopwatch_that_dies_or_a_model_that_cannot_be_exported_is_a_sentence(instruments, pair):
    instruments.before = failing("time", SpeedError("the stopwatch process died"))
    with pytest.raises(SpeedError, match="the stopwatch process died"):
        diagnose(*pair, SHAPE)
    with pytest.raises(ExportError, match="does not take images of shape"):
        diagnose(nn.Linear(5, 3), pair[1], SHAPE)


# What is assumed


def test_energy_is_processor_time_times_watts_and_carbon_is_energy_times_the_grid(instruments, pair):
    found = diagnose(*pair, SHAPE, rates=Rates(watts=20, grams_per_kwh=360)).at(Rates(watts=24, grams_per_kwh=360))
    assert found.now.energy.joules_per_thousand == pytest.approx(1000 * 0.001 * 24)
    assert found.now.grams_per_thousand(found.rates) == pytest.approx(24 / 3_600_000 * 360)
    assert "x 24 W a core" in found.now.energy.source
    assert [asked["watts"] for piece, asked in instruments.asked if piece == "energy"] == [20] * 4


def test_of_two_measurements_of_energy_the_smaller_counts(instruments, pair):
    instruments.joules_per_run = iter([0.012, 0.009, 0.006, 0.018])  # base, now, base, now
    found = diagnose(*pair, SHAPE)
    assert (found.base.energy.joules_per_run, found.now.energy.joules_per_run) == (0.006, 0.009)


def test_joules_that_were_counted_do_not_depend_on_assumed_watts(instruments, pair):
    instruments.energy = replace(instruments.energy, is_measured=True)
    found = diagnose(*pair, SHAPE)
    assert found.at(Rates(watts=24, grams_per_kwh=0)).now.energy == found.now.energy


def test_the_grid_of_a_country_is_the_cited_one():
    known = carbon_intensities()
    assert Rates.of("France").grams_per_kwh == known["France"].grams_per_kwh
    assert Rates.of().country == "World"


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Rates.of("Atlantis"), "country must be one of World, .*, not 'Atlantis'"),
        (lambda: Rates(0, 100), "watts must be more than 0 .*, not 0"),
        (lambda: Rates(12, -1), "grams_per_kwh must be 0 or more, not -1"),
    ],
)
def test_assumptions_that_cannot_be_are_refused(make, sentence):
    with pytest.raises(ValueError, match=sentence):
        make()


def test_of_a_quantized_network_the_file_with_integers_is_timed(instruments, pair, tmp_path):
    model, base = quantize_weights(pair[1]), pair[1]
    diagnose(model, base, SHAPE)
    expected = export_integers(model, SHAPE, tmp_path, "now").path.read_bytes()
    assert instruments.asked[0][1]["bytes"][1] == expected


# From a lab


def test_a_lab_diagnoses_a_recipe_in_one_line_and_writes_its_base_once(instruments, folder, monkeypatch):
    written = []
    monkeypatch.setattr(measuring_module, "ship", lambda *given: written.append(given[-1]) or ship(*given))
    lab = Lab(tiny_mlp(), tiny_data())
    for sparsity in (0.5, 0.9):
        found = lab.diagnose((step(prune_weights, sparsity=sparsity),), batch=64)
        assert found.now.work.macs_nonzero < found.base.work.macs_nonzero
    assert found.speed.batch == 64
    assert written == ["base"]
    del lab, found
    gc.collect()
    instruments.asked.clear()
    assert list(folder.iterdir()) == []


def test_its_text_says_speed_machine_reasons_and_energy(instruments, pair):
    text = repr(diagnose(*pair, SHAPE))
    assert "batch 1: 1.000 -> 1.000 ms, no measurable difference" in text
    assert "holds: zeros are not removed. 90 % of the weights' work" in text
    assert "does not hold: extra nodes." in text
    assert "1,000 images: 12 J (estimated)" in text


@pytest.mark.slow
def test_a_real_network_is_diagnosed_and_a_second_time_with_the_roofline_that_was_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("EFFLAB_CACHE", str(tmp_path))
    base = tiny_cnn()
    model = prune_weights(base, sparsity=0.9)
    try:
        first, second = (diagnose(model, base, SHAPE) for _ in range(2))
    finally:
        measuring_module.stopwatch().close()
    assert first.roofline.busy or second.roofline == first.roofline  # one from a busy moment is measured anew
    assert {layer.name for layer in first.now.times.layers} >= {"conv1", "conv2", "conv3", "output"}
    assert first.now.energy.joules_per_run > 0
    assert first.now.measured is not None or first.notes
    assert "zeros are not removed" in [reason.name for reason in first.holding]
