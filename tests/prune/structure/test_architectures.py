"""What can be pruned in well-known architectures, by which rules; `docs/which_networks.md` says the same.

After a change, `write_table()` writes what the tests see into that page.
"""

import functools
from pathlib import Path

import pytest
import support
import torch
from prune.structure import architectures
from torch import Tensor, nn

from efflab.data import Data, Split
from efflab.prune.structure import Group, find_groups, prune_filters, prune_neurons, remove, zero

RULES = ("efflab", "torch-pruning")
START, END = "<!-- what the tests saw -->\n", "<!-- end of what the tests saw -->"
HEADER = """| architecture | idea | `"efflab"` | `"torch-pruning"` | what stays with `"torch-pruning"`, and why |
|---|---|---|---|---|
"""
NOTHING = ("Group norm", "RNN", "LSTM")
EACH = pytest.mark.parametrize("name", architectures.ARCHITECTURES)


@functools.cache
def found(name: str, rules: str) -> tuple[Group, ...]:
    return find_groups(architectures.build(name), architectures.SHAPE, rules)


def half(name: str, rules: str) -> dict[str, Tensor]:
    """A random half of each group that may lose channels."""
    generator = torch.Generator().manual_seed(1)
    free = [one for one in found(name, rules) if not one.frozen]
    return {one.name: torch.randperm(one.size, generator=generator) < one.size / 2 for one in free}


def count(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize("rules", RULES)
@EACH
def test_what_is_removed_answers_as_what_is_zeroed_and_the_model_stays(name, rules):
    model, kept = architectures.build(name), half(name, rules)
    before, images = (
        support.bits(model),
        torch.rand(3, *architectures.SHAPE, generator=torch.Generator().manual_seed(2)),
    )
    removed, zeroed = (act(model, architectures.SHAPE, kept, rules) for act in (remove, zero))
    assert support.bits(model) == before
    assert (count(removed) < count(model)) == (name not in NOTHING)
    with torch.no_grad():
        expected = zeroed(images)
        assert torch.equal(expected, model(images)) == (name in NOTHING)
        torch.testing.assert_close(removed(images), expected, rtol=0, atol=1e-5 * float(expected.abs().max()))


@EACH
def test_torch_pruning_removes_at_least_what_ours_do(name):
    ours, theirs = ({one.name for one in found(name, rules) if not one.frozen} for rules in RULES)
    assert ours <= theirs


WHY = {
    "Group norm": {
        "efflab": "the channels of '0' must stay, because they go through layer '1' (GroupNorm), which is not "
        "followed; the channels of '3' must stay, because they go through layer '4' (GroupNorm), which is not "
        "followed; rules='torch-pruning' goes through more layers",
        "torch-pruning": "the channels of '0' must stay, because they go through layer '1' (GroupNorm), which computes "
        "across them; the channels of '3' must stay, because they go through layer '4' (GroupNorm), which computes "
        "across them",
    },
    "RNN": {
        "efflab": "the channels of 'read' must stay, because they go through layer 'layer' (RNN), which is not "
        "followed; the channels of 'end' must stay, because they are the network's answer; "
        "rules='torch-pruning' goes through more layers",
        "torch-pruning": "the channels of 'read' must stay, because they go through layer 'layer' (RNN), which is not "
        "cut; the channels of 'end' must stay, because they are the network's answer",
    },
    "LSTM": {
        "efflab": "the channels of 'read' must stay, because they go through layer 'layer' (LSTM), which is not "
        "followed; the channels of 'end' must stay, because they are the network's answer; "
        "rules='torch-pruning' goes through more layers",
        "torch-pruning": "the channels of 'read' must stay, because they go through layer 'layer' (LSTM), which is not "
        "cut; the channels of 'end' must stay, because they are the network's answer",
    },
}


@pytest.mark.parametrize("rules", RULES)
@pytest.mark.parametrize("name", WHY)
def test_a_network_of_which_nothing_can_go_gets_the_reason_for_each_layer_and_stays(name, rules):
    model = architectures.build(name)
    before = support.bits(model)
    technique, kind = (prune_filters, "Conv2d") if name == "Group norm" else (prune_neurons, "Linear")
    images = Split(torch.rand(2, *architectures.SHAPE), torch.tensor([0, 1]))
    with pytest.raises(ValueError, match="channels can be removed") as refusal:
        technique(model, data=Data("two", images, images, images, images, ("0", "1")), rules=rules)
    start = f"{type(model).__name__} has no {kind} layer whose channels can be removed: "
    assert str(refusal.value) == start + WHY[name][rules]
    assert support.bits(model) == before


# The table


def cell(name: str, rules: str) -> str:
    """How many groups lose half of their channels, and what that is of the parameters."""
    if not (kept := half(name, rules)):
        return "nothing"
    model = architectures.build(name)
    gone = 1 - count(remove(model, architectures.SHAPE, kept, rules)) / count(model)
    return f"{len(kept)} group{'s' if len(kept) > 1 else ''}, {gone:.0%}"


def reason(name: str) -> str:
    """The first reason of torch-pruning's rules why channels must stay, other than that they are the answer."""
    reasons = [f"`{one.name}`: {one.frozen}" for one in found(name, "torch-pruning") if one.frozen]
    return next((one for one in reasons if not one.endswith("network's answer")), "")


def table() -> str:
    rows = [
        f"| {name} | {make.__doc__} | {cell(name, 'efflab')} | {cell(name, 'torch-pruning')} | {reason(name)} |\n"
        for name, make in architectures.ARCHITECTURES.items()
    ]
    return HEADER + "".join(rows)


def write_table(page: Path) -> None:
    """Put what the tests see into the page: `python -c "..."` as the page says."""
    before, _, rest = page.read_text(encoding="utf-8").partition(START)
    page.write_text(before + START + table() + END + rest.partition(END)[2], encoding="utf-8")


def test_the_page_says_what_the_tests_saw(repository: Path):
    page = (repository / "docs" / "which_networks.md").read_text(encoding="utf-8")
    assert page.partition(START)[2].partition(END)[0] == table()
