"""The widths of convolutions: lanes without a channel, and numbers of channels for which ONNX Runtime has no block."""

from pathlib import Path

import onnx
import pytest
from torch import nn

from efflab import models
from efflab.measure.channel_reasons import few_channels, in_no_block
from efflab.measure.machine import describe_machine
from efflab.measure.reason import Reason
from efflab.measure.work import count_work
from efflab.runtime import export
from efflab.runtime.session import load

SHAPE = (1, 28, 28)


def channels(width: int, instruction_sets: tuple[str, ...] | None) -> Reason:
    model = models.build("cnn", sizes=(width,))
    return few_channels(model, count_work(model, SHAPE), instruction_sets)


def test_three_channels_waste_lanes() -> None:
    reason = channels(3, ("AVX2",))

    assert reason.holds
    assert "conv1 has 3, conv2 has 6, conv3 has 12" in reason.sentence
    useful = {"conv1": 14 * 14 * 3 * 25, "conv2": 7 * 7 * 6 * 3 * 9, "conv3": 7 * 7 * 12 * 6 * 9}
    done = useful["conv1"] * 8 / 3 + useful["conv2"] * 8 / 6 + useful["conv3"] * 16 / 12
    assert reason.evidence["wasted"] == pytest.approx(1 - sum(useful.values()) / done)


def test_multiples_of_the_lanes_waste_none() -> None:
    reason = channels(16, ("AVX2",))

    assert not reason.holds
    assert reason.evidence == {"lanes": 8, "wasted": 0.0}


@pytest.mark.parametrize(("sets", "holds"), [(("AVX2", "AVX-512"), True), (("AVX2",), False), (None, False)])
def test_wider_instructions_need_more_channels(sets: tuple[str, ...] | None, holds: bool) -> None:
    assert channels(8, sets).holds is holds


def test_a_network_without_convolutions_has_no_few_channels() -> None:
    model = models.build("mlp")

    assert not few_channels(model, count_work(model, SHAPE), ("AVX2",)).holds


# Blocks


def pair(first: int, second: int) -> nn.Module:
    """Two convolutions; the second reads the channels of the first."""
    return nn.Sequential(nn.Conv2d(3, first, 3), nn.ReLU(), nn.Conv2d(first, second, 3))


def blocks(model: nn.Module, instruction_sets: tuple[str, ...] | None = ("AVX2", "AVX-512")) -> Reason:
    return in_no_block(model, count_work(model, (3, 8, 8)), instruction_sets)


def test_a_layer_that_reads_no_multiple_of_four_is_named_with_its_share_of_the_work() -> None:
    reason = blocks(pair(18, 16))

    assert reason.holds
    assert "2 reads 18, no multiple of 4" in reason.sentence
    first, second = 6 * 6 * 18 * 3 * 9, 4 * 4 * 16 * 18 * 9
    assert reason.evidence["share"] == pytest.approx(second / (first + second))


@pytest.mark.parametrize("model", [pair(20, 13), pair(13, 16), nn.Sequential(nn.Flatten(), nn.Linear(192, 3))])
def test_multiples_of_four_and_less_than_a_block_fit(model: nn.Module) -> None:
    reason = blocks(model)

    assert not reason.holds
    assert reason.sentence.endswith("no convolution reads a number of channels that does not fit.")


def test_a_small_share_of_the_work_does_not_hold() -> None:
    model = nn.Sequential(nn.Conv2d(3, 64, 7, padding=3), nn.Conv2d(64, 18, 1), nn.Conv2d(18, 2, 1))

    reason = blocks(model)

    assert not reason.holds
    assert "2 reads 18" in reason.sentence
    assert 0 < float(reason.evidence["share"]) < 0.1


def test_shorter_instructions_have_shorter_blocks() -> None:
    assert blocks(pair(10, 16), ("AVX2",)).holds
    assert not blocks(pair(10, 16), ("AVX2", "AVX-512")).holds


@pytest.mark.parametrize("sets", [None, ("NEON",), ()])
def test_of_other_processors_nothing_is_claimed(sets: tuple[str, ...] | None) -> None:
    reason = blocks(pair(18, 16), sets)

    assert not reason.holds
    assert reason.sentence.startswith("It is not known how ONNX Runtime stores")


@pytest.mark.skipif(
    not {"AVX2", "AVX-512"} & set(describe_machine().instruction_sets or ()),
    reason="ONNX Runtime's blocks are known for x86 with AVX2 only; this processor has none, or does not tell",
)
@pytest.mark.parametrize("first", [4, 5, 13, 18, 20, 24, 38, 40, 77])
def test_the_rule_is_what_the_graph_of_onnx_runtime_shows(first: int, tmp_path: Path) -> None:
    model = pair(first, 16)
    made = export(model, (3, 8, 8), tmp_path, "pair")
    ort, optimised = load(), tmp_path / "optimised.onnx"
    options = ort.SessionOptions()
    options.optimized_model_filepath, options.log_severity_level = str(optimised), 3
    ort.InferenceSession(str(made.path), options, providers=["CPUExecutionProvider"])
    domains = [node.domain for node in onnx.load(optimised).graph.node if "Conv" in node.op_type]

    assert domains[0] == "com.microsoft.nchwc"
    is_blocked = domains[1] == "com.microsoft.nchwc"
    assert blocks(model, describe_machine().instruction_sets).holds is not is_blocked
