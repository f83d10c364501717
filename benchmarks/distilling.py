"""What a teacher costs: an epoch with its answers at hand over a plain one, asking it for them, and how a panel reacts.

The teacher looks at each image once, before the first epoch, so that epochs should cost what they cost without it.
"""

import time
from collections.abc import Iterator

import torch
from _report import compare, interleave, versions
from torch import Tensor, nn

from efflab import Lab, distill_predictions, fine_tune, start_student, step
from efflab.distill import TeacherAnswers, ask, distillation_loss
from efflab.lab.side_by_side import side_by_side
from efflab.training import Batch, Progress, train

GOAL = 1.10
START = step(start_student, kind="mlp", width=30)
STUDENTS = {
    "an mlp of width 64": step(start_student, kind="mlp", width=64),
    "a cnn of width 8": step(start_student, kind="cnn", width=8),
}
N = 7


def main() -> None:
    """Epochs of two students of `cnn-scattered`, in turns; then the first pair and Stop of two trainings."""
    torch.set_num_threads(1)
    lab = Lab.open("cnn-scattered")
    start = time.perf_counter()
    answers = ask(lab.teacher, lab.data.train)
    assert answers is not None, "nobody stopped it"
    print(f"\n  asking the teacher for {len(lab.data.train):,} images: {time.perf_counter() - start:.2f} s, once")
    for name, student in STUDENTS.items():
        epochs(lab, name, lab.build((student,)), answers)
    react(lab)


def epochs(lab: Lab, name: str, student: nn.Module, answers: TeacherAnswers) -> None:
    """An epoch of a student with the teacher's answers, over a plain one."""

    def with_answers() -> None:
        list(train(student, lab.data, epochs=1, loss=loss))

    def loss(model: nn.Module, batch: Batch) -> Tensor:
        return distillation_loss(model(batch.images), answers.of(batch).logits, batch.labels, 4.0, 0.9)

    def plain() -> None:
        list(train(student, lab.data, epochs=1))

    base, candidate = interleave(plain, with_answers, N)
    told = ("plain", 1000 * base), ("with the teacher's answers at hand", 1000 * candidate)
    compare(f"an epoch of {name} on scattered", *told, GOAL)


def react(lab: Lab) -> None:
    """From the button to the first point, and from Stop to the end, without a page."""
    alone, taught = (START, step(fine_tune, epochs=30)), (START, step(distill_predictions, epochs=30))
    progress = Progress()
    start = time.perf_counter()
    pairs: Iterator[object] = side_by_side(lab, alone, taught, progress=progress)
    next(pairs)
    first_point = 1000 * (time.perf_counter() - start)
    for _ in range(20):
        next(pairs)
    progress.stop()
    start = time.perf_counter()
    list(pairs)
    stopped = 1000 * (time.perf_counter() - start)
    print(
        f"\ntwo trainings: first point after {first_point:.0f} ms (goal: at most 2000), "
        f"Stop after {stopped:.0f} ms (goal: at most 200)"
    )
    versions()


if __name__ == "__main__":
    main()
