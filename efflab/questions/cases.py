"""From YAML to the cases of a check; a file that contradicts itself is refused.

A tensor is written `{tensor: [[1.0, -2.0]], dtype: float32}`. A case says what is expected either as a value
(`expected`) or as the name of a public function of efflab that computes it (`reference`). Files hold no code: a
misconception is known by what it returns.
"""

import importlib
import re
from collections.abc import Callable

import torch

from efflab.questions.checking import matches
from efflab.questions.form import Part, QuestionsError
from efflab.questions.kinds import Case, Check, Misconception, Value, Wrong
from efflab.questions.values import agrees, copied, misfit

_DTYPES = ("bool", "uint8", "int8", "int16", "int32", "int64", "float16", "bfloat16", "float32", "float64")
_COMPARISONS = ("equal", "close", "mask")
_REFERENCE = re.compile(r"efflab(\.[a-z][a-z0-9_]*){2,}")


def read_check(part: Part) -> Check:
    """The check that a part of a file describes.

    Raises:
        QuestionsError: it is not in the right form, or contradicts itself (a "wrong" output that is right).
    """
    fields = part.fields(["id", "text", "cases"], ["misconceptions"])
    told = fields["misconceptions"].mapping() if "misconceptions" in fields else {}
    known = {key: Misconception(key, sentence.text()) for key, sentence in told.items()}
    cases = tuple(_case(item, known) for item in fields["cases"].items())
    for item, case in zip(fields["cases"].items(), cases, strict=True):
        if [name for name, _ in case.inputs] != [name for name, _ in cases[0].inputs]:
            raise item.error("its inputs have other names than those of the first case")
    used = {wrong.misconception.key for case in cases for wrong in case.wrong}
    for key, sentence in told.items():
        if key not in used:
            raise sentence.error(f"no case shows the misconception {key!r}; list what it returns under `wrong`")
    return Check(fields["id"].text(), fields["text"].text(), cases, tuple(known.values()))


def _case(part: Part, known: dict[str, Misconception]) -> Case:
    fields = part.fields(["inputs"], ["expected", "reference", "compare", "tolerance", "wrong"])
    inputs = tuple((name, _value(value)) for name, value in fields["inputs"].mapping().items())
    if ("expected" in fields) == ("reference" in fields):
        raise part.error(f"{part.name} must have either expected or reference, and not both")
    computed = "reference" in fields
    expected = _from_reference(fields["reference"], inputs) if computed else _value(fields["expected"])
    compare, tolerance = _comparison(part, fields)
    case = Case(inputs, expected, compare, tolerance)
    if compare == "mask":
        _check_mask(part, case)
    wrong = _wrong(fields["wrong"], case, known) if "wrong" in fields else ()
    return Case(inputs, expected, compare, tolerance, wrong)


def _comparison(part: Part, fields: dict[str, Part]) -> tuple[str, float]:
    compare = fields["compare"].text() if "compare" in fields else "equal"
    if compare not in _COMPARISONS:
        raise fields["compare"].error(f"compare is {compare!r}; it must be one of {', '.join(_COMPARISONS)}")
    if ("tolerance" in fields) != (compare == "close"):
        raise part.error(f"{part.name} must have a tolerance with `compare: close`, and only then")
    tolerance = fields["tolerance"].number() if "tolerance" in fields else 0.0
    if tolerance < 0 or (compare == "close" and tolerance == 0):
        raise fields["tolerance"].error(f"tolerance is {tolerance:g}; it must be more than 0")
    return compare, tolerance


def _check_mask(part: Part, case: Case) -> None:
    weights = [value for _, value in case.inputs if isinstance(value, torch.Tensor)]
    fits = len(weights) == 1 and misfit(case.expected, torch.zeros(weights[0].shape, dtype=torch.bool)) is None
    if not fits:
        raise part.error(f"{part.name} compares a mask: it needs one tensor input and a bool mask of its shape")
    if not agrees(case, case.expected):
        raise part.error(f"{part.name} expects a mask that removes a larger weight than one that it keeps")


def _wrong(part: Part, case: Case, known: dict[str, Misconception]) -> tuple[Wrong, ...]:
    found: list[Wrong] = []
    for item in part.items():
        fields = item.fields(["output", "misconception"])
        output, key = _value(fields["output"]), fields["misconception"]
        if key.text() not in known:
            raise key.error(f"misconception {key.text()!r} is not listed; there are: {', '.join(known) or 'none'}")
        if misfit(output, case.expected) is None and agrees(case, output):
            raise item.error(f"{item.name} is a right answer")
        if any(matches(case, other.output, output) for other in found):
            raise item.error(f"{item.name} has the output of an earlier one, which could not be told from it")
        found.append(Wrong(output, known[key.text()]))
    return tuple(found)


def _value(part: Part) -> Value:
    if part.is_mapping():
        fields = part.fields(["tensor", "dtype"])
        dtype = fields["dtype"].text()
        if dtype not in _DTYPES:
            raise fields["dtype"].error(f"dtype is {dtype!r}; it must be one of {', '.join(_DTYPES)}")
        return _tensor(fields["tensor"], getattr(torch, dtype))
    if part.is_list():
        return tuple(_value(item) for item in part.items())
    return part.scalar()


def _tensor(part: Part, dtype: torch.dtype) -> torch.Tensor:
    plain = part.plain()
    try:
        as_written = torch.tensor(plain)
        tensor = torch.tensor(plain, dtype=dtype)
    except (TypeError, ValueError, RuntimeError) as error:
        raise part.error(f"{part.name} must hold rows of equal length with numbers or true/false") from error
    if tensor.numel() and _family(as_written.dtype) > _family(dtype):
        raise part.error(f"{part.name} holds values that are not of type {str(dtype).removeprefix('torch.')}")
    if (as_written.dtype == torch.bool) != (dtype == torch.bool) and tensor.numel():
        raise part.error(f"{part.name} mixes true/false with numbers; its dtype is {dtype}")
    return tensor


def _family(dtype: torch.dtype) -> int:
    return 0 if dtype == torch.bool else 2 if dtype.is_floating_point else 1


def _from_reference(part: Part, inputs: tuple[tuple[str, Value], ...]) -> Value:
    try:
        return _reference(part)(*(copied(value) for _, value in inputs))
    except (TypeError, RuntimeError, ValueError) as error:
        if isinstance(error, QuestionsError):
            raise
        raise part.error(f"reference {part.text()!r} does not take these inputs ({error})") from error


def _reference(part: Part) -> Callable[..., Value]:
    name = part.text()
    if not _REFERENCE.fullmatch(name):
        raise part.error(f"reference is {name!r}; it must be a public function of efflab, such as efflab.room.function")
    module, _, attribute = name.rpartition(".")
    try:
        function = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise part.error(f"reference {name!r} does not exist ({error})") from error
    if not callable(function) or not str(getattr(function, "__module__", "")).startswith("efflab."):
        raise part.error(f"reference {name!r} is not a function of efflab")
    return function  # type: ignore[no-any-return]
