"""Which rules follow the channels: our own, which can be read in an evening, or those of torch-pruning.

Both give the same groups for what we teach, and what is done with a group does not ask where it comes from. Our rules
are the default: they are fast enough to follow a slider. torch-pruning's know more layers: dense connections,
squeeze-excite, U-Nets.

Reference: Fang et al., DepGraph: towards any structural pruning, 2023, arXiv 2301.12900.
"""

from collections.abc import Sequence
from typing import Annotated

from torch import nn

from efflab.knobs import Choice
from efflab.prune.neurons import UNCUT
from efflab.prune.structure import anything
from efflab.prune.structure.groups import Group, groups
from efflab.prune.structure.spaces import ANSWER
from efflab.runtime.coded import refuse_coded

Rules = Annotated[str, Choice(("efflab", "torch-pruning"), "which rules follow the channels")]

RULES = {"efflab": groups, "torch-pruning": anything.groups}
"""From a model and the shape of an input to its groups."""


def find_groups(model: nn.Module, shape: tuple[int, ...], rules: str = "efflab") -> tuple[Group, ...]:
    """The dependency groups of a model, as `groups` gives them, found by other `rules`.

    Raises:
        ValueError: there are no such rules, they cannot follow the model, or a layer has its weights in a code.
    """
    if rules not in RULES:
        raise ValueError(f"rules must be one of {', '.join(RULES)}, not {rules!r}")
    refuse_coded(model, UNCUT)
    return RULES[rules](model, shape)


def removable(
    model: nn.Module, shape: tuple[int, ...], kind: type[nn.Module], rules: str = "efflab"
) -> tuple[Group, ...]:
    """The groups that may lose channels and that layers of one `kind`, Linear or Conv2d, make.

    Raises:
        ValueError: there are none; the sentence says why for each that layers of this kind make.
    """
    made = [
        one
        for one in find_groups(model, shape, rules)
        if all(isinstance(model.get_submodule(name), kind) for name in one.layers("out"))
    ]
    if free := tuple(one for one in made if not one.frozen):
        return free
    reasons = "; ".join(f"the channels of {one.name!r} must stay, because {one.frozen}" for one in made)
    raise ValueError(
        f"{type(model).__name__} has no {kind.__name__} layer whose channels can be removed: "
        f"{reasons or f'it has no {kind.__name__} layer'}{_advice(made, rules)}"
    )


def _advice(made: Sequence[Group], rules: str) -> str:
    """Other rules to try; no rules remove an answer."""
    if rules != "efflab" or all(one.frozen == ANSWER for one in made):
        return ""
    return "; rules='torch-pruning' goes through more layers"
