"""Attention heads: remove those that matter least, with their rows of `q`, `k` and `v` and their columns of `out`.

Heads look at the tokens side by side, and `out` adds up what they found. So a head is a group of its own, as a filter
is: `head_dim` rows of three layers, with their biases, and as many columns of a fourth. Nothing else has to go along.

    l2       the size of all its weights, those that read the tokens and those that write back
    taylor   by how much the loss changes without it, to first order: |gradient x what `out` reads of it|
    random   nothing: what any other score must beat

Reference: Michel, Levy and Neubig, Are sixteen heads really better than one?, 2019, arXiv 1905.10650, whose score is
`taylor`.

Where we simplify: all attentions lose the same fraction, and only our own `SelfAttention` is known. At work:
Torch-Pruning with `num_heads` and `prune_num_heads`, which our tests compare with.
"""

from collections.abc import Mapping
from typing import Annotated

import torch
from torch import Tensor, nn

from efflab.data import Data
from efflab.knobs import Choice, Range, technique
from efflab.models.transformer import SelfAttention
from efflab.prune.masks import keep_largest
from efflab.prune.neurons import UNCUT
from efflab.prune.structure.groups import Group
from efflab.prune.structure.importance import channel_scores
from efflab.prune.structure.spaces import Member
from efflab.prune.structure.techniques import Form
from efflab.runtime.coded import refuse_coded
from efflab.training import copy_model

Heads = Annotated[float, Range(0.0, 0.95, 0.01, "fraction of attention heads removed")]
HeadImportance = Annotated[str, Choice(("l2", "taylor", "random"), "what makes a head important")]


@technique
def prune_heads(
    model: nn.Module,
    *,
    data: Data,
    ratio: Heads = 0.5,
    importance: HeadImportance = "l2",
    form: Form = "removed",
    seed: int = 0,
) -> nn.Module:
    """A copy of `model` with fewer attention heads: `round(ratio * n)` of the n heads of each attention are cut out.

    At least one of each stays. In the form "zeroed" the others are set to zero instead of cut out: the answers are the
    same, the shapes stay. `data` is for the importance "taylor", which reads its calibration split; `seed` is for
    "random".

    Raises:
        ValueError: the model has no `SelfAttention` of plain linear layers.

    Reference: Michel, Levy and Neubig, 2019, arXiv 1905.10650.
    """
    scores = head_scores(model, importance, data=data, seed=seed)
    kept = {name: heads_to_keep(score, ratio) for name, score in scores.items()}
    return remove_heads(model, kept) if form == "removed" else zero_heads(model, kept)


def head_scores(model: nn.Module, importance: str, *, data: Data, seed: int = 0) -> dict[str, Tensor]:
    """The score of every head; higher matters more. {attention: (heads,)}.

    Raises:
        ValueError: the model has no `SelfAttention` of plain linear layers.
    """
    found = attentions(model)
    if importance == "l2":
        return {name: l2_of_heads(attention) for name, attention in found.items()}
    return channel_scores(model, [_group(*one) for one in found.items()], importance, data=data, seed=seed)


def l2_of_heads(attention: SelfAttention) -> Tensor:
    """The Euclidean length of all weights of each head, biases left out: (heads,)."""
    columns = attention.out.weight.T  # (heads * head_dim, dim), as the other three
    weights = [attention.q.weight, attention.k.weight, attention.v.weight, columns]
    squares = torch.stack([weight.detach().square().sum(dim=1) for weight in weights]).sum(dim=0)
    return squares.reshape(attention.n_heads, attention.head_dim).sum(dim=1).sqrt()


def heads_to_keep(scores: Tensor, ratio: float) -> Tensor:
    """Which heads stay: (heads,) -> (heads,), bool, True is kept.

    Example:
        >>> heads_to_keep(torch.tensor([3.0, 1.0, 4.0, 2.0]), ratio=0.5)
        tensor([ True, False,  True, False])
    """
    n = len(scores)
    return keep_largest(scores, min(round(ratio * n), n - 1))


def remove_heads(model: nn.Module, kept: Mapping[str, Tensor]) -> nn.Module:
    """A copy of `model` without the heads that `kept` does not keep. kept: {attention: (heads,), bool}.

    Raises:
        ValueError: the model has no `SelfAttention` of plain linear layers.
    """
    smaller = copy_model(model)
    with torch.inference_mode(False), torch.no_grad():
        for name, attention in attentions(smaller).items():
            stays = kept[name].repeat_interleave(attention.head_dim)
            for layer in (attention.q, attention.k, attention.v):
                _keep(layer, "weight", layer.weight[stays])
                if layer.bias is not None:
                    _keep(layer, "bias", layer.bias[stays])
                layer.out_features = len(layer.weight)
            _keep(attention.out, "weight", attention.out.weight[:, stays])
            attention.out.in_features = attention.out.weight.shape[1]
            attention.n_heads = int(kept[name].count_nonzero())
    return smaller


def zero_heads(model: nn.Module, kept: Mapping[str, Tensor]) -> nn.Module:
    """A copy of `model` in which the heads that `kept` does not keep are zero. kept: {attention: (heads,), bool}.

    A head without queries and keys looks at all tokens alike; without values and without columns it adds nothing.

    Raises:
        ValueError: the model has no `SelfAttention` of plain linear layers.
    """
    zeroed = copy_model(model)
    with torch.inference_mode(False), torch.no_grad():
        for name, attention in attentions(zeroed).items():
            goes = ~kept[name].repeat_interleave(attention.head_dim)
            for layer in (attention.q, attention.k, attention.v):
                for parameter in layer.parameters():
                    parameter[goes] = 0
            attention.out.weight[:, goes] = 0
    return zeroed


def attentions(model: nn.Module) -> dict[str, SelfAttention]:
    """The attentions of a model, by name.

    Raises:
        ValueError: there are none, or a layer of one is no plain `nn.Linear`, or is used twice, or has a code.
    """
    found = {name: module for name, module in model.named_modules() if isinstance(module, SelfAttention)}
    if not found:
        raise ValueError(
            f"{type(model).__name__} has no attention whose heads can be removed; looked for "
            "efflab.models.SelfAttention, whose q, k, v and out are four layers (nn.MultiheadAttention has fewer)"
        )
    refuse_coded(model, UNCUT)
    seen: set[nn.Module] = set()
    for name, attention in found.items():
        for part in ("q", "k", "v", "out"):
            layer = attention.get_submodule(part)
            if type(layer) is not nn.Linear or set(layer.state_dict()) - {"weight", "bias"} or layer in seen:
                raise ValueError(
                    f"layer {f'{name}.{part}'!r} is not an nn.Linear with a plain weight of its own, so no head can be "
                    "taken out of it"
                )
            seen.add(layer)
    return found


def _group(name: str, attention: SelfAttention) -> Group:
    """A head in the form in which filters are scored: rows of three layers, columns of a fourth."""
    prefix = f"{name}." if name else ""
    made = tuple(Member(f"{prefix}{part}", "out", attention.head_dim) for part in "qkv")
    read = Member(f"{prefix}out", "in", attention.head_dim)
    return Group(name, attention.n_heads, (*made, read), "")


def _keep(layer: nn.Linear, name: str, part: Tensor) -> None:
    """Put a copy of what stays in the place of the whole."""
    setattr(layer, name, nn.Parameter(part.clone(), layer.get_parameter(name).requires_grad))
