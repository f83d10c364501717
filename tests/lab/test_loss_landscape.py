"""The landscape of one image: the loss itself at each place, where it is lowest, and where it has no lowest place."""

import pytest
import support
import torch

from efflab import fine_tune, start_student, step
from efflab.distill import distillation_loss, hard_loss, soft_loss
from efflab.lab import Lab
from efflab.lab.loss_landscape import N_STEPS, ROOM, landscapes
from efflab.lab.loss_terms import RIGHT, LossTerms, Variant, loss_terms


@pytest.fixture(scope="module")
def terms() -> LossTerms:
    lab = Lab(support.tiny_mlp(), support.tiny_data()).after((step(fine_tune, epochs=2),))
    return loss_terms(lab, (step(start_student, kind="mlp", width=5),), n_images=40)


def at(terms: LossTerms, found, row: int, column: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The logits at a place, the teacher's, and the label."""
    logits = terms.student_logits[found.image].double().clone()
    logits[found.label], logits[found.other] = found.hard.xs[column], found.hard.ys[row]
    return logits[None], terms.teacher_logits[found.image].double()[None], torch.tensor([found.label])


@pytest.mark.parametrize("temperature", [1.0, 6.0])
def test_each_place_has_the_loss_that_a_training_would_have_there(terms, temperature):
    found = landscapes(terms, temperature, 0.7, RIGHT)
    for row, column in [(0, 0), (3, 30), (N_STEPS - 1, 7)]:
        student, teacher, label = at(terms, found, row, column)
        assert found.hard.loss[row, column].item() == pytest.approx(hard_loss(student, label).item())
        expected = soft_loss(student, teacher, temperature).item()
        assert found.soft.loss[row, column].item() == pytest.approx(expected, rel=1e-6)
        mixed = distillation_loss(student, teacher, label, temperature, 0.7).item()
        assert found.mixture.loss[row, column].item() == pytest.approx(mixed, rel=1e-6)


def test_a_wrong_variant_has_the_same_shape_and_is_as_much_flatter(terms):
    right, wrong = (landscapes(terms, 4.0, 0.9, one) for one in (RIGHT, Variant("mean", is_squared=False)))
    torch.testing.assert_close(wrong.soft.loss * 3 * 16, right.soft.loss)
    assert torch.equal(wrong.hard.loss, right.hard.loss)


def test_the_student_stands_where_its_logits_are(terms):
    found = landscapes(terms, 4.0, 0.9, RIGHT, image=3)
    logits = terms.student_logits[3]
    here = found.mixture.student
    assert (here.x, here.y) == pytest.approx((float(logits[found.label]), float(logits[found.other])))
    expected = distillation_loss(logits[None], terms.teacher_logits[3][None], terms.labels[3:4], 4.0, 0.9)
    assert here.loss == pytest.approx(float(expected), rel=1e-5)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0, 20.0])
@pytest.mark.parametrize("image", [0, 7, 23])
def test_the_soft_term_is_lowest_where_both_classes_are_as_likely_as_for_the_teacher(terms, temperature, image):
    found = landscapes(terms, temperature, 0.9, RIGHT, image=image)
    assert not found.soft.is_open
    logits = terms.student_logits[image].double().clone()
    logits[found.label], logits[found.other] = found.soft.lowest.x, found.soft.lowest.y
    step_size = max(float(axis[1] - axis[0]) for axis in (found.soft.xs, found.soft.ys))
    given = (logits / temperature).softmax(dim=0)
    wanted = (terms.teacher_logits[image].double() / temperature).softmax(dim=0)
    for number in (found.label, found.other):
        assert given[number].item() == pytest.approx(wanted[number].item(), abs=step_size / temperature / 2)


def test_the_hard_term_has_no_lowest_place(terms):
    found = landscapes(terms, 4.0, 0.9, RIGHT)
    assert found.hard.is_open
    assert found.hard.lowest.x == found.hard.xs[-1]
    assert found.hard.lowest.y == found.hard.ys[0]


def test_the_axes_stay_while_the_temperature_moves(terms):
    cold, warm = (landscapes(terms, temperature, 0.9, RIGHT) for temperature in (0.5, 20.0))
    assert torch.equal(cold.hard.xs, warm.hard.xs)
    assert torch.equal(cold.hard.ys, warm.hard.ys)


def test_each_axis_ends_a_little_beyond_the_student_and_all_that_the_teacher_ever_wants(terms):
    found = [landscapes(terms, half / 2, 1.0, RIGHT, image=7).soft for half in range(1, 41)]
    one = found[0]
    for axis, wanted, here in (
        (one.xs, [each.lowest.x for each in found], one.student.x),
        (one.ys, [each.lowest.y for each in found], one.student.y),
    ):
        step_size = float(axis[1] - axis[0])
        assert min(*wanted, here) - float(axis[0]) == pytest.approx(ROOM, abs=step_size)
        assert float(axis[-1]) - max(*wanted, here) == pytest.approx(ROOM, abs=step_size)


def test_without_a_wish_it_is_the_image_that_the_teacher_doubts_most(terms):
    found, sure = landscapes(terms, 4.0, 0.9, RIGHT), terms.teacher_logits.softmax(dim=1).amax(dim=1)
    assert sure[found.image] < sure.quantile(0.1)
    second = terms.teacher_logits[found.image].clone()
    second[found.label] = -torch.inf
    assert found.other == int(second.argmax())


@pytest.mark.parametrize("image", [-1, 40])
def test_an_image_that_is_not_in_the_batch_is_refused(terms, image):
    with pytest.raises(ValueError, match=rf"image must lie between 0 and 39, the last of the batch, not {image}"):
        landscapes(terms, 4.0, 0.9, RIGHT, image=image)


def test_of_two_classes_only_the_difference_counts():
    images, labels = torch.randn(6, 1, 8, 8, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 1] * 3)
    student, teacher = (torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 2)) for _ in range(2))
    found = landscapes(LossTerms(student, teacher, images, labels, ("a", "b")), 2.0, 1.0, RIGHT, image=0)
    differences = found.soft.lowest.x - found.soft.lowest.y
    wanted = (teacher(images)[0, 0] - teacher(images)[0, 1]).item()
    step_size = float(found.soft.xs[1] - found.soft.xs[0])
    assert differences == pytest.approx(wanted, abs=step_size)
