"""Three sentences on what limits a quantized network, from numbers made by hand."""

import math
from dataclasses import replace

import pytest

from efflab.lab.grid_bytes import LayerBytes
from efflab.lab.grid_errors import GridErrors, LayerError
from efflab.lab.limits import what_limits
from efflab.runtime import Planned

INT8, FLOAT = Planned("int8"), Planned("float", "its activations lie on no grid")
CONV = LayerError("conv", "Conv2d", 4, 8, 20.0, 0.1, 12.34, LayerBytes(500, 40, 0, 0, 40))
FC = LayerError("fc", "Linear", 4, 8, 21.0, 0.0, 15.0, LayerBytes(300, 40, 0, 0, 40))


@pytest.fixture
def errors() -> GridErrors:
    return GridErrors((FC, CONV), {"fc": INT8, "conv": INT8}, 40, 100)


def test_the_layer_whose_outputs_have_the_most_noise_is_named_with_its_cause(errors):
    assert what_limits(errors)[0] == (
        "conv loses most: the signal in what it gives is 12.3 dB above the error, that in its weights of 4 bits "
        "20.0 dB, and rounding makes 90 % of the squared error of the weights."
    )


def test_where_clipped_weights_make_most_of_the_error_clipping_is_the_cause(errors):
    clipped = replace(CONV, clipped_share=0.75)
    assert what_limits(replace(errors, layers=(clipped, FC)))[0].endswith(
        "and clipping makes 75 % of the squared error of the weights."
    )


def test_a_layer_of_float_weights_can_be_the_one_that_loses_most(errors):
    floats = replace(CONV, bits=0, weights_db=None, clipped_share=None)
    assert what_limits(replace(errors, layers=(FC, floats)))[0].endswith("above the error; its weights are float.")


def test_weights_without_an_error_are_told_so(errors):
    exact = replace(CONV, weights_db=math.inf, clipped_share=0.0)
    assert what_limits(replace(errors, layers=(exact,)))[0].endswith("; its weights of 4 bits have no error.")


def test_a_network_without_any_error_says_on_how_many_images(errors):
    exact = replace(errors, layers=(replace(CONV, outputs_db=math.inf),))
    assert what_limits(exact)[0] == "No layer gives anything else than before, on 100 calibration images."


def test_what_is_no_weight_is_told_in_percent_and_in_bytes(errors):
    assert what_limits(errors)[1] == (
        "Scales and biases are 16 % of the 1 kB (computed): 80 B and 80 B, and 40 B are other layers, such as batch "
        "norms."
    )
    affine = replace(CONV, bytes=LayerBytes(500, 40, 20, 0, 40))
    assert what_limits(replace(errors, layers=(affine,), other_bytes=0))[1] == (
        "Scales with zero points and biases are 17 % of the 600 B (computed): 60 B and 40 B."
    )


@pytest.mark.parametrize(
    ("kernels", "sentence"),
    [
        (
            (INT8, INT8),
            "Of 2 layers all ask for integer kernels in the file; the errors are of its simulation with floats.",
        ),
        (
            (INT8, FLOAT),
            "1 of 2 layers ask for integer kernels in the file; conv stays float: its activations lie on no grid.",
        ),
        (
            (FLOAT, FLOAT),
            "Only simulated: no layer would run in integers. fc: its activations lie on no grid.",
        ),
    ],
)
def test_what_would_run_in_integers_is_told_with_what_keeps_the_first_of_the_others(kernels, sentence, errors):
    planned = dict(zip(("fc", "conv"), kernels, strict=True))
    assert what_limits(replace(errors, kernels=planned))[2] == sentence


def test_no_layers_at_all_are_refused(errors):
    with pytest.raises(ValueError, match="errors must hold at least one layer"):
        what_limits(replace(errors, layers=()))
