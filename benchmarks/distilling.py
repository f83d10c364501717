"""What a teacher costs: an epoch with its answers at hand over a plain one, the first epoch, and how a panel reacts.

The teacher looks at each image in the first epoch only, so that the others should cost what they cost without it.
"""

import time
from collections.abc import Iterator

import torch
from _report import compare, interleave, versions

from efflab import Lab, distill_predictions, fine_tune, start_student, step
from efflab.distill import TeacherAnswers, distillation_loss
from efflab.lab.side_by_side import side_by_side
from efflab.training import Progress, train

GOAL = 1.10
START = step(start_student, kind="mlp", width=30)
N = 7


def main() -> None:
    """Epochs of a student of `cnn-scattered`, in turns; then the first pair and Stop of two trainings."""
    torch.set_num_threads(1)
    lab = Lab.open("cnn-scattered")
    teacher, data, student = lab.build(()), lab.data, lab.build((START,))
    answers = TeacherAnswers(teacher, len(data.train))

    def with_answers(known: TeacherAnswers) -> None:
        list(
            train(
                student,
                data,
                epochs=1,
                loss=lambda model, batch: distillation_loss(
                    model(batch.images), known.of(batch).logits, batch.labels, 4.0, 0.9
                ),
            )
        )

    def plain() -> None:
        list(train(student, data, epochs=1))

    base, candidate = interleave(plain, lambda: with_answers(answers), N)  # the warm-up asks the teacher
    compare(
        "an epoch of an mlp of width 30 on scattered, from the second one on",
        ("plain", 1000 * base),
        ("with the teacher's answers at hand", 1000 * candidate),
        GOAL,
    )
    base, first = interleave(plain, lambda: with_answers(TeacherAnswers(teacher, len(data.train))), N)
    print(f"  the first epoch, in which the teacher is asked: {first / base:.2f} times a plain one")
    react(lab)


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
