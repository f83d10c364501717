"""A recipe from whatever text somebody has: the JSON of a journal or the line of a cell, as a paste box takes them."""

import ast
import re
from collections.abc import Mapping

from efflab.recipe.as_json import from_json
from efflab.recipe.as_line import from_line, parse
from efflab.recipe.entries import check_text
from efflab.recipe.steps import Recipe
from efflab.recipe.techniques import TECHNIQUES, AnyTechnique

NAMED = re.compile(r"\s*recipe\s*=(?!=)")
JSON = re.compile(r"\s*(\{|\[\s*[{\]])")
"""An object, or a list that is empty or holds objects; a list of steps is a line that should have been a tuple."""


def recipe_from(text: str, techniques: Mapping[str, AnyTechnique] = TECHNIQUES) -> Recipe:
    """The recipe that a text says, in JSON or as a line; `recipe =` may stand in front, and quotes around it.

    Nothing of it is executed. Name your own techniques in `techniques`.

    Example:
        >>> recipe_from("recipe = (step(fine_tune, epochs=2),)")
        (fine_tune(epochs=2, learning_rate=0.003),)
        >>> recipe_from('[{"technique": "fine_tune", "settings": {"epochs": 2}}]')
        (fine_tune(epochs=2, learning_rate=0.003),)

    Raises:
        ValueError, TypeError: as `from_json` and `from_line`; or the text is empty.
    """
    check_text(text)
    text = _bare(_bare(text))  # to_line(recipe) at a prompt is shown in quotes, and `recipe =` may be outside or inside
    if not text.strip():
        raise ValueError("there is no recipe in an empty text; give its line, (step(...), ...), or its JSON")
    return from_json(text, techniques) if JSON.match(text) else from_line(text, techniques)


def _bare(text: str) -> str:
    """The text without `recipe =` in front, or else without the quotes around it."""
    if found := NAMED.match(text):
        return text[found.end() :]
    if text.strip()[:1] in ("'", '"'):
        match parse(text):
            case [ast.Expr(value=ast.Constant(value=str() as inner))]:
                return inner
    return text
