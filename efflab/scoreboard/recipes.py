"""A recipe that was written down as JSON: whether it is one, and how it is told in words."""

from collections.abc import Mapping
from typing import Any

from efflab.recipe import TECHNIQUES, entries_of


def check_recipe_text(recipe: str) -> None:
    """Raise ValueError, with a clause, unless `recipe` is JSON as `to_json` writes it, of whatever techniques."""
    try:
        entries_of(recipe)
    except ValueError as error:
        raise ValueError(f"its recipe cannot be read: {error}") from None


def recipe_text(recipe: str) -> str:
    """A recipe in JSON as words: the first setting of each step, and others that are not the usual ones.

    Example:
        >>> recipe_text('[{"technique": "prune_weights", "settings": {"sparsity": 0.8, "scope": "global"}}]')
        'prune_weights(sparsity=0.8)'

    Raises:
        ValueError: it is no recipe.
    """
    return ", then ".join(_step_text(one.technique, one.settings) for one in entries_of(recipe))


def recipe_words(recipe: str) -> str:
    """A recipe in words, or as it is where it is none; that of a language model's serving is a list of settings."""
    try:
        check_recipe_text(recipe)
    except ValueError:
        return recipe
    return recipe_text(recipe)


def _step_text(technique: str, settings: Mapping[str, Any]) -> str:
    usual = TECHNIQUES[technique].defaults if technique in TECHNIQUES else {}
    told = [f"{k}={v}" for i, (k, v) in enumerate(settings.items()) if i == 0 or usual.get(k) != v]
    return f"{technique}({', '.join(told)})"
