"""A teacher's answers: each image is looked at once, and what is kept is what the teacher said."""

import pytest
import support
import torch

from efflab.distill import TeacherAnswers, distill_predictions, outputs_of, teachers
from efflab.training import Batch


@pytest.fixture
def data():
    return support.tiny_data()


def batch_of(data, index: list[int]) -> Batch:
    places = torch.tensor(index)
    return Batch(data.train.images[places], data.train.labels[places], places)


def test_what_is_looked_up_is_what_the_teacher_says(data):
    teacher = support.tiny_cnn()
    answers = TeacherAnswers(teacher, len(data.train), ["relu2"])
    answers.of(batch_of(data, [5, 1, 7]))
    found = answers.of(batch_of(data, [7, 5]))
    with outputs_of(teacher, ["relu2"]) as seen, torch.no_grad():
        logits = teacher(data.train.images[[7, 5]])
    torch.testing.assert_close(found.logits, logits)
    torch.testing.assert_close(found.hidden["relu2"], seen["relu2"])


def test_an_image_is_looked_at_once(data):
    answers = TeacherAnswers(support.tiny_cnn(), len(data.train))
    for _ in range(3):
        for start in range(0, 130, 65):
            answers.of(batch_of(data, list(range(start, start + 65))))
    assert answers.n_asked == 130


def test_representations_that_would_fill_the_memory_are_asked_for_again(data, monkeypatch):
    monkeypatch.setattr(teachers, "MOST_BYTES", 1000)
    answers = TeacherAnswers(support.tiny_cnn(), len(data.train), ["relu1"])
    first, second = answers.of(batch_of(data, [0, 1])), answers.of(batch_of(data, [0, 1]))
    assert answers.n_asked == 4
    assert torch.equal(first.hidden["relu1"], second.hidden["relu1"])


def test_a_training_of_several_epochs_asks_for_each_image_once(data, monkeypatch):
    made = []

    class Counted(TeacherAnswers):
        def __init__(self, *args) -> None:
            super().__init__(*args)
            made.append(self)

    monkeypatch.setattr("efflab.distill.predictions.TeacherAnswers", Counted)
    distill_predictions(support.tiny_mlp(), data=data, teacher=support.tiny_cnn(), epochs=4)
    assert [one.n_asked for one in made] == [len(data.train)]


def test_a_teacher_in_training_mode_answers_as_in_evaluation_mode_and_stays_in_it(data):
    teacher = support.tiny_cnn()
    expected = teacher(data.train.images[:4]).detach()
    teacher.train()
    answers = TeacherAnswers(teacher, len(data.train))
    assert torch.equal(answers.of(batch_of(data, [0, 1, 2, 3])).logits, expected)
    assert teacher.training


def test_no_hook_stays(data):
    teacher = support.tiny_cnn()
    TeacherAnswers(teacher, len(data.train), ["relu1"]).of(batch_of(data, [0]))
    assert not teacher.relu1._forward_hooks
