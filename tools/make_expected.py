"""Record what pruning does to the reference networks, so that other machines and later versions are compared with it.

    python tools/make_expected.py [NAME ...]     writes data/expected/, or those of MAKERS; half an hour, one core

All scores are fractions of the validation images that are right. Of weights (`pruning`) three things are recorded, of
filters (`structure`), few bits (`quantization`) and students (`distillation`) two each, with the range that
tests/test_expected.py holds every machine to:

    curve       pruned by magnitude, nothing trained. Same weights, same images: only rounding differs between machines,
                so the range is the score and `CURVE_TOLERANCE` on both sides. Filters are cut out; their batch norms
                are as they were, or measured anew.
    random      the control: which weights go is drawn by chance, once for each of five seeds.
    fine_tuned  pruned, then trained for three epochs with five seeds, which draw the order of the images. Training
                magnifies rounding, so another machine is like another seed. Filters: half of them go, and the batch
                norms are measured anew before the training.
    trained     batch norms folded, and trained on grids with five seeds: weights of 4 and 2 bits, activations of 8. The
                curve beside it is the same without training, for both ways to find the grids.
    settings    a student alone and with its teacher, with five seeds: where the teacher helps, makes no difference, and
                hurts. The verdict is the interval of the five differences, by Student's t.
    missing     the recall of a digit that five students were never shown, before and after its bias is raised.

The range of what is trained goes from the lowest to the highest end of the seeds' 95 % intervals: what a sixth seed, or
other images of the same kind, would give. A training keeps the epoch that is best on these same images, so its scores
are slightly too good; every number here was chosen on validation data, none on test data.
"""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from efflab import (
    Lab,
    distill_predictions,
    fine_tune,
    fold_batch_norms,
    models,
    prune_filters,
    prune_weights,
    quantize_activations,
    quantize_weights,
    recalibrate,
    start_student,
    step,
    train_quantized,
)
from efflab.lab.missing import Unshown, train_without
from efflab.lab.side_by_side import Pair, side_by_side, verdict, without_teacher
from efflab.measure import Evaluation
from efflab.recipe import Recipe, to_json

FOLDER = Path(__file__).resolve().parent.parent / "data" / "expected"
NETWORK = "lenet5-scattered"
CUT_NETWORKS = ("cnn64-scattered", "resnet8-scattered")
RATIOS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)
HALF = 0.5
SEEDS = (0, 1, 2, 3, 4)
EPOCHS = 3
CURVE = (*(round(0.05 * i, 2) for i in range(20)), 0.98)
RANDOM = (0.2, 0.5, 0.8, 0.9)
FINE_TUNED = (("magnitude", 0.9), ("magnitude", 0.95), ("random", 0.9))
QUANTIZED_NETWORK = "cnn-scattered"
BITS = (8, 6, 4, 3, 2)
OBSERVERS = ("min-max", "MSE")
TRAINED_BITS = (4, 2)
METHODS = ("straight-through", "LSQ")
TEACHER = "resnet8-scattered"
LEARNER = step(start_student, kind="mlp", width=64)
TAUGHT: dict[str, Recipe] = {
    "helps": (LEARNER, step(distill_predictions, temperature=8.0, epochs=15, learning_rate=0.003)),
    "makes no measurable difference": (
        LEARNER,
        step(distill_predictions, temperature=1.0, epochs=15, learning_rate=0.003),
    ),
    "hurts": (LEARNER, step(distill_predictions, temperature=8.0, epochs=3, learning_rate=0.003)),
}
"""What a teacher does for a student, and a setting in which it does."""
SMALL_TEACHER, UNSHOWN = "mlp-digits", step(start_student, kind="mlp", width=30)
CURVE_TOLERANCE = 0.005
"""Ten of 2,000 images: those whose two best answers are so close that rounding may exchange them."""

Row = dict[str, Any]


def pruned(lab: Lab, sparsity: float, criterion: str = "magnitude") -> Evaluation:
    """The network of `lab`, pruned globally, on all validation images."""
    return lab.preview((step(prune_weights, sparsity=sparsity, criterion=criterion),)).evaluation


def fine_tuned(lab: Lab, sparsity: float, criterion: str = "magnitude") -> Evaluation:
    """The same, then trained for `EPOCHS` epochs."""
    recipe = (step(prune_weights, sparsity=sparsity, criterion=criterion), step(fine_tune, epochs=EPOCHS))
    return lab.preview(recipe).evaluation


def cut(lab: Lab, ratio: float) -> Evaluation:
    """The network of `lab` without this ratio of its filters, per layer, by L1."""
    return lab.preview((step(prune_filters, ratio=ratio),)).evaluation


def recalibrated(lab: Lab, ratio: float) -> Evaluation:
    """The same, with its batch norms measured anew."""
    return lab.preview((step(prune_filters, ratio=ratio), step(recalibrate))).evaluation


def cut_and_tuned(lab: Lab, ratio: float) -> Evaluation:
    """The same, then trained for `EPOCHS` epochs."""
    recipe = (step(prune_filters, ratio=ratio), step(recalibrate), step(fine_tune, epochs=EPOCHS))
    return lab.preview(recipe).evaluation


def quantized(lab: Lab, bits: int, observer: str) -> Evaluation:
    """The network of `lab` without batch norms, its weights on grids of so many bits, its activations on 8 bits."""
    recipe = (
        step(fold_batch_norms),
        step(quantize_weights, bits=bits, observer=observer),
        step(quantize_activations, observer=observer),
    )
    return lab.preview(recipe).evaluation


def trained_on_grids(lab: Lab, bits: int, method: str) -> Evaluation:
    """The network of `lab`, trained on such grids."""
    return lab.preview((step(train_quantized, bits=bits, method=method),)).evaluation


def trained_twice(lab: Lab, taught: Recipe, seed: int) -> Pair:
    """A student alone and with its teacher, with one seed."""
    *_, pair = side_by_side(lab, without_teacher(taught), taught, seed=seed)
    return pair


def make_pruning() -> dict[str, Any]:
    """What the file on weights holds."""
    labs = [Lab.open(NETWORK, seed=seed) for seed in SEEDS]
    curve = [(sparsity, pruned(labs[0], sparsity).value) for sparsity in CURVE]
    random = [_row([pruned(lab, s, "random") for lab in labs], sparsity=s) for s in RANDOM]
    tuned = [
        _row([fine_tuned(lab, s, criterion) for lab in labs], criterion=criterion, sparsity=s, epochs=EPOCHS)
        for criterion, s in FINE_TUNED
    ]
    return {
        **_made_with(),
        **_network(labs[0]),
        "curve": [{"sparsity": sparsity, "score": round(score, 4)} for sparsity, score in curve],
        "random": random,
        "fine_tuned": tuned,
    }


def make_structure() -> dict[str, Any]:
    """What the file on filters holds."""
    return {**_made_with(), "networks": [_cuts(name) for name in CUT_NETWORKS]}


def _cuts(name: str) -> dict[str, Any]:
    """What cuts do to one network."""
    labs = [Lab.open(name, seed=seed) for seed in SEEDS]
    curve = [(ratio, cut(labs[0], ratio).value, recalibrated(labs[0], ratio).value) for ratio in RATIOS]
    return {
        **_network(labs[0]),
        "curve": [{"ratio": r, "score": round(a, 4), "recalibrated": round(b, 4)} for r, a, b in curve],
        "fine_tuned": [_row([cut_and_tuned(lab, HALF) for lab in labs], ratio=HALF, epochs=EPOCHS)],
    }


def make_quantization() -> dict[str, Any]:
    """What the file on few bits holds."""
    labs = [Lab.open(QUANTIZED_NETWORK, seed=seed) for seed in SEEDS]
    about = train_quantized.defaults
    trained = [
        _row(
            [trained_on_grids(lab, bits, method) for lab in labs],
            bits=bits,
            method=method,
            epochs=about["epochs"],
            learning_rate=about["learning_rate"],
        )
        for bits in TRAINED_BITS
        for method in METHODS
    ]
    curve = [(bits, one, quantized(labs[0], bits, one).value) for bits in BITS for one in OBSERVERS]
    return {
        **_made_with(),
        **_network(labs[0]),
        "score": round(labs[0].baseline.value, 4),
        "curve": [{"bits": bits, "observer": one, "score": round(score, 4)} for bits, one, score in curve],
        "trained": trained,
    }


def make_distillation() -> dict[str, Any]:
    """What the file on students holds."""
    lab = Lab.open(TEACHER)
    settings = [_setting(lab, taught) for taught in TAUGHT.values()]
    score = round(lab.baseline.value, 4)
    return {**_made_with(), **_network(lab), "score": score, "settings": settings, "missing": _missing()}


def unshown(lab: Lab) -> Unshown:
    """A student that was never shown a 3, taught by the base of `lab`."""
    return train_without(lab, UNSHOWN, 3, temperature=4.0, epochs=30).taught


def _missing() -> dict[str, Any]:
    """How many threes five seeds of such a student recognise, before and after the best bias; the ranges are those."""
    students = [unshown(Lab.open(SMALL_TEACHER, seed=seed)) for seed in SEEDS]
    biases = [student.curve.best for student in students]
    rows = {
        "before": [round(student.recall(), 4) for student in students],
        "after": [round(student.recall(by), 4) for student, by in zip(students, biases, strict=True)],
    }
    return {"network": SMALL_TEACHER, "label": 3, "biases": biases, **rows}


def _setting(lab: Lab, taught: Recipe) -> dict[str, Any]:
    """What five seeds of one setting say."""
    pairs = [trained_twice(lab, taught, seed) for seed in SEEDS]
    found = verdict(pairs)
    interval = [round(value, 4) for value in (found.value, found.low, found.high)]
    arms = {name: [getattr(pair, name).evaluation for pair in pairs] for name in ("alone", "taught")}
    return {
        "verdict": found.word,
        "recipe": json.loads(to_json(taught)),
        "difference": dict(zip(("mean", "low", "high"), interval, strict=True)),
        **{name: _row(evaluations) for name, evaluations in arms.items()},
    }


def _made_with() -> dict[str, Any]:
    return {
        "maker": "tools/make_expected.py",
        "versions": {"python": platform.python_version(), "torch": version("torch"), "machine": platform.machine()},
        "seeds": list(SEEDS),
        "curve_tolerance": CURVE_TOLERANCE,
    }


def _network(lab: Lab) -> dict[str, Any]:
    return {
        "network": lab.name,
        "weights_sha256": models.card(lab.name).sha256,
        "n_images": len(lab.data.validation),
    }


def _row(evaluations: Sequence[Evaluation], **about: str | float) -> Row:
    """The score of each seed, and the range from the lowest to the highest end of their intervals."""
    lows, highs = zip(*(evaluation.interval for evaluation in evaluations), strict=True)
    scores = [round(evaluation.value, 4) for evaluation in evaluations]
    return {**about, "scores": scores, "low": round(min(lows), 4), "high": round(max(highs), 4)}


MAKERS = {
    "pruning": make_pruning,
    "structure": make_structure,
    "quantization": make_quantization,
    "distillation": make_distillation,
}
"""What makes each file, `data/expected/NAME_scattered.json`."""


def main() -> None:
    """Make the files anew, or those that are named."""
    torch.set_num_threads(1)  # sums of several threads differ in their last bits
    for name in sys.argv[1:] or MAKERS:
        file = FOLDER / f"{name}_scattered.json"
        file.write_text(json.dumps(MAKERS[name](), indent=2) + "\n", encoding="utf-8")
        print(f"wrote {file.name}")


if __name__ == "__main__":
    main()
