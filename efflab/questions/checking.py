"""Running a learner's function on the cases of a check, and saying what is wrong in words that help.

Nothing that the function does is raised here: an exception, a forgotten `return` or a changed input becomes a
sentence. Of several failing cases the first is told if its result has the wrong form (type, shape); else the first
whose result is a known misconception, because that sentence says why; else the first.
"""

import inspect
import linecache
import traceback
from collections.abc import Callable
from dataclasses import dataclass

from efflab.questions.kinds import Case, Check, Value, Verdict
from efflab.questions.values import agrees, copied, identical, misfit, shown, shown_apart

_WRITE_IT = "replace `raise NotImplementedError` by your own lines, then run that cell and this one again."


@dataclass(frozen=True)
class _Failure:
    sentence: str
    known: bool = False  # a misconception, whose sentence goes before a mere "expected, received"
    form: bool = False  # the wrong kind of result, which must be put right before the numbers mean anything
    final: bool = False  # no other case would say more


def run_check(check: Check, function: object) -> Verdict:
    """Judge a learner's function on every case.

    Args:
        check: what to run.
        function: what the learner wrote; anything, also something that is no function.
    """
    n_cases = len(check.cases)
    if not callable(function):
        return Verdict(False, _not_callable(check.id, function), 0, n_cases)
    refused = _wrong_arguments(check, function)
    if refused:
        return Verdict(False, refused, 0, n_cases)
    failures: list[_Failure] = []
    for case in check.cases:
        failure = _failure(check.id, case, function)
        if failure and failure.final:
            return Verdict(False, failure.sentence, 0, n_cases)
        failures += [failure] if failure else []
    if not failures:
        return Verdict(True, f"{check.id} passes all {n_cases} cases.", n_cases, n_cases)
    first = failures[0]
    told = first if first.form else next((failure for failure in failures if failure.known), first)
    return Verdict(False, told.sentence, n_cases - len(failures), n_cases)


def _failure(name: str, case: Case, function: Callable[..., object]) -> _Failure | None:
    inputs: list[Value] = [copied(value) for _, value in case.inputs]
    try:
        received = function(*inputs)
    except Exception as error:
        if isinstance(error, NotImplementedError) and _is_stub(function):
            return _Failure(f"{name} is not written yet: {_WRITE_IT}", final=True)
        return _Failure(f"{name} raised {_raised(error, function)}. {_called(case)}")
    changed = [key for (key, value), now in zip(case.inputs, inputs, strict=True) if not identical(now, value)]
    if changed:
        return _Failure(
            f"{name} changed its input `{changed[0]}`, which the caller still needs: work on a copy "
            f"(`{changed[0]}.clone()`) and leave out operations that end in an underscore. {_called(case)}",
            form=True,
        )
    return _wrong_result(name, case, received)


def _wrong_result(name: str, case: Case, received: object) -> _Failure | None:
    for wrong in case.wrong:
        if matches(case, wrong.output, received):
            return _Failure(f"{wrong.misconception.sentence} {_told(case, received)}", known=True)
    if received is None and case.expected is not None:
        return _Failure(f"{name} returned nothing: is there a `return`? {_called(case)}", form=True)
    form = misfit(received, case.expected)
    if form:
        return _Failure(f"{name} is not right yet: {form}. {_called(case)}", form=True)
    if not agrees(case, received):
        return _Failure(f"{name} is not right yet. {_told(case, received)}")
    return None


def matches(case: Case, output: Value, received: object) -> bool:
    """Whether a result is this wrong output, as exactly as the case compares."""
    wanted = Case(case.inputs, output, "close", case.tolerance)
    return misfit(received, output) is None and agrees(wanted, received)


def _not_callable(name: str, function: object) -> str:
    if function is None:
        return f"There is no function to check: give {name} itself, without brackets after the name."
    return f"{shown(function)} is not a function: give {name} itself, without calling it."


def _wrong_arguments(check: Check, function: Callable[..., object]) -> str | None:
    names = [name for name, _ in check.cases[0].inputs]
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # some functions written in C do not tell
        return None
    try:
        signature.bind(*names)
    except TypeError:
        taken = ", ".join(signature.parameters) or "nothing"
        return f"{check.id} must take {', '.join(names)}, in this order; yours takes {taken}."
    return None


def _is_stub(function: Callable[..., object]) -> bool:
    # torch raises NotImplementedError too, for an operation that it lacks; then the word is not in the code.
    code = getattr(inspect.unwrap(function), "__code__", None)
    return code is None or "NotImplementedError" in code.co_names


def _raised(error: Exception, function: Callable[..., object]) -> str:
    said = f"{type(error).__name__} ({_first_line(error)})" if str(error) else type(error).__name__
    code = getattr(inspect.unwrap(function), "__code__", None)
    frames = [f for f in traceback.extract_tb(error.__traceback__) if code and f.filename == code.co_filename]
    if not frames:
        return said
    line = frames[-1].line or linecache.getline(frames[-1].filename, frames[-1].lineno or 0).strip()
    return f"{said} in line {frames[-1].lineno}" + (f": `{line}`" if line else "")


def _first_line(error: Exception) -> str:
    text = str(error).splitlines()[0].strip().rstrip(".")
    return text if len(text) <= 120 else f"{text[:117]}..."


def _called(case: Case) -> str:
    return f"The call was with {_inputs(case)}."


def _told(case: Case, received: object) -> str:
    expected, got = shown_apart(case.expected, received)
    return f"With {_inputs(case)}: expected {expected}, received {got}."


def _inputs(case: Case) -> str:
    return ", ".join(f"{name} = {shown(value)}" for name, value in case.inputs)
