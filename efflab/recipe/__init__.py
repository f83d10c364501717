"""Recipes: what was done to a network, as small values that can be compared, saved and run again.

A `Step` is a technique and its settings; a recipe is a tuple of steps; running it is a fold over the model. `script`
writes a recipe as Python, and running that text gives the same weights, bit for bit.

`techniques.py` lists all techniques; `steps.py` has the values; `running.py` and `scripting.py` do what a recipe says
and write it out; `as_json.py` keeps it as text, which it reads back by way of `entries.py`.
"""

from efflab.recipe.as_json import entries_of, from_json, to_json
from efflab.recipe.entries import Entry
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
    "run",
    "script",
    "step",
    "to_json",
]
