"""What a lab learns from and is judged on: a frozen `Data` of four splits."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from efflab.data.task import Classification


@dataclass(frozen=True, eq=False)
class Split:
    """Examples and their labels, in a fixed order.

    images: (n, channels, height, width) float32; labels: (n,) int64.

    Raises:
        ValueError: shape, type, a value that is not finite, or nothing in it; the sentence says which.
    """

    images: Tensor
    labels: Tensor

    def __post_init__(self) -> None:
        if self.images.ndim != 4 or self.images.dtype != torch.float32:
            raise ValueError(
                "images must be float32 of shape (n, channels, height, width), "
                f"not {self.images.dtype} of shape {tuple(self.images.shape)}"
            )
        if self.labels.dtype != torch.int64 or self.labels.shape != self.images.shape[:1]:
            raise ValueError(
                f"labels must be int64 of shape ({len(self.images)},), one an image, "
                f"not {self.labels.dtype} of shape {tuple(self.labels.shape)}"
            )
        if len(self.images) == 0:
            raise ValueError("a split must hold at least one image, not 0")
        if not bool(torch.isfinite(self.images).all()):
            raise ValueError("images hold NaN or infinite values; every pixel must be a finite number")

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, eq=False)
class Data:
    """A data set ready for a lab.

    `train` fits weights; `validation` chooses and is what every live number is measured on; `test` is opened once, at
    the end; `calibration` (a part of train) shows a compressed network what its activations look like.

    Raises:
        ValueError: the splits do not agree on the image shape, or a label lies outside the classes.
    """

    name: str
    train: Split
    validation: Split
    test: Split
    calibration: Split
    classes: tuple[str, ...]
    task: Classification = field(default_factory=Classification)

    def __post_init__(self) -> None:
        for name in ("train", "validation", "test", "calibration"):
            split = getattr(self, name)
            if tuple(split.images.shape[1:]) != self.shape:
                raise ValueError(
                    f"{self.name}: images of {name} have the shape {tuple(split.images.shape[1:])}, "
                    f"those of train {self.shape}; all must be alike"
                )
            low, high = int(split.labels.min()), int(split.labels.max())
            if low < 0 or high >= len(self.classes):
                raise ValueError(
                    f"{self.name}: labels of {name} must lie between 0 and {len(self.classes) - 1}, "
                    f"one for each class, not between {low} and {high}"
                )

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of one image."""
        channels, height, width = self.train.images.shape[1:]
        return channels, height, width

    @property
    def n_classes(self) -> int:
        """How many labels there are to choose from."""
        return len(self.classes)

    def __repr__(self) -> str:
        sizes = " / ".join(f"{len(split):,}" for split in (self.train, self.validation, self.test))
        return f"<Data {self.name}: {sizes} images of {self.shape}, {self.n_classes} classes>"
