"""Half of the filters: how much of what the MACs promise arrives on the clock, and the same by torch-pruning.

A quarter of the MACs is a promise of four times the speed. The first table measures what ONNX Runtime keeps of it, file
against file, as `lab.measure` does; a network that keeps less than the goal is diagnosed by `lab.diagnose`, and the
reasons that hold are printed.

The second goes the way from the trained network to a smaller one that was judged, with efflab's own rules and with
torch-pruning's, in turns: milliseconds, and the score of both. Then both are repaired in the same way, once.
"""

import copy

import torch
import torch_pruning
from _report import compare, interleave, versions
from torch import nn

from efflab import Lab, fine_tune, prune_filters, recalibrate, step
from efflab.lab.diagnosis import Diagnosis
from efflab.measure import evaluate

NETWORKS = ("resnet8-scattered", "cnn64-scattered")
HALF = (step(prune_filters, ratio=0.5),)
GOAL = 0.8
"""Of the speed that the MACs promise, at batch 64."""
N_RUNS, EPOCHS = 10, 3


def keep(name: str) -> None:
    """One line a batch, and the reasons where the goal is missed."""
    lab = Lab.open(name)
    times_fewer = lab.macs(()) / lab.macs(HALF)
    for batch in (1, 64):
        report = lab.measure(HALF, batch=batch)
        assert report is not None
        faster, low, high = (1 / r for r in (report.speed.ratio, report.speed.ratio_high, report.speed.ratio_low))
        kept = faster / times_fewer
        interval = f"({low / times_fewer:.2f} to {high / times_fewer:.2f})"
        goal = "" if batch == 1 else f"  goal {GOAL}: {'reached' if kept >= GOAL else 'NOT reached'}"
        busy = ", busy" if report.speed.busy else ""
        print(f"  {name:<18} {batch:5d} {times_fewer:8.2f}x {faster:8.2f}x {kept:8.2f} {interval}{goal}{busy}")
        if batch > 1 and kept < GOAL:
            found = lab.diagnose(HALF, batch=batch)
            assert isinstance(found, Diagnosis)
            print("".join(f"      holds: {reason.name}. {reason.sentence}\n" for reason in found.holding), end="")


def by_torch_pruning(model: nn.Module, shape: tuple[int, ...]) -> nn.Module:
    """A copy without half of its filters by L1, made by torch-pruning alone; the answers stay."""
    smaller = copy.deepcopy(model)
    pruner = torch_pruning.pruner.BasePruner(
        smaller,
        torch.zeros(1, *shape),
        importance=torch_pruning.importance.MagnitudeImportance(p=1),
        pruning_ratio=0.5,
        ignored_layers=[one for one in smaller.modules() if isinstance(one, nn.Linear)],
    )
    pruner.step()
    return smaller


def side_by_side(name: str) -> None:
    """Both ways from the trained network to a judged smaller one, in turns."""
    lab = Lab.open(name)
    base, data = lab.build(()), lab.data

    def judged(model: nn.Module) -> float:
        *_, last = evaluate(model, data.validation, data.task)
        return last.value

    def theirs() -> float:
        return judged(by_torch_pruning(base, data.shape))

    def ours() -> float:
        return judged(prune_filters(base, data=data, ratio=0.5))

    scores = f"{100 * theirs():.1f} % and {100 * ours():.1f} %"
    a, b = interleave(theirs, ours, N_RUNS)
    compare(
        f"cut half of the filters and evaluate, {name}; validation accuracy {scores}",
        ("torch-pruning", 1000 * a),
        ("efflab, own rules, with its check of the answers", 1000 * b),
        goal=1.5,
    )
    for who, smaller in (("torch-pruning", by_torch_pruning(base, data.shape)), ("efflab", lab.build(HALF))):
        repaired = fine_tune(recalibrate(smaller, data=data), data=data, epochs=EPOCHS)
        print(f"  {who}, recalibrated and {EPOCHS} epochs of fine-tuning: {100 * judged(repaired):.1f} %")


def main() -> None:
    """Both tables."""
    torch.set_num_threads(1)
    print("\nhalf of the filters: MACs computed, speed measured in ONNX Runtime, one thread")
    print(f"  {'network':<18} {'batch':>5} {'MACs':>9} {'faster':>9} {'kept':>8} (95 % interval)")
    for name in NETWORKS:
        keep(name)
    versions()
    for name in NETWORKS:
        side_by_side(name)


if __name__ == "__main__":
    main()
