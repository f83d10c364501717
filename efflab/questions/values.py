"""Inputs and results of checks: how they are copied, compared and shown in one short line.

A result is compared in two steps. `misfit` looks at its form (type, shape, dtype) and answers in a sentence;
`agrees` looks at its numbers.
"""

import math
import numbers

import torch

from efflab.questions.kinds import Case, Value

_KINDS = {bool: "True or False", int: "a whole number", float: "a number", str: "text"}
_LONGEST = 90
_DIGITS, _ALL_DIGITS = 15, 17
"""Significant digits that are shown of a number, and those that tell any two apart."""
_FEWER_IN_A_SINGLE = 8
"""A number of 32 bits has 7 good digits, and 9 tell any two apart."""
_LARGEST = 1e16
"""From here on a number is written with its power of ten, as Python writes it."""


def copied(value: Value) -> Value:
    """The same value in storage of its own."""
    if isinstance(value, torch.Tensor):
        return value.clone()
    return tuple(copied(item) for item in value) if isinstance(value, tuple) else value


def identical(a: object, b: Value) -> bool:
    """Whether two values have the same form and the same numbers (NaN equals NaN)."""
    return misfit(a, b) is None and _near(a, b, 0.0)


def misfit(received: object, expected: Value) -> str | None:
    """What is wrong with the form of a result, as a sentence about "it"; None if the form is right.

    A whole number passes where a number is expected, and a list where a tuple is. Python's True is no number.
    """
    if isinstance(expected, torch.Tensor):
        return _tensor_misfit(received, expected)
    if isinstance(expected, tuple):
        if not isinstance(received, tuple | list) or len(received) != len(expected):
            kind = "" if isinstance(received, tuple | list) else f"a {type(received).__name__}, "
            return f"it returned {kind}{shown(received)}; a list or tuple of {len(expected)} is expected"
        found = (misfit(r, e) for r, e in zip(received, expected, strict=True))
        return next((sentence for sentence in found if sentence), None)
    if isinstance(received, torch.Tensor) and expected is not None:
        hint = "; `.item()` turns a tensor with one value into a number" if received.numel() == 1 else ""
        return f"it returned a tensor where {_kind(expected)} is expected{hint}"
    return None if _same_kind(received, expected) else f"it returned {_a(received)}; {_kind(expected)} is expected"


def agrees(case: Case, received: object) -> bool:
    """Whether the numbers of a result are right; its form must have passed `misfit`.

    A mask (True = kept) is right when it keeps exactly as many weights as the expected one and removes none that
    is larger in magnitude than one that it keeps. So weights with the same magnitude may be chosen in any way.
    """
    if case.compare == "mask":
        weight = mask_weight(case)
        assert isinstance(received, torch.Tensor)
        assert isinstance(case.expected, torch.Tensor)
        same_count = received.sum() == case.expected.sum()
        return bool(same_count) and _removes_smallest(weight.abs(), received)
    return _near(received, case.expected, case.tolerance)


def mask_weight(case: Case) -> torch.Tensor:
    """The one tensor among the inputs, of which a mask case asks a mask."""
    tensors = [value for _, value in case.inputs if isinstance(value, torch.Tensor)]
    (weight,) = tensors
    return weight


def shown(value: object) -> str:
    """A value in one short line: its numbers in full, with the thousands of a single number apart."""
    return _cut(_written(value))


def shown_apart(a: object, b: object) -> tuple[str, str]:
    """Two values in a short line each; if they differ, so do the lines."""
    texts, more = ((_written(a, digits), _written(b, digits)) for digits in (_DIGITS, _ALL_DIGITS))
    if texts[0] == texts[1] and more[0] != more[1]:
        texts = more
    cut = _cut(texts[0]), _cut(texts[1])
    if cut[0] != cut[1] or texts[0] == texts[1]:
        return cut
    shorter = min(map(len, texts))
    differs = next((at for at in range(shorter) if texts[0][at] != texts[1][at]), shorter)
    start = texts[0].rfind(" ", 0, differs) + 1  # of the number that differs
    return _cut(f"... {texts[0][start:]}"), _cut(f"... {texts[1][start:]}")


def _tensor_misfit(received: object, expected: torch.Tensor) -> str | None:
    if not isinstance(received, torch.Tensor):
        return f"it returned {_a(received)}; a tensor is expected"
    if received.shape != expected.shape:
        return f"it returned the shape {tuple(received.shape)}; {tuple(expected.shape)} is expected"
    if received.layout != expected.layout or received.device != expected.device:
        return f"it returned a {received.layout} tensor on {received.device}; an ordinary one on the CPU is expected"
    if received.dtype != expected.dtype:
        wanted, got = (str(t.dtype).removeprefix("torch.") for t in (expected, received))
        return f"it returned values of type {got}; {wanted} is expected, which `.to(torch.{wanted})` makes"
    return None


def _same_kind(received: object, expected: object) -> bool:
    if isinstance(expected, bool) or isinstance(received, bool):
        return isinstance(expected, bool) and isinstance(received, bool)
    if isinstance(expected, int):
        return isinstance(received, numbers.Integral)
    if isinstance(expected, float):
        return isinstance(received, numbers.Real)
    return isinstance(received, type(expected))


def _near(received: object, expected: Value, tolerance: float) -> bool:
    if isinstance(expected, torch.Tensor):
        assert isinstance(received, torch.Tensor)
        return torch.allclose(received.double(), expected.double(), rtol=0, atol=tolerance, equal_nan=True)
    if isinstance(expected, tuple):
        assert isinstance(received, tuple | list)
        return all(_near(r, e, tolerance) for r, e in zip(received, expected, strict=True))
    if isinstance(expected, float) and isinstance(received, numbers.Real):
        same = received == expected or (math.isnan(received) and math.isnan(expected))
        return same or abs(float(received) - expected) <= tolerance
    return bool(received == expected)


def _removes_smallest(magnitude: torch.Tensor, mask: torch.Tensor) -> bool:
    kept, removed = magnitude[mask], magnitude[~mask]
    return kept.numel() == 0 or removed.numel() == 0 or bool(removed.max() <= kept.min())


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def _written(value: object, digits: int = _DIGITS) -> str:
    """A value as Python writes it, numbers with up to `digits` significant digits and commas between thousands.

    Within a list a comma would look like the next item: there are no thousands apart.
    """
    if isinstance(value, torch.Tensor):
        fewer = 0 if value.dtype == torch.float64 else _FEWER_IN_A_SINGLE
        return repr(_rounded(value.detach().tolist(), digits - fewer))
    number = _rounded(value, digits)
    if isinstance(number, int | float) and not isinstance(number, bool) and abs(number) < _LARGEST:
        return f"{number:,}"
    return repr(number)


def _rounded(value: object, digits: int) -> object:
    if isinstance(value, list | tuple):
        return type(value)(_rounded(item, digits) for item in value)
    if isinstance(value, float) and not value.is_integer():  # a whole number is shown in full
        return float(f"{value:.{digits}g}")
    return value


def _kind(expected: object) -> str:
    return _KINDS.get(type(expected), "None")


def _a(received: object) -> str:
    if isinstance(received, bool | int | float | str):
        return shown(received)
    return f"a value of type {type(received).__name__}"
