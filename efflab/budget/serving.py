"""A budget: how small a network must become, and how much of its score it may lose. Many answers meet it."""

from dataclasses import dataclass

from efflab.lab import Preview
from efflab.measure import Size
from efflab.questions import Verdict


@dataclass(frozen=True)
class Budget:
    """At most the fraction `kept` of the base's weights, and at most `lost` of its score, both fractions.

    Raises:
        ValueError: one of them is not between 0 and 1.
    """

    kept: float
    lost: float

    def __post_init__(self) -> None:
        if not (0 <= self.kept <= 1 and 0 <= self.lost <= 1):
            raise ValueError(f"kept and lost must be fractions from 0 to 1, not kept={self.kept}, lost={self.lost}")

    def judge(self, preview: Preview) -> Verdict:
        """Whether a complete preview meets both parts, said with its numbers.

        The score is the measured one, not the end of its interval: the sentence gives the interval of the loss.
        """
        task, difference = preview.evaluation.task, preview.difference
        kept = _n_kept(preview.size) / _n_kept(preview.base_size)
        lost = -difference.value if task.higher_is_better else difference.value
        unit = "points" if task.unit == "%" else task.unit
        results = {
            f"{kept * 100:.1f} % of the weights are left (at most {self.kept * 100:.1f} % allowed)": kept <= self.kept,
            f"{lost * task.per_unit:.1f} {unit} of {task.score_name} lost, between "
            f"{-difference.high * task.per_unit:.1f} and {-difference.low * task.per_unit:.1f} "
            f"(at most {self.lost * task.per_unit:.1f} allowed)": lost <= self.lost,
        }
        n_passed = sum(results.values())
        parts = [f"{'Met' if is_met else 'Not met'}: {text}." for text, is_met in results.items()]
        return Verdict(n_passed == len(results), " ".join(parts), n_passed, len(results))


def _n_kept(size: Size) -> int:
    """The weights that are not zero: matrices and kernels, not biases."""
    return sum(tensor.n_nonzero for tensor in size.weights)
