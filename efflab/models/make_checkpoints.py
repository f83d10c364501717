"""Make the checkpoints that come along: `python -m efflab.models.make_checkpoints [name ...]`, all without a name.

Each is trained from its seed on the data named beside it; its card says how well it does. The same seed gives the same
bits on one machine; across machines the scores agree within their intervals.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import torch

from efflab import data as sources
from efflab import shipped
from efflab.data import Data, Split
from efflab.models.building import build_from
from efflab.models.checkpoint import Card, save
from efflab.models.networks import Architecture
from efflab.training import keep_best, predict, train


@dataclass(frozen=True)
class Plan:
    """How one checkpoint is made."""

    architecture: Architecture
    data: str
    epochs: int
    learning_rate: float = 3e-3
    seed: int = 0


PLANS = {
    "mlp-digits": Plan(Architecture("mlp", (1, 8, 8), 10, (300, 100)), "digits", epochs=30),
    "cnn-digits": Plan(Architecture("cnn", (1, 8, 8), 10, (16,)), "digits", epochs=40),
    "mlp-mnist": Plan(Architecture("mlp", (1, 28, 28), 10, (300, 100)), "mnist", epochs=12),
    "lenet5-scattered": Plan(Architecture("lenet5"), "scattered", epochs=12, learning_rate=2e-3),
    "mlp-scattered": Plan(Architecture("mlp", (1, 28, 28), 10, (800, 300)), "scattered", epochs=15, learning_rate=2e-3),
    "cnn-scattered": Plan(Architecture("cnn", (1, 28, 28), 10, (32,)), "scattered", epochs=25, learning_rate=1e-2),
    "cnn64-scattered": Plan(Architecture("cnn", (1, 28, 28), 10, (64,)), "scattered", epochs=15, learning_rate=1e-2),
    "resnet8-scattered": Plan(Architecture("resnet8"), "scattered", epochs=15, learning_rate=1e-2),
}
"""One for each network and task that a chapter needs."""


def make(name: str, folder: Path) -> Card:
    """Train the checkpoint of this name and save it into `folder`.

    Raises:
        ValueError: there is no plan of this name.
    """
    if name not in PLANS:
        raise ValueError(f"there is no plan for {name!r}; there are: {', '.join(PLANS)}")
    plan = PLANS[name]
    torch.set_num_threads(1)  # sums of several threads differ in their last bits
    data = sources.load(plan.data, seed=plan.seed)
    model = build_from(plan.architecture, seed=plan.seed)
    records = train(model, data, epochs=plan.epochs, learning_rate=plan.learning_rate, seed=plan.seed)
    keep_best(model, data, records)
    validation, test = _score(model, data, data.validation), _score(model, data, data.test)
    card = Card(plan.architecture, plan.data, plan.seed, plan.epochs, validation, test)
    save(model, folder / name, card)
    return card


def _score(model: torch.nn.Module, data: Data, split: Split) -> tuple[float, float, float]:
    scores = data.task.scores(data.task.answers(predict(model, split.images)), split.labels)
    low, high = data.task.interval(scores)
    return round(scores.mean().item(), 4), round(low, 4), round(high, 4)


def main() -> None:
    """Make the checkpoints that are named, or all, and write them beside the others."""
    for name in sys.argv[1:] or PLANS:
        card = make(name, shipped.folder("checkpoints"))
        sys.stdout.write(f"{name}: validation {card.validation}, test {card.test}\n")


if __name__ == "__main__":
    main()
