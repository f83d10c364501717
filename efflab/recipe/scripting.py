"""A recipe as a script: Python whose execution gives the same weights, bit for bit."""

from collections.abc import Callable
from typing import Any

from efflab.recipe.steps import Recipe, Step
from efflab.recipe.techniques import AnyTechnique


def script(recipe: Recipe, *, seed: int = 0, has_teacher: bool = False) -> str:
    """Python that does what the recipe does: it needs `model` and `data`, and leaves the result in `model`.

    With `has_teacher` it needs `teacher`, too; else the first model is the teacher.

    A technique that was defined in a notebook is written out; its cell's own imports must have run.
    """
    techniques = list(dict.fromkeys(one.technique for one in recipe))
    parts = [_definition(technique) for technique in techniques]
    if any("teacher" in technique.inputs for technique in techniques) and not has_teacher:
        parts.append("teacher = model")
    lines = [*parts, *([""] if parts else []), *(_call(one, seed) for one in recipe)]
    return "\n".join(lines) + "\n"


def _definition(technique: AnyTechnique) -> str:
    """How the script comes by the technique: an import, or its source when it was defined in a notebook."""
    function: Callable[..., Any] = technique.function
    if function.__module__ != "__main__":
        return f"from {function.__module__} import {technique.name}"
    return technique.source


def _call(one: Step, seed: int) -> str:
    arguments = [f"{name}={value!r}" for name, value in one.values.items()]
    arguments += [f"{name}={seed if name == 'seed' else name}" for name in one.technique.inputs if name != "progress"]
    return f"model = {one.technique.name}(model, {', '.join(arguments)})"
