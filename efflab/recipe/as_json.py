"""A recipe as JSON, which journals and files keep: {"version": 1, "steps": [{"technique": ..., "settings": ...}, ...]}.

Every setting is written, so that a default that changes later changes no recipe of earlier. Before there was a version,
the list of steps stood alone; both are read.
"""

import json
from collections.abc import Mapping

from efflab.recipe.entries import Entry, check_n_steps, check_text, shown, steps_of
from efflab.recipe.steps import Recipe, check_recipe
from efflab.recipe.techniques import TECHNIQUES, AnyTechnique

VERSION = 1
"""The version of the text that is written; one more when an older efflab would misread it."""


def to_json(recipe: Recipe) -> str:
    """The recipe as JSON: {"version": 1, "steps": [{"technique": name, "settings": {knob: value}}, ...]}.

    Raises:
        TypeError: `recipe` is no tuple of steps.
    """
    check_recipe(recipe)
    steps = [{"technique": one.technique.name, "settings": one.values} for one in recipe]
    return json.dumps({"version": VERSION, "steps": steps})


def from_json(text: str, techniques: Mapping[str, AnyTechnique] = TECHNIQUES) -> Recipe:
    """The recipe that `to_json` wrote, now or before there were versions. Name your own techniques in `techniques`.

    Example:
        >>> from_json('{"version": 1, "steps": [{"technique": "fine_tune", "settings": {"epochs": 2}}]}')
        (fine_tune(epochs=2, learning_rate=0.003),)

    Raises:
        ValueError: as `entries_of`; or an unknown technique, or a setting out of range.
        TypeError: a setting of the wrong type, or one that is no knob of its technique; `text` is no text.
    """
    return steps_of(entries_of(text), techniques)


def entries_of(text: str) -> tuple[Entry, ...]:
    """The steps that a recipe's JSON names, whether their techniques are known here or not.

    Raises:
        ValueError: too long, no JSON, no recipe, too many steps, or written by a newer efflab.
        TypeError: `text` is no text.
    """
    check_text(text)
    try:
        found = json.loads(text, object_pairs_hook=_object)
    except RecursionError as error:
        raise _refusal(text, "it is nested too deeply") from error
    except ValueError as error:
        raise _refusal(text, f"it cannot be read as JSON ({error})") from error
    steps = _newest(found, text) if isinstance(found, dict) else found
    if not isinstance(steps, list):
        raise _refusal(text, f"its steps must be a list, not {shown(steps)}")
    check_n_steps(len(steps))
    return tuple(_entry(number, one, text) for number, one in enumerate(steps, 1))


def _newest(found: dict[str, object], text: str) -> object:
    """The steps of a recipe that says its version."""
    version = found.get("version")
    if type(version) is int and version > VERSION:
        raise ValueError(
            f"this recipe was written by a newer efflab: its version is {shown(version)}, and this efflab reads up to "
            f"version {VERSION}; update efflab to read it"
        )
    if type(version) is not int or version != VERSION:  # True and 1.0 equal 1, too
        raise _refusal(text, f"its version must be {VERSION}, not {shown(version)}")
    return found.get("steps")


def _entry(number: int, one: object, text: str) -> Entry:
    if not isinstance(one, dict):
        raise _refusal(text, f"step {number} must be an object in braces, not {shown(one)}")
    name, settings = one.get("technique"), one.get("settings")
    if not isinstance(name, str):
        raise _refusal(text, f"the technique of step {number} must be a name in quotes, not {shown(name)}")
    if not isinstance(settings, dict):
        raise _refusal(text, f"the settings of step {number} must be an object in braces, not {shown(settings)}")
    return Entry(name, settings)


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """An object whose names are written once each: of two values nobody knows which was meant."""
    found: dict[str, object] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"{shown(name)} is written twice")
        found[name] = value
    return found


def _refusal(text: str, reason: str) -> ValueError:
    return ValueError(
        'a recipe in JSON must be {"version": 1, "steps": [{"technique": name, "settings": {...}}, ...]}, '
        f"not {shown(text)}: {reason}"
    )
