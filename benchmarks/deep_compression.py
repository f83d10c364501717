"""Deep Compression end to end: pruned, weights shared, values trained, and written to a file that is read back.

What counts are the bytes of that file, against the network's numbers as floats, and the error of what is read back. The
recipes were chosen on validation data; the test data is opened once, at the end.

LeNet-5 on `scattered` always runs. The two networks of the paper run where the real MNIST is, in `$EFFLAB_DATA/mnist`;
name some of NETWORKS to run only those. LeNet-300-100 recovers with a teacher, a LeNet-5 that is trained for it here.
"""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from _report import versions

from efflab import (
    Lab,
    data,
    distill_predictions,
    models,
    papers,
    prune_gradually,
    share_weights,
    step,
    train_centroids,
)
from efflab.data import DataError
from efflab.lab.encoding import EncodedNetwork
from efflab.recipe import Recipe, Step
from efflab.training import keep_best, train

EPOCHS = 8
"""Of the LeNet-5 on MNIST, of which no checkpoint comes along."""


@dataclass(frozen=True)
class Case:
    """A network, what is done to it, and the goals: times smaller, and the largest error on test data, in percent."""

    open: Callable[[], Lab]
    recipe: Recipe
    times_smaller: float
    error_percent: float
    paper: str = ""


def lenet5_mnist() -> Lab:
    """LeNet-5, trained on MNIST from the start."""
    mnist, model = data.load("mnist"), models.build("lenet5")
    start = time.perf_counter()
    keep_best(model, mnist, train(model, mnist, epochs=EPOCHS))
    print(f"\na LeNet-5 was trained for {(time.perf_counter() - start) / 60:.1f} minutes")
    return Lab(model, mnist, name="LeNet-5 on MNIST")


def lenet300_mnist() -> Lab:
    """LeNet-300-100 as it comes along, with a LeNet-5 as its teacher."""
    teacher = lenet5_mnist()
    return Lab(models.load("mlp-mnist"), teacher.data, name="mlp-mnist", teacher=teacher.build(()))


def distilled(epochs: int, learning_rate: float) -> Step:
    """Recovery with a teacher: it keeps zeros and shared values."""
    return step(distill_predictions, temperature=4.0, soft=0.9, epochs=epochs, learning_rate=learning_rate)


def shared(bits: dict[str, int], epochs: int) -> Recipe:
    """The second stage: weights that share values, and the values trained."""
    return step(share_weights, bits=bits), step(train_centroids, epochs=epochs, learning_rate=0.0003)


NETWORKS = {
    "lenet5-scattered": Case(
        lambda: Lab.open("lenet5-scattered"),
        (
            step(prune_gradually, sparsity=0.95, epochs=8),
            *shared({"conv1": 5, "conv2": 4, "hidden": 4, "output": 4}, epochs=3),
        ),
        times_smaller=60,
        error_percent=4.5,
    ),
    "LeNet-300-100": Case(
        lenet300_mnist,
        (
            step(prune_gradually, sparsity=0.95, epochs=30),
            distilled(epochs=30, learning_rate=0.006),
            step(share_weights, bits={"hidden1": 3, "hidden2": 3, "output": 4}),
            distilled(epochs=8, learning_rate=0.001),
        ),
        times_smaller=60,
        error_percent=1.64,
        paper="LeNet-300-100",
    ),
    "LeNet-5": Case(
        lenet5_mnist,
        (
            step(prune_gradually, sparsity=0.95, epochs=6),
            *shared({"conv1": 5, "conv2": 4, "hidden": 3, "output": 4}, epochs=1),
        ),
        times_smaller=39,
        error_percent=0.8,
        paper="LeNet-5",
    ),
}


def run(name: str, case: Case) -> None:
    """All stages of one network, and the goals."""
    lab = case.open()
    start = time.perf_counter()
    print(f"\n{name}: {lab.base_size.n_parameters:,} parameters, {lab.base_size.dense_bytes:,} bytes as floats")
    for i, one in enumerate(case.recipe):
        preview = lab.preview(case.recipe[: i + 1])
        packed = preview.size.packed_bytes
        print(f"  {one!r}\n    {error(preview.evaluation.value)} (validation), {packed:,} bytes packed")
    encoded = lab.encode(case.recipe)
    minutes = (time.perf_counter() - start) / 60
    print("  " + encoded.table().to_string(index=False, na_rep="").replace("\n", "\n  "))
    without = encoded.base_bytes / encoded.plain_bytes
    print(f"  {without:.1f}x without Huffman's code, {encoded.times_smaller:.1f}x with it; {minutes:.1f} minutes")
    judge(lab, case, encoded)


def judge(lab: Lab, case: Case, encoded: EncodedNetwork) -> None:
    """The test data, opened once for the base and once for the network, beside goals and paper."""
    base, now = (100 * (1 - lab.open_test(recipe).value) for recipe in ((), case.recipe))
    reached = encoded.times_smaller >= case.times_smaller and now <= case.error_percent
    kilobytes = f"{encoded.base_bytes / 1000:.0f} -> {encoded.n_bytes / 1000:.1f} kB"
    print(f"  {base:.2f} % -> {now:.2f} % error (test), {kilobytes}")
    print(f"  goal: {case.times_smaller:g}x, {case.error_percent:g} %: {'reached' if reached else 'NOT reached'}")
    if case.paper:
        cited = papers.table("han2016").set_index("network").loc[case.paper]
        print(
            f"  {cited['source']} (cited): {cited['reference_error_percent']:.2f} % -> "
            f"{cited['compressed_error_percent']:.2f} %, {cited['reference_kb']} -> {cited['compressed_kb']} kB, "
            f"{cited['times_smaller']}x"
        )


def error(score: float) -> str:
    """A score as an error in percent."""
    return f"{100 * (1 - score):.2f} % error"


def main() -> None:
    """The networks that are named, or all."""
    torch.set_num_threads(2)
    for name in sys.argv[1:] or NETWORKS:
        try:
            run(name, NETWORKS[name])
        except DataError as missing:
            print(f"\n{name} is left out: {missing}")
    versions()


if __name__ == "__main__":
    main()
