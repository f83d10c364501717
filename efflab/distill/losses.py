"""Losses: what a student is asked to imitate, each a number that training makes small.

    hard_loss           the label
    soft_loss           the teacher's whole answer, softened
    distillation_loss   some of both
    attention_loss      where in the image the teacher looks
    hint_loss           what a layer in the middle holds, number by number
    distance_loss       how far images lie from each other in the teacher's eyes
    angle_loss          at which angles they see each other

All are differentiable, and all take tensors. The caller runs the teacher under `torch.no_grad()`, since only the
student learns.

References: Hinton et al., 2015, arXiv 1503.02531 (soft); Zagoruyko and Komodakis, 2017, arXiv 1612.03928 (attention);
Romero et al., FitNets, 2015, arXiv 1412.6550 (hints); Park et al., 2019, arXiv 1904.05068 (distances and angles).

Where we deviate is said at each function. At work: `torch.nn.functional.kl_div` with `reduction="batchmean"`, times the
temperature squared. `reduction="mean"` also divides by the number of classes, and the soft part nearly vanishes.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from efflab.distill.checks import check_labels, check_same_images, check_temperature, check_tensor


def hard_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean cross-entropy with the labels, in nats. logits: (n, classes); labels: (n,) -> ().

    Raises:
        ValueError: logits have another shape, or one is NaN or infinite, or labels are none of the classes.
    """
    check_tensor("logits", logits, "(n, classes)")
    check_labels(labels, *logits.shape)
    return F.cross_entropy(logits, labels.long())


def soft_loss(student_logits: Tensor, teacher_logits: Tensor, temperature: float) -> Tensor:
    """How far the student's softened answers are from the teacher's, in nats. Both: (n, classes) -> ().

    Kullback-Leibler divergence, the sum of p log(p / q) with p the teacher's and q the student's probabilities at the
    temperature T; the mean over the images, times T^2. Softening makes the gradient about T^2 times smaller. The factor
    undoes that, so that a weight between the soft and the hard part means the same at each temperature.

    Example: an undecided student whose teacher says 9 to 1
        >>> teacher = torch.tensor([[9.0, 1.0]]).log()
        >>> soft_loss(torch.zeros(1, 2), teacher, 1.0)  # 0.9 ln(0.9 / 0.5) + 0.1 ln(0.1 / 0.5)
        tensor(0.3681)

    Raises:
        ValueError: temperature is not above 0, the shapes are wrong or differ, or a logit is NaN or infinite.

    Reference: Hinton et al., 2015, arXiv 1503.02531, sections 2 and 2.1.
    """
    check_temperature(temperature)
    check_tensor("student_logits", student_logits, "(n, classes)")
    check_tensor("teacher_logits", teacher_logits, "(n, classes)")
    _check_same_shape("student_logits", student_logits, "teacher_logits", teacher_logits)
    log_teacher = F.log_softmax(teacher_logits / temperature, dim=1)
    log_student = F.log_softmax(student_logits / temperature, dim=1)
    divergence = (log_teacher.exp() * (log_teacher - log_student)).sum(dim=1)  # (n,)
    return temperature**2 * divergence.mean()


def distillation_loss(
    student_logits: Tensor, teacher_logits: Tensor, labels: Tensor, temperature: float, soft: float
) -> Tensor:
    """Some of the teacher's answer and the rest of the label. Logits: (n, classes); labels: (n,) -> ().

    soft: the share of the soft loss. At 0 there is only the label, and at 1 only the teacher.

    Raises:
        ValueError: soft lies outside 0 to 1, or what `soft_loss` and `hard_loss` refuse.

    Reference: Hinton et al., 2015, arXiv 1503.02531, section 2.
    """
    if not 0 <= soft <= 1:
        raise ValueError(f"soft must lie between 0 (labels alone) and 1 (the teacher alone), not {soft}")
    imitate = soft_loss(student_logits, teacher_logits, temperature)
    be_right = hard_loss(student_logits, labels)
    return soft * imitate + (1 - soft) * be_right


def attention_map(features: Tensor) -> Tensor:
    """Where a layer is active, one map an image, of length 1. features: (n, c, h, w) -> (n, h * w).

    The mean of the squares over the channels, divided by its L2 norm. A map of zeros stays zero.

    Example:
        >>> attention_map(torch.tensor([[[[3.0, 0.0]], [[0.0, 1.0]]]])) * 82**0.5  # squares 9 and 1, length sqrt(82)
        tensor([[9., 1.]])

    Raises:
        ValueError: features are no maps, or hold NaN or infinity.

    Reference: Zagoruyko and Komodakis, 2017, arXiv 1612.03928, section 3.1 (the sum of squares; the mean is the same
    once it is divided by its length).
    """
    check_tensor("features", features, "(n, c, h, w)")
    return _unit(features.square().mean(dim=1).flatten(1))


def attention_loss(student_features: Tensor, teacher_features: Tensor) -> Tensor:
    """The mean squared difference of the two attention maps.

    student_features: (n, c_s, h_s, w_s); teacher_features: (n, c_t, h_t, w_t) -> (). Where height or width differ, the
    larger features are averaged down to the smaller size.

    Raises:
        ValueError: an input is no stack of maps or holds NaN or infinity, or they are not of the same images.

    Reference: Zagoruyko and Komodakis, 2017, arXiv 1612.03928. We deviate as most code does: the mean over the images
    and places of the squared difference, where the paper writes its L2 norm.
    """
    check_tensor("student_features", student_features, "(n, c, h, w)")
    check_tensor("teacher_features", teacher_features, "(n, c, h, w)")
    check_same_images("student_features", student_features, "teacher_features", teacher_features)
    (h_s, w_s), (h_t, w_t) = student_features.shape[2:], teacher_features.shape[2:]
    size = (min(h_s, h_t), min(w_s, w_t))
    student = attention_map(F.adaptive_avg_pool2d(student_features, size))
    teacher = attention_map(F.adaptive_avg_pool2d(teacher_features, size))
    return F.mse_loss(student, teacher)


def hint_loss(predicted: Tensor, hint: Tensor) -> Tensor:
    """Mean squared error between the teacher's layer and what the student predicts of it. Both: (any one shape) -> ().

    A student whose layer has another width predicts the hint through a layer of its own, a regressor.

    Raises:
        ValueError: the shapes differ, or there are no values.

    Reference: Romero et al., FitNets, 2015, arXiv 1412.6550, equation 3 (half the squared error, summed; the mean does
    not grow with the layer).
    """
    _check_same_shape("predicted", predicted, "hint", hint)
    if hint.numel() == 0:
        raise ValueError(f"hint must hold at least one value, not none: its shape is {tuple(hint.shape)}")
    return F.mse_loss(predicted, hint)


def distance_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """How differently student and teacher see the distances between images. (n, d_s), (n, d_t) -> ().

    Each distance is divided by the mean of those that are not zero, so that only ratios count; then the Huber loss,
    mean over all pairs. Turning, shifting or scaling the student changes nothing. A single image has no pair: 0.

    Raises:
        ValueError: an input is no (n, d) or holds NaN or infinity, or they are not of the same images.

    Reference: Park et al., Relational knowledge distillation, 2019, arXiv 1904.05068, section 3.2. Published code
    often averages over an image with itself, too, which adds zeros.
    """
    _check_rows(student, teacher)
    n_pairs = math.comb(len(student), 2)
    return _huber_sum(_relative_distances(student), _relative_distances(teacher)) / max(n_pairs, 1)


def angle_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """How differently they see the angles in triangles of images. (n, d_s), (n, d_t) -> ().

    The cosine of each angle of each triangle; then the Huber loss, mean over all of them. Turning, shifting or scaling
    the student changes nothing. A side of length zero makes no angle, and its cosine counts as 0. Two images make no
    triangle: 0. Memory grows with the cube of n.

    Raises:
        ValueError: an input is no (n, d) or holds NaN or infinity, or they are not of the same images.

    Reference: Park et al., 2019, arXiv 1904.05068, section 3.2. Published code often averages over triples in
    which an image stands twice, too, which adds zeros.
    """
    _check_rows(student, teacher)
    n_angles = 3 * math.comb(len(student), 3)
    return _huber_sum(_cosines(student), _cosines(teacher)) / max(n_angles, 1)


def _relative_distances(x: Tensor) -> Tensor:
    """The distance of each pair, in units of the mean one. (n, d) -> (pairs,)."""
    distances = torch.pdist(x)  # its gradient is 0, and not NaN, where two points are equal
    mean = distances.sum() / distances.count_nonzero().clamp(min=1)
    return distances / mean.where(mean > 0, 1.0)


def _cosines(x: Tensor) -> Tensor:
    """The cosine at each corner of each triangle, and 0 in the other places. (n, d) -> (n corners, n, n)."""
    directions = _unit(x - x[:, None])  # (n corners, n, d), from each corner to each point; to itself: 0
    return (directions @ directions.mT).triu(diagonal=1)  # each pair of sides once


def _unit(x: Tensor) -> Tensor:
    """The vectors along the last axis, each divided by its length; zeros stay zeros, with no NaN in their gradient."""
    length: Tensor = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
    return x / length.where(length > 0, 1.0)


def _huber_sum(student: Tensor, teacher: Tensor) -> Tensor:
    """The Huber loss, summed: half the square of a difference up to 1, and beyond that its size less a half."""
    return F.huber_loss(student, teacher, reduction="sum")


def _check_rows(student: Tensor, teacher: Tensor) -> None:
    check_tensor("student", student, "(n, d)")
    check_tensor("teacher", teacher, "(n, d)")
    check_same_images("student", student, "teacher", teacher)


def _check_same_shape(name: str, x: Tensor, other_name: str, other: Tensor) -> None:
    if x.shape != other.shape:
        raise ValueError(
            f"{name} and {other_name} must have the same shape, not {tuple(x.shape)} and {tuple(other.shape)}"
        )
