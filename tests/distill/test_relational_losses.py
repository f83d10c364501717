"""Relational losses: slow loops over pairs and triples, and what the student may do without being noticed."""

import itertools

import numpy as np
import pytest
import torch

from efflab.distill import angle_loss, distance_loss

LOSSES = pytest.mark.parametrize("loss", [distance_loss, angle_loss])


def rand(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def huber(difference: float) -> float:
    return difference**2 / 2 if abs(difference) <= 1 else abs(difference) - 0.5


def slow_distances(x: np.ndarray) -> np.ndarray:
    found = np.array([np.linalg.norm(a - b) for a, b in itertools.combinations(x, 2)])
    return found / found[found > 0].mean()


def slow_cosines(x: np.ndarray) -> list[float]:
    found = []
    for corner in range(len(x)):
        for i, k in itertools.combinations([i for i in range(len(x)) if i != corner], 2):
            one, other = x[i] - x[corner], x[k] - x[corner]
            lengths = np.linalg.norm(one) * np.linalg.norm(other)
            found.append(one @ other / lengths if lengths else 0.0)
    return found


@pytest.mark.parametrize("scale", [1.0, 100.0])
def test_the_distance_loss_is_a_loop_over_pairs(scale):
    student, teacher = rand(0, 6, 3), rand(1, 6, 4)
    student[3] = student[2]  # a distance of zero, which the mean leaves out
    teacher[0] *= scale  # one far point, so that some differences lie on the straight part of the Huber loss
    pairs = zip(slow_distances(student.numpy()), slow_distances(teacher.numpy()), strict=True)
    by_hand = np.mean([huber(a - b) for a, b in pairs])
    assert distance_loss(student, teacher).item() == pytest.approx(by_hand, rel=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_the_angle_loss_is_a_loop_over_triples(seed):
    student, teacher = rand(seed, 5, 2), rand(seed + 50, 5, 4)
    student[3] = student[2]  # sides of length zero
    differences = np.subtract(slow_cosines(student.numpy()), slow_cosines(teacher.numpy()))
    assert len(differences) == 5 * 6
    assert np.abs(differences).max() > 1, "both parts of the Huber loss are tried"
    by_hand = np.mean([huber(difference) for difference in differences])
    assert angle_loss(student, teacher).item() == pytest.approx(by_hand, rel=1e-12)


def test_a_right_triangle_against_an_equal_sided_one_by_hand():
    student = torch.tensor([[0.0, 0.0], [3.0, 0.0], [0.0, 4.0]])  # sides 3, 4, 5; cosines 0, 0.6, 0.8
    teacher = torch.eye(3)  # equal sides; each cosine is a half
    sides, angles = [-0.25, 0.0, 0.25], [-0.5, 0.1, 0.3]
    assert distance_loss(student, teacher).item() == pytest.approx(sum(d * d / 2 for d in sides) / 3)
    assert angle_loss(student, teacher).item() == pytest.approx(sum(d * d / 2 for d in angles) / 3)


@LOSSES
def test_turning_shifting_and_scaling_the_student_change_nothing(loss):
    student, teacher = rand(2, 7, 4), rand(3, 7, 9)
    turn, _ = torch.linalg.qr(rand(4, 4, 4))
    moved = 0.1 * student @ turn + torch.tensor([5.0, -3.0, 0.0, 1.0])
    assert loss(moved, teacher).item() == pytest.approx(loss(student, teacher).item(), rel=1e-9)
    assert loss(3 * teacher + 2, teacher).item() == pytest.approx(0, abs=1e-12)
    assert loss(student, teacher).item() > 0.01


@LOSSES
def test_its_gradient_is_right(loss):
    student, teacher = rand(5, 5, 3).requires_grad_(), rand(6, 5, 4)
    assert torch.autograd.gradcheck(lambda x: loss(x, teacher), (student,))


@LOSSES
def test_equal_points_make_no_nan(loss):
    student, teacher = rand(7, 5, 3).float(), rand(8, 5, 3).float()
    student[1] = student[0]
    student.requires_grad_()
    loss(student, teacher).backward()
    assert student.grad is not None
    assert bool(student.grad.isfinite().all())
    assert 0 < student.grad.abs().max() < 10, "no division by almost zero"


@LOSSES
def test_points_that_are_all_equal_make_no_nan(loss):
    student = torch.ones(4, 3, requires_grad=True)
    found = loss(student, rand(9, 4, 3).float())
    found.backward()
    assert found.item() > 0
    assert student.grad is not None
    assert bool(student.grad.isfinite().all())


@pytest.mark.parametrize(("loss", "n"), [(distance_loss, 1), (angle_loss, 1), (angle_loss, 2)])
def test_too_few_images_for_a_relation_cost_nothing(loss, n):
    student = rand(10, n, 3).requires_grad_()
    found = loss(student, rand(11, n, 4))
    found.backward()
    assert found.item() == 0
    assert student.grad is not None
    assert student.grad.tolist() == [[0.0] * 3] * n


@LOSSES
def test_what_does_not_fit_is_refused(loss):
    with pytest.raises(ValueError, match="student and teacher must be of the same images, not of 3 and 4"):
        loss(torch.ones(3, 2), torch.ones(4, 2))
    with pytest.raises(ValueError, match=r"teacher must have the shape \(n, d\), not \(3, 2, 1, 1\)"):
        loss(torch.ones(3, 2), torch.ones(3, 2, 1, 1))
    with pytest.raises(ValueError, match=r"student holds inf at position \(0, 1\)"):
        loss(torch.tensor([[0.0, float("inf")], [1.0, 2.0]]), torch.ones(2, 2))
