"""The landscape of the losses of one image: two of the student's logits move, the others stay as they are.

The two are those of the label and of the class that the teacher thinks next likely. The label alone wants its own logit
as large as it can be, so the hard term has no lowest point. The teacher wants the two just so likely, and no more, so
the soft term has one.

Reference: Hinton et al., 2015, arXiv 1503.02531, section 2.

Where we simplify: a training moves weights, never two logits by themselves.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from efflab.distill import entropy_bits, soften
from efflab.distill.predictions import TEMPERATURES
from efflab.lab.loss_terms import SOFT, LossTerms, Variant

N_STEPS = 41
"""Values of each logit."""
ROOM = 2.0
"""The landscape reaches so far beyond the student and what the teacher wants, in logits."""


@dataclass(frozen=True)
class Place:
    """A place in a landscape: the logits of the label (x) and of the other class (y), and the loss there in nats."""

    x: float
    y: float
    loss: float


@dataclass(frozen=True, eq=False)
class Landscape:
    """A loss over the two logits. xs, ys: (steps,); loss: (steps, steps), a row for each y."""

    name: str
    xs: Tensor
    ys: Tensor
    loss: Tensor
    student: Place

    @property
    def lowest(self) -> Place:
        """The lowest place of the grid."""
        row, column = divmod(int(self.loss.argmin()), len(self.xs))
        return Place(float(self.xs[column]), float(self.ys[row]), float(self.loss[row, column]))

    @property
    def is_open(self) -> bool:
        """Whether the lowest place lies at the edge: beyond it, it goes on down."""
        row, column = divmod(int(self.loss.argmin()), len(self.xs))
        return bool({row, column} & {0, len(self.xs) - 1})


@dataclass(frozen=True, eq=False)
class Landscapes:
    """The hard term, the soft term and their mixture for one image.

    image: its number in the batch; label, other: class numbers.
    """

    image: int
    label: int
    other: int
    hard: Landscape
    soft: Landscape
    mixture: Landscape

    @property
    def all(self) -> tuple[Landscape, ...]:
        """The three, in the order in which they are drawn."""
        return self.hard, self.soft, self.mixture


def landscapes(
    terms: LossTerms, temperature: float, soft: float, variant: Variant, image: int | None = None
) -> Landscapes:
    """The landscapes of an image of the batch; of the one that the teacher doubts most if not given.

    Raises:
        ValueError, TypeError: there is no such image, temperature is not above 0, or soft is no fraction.
    """
    SOFT.check("soft", soft)
    chosen = _most_doubtful(terms) if image is None else image
    if not 0 <= chosen < len(terms.labels):
        raise ValueError(f"image must lie between 0 and {len(terms.labels) - 1}, the last of the batch, not {image}")
    label, teacher = int(terms.labels[chosen]), terms.teacher_logits[chosen].double()
    other, student = _next_likely(teacher, label), terms.student_logits[chosen].double()
    xs, ys = _axis(student, teacher, label, other), _axis(student, teacher, other, label)
    grid = student.repeat(N_STEPS, N_STEPS, 1)  # (y, x, classes)
    grid[..., label], grid[..., other] = xs, ys[:, None]
    places = torch.cat([student[None], grid.flatten(0, 1)])  # the student first
    hard, right = _hard(places, label), _soft(places, teacher, temperature)
    gentle = right * variant.factor(temperature, len(student))

    def landscape(name: str, loss: Tensor) -> Landscape:
        here = Place(float(student[label]), float(student[other]), float(loss[0]))
        return Landscape(name, xs, ys, loss[1:].view(N_STEPS, N_STEPS), here)

    mixture = soft * gentle + (1 - soft) * hard
    made = landscape("hard", hard), landscape("soft", gentle), landscape("mixture", mixture)
    return Landscapes(chosen, label, other, *made)


def _most_doubtful(terms: LossTerms) -> int:
    return int(entropy_bits(soften(terms.teacher_logits.double(), 1.0)).argmax())


def _next_likely(teacher: Tensor, label: int) -> int:
    """The most likely class but the label. teacher: (classes,)."""
    first, second = teacher.topk(2).indices.tolist()
    return int(second if first == label else first)


def _hard(places: Tensor, label: int) -> Tensor:
    """The hard term at each place, in nats. places: (n, classes) -> (n,)."""
    return F.cross_entropy(places, places.new_full((len(places),), label, dtype=torch.int64), reduction="none")


def _soft(places: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """The right soft term at each place, in nats. places: (n, classes); teacher: (classes,) -> (n,)."""
    wanted = soften(teacher, temperature).log().expand_as(places)
    given = F.log_softmax(places / temperature, dim=1)
    return temperature**2 * F.kl_div(given, wanted, reduction="none", log_target=True).sum(dim=1)


def _axis(student: Tensor, teacher: Tensor, moved: int, other: int) -> Tensor:
    """The values of a logit: from below to beyond where it is and where the teacher wants it, at any temperature.

    The same for all temperatures, so that the picture does not jump while the hand moves one. -> (steps,)
    """
    temperatures = torch.arange(TEMPERATURES.low, TEMPERATURES.high + TEMPERATURES.step, TEMPERATURES.step)[:, None]
    rest = [number for number in range(len(student)) if number not in (moved, other)]
    if not rest:  # of two classes only the difference counts
        wanted = teacher[moved, None] - teacher[other] + student[other]
    else:  # the logit that makes the class as likely, beside the other logits of the student, as the teacher says
        said = (teacher / temperatures).log_softmax(dim=1)
        others = (student[rest] / temperatures).logsumexp(dim=1) - said[:, rest].logsumexp(dim=1)
        wanted = temperatures[:, 0] * (said[:, moved] + others)
    values = torch.cat([student[moved, None], wanted])
    return torch.linspace(float(values.min()) - ROOM, float(values.max()) + ROOM, N_STEPS, dtype=torch.float64)
