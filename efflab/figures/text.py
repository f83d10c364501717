"""How numbers are written: one spelling for tiles, pictures, sentences and tables. No plotly here.

Fractions come in, percent goes out; bytes are counted in thousands (1 kB = 1000 B), as file managers do. Texts have
a fixed number of digits, so that a tile does not jump while a slider moves, and a rounded zero has no sign.
"""

import math

from efflab.data import Classification


def bytes_text(n_bytes: float) -> str:
    """A size with three significant digits: 12345 -> "12.3 kB".

    Raises:
        ValueError: `n_bytes` is negative or not finite.
    """
    _check("n_bytes", n_bytes)
    if n_bytes < 999.5:
        return f"{n_bytes:.0f} B"
    for unit in ("kB", "MB", "GB"):
        n_bytes /= 1000
        if n_bytes < 999.5:
            return f"{_three_digits(n_bytes)} {unit}"
    return f"{fixed(n_bytes / 1000, 1)} TB"


def ms_text(milliseconds: float) -> str:
    """A duration with three significant digits: 0.42 -> "0.420 ms", 1234 -> "1.23 s".

    Raises:
        ValueError: `milliseconds` is negative or not finite.
    """
    _check("milliseconds", milliseconds)
    if milliseconds < 999.5:
        return f"{_three_digits(milliseconds)} ms"
    return f"{_three_digits(milliseconds / 1000)} s"


def percent_text(fraction: float, digits: int | None = 1) -> str:
    """A fraction in percent: 0.901 -> "90.1 %". With `digits=None` one decimal only where it is needed: "80 %"."""
    percent = fraction * 100
    return f"{short(percent) if digits is None else fixed(percent, digits)} %"


def signed_points_text(fraction: float, digits: int = 1) -> str:
    """A difference between two percentages: -0.045 -> "-4.5 points", 0.003 -> "+0.3 points"."""
    return f"{_signed(fraction * 100, digits)} points"


def ratio_text(ratio: float) -> str:
    """How many times: 4.27 -> "4.3x", 12.4 -> "12x", 0.171 -> "0.17x", infinity -> "∞x"."""
    if math.isinf(ratio):
        return "∞x"
    _check("ratio", ratio)
    digits = 2 if ratio < 0.995 else 1 if ratio < 9.95 else 0
    return f"{fixed(ratio, digits)}x"


def smaller_text(before: float, now: float) -> str:
    """How many times smaller or larger something became; near 1 with a digit more.

    Example:
        >>> smaller_text(313, 165), smaller_text(313, 310), smaller_text(313, 4910), smaller_text(313, 0)
        ('1.9x smaller', '1.01x smaller', '16x larger', '∞x smaller')
        >>> smaller_text(313, 313)
        'as large as before'
    """
    factor = math.inf if not now and before else max(now / before, before / now) if before and now else 1.0
    if factor < 1.005:
        return "as large as before"
    text = f"{fixed(factor, 2)}x" if factor < 1.095 else ratio_text(factor)
    return f"{text} {'smaller' if now < before else 'larger'}"


def interval_text(low: float, high: float, digits: int = 1, *, per_unit: float = 100.0) -> str:
    """Two fractions as the ends of an interval, in percent without the sign: (0.887, 0.913) -> "88.7 to 91.3"."""
    return f"{fixed(low * per_unit, digits)} to {fixed(high * per_unit, digits)}"


def signed_interval_text(low: float, high: float, digits: int = 1, *, per_unit: float = 100.0) -> str:
    """The ends of a difference's interval with their signs: (-0.053, 0.002) -> "-5.3 to +0.2"."""
    return f"{_signed(low * per_unit, digits)} to {_signed(high * per_unit, digits)}"


def score_text(score: float, task: Classification) -> str:
    """A score in the unit of its task: 0.901 -> "90.1 %"."""
    return f"{fixed(score * task.per_unit, 1)} {task.unit}".rstrip()


def difference_text(difference: float, task: Classification, digits: int = 1) -> str:
    """A difference of scores in the unit of their task: percent give points, -0.045 -> "-4.5 points"."""
    if task.unit == "%":
        return signed_points_text(difference, digits)
    return f"{_signed(difference * task.per_unit, digits)} {task.unit}".rstrip()


def fixed(value: float, digits: int) -> str:
    """A number with exactly `digits` decimals, thousands apart and no negative zero: 1234.56 -> "1,234.6"."""
    return f"{round(value, digits) + 0.0:,.{digits}f}"


def short(value: float) -> str:
    """A number with one decimal, or none where it is zero: 80.0 -> "80", 95.5 -> "95.5"."""
    return fixed(value, 1).removesuffix(".0")


def short_number(value: float) -> str:
    """A round number for an axis: 20000 -> "20k", 1500000 -> "1.5M", 0.2 -> "0.2"."""
    for factor, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= factor:
            return f"{value / factor:.10g}{letter}"
    return f"{value:.10g}"


def _signed(value: float, digits: int) -> str:
    """A sign before everything but zero."""
    text = fixed(value, digits)
    return f"+{text}" if round(value, digits) > 0 else text


def _three_digits(value: float) -> str:
    rounded = float(f"{value:.3g}")
    before_point = math.floor(math.log10(rounded)) + 1 if rounded else 1
    return fixed(rounded, max(0, 3 - before_point))


def _check(name: str, value: float) -> None:
    if not (math.isfinite(value) and value >= 0):
        raise ValueError(f"{name} must be a finite number that is not negative, not {value!r}")
