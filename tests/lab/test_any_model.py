"""A lab of anybody's network: what cannot be pruned is said in a sentence, and the lab goes on."""

import pytest
import support
import torch
from torch import nn

from efflab.data import Data
from efflab.lab import Lab
from efflab.prune import prune_filters, prune_neurons, prune_weights
from efflab.recipe import Step, script, step


def normalised() -> nn.Module:
    """A network that no rules prune: (n, 1, 8, 8) -> (n, 3)."""
    return nn.Sequential(nn.Conv2d(1, 8, 3), nn.GroupNorm(2, 8), nn.ReLU(), nn.Flatten(), nn.Linear(288, 3)).eval()


class Dense(nn.Module):
    """A network that our rules cannot prune and those of torch-pruning can: (n, 1, 8, 8) -> (n, 3)."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.end = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 6, 3, padding=1), nn.Linear(10, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.one(x).relu()
        return self.end(torch.cat([y, self.two(y)], 1).mean((2, 3)))


SENTENCE = (
    r"^Sequential has no Conv2d layer whose channels can be removed: the channels of '0' must stay, because they go "
)
RULES = pytest.mark.parametrize("rules", ["efflab", "torch-pruning"])


@RULES
def test_a_model_that_cannot_be_pruned_gets_a_sentence_and_the_lab_still_works(data: Data, rules: str) -> None:
    model = normalised()
    before, lab = support.bits(model), Lab(model, data)
    with pytest.raises(ValueError, match=SENTENCE + r"through layer '1' \(GroupNorm\)"):
        lab.preview((step(prune_filters, rules=rules),))
    assert support.bits(model) == before
    assert support.bits(lab.build(())) == before
    assert lab.preview((step(prune_weights, sparsity=0.5),)).removed == pytest.approx(0.5, abs=0.02)


@RULES
def test_after_the_sentence_the_same_lab_gives_what_a_new_one_gives(data: Data, rules: str) -> None:
    lab, other = Lab(Dense().eval(), data), (step(prune_weights, sparsity=0.3),)
    with pytest.raises(ValueError, match="has no Linear layer whose channels can be removed"):
        lab.preview((*other, step(prune_neurons, rules=rules)))
    expected = Lab(lab.build(()), data).preview(other)
    assert torch.equal(lab.preview(other).evaluation.answers, expected.evaluation.answers)


def test_dense_connections_are_pruned_by_the_rules_of_torch_pruning(data: Data) -> None:
    lab = Lab(Dense().eval(), data)
    with pytest.raises(
        ValueError, match=r"go through cat, which is not followed.*; rules='torch-pruning' goes through"
    ):
        lab.preview((step(prune_filters),))
    pruned: Step = step(prune_filters, ratio=0.5, rules="torch-pruning")
    model = lab.build((pruned,))
    assert (model.one.out_channels, model.two.out_channels, model.end.in_features) == (2, 3, 5)
    assert "torch-pruning" in script((pruned,))
