"""A teacher's answers: each image is looked at once, and what is kept is what the teacher said."""

import pytest
import support
import torch

from efflab.distill import distill_predictions, outputs_of, teachers
from efflab.distill.teachers import ask
from efflab.training import Batch, Progress


@pytest.fixture
def data():
    teachers._shelf().clear()
    return support.tiny_data()


@pytest.fixture
def looked(monkeypatch) -> list[int]:
    """How many images the teacher looked at, each time; the first look at one image tells the shapes."""
    seen, look = [], teachers._look

    def counted(teacher, images, layers):
        seen.append(len(images))
        return look(teacher, images, layers)

    monkeypatch.setattr(teachers, "_look", counted)
    return seen


def batch_of(data, index: list[int]) -> Batch:
    places = torch.tensor(index)
    return Batch(data.train.images[places], data.train.labels[places], places)


def test_what_is_looked_up_is_what_the_teacher_says(data):
    teacher = support.tiny_cnn()
    found = ask(teacher, data.train, ["relu2"]).of(batch_of(data, [7, 5, 129]))
    with outputs_of(teacher, ["relu2"]) as seen, torch.no_grad():
        logits = teacher(data.train.images[[7, 5, 129]])
    torch.testing.assert_close(found.logits, logits)
    torch.testing.assert_close(found.hidden, {"relu2": seen["relu2"]})


def test_an_image_is_looked_at_once_however_many_epochs_and_trainings_there_are(data, looked):
    teacher = support.tiny_cnn()
    for seed in (0, 1):
        distill_predictions(support.tiny_mlp(), data=data, teacher=teacher, epochs=4, seed=seed)
    assert looked == [1, 50, 50, 30]


def test_answers_from_the_shelf_make_the_same_student_bit_for_bit(data):
    teacher, student = support.tiny_cnn(), support.tiny_mlp()
    anew = distill_predictions(student, data=data, teacher=teacher, epochs=2, seed=1)
    teachers._shelf().clear()
    distill_predictions(student, data=data, teacher=teacher, epochs=1, seed=0)
    from_shelf = distill_predictions(student, data=data, teacher=teacher, epochs=2, seed=1)
    assert support.bits(from_shelf) == support.bits(anew)


def test_a_teacher_that_was_trained_on_is_asked_again(data, looked):
    teacher = support.tiny_cnn()
    before = ask(teacher, data.train).kept[""]
    teacher.output.bias.data[0] += 1.0
    torch.testing.assert_close(ask(teacher, data.train).kept[""][:, 0], before[:, 0] + 1.0)
    assert looked == [1, 50, 50, 30] * 2


def test_other_images_are_asked_for_again(data, looked):
    teacher, others = support.tiny_cnn(), support.tiny_data(seed=9)
    one, other = (ask(teacher, split.train).kept[""] for split in (data, others))
    assert not torch.equal(one, other)
    assert looked == [1, 50, 50, 30] * 2


def test_few_answers_are_kept(data):
    for seed in range(6):
        ask(support.tiny_cnn(seed), data.train)
    assert len(teachers._shelf()) == teachers.N_SHELVED == 4


def test_representations_that_would_fill_the_memory_are_asked_for_batch_by_batch(data, monkeypatch):
    monkeypatch.setattr(teachers, "MOST_BYTES", 1000)
    teacher = support.tiny_cnn()
    answers = ask(teacher, data.train, ["relu1"])
    assert (set(answers.kept), answers.asked_for) == ({""}, ("relu1",))
    with outputs_of(teacher, ["relu1"]) as seen, torch.no_grad():
        teacher(data.train.images[[3, 1]])
    torch.testing.assert_close(answers.of(batch_of(data, [3, 1])).hidden["relu1"], seen["relu1"])


def test_stopped_while_the_teacher_looks_the_student_stays_as_it_was_and_nothing_is_kept(data):
    progress, student = Progress(), support.tiny_mlp()
    progress.on_batch = lambda done: progress.stop()
    stopped = distill_predictions(student, data=data, teacher=support.tiny_cnn(), epochs=5, progress=progress)
    assert support.bits(stopped) == support.bits(student)
    assert not teachers._shelf()


def test_a_teacher_in_training_mode_answers_as_in_evaluation_mode_and_stays_in_it(data):
    teacher = support.tiny_cnn()
    expected = teacher(data.train.images[:50]).detach()
    teacher.train()
    assert torch.equal(ask(teacher, data.train).kept[""][:50], expected)
    assert teacher.training


def test_no_hook_stays(data):
    teacher = support.tiny_cnn()
    ask(teacher, data.train, ["relu1"])
    assert not teacher.relu1._forward_hooks
