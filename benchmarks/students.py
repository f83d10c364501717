"""A small student on few labels of MNIST, alone and with a teacher: how many errors fewer, over three seeds.

    same images        both learn from the first 3,000 images; the teacher has seen the labels of all
    more images        the taught one gets the teacher's answers to 20,000 images, and no label
    its own labels     the same, with a teacher that has seen only the 3,000 labels, too

The settings were chosen on validation data; the test data is opened once for each network, at the end. It runs where
the real MNIST is, in `$EFFLAB_DATA/mnist`. Hinton's own numbers stand in `data/papers/hinton2015.csv`.
"""

import time
from dataclasses import replace

import torch
from _report import versions
from torch import nn

from efflab import Lab, data, distill_predictions, fine_tune, models, start_student, step
from efflab.data import Data, DataError, Split
from efflab.recipe import Recipe
from efflab.training import keep_best, train

N_LABELS, N_IMAGES, SEEDS = 3000, 20_000, (0, 1, 2)
GOAL = 0.30
STUDENT = step(start_student, kind="mlp", width=64)
ALONE: Recipe = (STUDENT, step(fine_tune, epochs=30, learning_rate=0.003))
SAME: Recipe = (STUDENT, step(distill_predictions, temperature=20.0, soft=0.9, epochs=30, learning_rate=0.003))
MORE: Recipe = (STUDENT, step(distill_predictions, temperature=4.0, soft=1.0, epochs=8, learning_rate=0.003))


def first(whole: Data, n: int) -> Data:
    """The same data with the first n training images only."""
    return replace(whole, train=Split(whole.train.images[:n], whole.train.labels[:n]))


def errors(teacher: nn.Module, few: Data, recipe: Recipe) -> list[float]:
    """The test error of each seed, a fraction."""
    return [1 - Lab(teacher, few, seed=seed).open_test(recipe).value for seed in SEEDS]


def report(name: str, teacher: nn.Module, taught_on: Data, recipe: Recipe, alone: list[float]) -> None:
    """One line, and the goal."""
    start = time.perf_counter()
    taught = errors(teacher, taught_on, recipe)
    seconds = (time.perf_counter() - start) / len(SEEDS)
    before, now = (sum(one) / len(one) for one in (alone, taught))
    fewer = 1 - now / before
    verdict = "reached" if fewer >= GOAL else "NOT reached"
    numbers = f"{100 * before:6.2f} % -> {100 * now:5.2f} %   {100 * fewer:4.0f} % fewer, {seconds:.0f} s"
    print(f"  {name:<16} {numbers}   {verdict}")


def main() -> None:
    """All three."""
    torch.set_num_threads(2)
    try:
        mnist = data.load("mnist")
    except DataError as missing:
        print(f"\nleft out: {missing}")
        return
    few, many, large = first(mnist, N_LABELS), first(mnist, N_IMAGES), models.load("mlp-mnist")
    own = models.build("lenet5")
    keep_best(own, few, train(own, few, epochs=30))
    told = f"{N_LABELS:,} labels, two layers of 64 units, {len(SEEDS)} seeds"
    print(f"\ntest errors on MNIST, {told}; goal {100 * GOAL:.0f} % fewer")
    alone = errors(large, few, ALONE)
    report("same images", large, few, SAME, alone)
    report("more images", large, many, MORE, alone)
    report("its own labels", own, many, MORE, alone)
    versions()


if __name__ == "__main__":
    main()
