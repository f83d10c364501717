"""What limits a quantized network here: three sentences from numbers that were measured and counted.

Which layer loses most, and whether by rounding or by clipping; which bytes are no weights; and whether integers would
run at all, for a simulation is not faster.

Where we simplify: one cause a sentence, by the numbers of this network alone. At work: quantize one layer at a time and
look at the score, as `efflab.prune.sensitivity` does for zeros.
"""

import math

from efflab.costs.texts import plural, size
from efflab.lab.grid_errors import GridErrors, LayerError
from efflab.runtime.quantized import bits_text

HALF = 0.5
"""The share of the squared error from which on clipping is what a narrow grid costs."""


def what_limits(errors: GridErrors) -> tuple[str, str, str]:
    """The layer that loses most, the bytes that are no weights, and what would run: a sentence each.

    Raises:
        ValueError: there are no layers.
    """
    if not errors.layers:
        raise ValueError("errors must hold at least one layer")
    return _loss(errors), _overhead(errors), _kernels(errors)


def _loss(errors: GridErrors) -> str:
    worst = min(errors.layers, key=lambda one: one.outputs_db)
    if math.isinf(worst.outputs_db):
        return f"No layer gives anything else than before, on {plural(errors.n_images, 'calibration image')}."
    signal = f"the signal in what it gives is {worst.outputs_db:.1f} dB above the error"
    return f"{worst.layer} loses most: {signal}{_weights(worst)}."


def _weights(one: LayerError) -> str:
    """How the weights of the layer are, where they lie on a grid."""
    if one.weights_db is None or one.clipped_share is None:
        return "; its weights are float"
    if math.isinf(one.weights_db):
        return f"; its weights of {bits_text(one.bits)} have no error"
    cause, share = ("clipping", one.clipped_share) if one.clipped_share > HALF else ("rounding", 1 - one.clipped_share)
    return (
        f", that in its weights of {bits_text(one.bits)} {one.weights_db:.1f} dB, "
        f"and {cause} makes {100 * share:.0f} % of the squared error of the weights"
    )


def _overhead(errors: GridErrors) -> str:
    scales, zero_points, biases = (
        sum(getattr(one.bytes, part) for one in errors.layers) for part in ("scales", "zero_points", "biases")
    )
    total, share = errors.n_bytes, 100 * (scales + zero_points + biases) / max(errors.n_bytes, 1)
    zeros = " with zero points" if zero_points else ""
    others = f", and {size(errors.other_bytes)} are other layers, such as batch norms" if errors.other_bytes else ""
    return (
        f"Scales{zeros} and biases are {share:.0f} % of the {size(total)} (computed): "
        f"{size(scales + zero_points)} and {size(biases)}{others}."
    )


def _kernels(errors: GridErrors) -> str:
    floats = {name: plan.why for name, plan in errors.kernels.items() if plan.kernel == "float"}
    n, n_integers = len(errors.kernels), len(errors.kernels) - len(floats)
    layers, (first, why) = plural(n, "layer"), next(iter(floats.items()), ("", ""))
    if not n_integers:
        return f"Only simulated: no layer would run in integers. {first}: {why}."
    if floats:
        return f"{n_integers} of {layers} ask for integer kernels in the file; {first} stays float: {why}."
    return f"Of {layers} all ask for integer kernels in the file; the errors are of its simulation with floats."
