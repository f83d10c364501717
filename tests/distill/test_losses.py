"""Losses of answers: torch's own divergence, arithmetic by hand, and the gradients that the paper promises."""

import math

import pytest
import torch
from sklearn.metrics import log_loss
from torch.nn import functional as F

from efflab.distill import attention_loss, attention_map, distillation_loss, hard_loss, hint_loss, soft_loss


def rand(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def gradient_norm(student: torch.Tensor, teacher: torch.Tensor, temperature: float) -> float:
    student = student.clone().requires_grad_()
    soft_loss(student, teacher, temperature).backward()
    assert student.grad is not None
    return student.grad.norm().item()


def test_the_hard_loss_is_that_of_scikit_learn():
    logits, labels = rand(0, 6, 3), torch.tensor([0, 1, 2, 2, 1, 0])
    theirs = log_loss(labels, torch.softmax(logits, dim=1), labels=[0, 1, 2])
    assert hard_loss(logits, labels).item() == pytest.approx(theirs, rel=1e-12)


@pytest.mark.parametrize("label", [-100, 3])
def test_a_label_that_is_no_class_is_refused_and_not_skipped(label):
    with pytest.raises(ValueError, match=f"labels must lie between 0 and 2, not between .*{label}"):
        hard_loss(torch.zeros(2, 3), torch.tensor([1, label]))


@pytest.mark.parametrize("labels", [torch.tensor([1]), torch.tensor([[1], [2]]), torch.tensor([1.0, 2.0])])
def test_labels_that_are_not_one_whole_number_an_image_are_refused(labels):
    with pytest.raises(ValueError, match="labels must be 2 whole numbers, one an image"):
        hard_loss(torch.zeros(2, 3), labels)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0, 20.0])
def test_the_soft_loss_is_torchs_divergence_times_the_temperature_squared(temperature):
    student, teacher = 4 * rand(1, 8, 5), 4 * rand(2, 8, 5)
    log_student, answer = F.log_softmax(student / temperature, dim=1), F.softmax(teacher / temperature, dim=1)
    theirs = F.kl_div(log_student, answer, reduction="batchmean") * temperature**2
    assert soft_loss(student, teacher, temperature).item() == pytest.approx(theirs.item(), rel=1e-10)


def test_the_soft_loss_of_two_classes_worked_by_hand():
    student, teacher = torch.tensor([[0.0, 0.0]]), torch.tensor([[2 * math.log(3), 0.0]])
    by_hand = 2**2 * (0.75 * math.log(0.75 / 0.5) + 0.25 * math.log(0.25 / 0.5))  # 3 to 1 at the temperature 2
    assert soft_loss(student, teacher, 2.0).item() == pytest.approx(by_hand, rel=1e-6)


def test_the_soft_loss_is_zero_for_the_same_answers_and_blind_to_a_shift_of_all_logits():
    teacher = rand(3, 4, 5)
    assert soft_loss(teacher + 7, teacher, 3.0).item() == pytest.approx(0, abs=1e-12)


def test_a_class_that_the_teacher_rules_out_makes_no_nan():
    student, teacher = torch.zeros(1, 2, requires_grad=True), torch.tensor([[1000.0, 0.0]])
    loss = soft_loss(student, teacher, 1.0)
    loss.backward()
    assert loss.item() == pytest.approx(math.log(2))
    assert student.grad is not None
    assert student.grad[0].tolist() == pytest.approx([-0.5, 0.5])


def test_at_a_high_temperature_the_gradient_is_that_of_matching_logits():
    student, teacher = (logits - logits.mean(dim=1, keepdim=True) for logits in (rand(4, 6, 5), rand(5, 6, 5)))
    student.requires_grad_()
    soft_loss(student, teacher, 1e4).backward()
    expected = (student.detach() - teacher) / 5 / 6  # (z - v) / N of equation 4, and the mean over 6 images
    torch.testing.assert_close(student.grad, expected, rtol=0, atol=1e-4 * expected.abs().max().item())


def test_the_temperature_squared_keeps_the_gradient_of_about_one_size():
    student, teacher = rand(6, 16, 10), rand(7, 16, 10)
    assert 0.5 < gradient_norm(student, teacher, 20.0) / gradient_norm(student, teacher, 4.0) < 2


def test_the_gradient_of_the_soft_loss_is_right():
    student, teacher = rand(8, 3, 4).requires_grad_(), rand(9, 3, 4)
    assert torch.autograd.gradcheck(lambda logits: soft_loss(logits, teacher, 3.0), (student,))


def test_the_share_goes_from_the_label_to_the_teacher():
    student, teacher, labels = rand(10, 4, 3), rand(11, 4, 3), torch.tensor([0, 1, 2, 0])
    hard, soft = hard_loss(student, labels).item(), soft_loss(student, teacher, 4.0).item()
    found = [distillation_loss(student, teacher, labels, 4.0, share).item() for share in (0, 0.25, 1)]
    assert found == pytest.approx([hard, 0.25 * soft + 0.75 * hard, soft], rel=1e-12)


@pytest.mark.parametrize("soft", [-0.1, 1.1, float("nan")])
def test_a_share_outside_zero_to_one_is_refused(soft):
    with pytest.raises(ValueError, match=f"soft must lie between 0 .* and 1 .*, not {soft}"):
        distillation_loss(torch.zeros(2, 3), torch.zeros(2, 3), torch.tensor([0, 1]), 1.0, soft)


def test_logits_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"student_logits and teacher_logits must have the same shape, not \(1, 3\)"):
        soft_loss(torch.zeros(1, 3), torch.zeros(4, 3), 1.0)
    with pytest.raises(ValueError, match="teacher_logits holds nan"):
        soft_loss(torch.zeros(1, 2), torch.tensor([[0.0, float("nan")]]), 1.0)
    with pytest.raises(ValueError, match=r"student_logits must have the shape \(n, classes\)"):
        soft_loss(torch.zeros(3), torch.zeros(3), 1.0)
    with pytest.raises(ValueError, match="temperature must be a number above 0, not 0"):
        soft_loss(torch.zeros(1, 2), torch.zeros(1, 2), 0)


def test_an_attention_map_written_out_in_loops():
    features = rand(12, 2, 3, 4, 5)
    for image, found in zip(features, attention_map(features), strict=True):
        squares = [sum(image[c, i, j].item() ** 2 for c in range(3)) / 3 for i in range(4) for j in range(5)]
        length = math.sqrt(sum(value**2 for value in squares))
        assert found.tolist() == pytest.approx([value / length for value in squares], rel=1e-12)


def test_an_attention_map_knows_no_sign_no_scale_and_no_order_of_channels():
    features = rand(13, 2, 6, 3, 3)
    torch.testing.assert_close(attention_map(-3 * features.flip(1)), attention_map(features))


def test_a_map_of_zeros_stays_zero_and_has_a_gradient_without_nan():
    features = torch.zeros(2, 3, 4, 4)
    features[1] = 1.0
    features.requires_grad_()
    loss = attention_loss(features, rand(14, 2, 5, 4, 4).float())
    loss.backward()
    assert attention_map(features)[0].tolist() == [0.0] * 16
    assert attention_map(features)[1].tolist() == [0.25] * 16
    assert features.grad is not None
    assert features.grad[0].tolist() == torch.zeros(3, 4, 4).tolist()
    assert bool(features.grad.isfinite().all())


def test_the_attention_loss_is_the_mean_squared_difference_of_the_maps():
    here, there = torch.zeros(1, 2, 1, 2), torch.zeros(1, 3, 1, 2)
    here[0, :, 0, 0] = 2.0
    there[0, :, 0, 1] = 5.0
    assert attention_loss(here, there).item() == pytest.approx(1.0)  # the maps are (1, 0) and (0, 1)
    assert attention_loss(here, here * 4).item() == pytest.approx(0.0)


def test_the_larger_features_are_averaged_down_whosever_they_are():
    large, small = rand(15, 2, 3, 8, 6), rand(16, 2, 4, 4, 3)
    pooled = large.reshape(2, 3, 4, 2, 3, 2).mean(dim=(3, 5))
    expected = (attention_map(pooled) - attention_map(small)).square().mean().item()
    assert attention_loss(large, small).item() == pytest.approx(expected, rel=1e-12)
    assert attention_loss(small, large).item() == pytest.approx(expected, rel=1e-12)


def test_what_is_no_map_has_no_attention():
    with pytest.raises(ValueError, match=r"student_features must have the shape \(n, c, h, w\), not \(2, 5\)"):
        attention_loss(torch.ones(2, 5), torch.ones(2, 1, 3, 3))
    with pytest.raises(ValueError, match="must be of the same images, not of 1 and 2"):
        attention_loss(torch.ones(1, 1, 3, 3), torch.ones(2, 1, 3, 3))


def test_the_hint_loss_is_the_mean_squared_error():
    assert hint_loss(torch.tensor([[1.0, 2.0]]), torch.tensor([[4.0, 2.0]])).item() == 4.5


def test_a_hint_of_another_shape_is_refused_and_not_broadcast():
    with pytest.raises(ValueError, match=r"predicted and hint must have the same shape, not \(4, 1\) and \(4, 3\)"):
        hint_loss(torch.zeros(4, 1), torch.zeros(4, 3))
    with pytest.raises(ValueError, match="hint must hold at least one value"):
        hint_loss(torch.zeros(0, 3), torch.zeros(0, 3))
