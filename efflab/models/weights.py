"""Weights of any module: save a pruned network of your own, and load it into a fresh one of the same class.

The file cannot build your network, because that would take code. You build it, as wide as it was before it was cut;
what is loaded is a copy of it, with the layers as narrow as the file says. For the networks of efflab,
`efflab.models.save` and `load` do this without asking for one.

Reference: safetensors, https://huggingface.co/docs/safetensors
"""

from pathlib import Path
from typing import TypeVar

from torch import nn

from efflab.models.files import CheckpointError, check_floats, fill, read_fields, read_weights, weights_path, write
from efflab.models.shapes import layer_shapes, narrow

M = TypeVar("M", bound=nn.Module)


def save_weights(model: nn.Module, path: str | Path) -> Path:
    """Write `path`.safetensors, and the class and the shapes to `path`.json. Returns the weights' path.

    Raises:
        CheckpointError: the state of the model holds something that is no tensor, or the weights of a layer lie on a
        grid.
    """
    check_floats(model)
    return write(weights_path(path), model, {"class": type(model).__name__, "shapes": layer_shapes(model)})


def load_weights(path: str | Path, model: M) -> M:
    """A copy of `model`, in evaluation mode, with the shapes and weights that `save_weights` wrote.

    Args:
        path: of the weights or of the JSON beside them, without an ending or with .safetensors.
        model: of the same class, as wide as before it was cut; it stays as it is.

    Raises:
        CheckpointError: no such file; a damaged, foreign or exchanged one; or a model that it does not fit.
    """
    path = weights_path(path)
    if not path.is_file():
        raise CheckpointError(f"{path} does not exist; name a file that save_weights wrote")
    fields, kind = read_fields(path), type(model).__name__
    if set(fields) != {"class", "shapes", "sha256"}:
        raise CheckpointError(f"{path.with_suffix('.json')} is not what save_weights writes: class, shapes and sha256")
    content = read_weights(path, fields["sha256"])
    if fields["class"] != kind:
        raise CheckpointError(f"{path} holds the weights of a {fields['class']!r:.80}, and the model is a {kind!r}")
    try:
        smaller = narrow(model, fields["shapes"])
    except ValueError as error:
        raise CheckpointError(f"{path.with_suffix('.json')} does not fit this {kind}: {error}") from error
    fill(smaller, content, path, f"this {kind}")
    return smaller.eval()
