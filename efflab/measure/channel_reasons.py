"""Reasons that the widths of convolutions show: too few channels for the instructions, or numbers that fit no block.

On x86, ONNX Runtime stores the channels of an image in blocks as long as an instruction is wide, and has its fast
convolutions for that order only. Into this order it brings channels four at a time. So a convolution that reads 77
channels is computed by another, slower way, and a network may become slower by losing three of 80.

Reference: ONNX Runtime, onnxruntime/core/optimizer/nchwc_transformer.cc (nodes of the domain com.microsoft.nchwc); our
tests compare with the graph that ONNX Runtime writes down.

Where we simplify: see `reasons.py`; convolutions in groups have rules of their own and are left out.
"""

from collections.abc import Sequence

from torch import nn

from efflab.measure.reason import Reason, Value, percent
from efflab.measure.work import Work

LANES = {"AVX-512": 16, "AVX2": 8, "SVE": 4, "NEON": 4}
"""float32 numbers that one instruction works on: 512, 256 and 128 bits; the widest that the machine has counts."""
USUAL_LANES = 8
"""Where the instruction sets are not known: AVX2, the rule on laptops of the last ten years."""
BLOCKED = ("AVX-512", "AVX2")
"""Instruction sets for which it is known that ONNX Runtime stores channels in blocks, one instruction wide."""
AT_A_TIME = 4
"""Channels that are brought into the order of blocks in one step."""
WASTED = 0.1
"""Channels count as few from this fraction of a convolution's lanes without a channel on."""
SLOW = 0.1
"""Convolutions in no block matter from this fraction of the MACs on."""


def few_channels(model: nn.Module, work: Work, instruction_sets: Sequence[str] | None) -> Reason:
    """One instruction works on several channels at once, and lanes without a channel compute nothing of use."""
    lanes, macs = _lanes(instruction_sets), {layer.name: layer.macs for layer in work.layers}
    widths = {name: layer.out_channels for name, layer in _convolutions(model, macs).items()}
    useful = sum(macs[name] for name in widths)
    done = sum(macs[name] * _padded(width, lanes) / width for name, width in widths.items())
    wasted = 1 - useful / done if done else 0.0
    odd = {name: width for name, width in widths.items() if width % lanes}
    evidence: dict[str, Value] = {"lanes": lanes, "wasted": wasted, **odd}
    if odd:
        sentence = (
            f"One instruction works on {lanes} channels, and {_listed(odd, 'has')}: {percent(wasted)} of the lanes of "
            "all convolutions have no channel."
        )
    else:
        what = f"every convolution has a multiple of {lanes} channels" if widths else "there is no convolution"
        sentence = f"One instruction works on {lanes} channels, and {what}."
    return Reason("few channels", wasted > WASTED, sentence, evidence)


def in_no_block(model: nn.Module, work: Work, instruction_sets: Sequence[str] | None) -> Reason:
    """A convolution that reads more channels than a block has, and no multiple of four, has no fast way."""
    name = "channels in no block"
    if not set(BLOCKED) & set(instruction_sets or ()):
        sentence = "It is not known how ONNX Runtime stores the channels of an image on this processor."
        return Reason(name, False, sentence, {"macs": work.macs})
    block, macs = _lanes(instruction_sets), {layer.name: layer.macs for layer in work.layers}
    reads = {layer: one.in_channels for layer, one in _convolutions(model, macs).items()}
    odd = {layer: n for layer, n in reads.items() if n >= block and n % AT_A_TIME}
    share = sum(macs[layer] for layer in odd) / work.macs if work.macs else 0.0
    evidence: dict[str, Value] = {"block": block, "share": share, **odd}
    rule = f"ONNX Runtime has its fast convolutions for channels in blocks of {block}, filled four at a time"
    if odd:
        sentence = (
            f"{rule}. {_listed(odd, 'reads')}, no multiple of 4: {percent(share)} of the MACs are computed by a slower "
            "way. Keep a multiple of 4 or 8."
        )
    else:
        sentence = f"{rule}, and no convolution reads a number of channels that does not fit."
    return Reason(name, share > SLOW, sentence, evidence)


def _convolutions(model: nn.Module, macs: dict[str, int]) -> dict[str, nn.Conv2d]:
    """Those that were used, and are not in groups."""
    return {
        name: layer
        for name, layer in model.named_modules()
        if isinstance(layer, nn.Conv2d) and layer.groups == 1 and macs.get(name)
    }


def _listed(widths: dict[str, int], verb: str) -> str:
    return ", ".join(f"{name} {verb} {width}" for name, width in widths.items())


def _lanes(instruction_sets: Sequence[str] | None) -> int:
    if instruction_sets is None:
        return USUAL_LANES
    return max((lanes for name, lanes in LANES.items() if name in instruction_sets), default=min(LANES.values()))


def _padded(width: int, lanes: int) -> int:
    """The next multiple of `lanes`."""
    return -(-width // lanes) * lanes
