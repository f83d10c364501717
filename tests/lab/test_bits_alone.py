"""Each layer's weights alone on a grid, the others float."""

import pytest
import support
from torch import nn

from efflab.lab import Lab, bits_alone
from efflab.measure import evaluate
from efflab.quantize import fold_batch_norms, quantize_weights
from efflab.quantize.codebook import share_weights
from efflab.recipe import step
from efflab.runtime.shared import shared_layers


@pytest.fixture(scope="module")
def lab() -> Lab:
    return Lab(support.tiny_both(), support.tiny_data())


@pytest.fixture
def judged(monkeypatch) -> list[nn.Module]:
    """The networks that were evaluated, in their order."""
    found: list[nn.Module] = []

    def note(model, *about):
        found.append(model)
        return evaluate(model, *about)

    monkeypatch.setattr(bits_alone, "evaluate", note)
    return found


def test_every_layer_is_tried_with_every_number_of_bits_while_the_others_stay_float(lab, judged):
    points = list(lab.bits_alone())
    layers = ("conv1", "conv2", "conv3", "hidden", "output")
    assert [(one.layer, one.bits) for one in points] == [(layer, bits) for layer in layers for bits in (8, 6, 4, 3, 2)]
    for point, model in zip(points, judged, strict=True):
        alone = quantize_weights(support.tiny_both(), bits={point.layer: point.bits})
        assert support.bits(model) == support.bits(alone)
        *_, expected = evaluate(alone, lab.data.validation, lab.data.task)
        assert point.evaluation.answers.tolist() == expected.answers.tolist()


def test_the_other_knobs_are_those_that_are_given(lab, judged):
    settings = {"granularity": "per tensor", "scheme": "affine"}
    *_, last = lab.bits_alone(settings)
    alone = quantize_weights(support.tiny_both(), bits={last.layer: last.bits}, **settings)
    assert support.bits(judged[-1]) == support.bits(alone)


def test_weights_alone_in_codebooks_are_shared_and_not_rounded(lab, judged):
    points = list(lab.bits_alone({"start": "density"}, technique=share_weights))
    assert [one.bits for one in points[:5]] == [8, 6, 4, 3, 2]
    alone = share_weights(support.tiny_both(), bits={points[-1].layer: 2}, start="density")
    assert support.bits(judged[-1]) == support.bits(alone)
    assert [name for name, layer in shared_layers(judged[4]).items() if layer.bits <= 2] == ["conv1"]


def test_the_base_stays_as_it_is(lab):
    before = support.bits(lab.build(()))
    list(lab.bits_alone())
    assert support.bits(lab.build(())) == before


def test_layers_that_may_have_bits_of_their_own_are_those_the_technique_takes(lab):
    assert lab.quantizable() == ("conv1", "conv2", "conv3", "hidden", "output")
    odd = Lab(nn.Sequential(nn.ConvTranspose2d(1, 1, 3), nn.Conv2d(1, 3, 10), nn.Flatten()), support.tiny_data())
    assert odd.quantizable() == ("1",)
    assert list(odd.layers()) == ["0", "1"]
    recipe = (step(quantize_weights, bits=dict.fromkeys(odd.quantizable(), 3)),)
    assert odd.build(recipe)[1].bits == 3


def test_a_base_that_lies_on_grids_already_is_refused(lab):
    later = lab.after((step(fold_batch_norms), step(quantize_weights)))
    with pytest.raises(ValueError, match="already"):
        next(later.bits_alone())
