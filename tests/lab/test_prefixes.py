"""A recipe step by step: every prefix is judged and then measured, and no step runs twice."""

from itertools import islice

import pytest
import support
from torch import nn

from efflab import fine_tune, prune_filters, prune_weights, quantize_activations, quantize_weights, step
from efflab.knobs import technique
from efflab.lab import Lab
from efflab.lab import measuring as measuring_module
from efflab.lab.prefixes import Prefix
from efflab.lab.shipping import ship
from efflab.measure import compute_size
from efflab.measure.speed_process import SpeedError
from efflab.training import Progress

RECIPE = (step(prune_weights, sparsity=0.5), step(prune_weights, sparsity=0.9), step(fine_tune, epochs=1))
PREFIXES = [RECIPE[:n] for n in range(4)]


@technique
def refuse(model: nn.Module) -> nn.Module:
    """Nothing."""
    raise ValueError("this network is <b>too small</b> already")


def test_each_prefix_is_judged_the_base_first_and_then_each_is_measured(lab, stopwatch_stub):
    found = list(lab.prefixes(RECIPE))
    assert [one.recipe for one in found] == PREFIXES * 2
    assert [one.report is None for one in found] == [True] * 4 + [False] * 4
    assert {one.reason for one in found} == {""}
    for one in found:
        model = lab.build(one.recipe)
        right = model(lab.data.validation.images).argmax(1) == lab.data.validation.labels
        assert one.preview.evaluation.is_complete
        assert one.preview.evaluation.value == pytest.approx(right.double().mean().item(), abs=1e-6)
        assert one.preview.size == compute_size(model)
    assert [one.preview for one in found[:4]] == [one.preview for one in found[4:]]


def test_the_report_of_each_prefix_is_of_its_own_file(lab, stopwatch_stub):
    *_, before, after = lab.prefixes((step(prune_filters, ratio=0.5),), batch=8)
    assert [len(one["now"]) for one in stopwatch_stub.requests] == [before.report.file_bytes, after.report.file_bytes]
    assert before.report.file_bytes == after.report.base_file_bytes > after.report.file_bytes
    assert [one["batch"] for one in stopwatch_stub.requests] == [8, 8]


def test_nothing_is_measured_before_everything_was_judged(lab, stopwatch_stub):
    assert [one.recipe for one in islice(lab.prefixes(RECIPE), 4)] == PREFIXES
    assert stopwatch_stub.requests == []


def test_a_recipe_without_steps_has_the_base_alone(lab, stopwatch_stub):
    judged, measured = lab.prefixes(())
    assert judged == Prefix((), lab.preview(()))
    assert measured.report.preview is judged.preview


def test_each_step_runs_once(lab, counted, calls, stopwatch_stub):
    list(lab.prefixes((step(counted, factor=0.5), step(counted, factor=1.5), step(counted, factor=2.0))))
    assert calls == ["scale 0.5", "scale 1.5", "scale 2.0"]


def test_changing_the_last_step_does_not_run_the_first_again(lab, counted, calls, stopwatch_stub):
    first = step(counted, factor=0.5)
    for factor in (1.5, 2.0, 1.5):
        list(lab.prefixes((first, step(counted, factor=factor))))
    assert calls == ["scale 0.5", "scale 1.5", "scale 2.0"]


def test_the_prefix_that_cannot_be_timed_says_why(lab, stopwatch_stub, monkeypatch):
    answer = stopwatch_stub.compare

    def compare(base, now, **settings):
        if len(stopwatch_stub.requests) == 1:
            stopwatch_stub.requests.append({})
            raise SpeedError("the stopwatch ended")
        return answer(base, now, **settings)

    monkeypatch.setattr(stopwatch_stub, "compare", compare)
    *_, base, first, second = lab.prefixes(RECIPE[:2])
    assert [one.reason for one in (base, first, second)] == ["", "the stopwatch ended", ""]
    assert [one.report is None for one in (base, first, second)] == [False, True, False]


def test_the_prefix_that_cannot_be_written_says_why_and_what_follows_is_measured(lab, stopwatch_stub):
    *_, base, weights, whole = lab.prefixes((step(quantize_weights), step(quantize_activations)))
    assert [one.report is None for one in (base, weights, whole)] == [False, True, False]
    assert weights.reason.startswith("the weight of layer 'conv1' has left its grid in the file, where the batch norm")
    assert (base.reason, whole.reason) == ("", "")
    assert base.report.from_file is None
    assert whole.report.from_file is not None


def test_a_technique_that_refuses_is_named_with_the_number_of_its_step(lab, stopwatch_stub):
    found = lab.prefixes((RECIPE[0], step(refuse), RECIPE[1]))
    assert [one.recipe for one in islice(found, 2)] == [(), RECIPE[:1]]
    with pytest.raises(ValueError, match=r"^step 2, refuse: this network is <b>too small</b> already$"):
        next(found)
    assert list(found) == []
    assert stopwatch_stub.requests == []


def test_what_is_no_recipe_is_refused(lab):
    with pytest.raises(TypeError, match=r"^a recipe is a tuple of steps"):
        next(lab.prefixes(RECIPE[0]))


@pytest.mark.parametrize("n", range(9))
def test_once_it_is_stale_nothing_follows(lab, stopwatch_stub, n):
    seen = []
    for one in lab.prefixes(RECIPE, stale=lambda: len(seen) >= n):
        seen.append(one)
    assert [one.recipe for one in seen] == (PREFIXES * 2)[:n]


def test_a_measurement_that_became_stale_is_not_yielded(lab, stopwatch_stub, monkeypatch):
    shipped = []

    def noted(*given):
        shipped.append(given)
        return ship(*given)

    monkeypatch.setattr(measuring_module, "ship", noted)
    assert [one.report for one in lab.prefixes(RECIPE, stale=lambda: bool(shipped))] == [None] * 4
    assert len(shipped) == 2  # the base, and the first prefix, which is the base again


@pytest.mark.parametrize("then", [RECIPE[1:2], ()])
def test_a_stopped_training_is_yielded_as_far_as_it_came_and_nothing_follows(lab, stopwatch_stub, then):
    progress = Progress(on_batch=lambda done: progress.stop())
    *_, last = lab.prefixes((RECIPE[0], step(fine_tune, epochs=5), *then), progress=progress)
    assert (len(last.recipe), last.preview.is_partial, last.report) == (2, True, None)


def test_a_training_tells_its_progress(lab, stopwatch_stub):
    told = []
    list(lab.prefixes((step(fine_tune, epochs=2),), progress=Progress(on_record=told.append)))
    assert [one.number for one in told] == [1, 2]


def test_the_lab_of_another_base_has_other_prefixes(lab, stopwatch_stub):
    other = Lab(support.tiny_mlp(), lab.data)
    one, another = next(lab.prefixes(RECIPE)), next(other.prefixes(RECIPE))
    assert one.preview.size != another.preview.size
