"""Images a second of `training.train` against a bare loop with the same optimizer, schedule and batches."""

import torch
from _report import interleave, versions
from torch.nn import functional as F
from torch.optim.lr_scheduler import OneCycleLR

from efflab import data as sources
from efflab import models
from efflab.training import train, validation_score

GOAL = 0.98


def main() -> None:
    """One epoch each, from the same weights; both evaluate the validation data once."""
    torch.set_num_threads(1)
    data = sources.load("scattered")
    images, labels = data.train.images, data.train.labels

    def bare() -> None:
        model = models.build("cnn", shape=data.shape)
        optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=1e-4)
        schedule = OneCycleLR(optimizer, 3e-3, total_steps=-(-len(labels) // 128))
        model.train()
        for index in torch.randperm(len(labels)).split(128):
            loss = F.cross_entropy(model(images[index]), labels[index])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            schedule.step()
        validation_score(model.eval(), data)

    def ours() -> None:
        list(train(models.build("cnn", shape=data.shape), data, epochs=1))

    base, candidate = interleave(bare, ours, 7)
    ratio = base / candidate
    print("\ntraining, one epoch of cnn on scattered")
    print(f"  bare loop      {len(labels) / base:10.0f} images/s")
    print(f"  training.train {len(labels) / candidate:10.0f} images/s")
    print(f"  ratio          {ratio:10.3f} (goal: at least {GOAL}) {'reached' if ratio >= GOAL else 'NOT reached'}")
    versions()


if __name__ == "__main__":
    main()
