"""Checkpoints: weights in safetensors, and a card in JSON that says what they are.

Nothing is unpickled: a safetensors file holds numbers only, and the card names one of our own architectures.
A card carries the checksum of its weights, so a damaged or exchanged file is refused before a number of it is
used.

Reference: safetensors, https://huggingface.co/docs/safetensors
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import nn

from efflab import shipped
from efflab.data.files import replacing
from efflab.models.building import build_from, channels_last
from efflab.models.networks import Architecture, Network


class CheckpointError(ValueError):
    """A checkpoint that cannot be used; the sentence names the file and what is wrong with it."""


@dataclass(frozen=True)
class Card:
    """What a checkpoint says about itself. Scores are fractions: value and both ends of its 95 % interval."""

    architecture: Architecture
    data: str
    seed: int
    epochs: int
    validation: tuple[float, float, float]
    test: tuple[float, float, float]
    sha256: str = ""


def names() -> list[str]:
    """The checkpoints that come along, in alphabetical order."""
    return sorted(path.stem for path in shipped.folder("checkpoints").glob("*.safetensors"))


def load(checkpoint: str | Path) -> Network:
    """The network of a shipped checkpoint (by name) or of a file, in evaluation mode.

    Example:
        >>> load("mlp-digits").architecture.name
        'mlp'

    Raises:
        CheckpointError: no such file; a damaged, foreign or exchanged one.
    """
    path = _find(checkpoint)
    content, about = path.read_bytes(), card(checkpoint)
    if hashlib.sha256(content).hexdigest() != about.sha256:
        raise CheckpointError(
            f"{path} is damaged or belongs to another card: its checksum is not the one in {path.stem}.json"
        )
    try:
        network = build_from(about.architecture)
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"{path.with_suffix('.json')} does not name a network of efflab: {error}") from error
    try:
        network.load_state_dict(load_tensors(content))
    except (SafetensorError, RuntimeError) as error:
        reason = " ".join(str(error).split())  # torch lists the keys line by line
        raise CheckpointError(f"{path} does not hold the weights of {about.architecture}: {reason}") from error
    return channels_last(network).eval()


def card(checkpoint: str | Path) -> Card:
    """What a checkpoint says about itself.

    Raises:
        CheckpointError: there is no card, or it is not one of ours.
    """
    path = _find(checkpoint).with_suffix(".json")
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
        shape, sizes = fields["architecture"]["shape"], fields["architecture"]["sizes"]
        architecture = Architecture(**{**fields["architecture"], "shape": tuple(shape), "sizes": tuple(sizes)})
        scores = {name: tuple(fields[name]) for name in ("validation", "test")}
        return Card(**{**fields, **scores, "architecture": architecture})
    except FileNotFoundError as error:
        raise CheckpointError(f"{path} is missing: a checkpoint is a .safetensors file and its .json card") from error
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError) as error:
        raise CheckpointError(f"{path} is not a card of an efflab checkpoint: {error}") from error


def save(model: nn.Module, path: str | Path, about: Card) -> Path:
    """Write `path`.safetensors and its card `path`.json; each appears whole or not at all. Returns the weights' path.

    Raises:
        CheckpointError: the weights do not fit the architecture that the card names.
    """
    expected = {name: tensor.shape for name, tensor in build_from(about.architecture).state_dict().items()}
    state = {name: tensor.detach().contiguous() for name, tensor in model.state_dict().items()}
    if {name: tensor.shape for name, tensor in state.items()} != expected:
        raise CheckpointError(
            f"the model's weights are not those of {about.architecture}; give the card its own architecture"
        )
    path = _weights_path(path)
    content = save_tensors(state)
    fields = asdict(about) | {"sha256": hashlib.sha256(content).hexdigest()}
    _write_whole(path, content)
    _write_whole(path.with_suffix(".json"), (json.dumps(fields, indent=2) + "\n").encode())
    return path


def _find(checkpoint: str | Path) -> Path:
    if isinstance(checkpoint, str) and Path(checkpoint).name == checkpoint and not checkpoint.endswith(".safetensors"):
        path = shipped.folder("checkpoints") / f"{checkpoint}.safetensors"
        if not path.is_file():
            raise CheckpointError(
                f"no checkpoint {checkpoint!r} comes along; there are: {', '.join(names()) or 'none'}"
            )
        return path
    path = _weights_path(checkpoint)
    if not path.is_file():
        raise CheckpointError(f"{path} does not exist; name a .safetensors file or one of {', '.join(names())}")
    return path


def _weights_path(path: str | Path) -> Path:
    """With its ending; "pruned-0.8" has none yet, for what follows its dot is a number."""
    path = Path(path)
    return path if path.suffix == ".safetensors" else path.with_name(f"{path.name}.safetensors")


def _write_whole(path: Path, content: bytes) -> None:
    with replacing(path) as temporary:
        temporary.write_bytes(content)
        temporary.chmod(0o644)  # a temporary file is for its owner alone; a checkpoint is for everybody
