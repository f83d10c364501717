"""A recipe as JSON, and back."""

import json
from collections.abc import Mapping

from efflab.recipe.steps import Recipe, step
from efflab.recipe.techniques import TECHNIQUES, AnyTechnique


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
