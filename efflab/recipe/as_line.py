"""A recipe as one line of Python to paste into a cell or a message, and read back without executing any of it.

The line is parsed, and only what `to_line` writes is accepted: a tuple of steps, names, numbers, texts, and a mapping
for each layer. Whatever else stands there is refused, so a line from somebody else can do no harm.

Every setting is written, those at their default too: a default that changes later changes no line of earlier, and the
line, the JSON and the script of a recipe say the same.
"""

import ast
from collections.abc import Mapping

from efflab.recipe.entries import Entry, check_n_steps, check_text, shown, steps_of
from efflab.recipe.steps import Recipe, Step, check_recipe
from efflab.recipe.techniques import TECHNIQUES, AnyTechnique


def to_line(recipe: Recipe) -> str:
    """The recipe as one line of Python, which needs `step` and the techniques' names to run.

    Example:
        >>> from efflab.prune import fine_tune
        >>> from efflab.recipe import step
        >>> to_line((step(fine_tune, epochs=2),))
        '(step(fine_tune, epochs=2, learning_rate=0.003),)'

    Raises:
        TypeError: `recipe` is no tuple of steps.
    """
    check_recipe(recipe)
    steps = ", ".join(_call(one) for one in recipe)
    return f"({steps},)" if len(recipe) == 1 else f"({steps})"


def from_line(text: str, techniques: Mapping[str, AnyTechnique] = TECHNIQUES) -> Recipe:
    """The recipe that a line says; nothing of it is executed. Name your own techniques in `techniques`.

    Example:
        >>> from_line("(step(fine_tune, epochs=2),)")
        (fine_tune(epochs=2, learning_rate=0.003),)

    Raises:
        ValueError: too long, no Python, no tuple of steps written out, too many steps, an unknown technique, or a
        setting out of range.
        TypeError: a setting of the wrong type, or one that is no knob of its technique; `text` is no text.
    """
    check_text(text)
    match parse(text):
        case [ast.Expr(value=ast.Tuple(elts=steps))]:
            check_n_steps(len(steps))
            return steps_of([_entry(number, node, text) for number, node in enumerate(steps, 1)], techniques)
        case [_]:
            raise _refusal(text, "it is no tuple; one step needs a comma behind it")
        case statements:
            raise _refusal(text, f"it has {len(statements)} statements; give the line of the recipe alone")


def parse(text: str) -> list[ast.stmt]:
    """The statements of a text in Python, none of which is executed.

    Raises:
        ValueError: it is no Python.
    """
    try:
        return ast.parse(text.strip()).body
    except (RecursionError, MemoryError) as error:  # Python's two words for it
        raise _refusal(text, "it is nested too deeply") from error
    except SyntaxError as error:
        raise _refusal(text, f"it cannot be read as Python ({error.msg})") from error
    except ValueError as error:  # a null character
        raise _refusal(text, f"it cannot be read as Python ({error})") from error


def _call(one: Step) -> str:
    return f"step({', '.join([one.technique.name, *(f'{name}={value!r}' for name, value in one.values.items())])})"


def _entry(number: int, node: ast.expr, text: str) -> Entry:
    match node:
        case ast.Call(func=ast.Name(id="step"), args=[ast.Name(id=name)], keywords=keywords):
            where = f"step {number}, {name}"
            return Entry(name, _once([(one.arg, _value(one.value, f"{where}: {one.arg}")) for one in keywords], where))
        case _:
            found = shown(ast.get_source_segment(text.strip(), node))
            raise _refusal(text, f"step {number} must be step(technique, knob=value, ...), not {found}")


def _value(node: ast.expr, where: str) -> object:
    """What is written out: a constant, a number with its sign, or a mapping of such. The knob checks it later."""
    match node:
        case ast.Constant(value=value):
            return value
        case ast.UnaryOp(op=ast.USub() | ast.UAdd() as sign, operand=ast.Constant(value=int() | float() as number)):
            return -number if isinstance(sign, ast.USub) else +number
        case ast.Dict(keys=keys, values=values) if all(isinstance(key, ast.Constant) for key in keys):
            names = [key.value for key in keys if isinstance(key, ast.Constant)]
            return _once([(name, _value(value, where)) for name, value in zip(names, values, strict=True)], where)
    raise ValueError(
        f"{where} must be a number, a text in quotes or a mapping {{layer: value}}, written out: nothing is computed "
        "when a recipe is read"
    )


def _once(pairs: list[tuple[object, object]], where: str) -> dict[str, object]:
    """The pairs as a dict. Raise ValueError if a name is written twice, or is none."""
    found: dict[str, object] = {}
    for name, value in pairs:
        if not isinstance(name, str):
            raise ValueError(f"{where}: each value must stand behind its name, not behind {shown(name)}")
        if name in found:
            raise ValueError(f"{where}: {shown(name)} is written twice")
        found[name] = value
    return found


def _refusal(text: str, reason: str) -> ValueError:
    return ValueError(
        "a recipe in a line must be a tuple of steps, such as (step(prune_weights, sparsity=0.9),) with its comma, "
        f"not {shown(text)}: {reason}"
    )
