"""Checkpoints: weights in safetensors, and a card in JSON that says what they are.

The card names one of our own architectures and, for a network that was cut, the widths of its narrower layers. So a
checkpoint can be built, narrowed and filled without a line of code from the file.

Reference: safetensors, https://huggingface.co/docs/safetensors
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import torch
from torch import nn

from efflab import shipped
from efflab.models.building import build_from, channels_last
from efflab.models.files import CheckpointError, check_floats, fill, read_fields, read_weights, weights_path, write
from efflab.models.networks import Architecture, Network
from efflab.models.shapes import differing, narrow

MOST_NUMBERS = 100_000_000
"""Weights that a card may ask for: 400 MB."""


@dataclass(frozen=True)
class Card:
    """What a checkpoint says about itself. Scores are fractions: value and both ends of its 95 % interval.

    `shapes` are the widths of the layers that are narrower than in the architecture, as `efflab.models.layer_shapes`
    gives them; none if the network was not cut. `save` fills in `sha256` and `shapes`.
    """

    architecture: Architecture
    data: str
    seed: int
    epochs: int
    validation: tuple[float, float, float]
    test: tuple[float, float, float]
    sha256: str = ""
    shapes: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


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
    path, about = _find(checkpoint), card(checkpoint)
    content = read_weights(path, about.sha256)
    try:
        _check_size(about.architecture)
        network = narrow(build_from(about.architecture), about.shapes)
    except (TypeError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise CheckpointError(f"{path.with_suffix('.json')} does not name a network of efflab: {reason}") from error
    fill(network, content, path, str(about.architecture))
    return channels_last(network).eval()


def card(checkpoint: str | Path) -> Card:
    """What a checkpoint says about itself.

    Raises:
        CheckpointError: there is no card, or it is not one of ours.
    """
    path = _find(checkpoint)
    fields = read_fields(path)
    try:
        shape, sizes = fields["architecture"]["shape"], fields["architecture"]["sizes"]
        architecture = Architecture(**{**fields["architecture"], "shape": tuple(shape), "sizes": tuple(sizes)})
        scores = {name: tuple(fields[name]) for name in ("validation", "test")}
        return Card(**{**fields, **scores, "architecture": architecture})
    except (KeyError, TypeError) as error:
        raise CheckpointError(f"{path.with_suffix('.json')} is not a card of an efflab checkpoint: {error}") from error


def save(model: nn.Module, path: str | Path, about: Card) -> Path:
    """Write `path`.safetensors and its card `path`.json; each appears whole or not at all. Returns the weights' path.

    The network may be one that was cut: the card then carries the widths of its layers.

    Raises:
        CheckpointError: the weights do not fit the architecture that the card names, cut or whole; or lie on a grid.
    """
    check_floats(model)
    full = build_from(about.architecture)
    shapes = differing(model, full)
    if not _fits(model, full, shapes):
        raise CheckpointError(
            f"the model's weights are not those of {about.architecture}, cut or whole; give the card its own "
            "architecture"
        )
    return write(weights_path(path), model, asdict(replace(about, shapes=shapes)))


def _check_size(architecture: Architecture) -> None:
    """Raise ValueError for more numbers than a card may ask for; on the device "meta", numbers take no memory."""
    asked = [n for n in (*architecture.shape, architecture.n_classes, *architecture.sizes) if isinstance(n, int)]
    n = max(asked, default=0)
    if n <= MOST_NUMBERS:  # else torch could not even count them
        with torch.device("meta"):
            n = sum(parameter.numel() for parameter in build_from(architecture).parameters())
    if n > MOST_NUMBERS:
        raise ValueError(f"{architecture} has more than {MOST_NUMBERS:,} numbers")


def _fits(model: nn.Module, full: Network, shapes: Mapping[str, Mapping[str, int]]) -> bool:
    """Whether the model is what the full network becomes in these shapes."""
    try:
        expected = narrow(full, shapes).state_dict()
    except ValueError:
        return False
    return {name: one.shape for name, one in model.state_dict().items()} == {
        name: one.shape for name, one in expected.items()
    }


def _find(checkpoint: str | Path) -> Path:
    if isinstance(checkpoint, str) and Path(checkpoint).name == checkpoint and not checkpoint.endswith(".safetensors"):
        path = shipped.folder("checkpoints") / f"{checkpoint}.safetensors"
        if not path.is_file():
            raise CheckpointError(
                f"no checkpoint {checkpoint!r} comes along; there are: {', '.join(names()) or 'none'}"
            )
        return path
    path = weights_path(checkpoint)
    if not path.is_file():
        raise CheckpointError(f"{path} does not exist; name a .safetensors file or one of {', '.join(names())}")
    return path
