"""Recipes: what was done to a network, as small values that can be compared, saved and run again.

A `Step` is a technique and its settings; a recipe is a tuple of steps; running it is a fold over the model. `script`
writes a recipe as Python, and running that text gives the same weights, bit for bit.

`techniques.py` lists all techniques; `steps.py` has the values; `running.py` and `scripting.py` do what a recipe says
and write it out; `as_json.py` and `as_line.py` write it as text that is read back, with what both have in common in
`entries.py`; `reading.py` reads either.
"""

from efflab.recipe.as_json import entries_of, from_json, to_json
from efflab.recipe.as_line import from_line, to_line
from efflab.recipe.entries import Entry
from efflab.recipe.reading import recipe_from
from efflab.recipe.running import run
from efflab.recipe.scripting import script
from efflab.recipe.steps import Frozen, Recipe, Step, check_recipe, step
from efflab.recipe.techniques import TECHNIQUES, AnyTechnique

__all__ = [
    "TECHNIQUES",
    "AnyTechnique",
    "Entry",
    "Frozen",
    "Recipe",
    "Step",
    "check_recipe",
    "entries_of",
    "from_json",
    "from_line",
    "recipe_from",
    "run",
    "script",
    "step",
    "to_json",
    "to_line",
]
