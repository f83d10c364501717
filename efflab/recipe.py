"""Recipes: what was done to a network, as small values that can be compared, saved and run again.

A `Step` is a technique and its settings; a recipe is a tuple of steps; running it is a fold over the model. `script`
writes a recipe as Python, and running that text gives the same weights, bit for bit.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from efflab.data import Data
from efflab.distill import (
    distill_attention,
    distill_hints,
    distill_predictions,
    distill_relations,
    shift_bias,
    start_again,
    start_student,
)
from efflab.knobs import Setting, Technique, Value
from efflab.prune import (
    fine_tune,
    prune_filters,
    prune_gradually,
    prune_heads,
    prune_iteratively,
    prune_neurons,
    prune_weights,
    recalibrate,
    train_ticket,
    zero_neurons,
)
from efflab.quantize import (
    correct_biases,
    equalize,
    fold_batch_norms,
    learn_rounding,
    quantize_activations,
    quantize_weights,
    share_weights,
    train_centroids,
    train_quantized,
)
from efflab.training import Progress

AnyTechnique = Technique[...]
Frozen = Value | tuple[tuple[str, Value], ...]

TECHNIQUES: dict[str, AnyTechnique] = {
    technique.name: technique
    for technique in (
        prune_weights,
        fine_tune,
        prune_gradually,
        prune_iteratively,
        train_ticket,
        zero_neurons,
        prune_neurons,
        prune_filters,
        prune_heads,
        recalibrate,
        fold_batch_norms,
        equalize,
        quantize_weights,
        quantize_activations,
        learn_rounding,
        correct_biases,
        train_quantized,
        share_weights,
        train_centroids,
        start_student,
        start_again,
        shift_bias,
        distill_predictions,
        distill_hints,
        distill_attention,
        distill_relations,
    )
}
"""All techniques, in teaching order."""


@dataclass(frozen=True)
class Step:
    """A technique and all of its settings; a setting per layer is kept as sorted pairs. Make one with `step`."""

    technique: AnyTechnique
    settings: tuple[tuple[str, Frozen], ...]

    @property
    def values(self) -> dict[str, Setting]:
        """The settings as the technique takes them."""
        return {name: dict(value) if isinstance(value, tuple) else value for name, value in self.settings}

    def __repr__(self) -> str:
        return f"{self.technique.name}({', '.join(f'{name}={value!r}' for name, value in self.values.items())})"


Recipe = tuple[Step, ...]


def step(technique: AnyTechnique, **settings: Setting) -> Step:
    """A step of a recipe; settings that are not given take their defaults.

    Example:
        >>> step(prune_weights, sparsity=0.8)
        prune_weights(sparsity=0.8, scope='global', criterion='magnitude')

    Raises:
        TypeError: a setting is no knob of the technique, or of the wrong type.
        ValueError: a setting is out of range.
    """
    technique.check(settings)
    whole = technique.defaults | settings
    return Step(technique, tuple((name, _freeze(value)) for name, value in whole.items()))


def check_recipe(recipe: object) -> None:
    """Raise TypeError unless `recipe` is a tuple of steps."""
    if not isinstance(recipe, tuple) or not all(isinstance(one, Step) for one in recipe):
        raise TypeError(
            "a recipe is a tuple of steps, such as (step(prune_weights, sparsity=0.9),) with its comma, "
            f"not {type(recipe).__name__} {recipe!r}"
        )


def run(
    recipe: Recipe,
    model: nn.Module,
    *,
    data: Data,
    seed: int = 0,
    progress: Progress | None = None,
    teacher: nn.Module | None = None,
) -> nn.Module:
    """The model that the recipe makes of `model`, which stays as it is. Each step gets the inputs that it asks for."""
    inputs = {"data": data, "seed": seed, "progress": progress, "teacher": model if teacher is None else teacher}
    for one in recipe:
        wanted = {name: inputs[name] for name in one.technique.inputs}
        model = one.technique(model, **one.values, **wanted)
    return model


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


def to_json(recipe: Recipe) -> str:
    """The recipe as JSON: a list of {"technique": name, "settings": {knob: value}}."""
    return json.dumps([{"technique": one.technique.name, "settings": one.values} for one in recipe])


def from_json(text: str, techniques: Mapping[str, AnyTechnique] = TECHNIQUES) -> Recipe:
    """The recipe that `to_json` wrote. Techniques of one's own must be given in `techniques`.

    Raises:
        ValueError: not JSON, not a recipe, an unknown technique, or a setting out of range.
        TypeError: a setting of the wrong type, or one that is no knob of its technique.
    """
    try:
        entries = [(entry["technique"], dict(entry["settings"])) for entry in json.loads(text)]
    except (json.JSONDecodeError, TypeError, KeyError, ValueError) as error:
        raise ValueError(
            f'a recipe must be a list of {{"technique": name, "settings": {{...}}}}, not {text[:80]!r} ({error!r})'
        ) from error
    if unknown := [name for name, _ in entries if name not in list(techniques)]:  # a list: anything may stand there
        raise ValueError(f"unknown technique {unknown[0]!r}; known are: {', '.join(techniques)}")
    return tuple(step(techniques[name], **settings) for name, settings in entries)


def _freeze(setting: Setting) -> Frozen:
    if isinstance(setting, Mapping):
        return tuple(sorted((layer, _plain(value)) for layer, value in setting.items()))
    return _plain(setting)


def _plain(value: Value) -> Value:
    """The value as Python's own number or text: NumPy's float64 is a float, but its repr is no Python without NumPy."""
    return next(kind(value) for kind in (int, float, str) if isinstance(value, kind))


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
