"""The pull of both terms: torch's own kl_div and autograd, the four variants, and what is got of what was asked for."""

import pytest
import support
import torch
from torch import nn
from torch.nn import functional as F

from efflab import fine_tune, start_student, step
from efflab.distill import distillation_loss
from efflab.lab import Lab
from efflab.lab.loss_terms import RIGHT, SWEPT, VARIANTS, LossTerms, Variant, loss_terms

pytestmark = pytest.mark.filterwarnings("ignore:reduction. 'mean' divides")  # torch's own, of the slip

STUDENT = (step(start_student, kind="mlp", width=5),)


@pytest.fixture(scope="module")
def lab() -> Lab:
    return Lab(support.tiny_mlp(), support.tiny_data()).after((step(fine_tune, epochs=2),))


@pytest.fixture(scope="module")
def terms(lab) -> LossTerms:
    return loss_terms(lab, STUDENT, n_images=40)


@pytest.fixture
def student(lab) -> nn.Module:
    """A network with the weights of the student, whose gradients are free."""
    made = lab.build(STUDENT)
    for weight in made.parameters():
        weight.grad = None
    return made


def theirs(variant: Variant, student: torch.Tensor, teacher: torch.Tensor, temperature: float) -> torch.Tensor:
    """The soft term as people write it, right or wrong."""
    given, wanted = F.log_softmax(student / temperature, dim=1), F.softmax(teacher / temperature, dim=1)
    loss = F.kl_div(given, wanted, reduction=variant.reduction)
    return loss * temperature**2 if variant.is_squared else loss


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.name)
@pytest.mark.parametrize("temperature", [1.0, 4.0, 7.5])
def test_each_variant_is_what_torchs_kl_div_gives(terms, variant, temperature):
    student, teacher = terms.student_logits.double(), terms.teacher_logits.double()
    expected = theirs(variant, student, teacher, temperature)
    torch.testing.assert_close(variant.soft_loss(student, teacher, temperature), expected, rtol=1e-9, atol=0)
    assert terms.soft(temperature, variant).value == pytest.approx(float(expected), rel=1e-4)


@pytest.mark.parametrize("temperature", [1.0, 4.0])
@pytest.mark.parametrize("soft", [0.0, 0.35, 1.0])
def test_the_right_variant_is_the_loss_that_techniques_train_with(terms, lab, temperature, soft):
    student, teacher, labels = terms.student_logits, terms.teacher_logits, lab.data.train.labels[:40]
    mixed = soft * RIGHT.soft_loss(student, teacher, temperature) + (1 - soft) * F.cross_entropy(student, labels)
    assert torch.equal(mixed, distillation_loss(student, teacher, labels, temperature, soft))
    assert terms.at(temperature, soft).value == pytest.approx(float(mixed), rel=1e-6)


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.name)
def test_the_pull_at_the_weights_is_what_backward_leaves_there(terms, student, lab, variant):
    student.eval()
    images, labels = lab.data.train.images[:40], lab.data.train.labels[:40]
    for name, loss in {
        "soft": lambda logits: theirs(variant, logits, terms.teacher_logits, 3.0),
        "hard": lambda logits: F.cross_entropy(logits, labels),
    }.items():
        student.zero_grad()
        loss(student(images)).backward()
        length = torch.cat([weight.grad.flatten() for weight in student.parameters()]).norm()
        weighed = terms.at(3.0, 0.5, variant)
        term = weighed.soft_term if name == "soft" else weighed.hard_term
        assert term.at_weights == pytest.approx(float(length), rel=1e-4)
    student.zero_grad(set_to_none=True)


def test_the_pull_at_the_logits_is_the_difference_of_the_probabilities(terms, lab):
    student, teacher = terms.student_logits, terms.teacher_logits
    wanted = F.one_hot(lab.data.train.labels[:40], 3)
    hard = (student.softmax(dim=1) - wanted).norm(dim=1).mean()
    soft = 4 * ((student / 4).softmax(dim=1) - (teacher / 4).softmax(dim=1)).norm(dim=1).mean()
    assert terms.hard.at_logits == pytest.approx(float(hard), rel=1e-4)
    assert terms.soft(4.0).at_logits == pytest.approx(float(soft), rel=1e-4)


def test_what_is_got_is_the_share_of_the_weighed_pull(terms):
    weighed = terms.at(4.0, 0.9, Variant("mean", is_squared=False))
    pull = [0.9 * weighed.soft_term.at_weights, 0.1 * weighed.hard_term.at_weights]
    assert weighed.at_weights == pytest.approx(pull[0] / sum(pull))
    assert weighed.soft_term.at_weights == pytest.approx(terms.soft(4.0).at_weights / (3 * 16))
    assert weighed.at_weights < 0.9 * terms.at(4.0, 0.9).at_weights


def test_at_the_ends_there_is_only_one_term(terms):
    for variant in VARIANTS:
        assert (terms.at(4.0, 0.0, variant).at_weights, terms.at(4.0, 1.0, variant).at_weights) == (0.0, 1.0)


def test_a_student_that_is_the_teacher_is_not_pulled_by_it(lab):
    itself = loss_terms(lab, (), n_images=20).at(4.0, 1.0)
    assert itself.soft_term.value == pytest.approx(0, abs=1e-6)
    assert itself.soft_term.at_weights == pytest.approx(0, abs=1e-4)


def test_with_the_square_the_share_stays_over_temperatures_and_without_it_falls(terms):
    shares = {variant: [one.at_weights for one in row] for variant, row in terms.sweep(0.9).items()}
    assert [one.temperature for one in terms.sweep(0.9)[RIGHT]] == list(SWEPT)
    kept, faded = shares[RIGHT], shares[Variant(is_squared=False)]
    assert max(kept) - min(kept) < 0.1
    assert faded[0] == kept[0]
    assert faded == sorted(faded, reverse=True)
    assert faded[-1] < 0.1 < kept[-1]


def test_the_networks_of_the_lab_stay_as_they_are(lab):
    before = support.bits(lab.build(STUDENT))
    loss_terms(lab, STUDENT, n_images=8).sweep(0.5)
    assert support.bits(lab.build(STUDENT)) == before
    assert all(weight.grad is None for weight in lab.build(STUDENT).parameters())


def test_a_teacher_that_is_not_the_base_is_the_one_that_teaches(lab, terms):
    own = Lab(support.tiny_mlp(3), lab.data, teacher=lab.build(()))
    assert loss_terms(own, STUDENT, n_images=40).at(4.0, 0.9) == terms.at(4.0, 0.9)


def test_a_student_without_weights_is_refused(lab):
    class Still(nn.Module):
        def forward(self, images):
            return images.new_zeros(len(images), 3)

    with pytest.raises(ValueError, match=r"the student \(Still\) has no weights that can learn"):
        LossTerms(Still(), lab.build(()), *vars(lab.data.train).values(), lab.data.classes)


@pytest.mark.parametrize("soft", [-0.05, 1.05, float("nan")])
def test_a_fraction_that_is_none_is_refused(terms, soft):
    with pytest.raises(ValueError, match=r"soft .* must be a number from 0.0 to 1.0"):
        terms.at(4.0, soft)


def test_a_reduction_that_torch_has_and_we_do_not_is_refused():
    with pytest.raises(ValueError, match=r"reduction .* must be one of 'batchmean', 'mean', not 'sum'"):
        Variant("sum")
