"""Two files side by side: weights in safetensors, and JSON that says what they are and carries their checksum.

Nothing is unpickled: a safetensors file holds numbers only. The checksum tells a damaged or exchanged file before a
number of it is used; it is no signature, so whatever JSON says is checked as well.

Reference: safetensors, https://huggingface.co/docs/safetensors
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor, nn

from efflab.data.files import replacing
from efflab.runtime.coded import refuse_coded


class CheckpointError(ValueError):
    """A checkpoint that cannot be used; the sentence names the file and what is wrong with it."""


def weights_path(path: str | Path) -> Path:
    """With its ending; "pruned-0.8" has none yet, for what follows its dot is a number."""
    path = Path(path)
    return path if path.suffix == ".safetensors" else path.with_name(f"{path.name}.safetensors")


def write(path: Path, model: nn.Module, fields: Mapping[str, Any]) -> Path:
    """Write the model's weights to `path`, and `fields` with their checksum beside it; each file whole or not at all.

    Raises:
        CheckpointError: the state of the model holds something that is no tensor.
    """
    for name, value in model.state_dict().items():
        if not isinstance(value, Tensor):
            raise CheckpointError(f"{name!r} of the model is a {type(value).__name__}; only tensors can be saved")
    content = save_tensors({name: tensor.detach().clone().contiguous() for name, tensor in model.state_dict().items()})
    about = dict(fields) | {"sha256": hashlib.sha256(content).hexdigest()}
    _write_whole(path, content)
    _write_whole(path.with_suffix(".json"), (json.dumps(about, indent=2) + "\n").encode())
    return path


def check_floats(model: nn.Module) -> None:
    """Raise CheckpointError if the weights of a layer have a code, of which a checkpoint has no word."""
    try:
        refuse_coded(model, "a checkpoint says nothing of that: save it before you {encode} it, or as_floats(model)")
    except ValueError as error:
        raise CheckpointError(str(error)) from None


def read_fields(path: Path) -> dict[str, Any]:
    """What the JSON beside the weights `path` says.

    Raises:
        CheckpointError: there is none, or it holds no fields.
    """
    path = path.with_suffix(".json")
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise CheckpointError(f"{path} is missing: a checkpoint is a .safetensors file and its .json card") from error
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} is not a card of an efflab checkpoint: {error}") from error
    if not isinstance(fields, dict):
        raise CheckpointError(f"{path} is not a card of an efflab checkpoint: it holds a {type(fields).__name__}")
    return fields


def read_weights(path: Path, sha256: object) -> bytes:
    """The bytes of the weights, if their checksum is the one that is expected.

    Raises:
        CheckpointError: there is no such file, or its checksum is another.
    """
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != sha256:
        raise CheckpointError(
            f"{path} is damaged or belongs to another card: its checksum is not the one in {path.stem}.json"
        )
    return content


def fill(model: nn.Module, content: bytes, path: Path, what: str) -> None:
    """Put the numbers of a safetensors file into the model, in place: all of them, and each in its own type.

    Raises:
        CheckpointError: a tensor is missing, too many, of another shape or of another type.
    """
    try:
        tensors, own = load_tensors(content), model.state_dict()
        model.load_state_dict(tensors)
    except (SafetensorError, RuntimeError) as error:
        reason = " ".join(str(error).split())  # torch lists the keys line by line
        raise CheckpointError(f"{path} does not hold the weights of {what}: {reason}") from error
    if other := [name for name, tensor in own.items() if tensor.dtype != tensors[name].dtype]:
        found, expected = tensors[other[0]].dtype, own[other[0]].dtype
        raise CheckpointError(
            f"{path} does not hold the weights of {what}: {other[0]!r} is {found} in the file, and {expected} in the "
            "model"
        )


def _write_whole(path: Path, content: bytes) -> None:
    with replacing(path) as temporary:
        temporary.write_bytes(content)
        temporary.chmod(0o644)  # a temporary file is for its owner alone; a checkpoint is for everybody
