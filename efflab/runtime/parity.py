"""Does the file answer like the model? Checked on every export, because a wrong file is fast and small too.

Reference: ONNX Runtime and torch add up the same products in another order, so float32 scores differ by about
1e-6 of their size. More than that is a bug; a changed answer (argmax) is one that the learner's users would
see.

At work: `onnxruntime.tools` and `polygraphy run` compare layer by layer.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from efflab.runtime.export import Artefact, evaluating
from efflab.runtime.opened import OpenedFile


@dataclass(frozen=True)
class Parity:
    """How far file and model are apart on `n` images.

    `max_difference` is the largest absolute difference of a score; `agreement` the share (0-1) of equal
    answers (argmax).
    """

    max_difference: float
    agreement: float
    n: int


def parity(artefact: Artefact, model: nn.Module, images: Tensor) -> Parity:
    """Compare the scores of the file with those of the model. images: (n, channels, height, width), float32, on CPU.

    Raises:
        ValueError: there are no images, or the scores of either hold NaN or infinity, which compare with nothing.

    Reference: floating-point sums depend on their order (Goldberg, What every computer scientist should know
    about floating-point arithmetic, 1991).
    """
    if len(images) == 0:
        raise ValueError("images is empty: parity needs at least one image to compare the answers of file and model")
    with evaluating(model), torch.inference_mode():
        ours = model(images).numpy()  # (n, classes)
    theirs = OpenedFile(artefact)(images).numpy()  # (n, classes)
    for whose, scores in (("the model", ours), (artefact.path.name, theirs)):
        if not np.isfinite(scores).all():
            raise ValueError(f"the scores of {whose} hold NaN or infinity, so there is no answer to compare")
    agreement = np.mean(ours.argmax(1) == theirs.argmax(1))
    return Parity(float(np.abs(ours - theirs).max()), float(agreement), len(images))
