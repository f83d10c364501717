"""The three tiles of a bench: size, speed and score, each *before -> now*, with an interval and a badge.

A badge says where a number comes from: *measured* (timed, evaluated or weighed here and now), *computed* (from a
formula, shown on hover), *estimated* or *cited*. A tile that is not known yet says so; it never keeps an old number.
"""

from html import escape

from efflab.data import Classification
from efflab.figures.diagnosis import count_text
from efflab.figures.text import (
    bytes_text,
    difference_text,
    interval_text,
    ms_text,
    percent_text,
    ratio_text,
    score_text,
    signed_interval_text,
    smaller_text,
)
from efflab.figures.visits import setting_text
from efflab.knobs import Range
from efflab.lab import Preview, Report
from efflab.measure import Evaluation, optimism_of, scored
from efflab.measure.speed import Speed

PACKED = (
    "The smallest of three encodings for each layer: all values; the non-zero values and one bit for each position; "
    "the non-zero values and their columns and row starts. 4 bytes a value; of weights on a grid, as many bits as it "
    "has, and 4 bytes for each scale."
)
"""The formula behind the packed bytes, in words."""
SHARED = (
    "Where weights share values: b bits for the index of each weight that is left, 4 bytes for each value of the "
    "codebook, and where weights are removed, the gaps between those that are left, or one bit for each position, "
    "whichever is smaller. All other numbers: 4 bytes each. Huffman's code is not counted."
)
"""The same where weights share values."""
MACS = "For a convolution: outputs x channels that it reads x kernel height x width; a linear layer: inputs x outputs."
"""The formula behind the multiplications, in words."""
STILL = "not measured yet: leave the controls alone for a second"
NO_TIME = "–"
OPENED_AGAIN = (
    "what you choose by it is no longer a test, but one more validation, which flatters the choice as the first one "
    "does. Only images that nobody has looked at are a test then."
)
"""What it means to open the test data again."""
SEPARATE = (
    "Two separate samples of images: their errors do not cancel, so that the interval is wider than that of two "
    "networks on the same images. Each choice by validation picks some luck, which the test does not have."
)
"""What the interval between validation and test is, in words."""


def tiles(
    preview: Preview,
    baseline: Evaluation,
    report: Report | None,
    machine: str = "",
    macs: tuple[int, int] | None = None,
    missing: str = STILL,
) -> str:
    """The tiles as HTML; without a report, `missing` stands where file and time would.

    machine: on which the speed of the report was measured, in one line. macs: of one image, before and now, where the
    promise that they make is to stand beside the speed.
    """
    speed = _speed(report, machine, macs, missing)
    parts = (_size(preview, report), speed, score_tile(preview, baseline, report.from_file if report else None))
    return f"<div class='efflab-tiles'>{''.join(parts)}</div>"


def sentence(preview: Preview, report: Report | None) -> str:
    """What the tiles say, in one sentence."""
    task, evaluation = preview.evaluation.task, preview.evaluation
    score = f"{task.score_name} {score_text(evaluation.value, task)} (95 % interval {_interval(evaluation)})"
    speed = f", {report.speed.verdict}" if report else ""
    then = "".join(f", then {step.technique.label}" for step in preview.recipe[1:])
    return f"{_done(preview)}{then}: {bytes_text(preview.size.packed_bytes)} packed, {score}{speed}."


def base_sentence(baseline: Evaluation) -> str:
    """What the base can do, before anything is done to it."""
    return f"As it is, the network has {score_text(baseline.value, baseline.task)} {baseline.task.score_name}."


def test_sentence(validation: Evaluation, test: Evaluation, n_openings: int) -> str:
    """The score on the test data, how optimistic validation was, and how often the test was opened; HTML."""
    task = test.task
    often = "" if n_openings == 1 else f" You opened it {n_openings} times: {OPENED_AGAIN}"
    return (
        f"<b>Test {task.score_name} {score_text(test.value, task)}</b> (95 % interval {_interval(test)}, "
        f"{test.n:,} images) {badge('measured')} Validation {score_text(validation.value, task)}, minus test: "
        f"{optimism_text(validation, test)} {badge('measured', SEPARATE)}{often}"
    )


def optimism_text(validation: Evaluation, test: Evaluation) -> str:
    """How much better a network was on validation than on test data, with the interval, and what that says."""
    found, task = optimism_of(scored(validation), scored(test)), test.task
    ends = signed_interval_text(found.low, found.high, per_unit=task.per_unit)
    return f"{difference_text(found.value, task)} (95 % interval {ends}): {found.verdict}."


def badge(kind: str, why: str = "") -> str:
    """The label that says where a number comes from; with a reason, a click or the Enter key opens it."""
    if not why:
        return f"<span class='efflab-badge'>{escape(kind)}</span>"
    return f"<details class='efflab-why'><summary class='efflab-badge'>{escape(kind)}</summary>{escape(why)}</details>"


def tile(title: str, change: str, *lines: str, about: str = "") -> str:
    """A tile as HTML: its title, the change in large type, and lines of HTML below; `about` appears on hover."""
    rest = "".join(f"<div class='efflab-line'>{line}</div>" for line in lines)  # a <p> ends before a badge's <details>
    hover = f" title='{escape(about)}'" if about else ""
    return (
        f"<div class='efflab-tile'{hover}><h4>{escape(title)}</h4><div class='efflab-change'>{change}</div>{rest}</div>"
    )


def arrow(before: str, now: str) -> str:
    """Before and now, as HTML."""
    return f"{escape(before)} → {escape(now)}"


def _done(preview: Preview) -> str:
    """What the first step did: a part of the weights is gone, and the rest has bits; or its first number, or name."""
    knobs = preview.recipe[0].technique.knobs if preview.recipe else {}
    number, knob = next(((name, one) for name, one in knobs.items() if isinstance(one, Range)), ("", None))
    if preview.recipe and knob is None:
        return preview.recipe[0].technique.label.capitalize()
    if knob is None or knob.is_fraction:
        bits = [setting_text(preview, "bits")] if "bits" in knobs else []
        return ", ".join([f"{preview.removed * 100:.0f} % of the weights removed", *bits])
    return f"{preview.recipe[0].technique.label.capitalize()}, {setting_text(preview, number)}"


def _size(preview: Preview, report: Report | None) -> str:
    before, now = preview.base_size.packed_bytes, preview.size.packed_bytes
    why = badge("computed", SHARED if any("codebook" in one.encoding for one in preview.size.tensors) else PACKED)
    packed = f"{smaller_text(before, now)}, packed {why}"
    if report is None:
        return tile("Size", arrow(bytes_text(before), bytes_text(now)), packed, "file: not weighed")
    weighed = badge("measured", "the ONNX file that was really written, and its bytes after zlib")
    return tile(
        "Size",
        arrow(bytes_text(before), bytes_text(now)),
        packed,
        f"file {arrow(bytes_text(report.base_file_bytes), bytes_text(report.file_bytes))} {weighed}",
        f"zipped {arrow(bytes_text(report.base_compressed_bytes), bytes_text(report.compressed_bytes))} {weighed}",
    )


def _speed(report: Report | None, machine: str, macs: tuple[int, int] | None, missing: str) -> str:
    if report is None:
        return tile("Speed", "..." if missing == STILL else NO_TIME, escape(missing))
    speed = report.speed
    verdict, *lines = speed_lines(speed, "ONNX Runtime", "two sessions of the same file")
    how = f"{speed.batch} image{'s' if speed.batch > 1 else ''} in a run of {ms_text(speed.now.median_ms)}; {machine}"
    throughput = f"{count_text(speed.throughput)} images a second {badge('measured', how)}"
    change = arrow(ms_text(speed.base.median_ms), ms_text(speed.now.median_ms))
    promise = [_promise(*macs)] if macs else []
    lines = [*promise, *_kernels(report), throughput, *lines]
    return tile(f"Speed, batch {speed.batch}", change, verdict, *lines, about=machine)


def _kernels(report: Report) -> list[str]:
    """Where weights lie on grids: how many layers run in integers, and what keeps the first of the others from it."""
    if not report.kernels:
        return []
    floats = [f"{layer}: {plan.why}" for layer, plan in report.kernels.items() if plan.kernel == "float"]
    n = len(report.kernels) - len(floats)
    counted = badge("measured", "read back from the graph that ONNX Runtime made of the file")
    if not floats:
        return [f"real integer kernels in all {n} layers {counted}"]
    return [f"real integer kernels in {n} of {len(report.kernels)} layers ({escape(floats[0])}) {counted}"]


def _promise(before: int, now: int) -> str:
    """How many times fewer multiplications there are, of one image."""
    if now == before:
        return f"as many multiplications as before ({before:,}) {badge('computed', MACS)}"
    fewer = f"{ratio_text(before / now if now else float('inf'))} fewer"
    return f"{fewer} multiplications ({arrow(f'{before:,}', f'{now:,}')}) {badge('computed', MACS)}"


def speed_lines(speed: Speed, runtime: str, twins: str) -> list[str]:
    """What a tile says of a speed, as lines of HTML. twins: what was timed against itself for the noise floor."""
    how = f"{runtime}, batch {speed.batch}, {speed.threads} thread{'s' if speed.threads > 1 else ''}; {speed.machine}"
    low, high = (percent_text(end, 0) for end in (speed.ratio_low, speed.ratio_high))
    lines = [
        f"{escape(speed.verdict)} {badge('measured', how)}",
        f"takes {percent_text(speed.ratio, 0)} of the time; 95 % interval {low} to {high}",
        f"noise floor {percent_text(speed.noise_floor)}: so much do {twins} differ; only an interval wholly beyond it "
        "counts",
        f"the middle half of the runs: {ms_text(speed.now.q1_ms)} to {ms_text(speed.now.q3_ms)}",
    ]
    if speed.busy:
        lines.append("other programs were running: these times are rough")
    return lines


def score_tile(preview: Preview, baseline: Evaluation, from_file: Evaluation | None = None) -> str:
    """The tile of the score, with the interval of the difference and that of the score itself.

    from_file: what the shipped file answers, where its integers may answer otherwise than the simulation.
    """
    evaluation, task, difference = preview.evaluation, preview.evaluation.task, preview.difference
    change = f"{change_text(baseline, evaluation, difference.value)}, interval {_difference_interval(preview, task)}"
    count = f"{evaluation.n:,} of {evaluation.n_total:,}" if not evaluation.is_complete else f"{evaluation.n:,}"
    note = "; training stopped early" if preview.is_partial else ""
    return tile(
        task.score_name,
        arrow(score_text(baseline.value, task), score_text(evaluation.value, task)),
        f"{change} {badge('measured', '95 % interval of the difference on the same images')}",
        f"{count} validation images; interval of the score {_interval(evaluation)}{note}",
        *_from_file(evaluation, from_file),
    )


def _from_file(simulated: Evaluation, from_file: Evaluation | None) -> list[str]:
    if from_file is None:
        return []
    n_alike = int((simulated.answers == from_file.answers).sum())
    how = "the file ran on all validation images in ONNX Runtime; the number above is simulated, with floats"
    alike = f"as simulated on {n_alike:,} of {from_file.n:,} images"
    return [f"the file itself: {score_text(from_file.value, from_file.task)} ({alike}) {badge('measured', how)}"]


def change_text(before: Evaluation, now: Evaluation, difference: float) -> str:
    """The difference, with a second decimal where the rounded scores would seem to give another one."""
    task = before.task
    shown = [round(evaluation.value * task.per_unit, 1) for evaluation in (before, now)]
    is_plain = not now.is_complete or round(shown[1] - shown[0], 1) == round(difference * task.per_unit, 1)
    return difference_text(difference, task, 1 if is_plain else 2)


def _interval(evaluation: Evaluation) -> str:
    low, high = evaluation.interval
    return interval_text(low, high, per_unit=evaluation.task.per_unit)


def _difference_interval(preview: Preview, task: Classification) -> str:
    return signed_interval_text(preview.difference.low, preview.difference.high, per_unit=task.per_unit)
