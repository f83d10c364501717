"""Steps as values: a technique and all of its settings, and a recipe as a tuple of them."""

from collections.abc import Mapping
from dataclasses import dataclass

from efflab.knobs import Setting, Technique, Value
from efflab.recipe.techniques import AnyTechnique

Frozen = Value | tuple[tuple[str, Value], ...]


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
        >>> from efflab.prune import prune_weights
        >>> step(prune_weights, sparsity=0.8)
        prune_weights(sparsity=0.8, scope='global', criterion='magnitude')

    Raises:
        TypeError: `technique` is none; a setting is no knob of it, or of the wrong type.
        ValueError: a setting is out of range.
    """
    check_technique(technique)
    technique.check(settings)
    whole = technique.defaults | settings
    return Step(technique, tuple((name, _freeze(value)) for name, value in whole.items()))


def check_technique(technique: object) -> None:
    """Raise TypeError unless `technique` is one."""
    if not isinstance(technique, Technique):
        raise TypeError(
            f"a technique is a function such as prune_weights, without quotes or brackets, not {technique!r}"
        )


def check_recipe(recipe: object) -> None:
    """Raise TypeError unless `recipe` is a tuple of steps."""
    if not isinstance(recipe, tuple) or not all(isinstance(one, Step) for one in recipe):
        raise TypeError(
            "a recipe is a tuple of steps, such as (step(prune_weights, sparsity=0.9),) with its comma, "
            f"not {type(recipe).__name__} {recipe!r}"
        )


def _freeze(setting: Setting) -> Frozen:
    if isinstance(setting, Mapping):
        return tuple(sorted((layer, _plain(value)) for layer, value in setting.items()))
    return _plain(setting)


def _plain(value: Value) -> Value:
    """The value as Python's own number or text: NumPy's float64 is a float, but its repr is no Python without NumPy."""
    return next(kind(value) for kind in (int, float, str) if isinstance(value, kind))
