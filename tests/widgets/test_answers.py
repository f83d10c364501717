"""What four states say, in the keys of a question's options."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import support

from efflab import questions
from efflab.lab.states import NoState
from efflab.measure import count_work
from efflab.measure.layer_speed import LayerTimes, NodeTime
from efflab.measure.reasons import why_not_faster
from efflab.widgets.answers import REASONS, encoded_class, main_reason, zeroed_class
from tests.diagnosing import ROOF

CHAPTER = questions.load("02")


@pytest.mark.parametrize(
    ("factor", "n_bytes", "key"),
    [(1.0, 1_000_000, "neither"), (0.5, 1_000_000, "time"), (1.0, 400_000, "file"), (0.5, 400_000, "both")],
)
def test_zeros_in_onnx_runtime_are_told_by_file_and_time(factor, n_bytes, key):
    zeroed = support.state("zeroed", "ONNX Runtime", factor, n_bytes=n_bytes)
    others = [support.state("zeroed", "torch", 0.1), support.state("removed", "ONNX Runtime", 0.1)]
    assert zeroed_class([*others, zeroed]) == key
    assert key in {option.key for option in CHAPTER.prediction("zeroed_at_90").options}


def test_slower_zeros_are_not_called_faster():
    assert zeroed_class([support.state("zeroed", "ONNX Runtime", 2.0, n_bytes=1_000_000)]) == "neither"


@pytest.mark.parametrize(("factor", "key"), [(0.5, "faster"), (1.01, "same"), (2.0, "slower")])
def test_what_leaves_out_zeros_is_told_by_its_time_in_torch(factor, key):
    assert encoded_class([support.state("encoded", "torch", factor)]) == key
    assert key in {option.key for option in CHAPTER.prediction("encoded_at_batch_64").options}


@pytest.mark.parametrize("answer", [zeroed_class, encoded_class])
def test_without_the_state_there_is_no_answer(answer):
    assert answer([]) is None
    assert answer([NoState("encoded", "torch", "why"), NoState("zeroed", "ONNX Runtime", "why")]) is None


def test_a_difference_within_the_noise_is_the_same():
    state = support.state("encoded", "torch", 0.9)
    assert encoded_class([replace(state, speed=replace(state.speed, noise_floor=0.2))]) == "same"


@pytest.mark.parametrize(
    ("answer", "name", "runtime"), [(zeroed_class, "zeroed", "ONNX Runtime"), (encoded_class, "encoded", "torch")]
)
@pytest.mark.parametrize(("factor", "is_known"), [(1.3, False), (4.0, True)])
def test_in_a_rough_moment_only_a_difference_beyond_the_noise_is_an_answer(answer, name, runtime, factor, is_known):
    state = support.state(name, runtime, factor)
    assert (answer([replace(state, speed=replace(state.speed, noise_floor=0.5))]) is not None) == is_known


def view_of(*names: str, batch: int = 1, busy: bool = False, noise_floor: float = 0.02) -> SimpleNamespace:
    speed = SimpleNamespace(batch=batch, noise_floor=noise_floor)
    holding = [SimpleNamespace(name=name) for name in names]
    return SimpleNamespace(diagnosis=SimpleNamespace(holding=holding, speed=speed, busy=busy))


@pytest.mark.parametrize(
    ("names", "key"),
    [
        (("overhead of the call", "bound by memory"), "call"),
        (("bound by memory",), "memory"),
        (("zeros are not removed",), "zeros"),
        (("few channels",), "other"),
        ((), "other"),
    ],
)
def test_the_first_reason_that_the_question_offers_is_its_answer(names, key):
    assert main_reason(view_of(*names)) == key
    assert key in {option.key for option in CHAPTER.prediction("why_not_13_times").options}


@pytest.mark.parametrize("rough", [{"busy": True}, {"noise_floor": 0.3}])
@pytest.mark.parametrize(
    ("names", "key"),
    [
        ((), None),
        (("the machine was busy",), None),
        (("the machine was busy", "bound by memory"), None),
        (("the machine was busy", "overhead of the call"), "call"),
        (("the machine was busy", "zeros are not removed"), "zeros"),
    ],
)
def test_a_busy_moment_answers_only_with_what_was_counted_or_timed_in_a_calm_one(rough, names, key):
    assert main_reason(view_of(*names, **rough)) == key


def test_another_batch_does_not_answer_what_was_asked_of_one_image():
    assert main_reason(view_of("bound by memory", batch=64)) is None


def test_without_a_diagnosis_there_is_no_reason():
    assert main_reason(SimpleNamespace(diagnosis=None)) is None


def test_the_reasons_have_the_names_that_the_measurement_gives_them():
    model = support.tiny_mlp()
    work = count_work(model, support.SHAPE)
    times = LayerTimes((NodeTime("output", "Gemm", "output", (), 0.2, 10),), 1.0, 0.0, 1, 1, 0.0, "a machine")
    found = why_not_faster(
        model, model, speed=support.product(0.5, 1.0).speed, work=work, base_work=work, times=times, roofline=ROOF
    )
    assert set(REASONS) <= {reason.name for reason in found}
