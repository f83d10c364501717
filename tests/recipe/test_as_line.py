"""A recipe as a line of Python: Python reads it as we do, and we read it without executing any of it."""

import json

import pytest

import efflab
from efflab.prune import fine_tune, prune_weights
from efflab.quantize import fold_batch_norms, quantize_weights
from efflab.recipe import TECHNIQUES, from_line, recipe_from, step, to_json, to_line

RECIPES = {
    "none": (),
    "one": (step(fine_tune, epochs=2),),
    "without knobs": (step(fold_batch_norms), step(fold_batch_norms)),
    "layers": (step(prune_weights, sparsity={"body.0": 0.5, 'it\'s "<b>"\n\\': 0.25}), step(fine_tune)),
    "odd numbers": (step(fine_tune, learning_rate=0.0003), step(prune_weights, sparsity=-0.0)),
    "ends": (step(prune_weights, sparsity=1), step(prune_weights, sparsity=0.1 + 0.2)),
}


def values(recipe) -> list[str]:
    """What tells -0.0 from 0.0, and 1 from 1.0."""
    return [repr(one) for one in recipe]


def test_the_line_has_every_setting():
    assert to_line((step(prune_weights, sparsity=0.8), step(fine_tune, epochs=2))) == (
        "(step(prune_weights, sparsity=0.8, scope='global', criterion='magnitude'), "
        "step(fine_tune, epochs=2, learning_rate=0.003))"
    )


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_python_and_we_read_the_line_alike(recipe):
    line = to_line(recipe)
    assert "\n" not in line
    executed = eval(line, {"step": step, **TECHNIQUES})
    assert values(from_line(line)) == values(executed) == values(recipe)
    assert isinstance(from_line(line), tuple)


def test_what_somebody_wrote_more_loosely_is_read_too():
    text = """(
        step(prune_weights, sparsity=+0.5),  # half of them
        step(quantize_weights, bits={"conv1": 4, 'out' 'put': 3}),
    )"""
    assert from_line(text) == (step(prune_weights), step(quantize_weights, bits={"conv1": 4, "output": 3}))


def test_a_technique_of_ones_own_comes_back_when_it_is_given(scale):
    recipe = (step(scale, factor={"a": 1.5}),)
    assert from_line(to_line(recipe), {"scale": scale}) == recipe
    with pytest.raises(ValueError, match=r"^step 1: unknown technique 'scale'; known are: prune_weights"):
        from_line(to_line(recipe))


def test_what_is_no_recipe_is_not_written():
    with pytest.raises(TypeError, match=r"^a recipe is a tuple of steps"):
        to_line([step(fine_tune)])


# Refused


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "it has 0 statements"),
        ("(", r"it cannot be read as Python \('\(' was never closed\)"),
        ("step(fine_tune)", "it is no tuple; one step needs a comma behind it"),
        ("(step(fine_tune))", "it is no tuple; one step needs a comma behind it"),
        ("[step(fine_tune)]", "it is no tuple"),
        ("recipe", "it is no tuple"),
        ("import os; ()", "it has 2 statements; give the line of the recipe alone"),
        ("recipe = ()", "it is no tuple"),
        ("(fine_tune,)", r"step 1 must be step\(technique, knob=value, ...\), not 'fine_tune'"),
        ("(step(fine_tune), 5)", r"step 2 must be step\(technique, knob=value, ...\), not '5'"),
        ("(step(),)", r"step 1 must be step\(technique"),
        ("(step('fine_tune'),)", r"step 1 must be step\(technique"),
        ("(step(efflab.fine_tune),)", r"step 1 must be step\(technique"),
        ("(step(fine_tune, 3),)", r"step 1 must be step\(technique"),
        ("(step(*a),)", r"step 1 must be step\(technique"),
        ("(*a,)", r"step 1 must be step\(technique"),
        ("(exec('x'),)", r"step 1 must be step\(technique"),
        ("(os.step(fine_tune),)", r"step 1 must be step\(technique"),
        ("(step(fine_tune)(x),)", r"step 1 must be step\(technique"),
        ("(step(fine_tune) for x in y)", "it is no tuple"),
        ("\0", r"it cannot be read as Python \(source code string cannot contain null bytes"),
        ("9" * 5000, r"it cannot be read as Python \(Exceeds the limit"),
        ("-" * 100_000 + "1", "it is nested too deeply$"),
        ("a" + ".b" * 100_000, "it is nested too deeply$"),
        ("(" * 100_000, r"it cannot be read as Python \(too many nested parentheses\)"),
    ],
)
def test_a_line_that_is_no_recipe_is_refused_with_what_would_be_right_and_the_reason(text, reason):
    wanted = r"^a recipe in a line must be a tuple of steps, such as \(step\(prune_weights, sparsity=0.9\),\) with its "
    with pytest.raises(ValueError, match=rf"{wanted}comma, not .*: {reason}") as refused:
        from_line(text)
    assert len(str(refused.value)) < 500


@pytest.mark.parametrize(
    "value", ["1 + 1", "x", "x()", "f'{x}'", "[1]", "(1,)", "{1}", "not 1", "~1", "lambda: 1", "x.y", "-'a'", "-1j"]
)
def test_a_value_that_must_be_computed_is_refused(value):
    for text in (f"(step(fine_tune, epochs={value}),)", f"(step(fine_tune, epochs={{'a': {value}}}),)"):
        with pytest.raises(ValueError, match=r"^step 1, fine_tune: epochs must be a number, .*: nothing is computed"):
            from_line(text)


@pytest.mark.parametrize(
    ("text", "kind", "sentence"),
    [
        ("(step(fine_tune, epochs=2, epochs=3),)", ValueError, "step 1, fine_tune: 'epochs' is written twice"),
        (
            "(step(prune_weights, sparsity={'a': 0, 'a': 1}),)",
            ValueError,
            "step 1, prune_weights: sparsity: 'a' is written twice",
        ),
        ("(step(fine_tune, **{'epochs': 3}),)", ValueError, "step 1, fine_tune: each value must stand behind its name"),
        ("(step(prune_weights, sparsity={**a}),)", ValueError, "step 1, prune_weights: sparsity must be a number"),
        ("(step(prune_weights, sparsity={1: 0.5}),)", ValueError, ".* each value must stand behind its name, .* 1$"),
        ("(step(fine_tune, epochs=99),)", ValueError, r"step 1, fine_tune: epochs \(.*\) must be .* to 30, not 99"),
        ("(step(fine_tune, epochs=True),)", TypeError, r"step 1, fine_tune: epochs \(.*\) must be .*, not True"),
        ("(step(fine_tune, epochs=None),)", TypeError, r"step 1, fine_tune: epochs \(.*\) must be .*, not None"),
        ("(step(fine_tune, sparsity=0.5),)", TypeError, "step 1, fine_tune: fine_tune has no knob 'sparsity'"),
        ("(step(fine_tune), step(print),)", ValueError, "step 2: unknown technique 'print'; known are: prune_weights"),
        ("(" + "step(fine_tune)," * 51 + ")", ValueError, "a recipe that is read must have at most 50 steps, not 51$"),
        (
            "(" * 600_000 + ")" * 600_000,
            ValueError,
            "a recipe's text must be at most 1,000,000 characters long, not 1,2",
        ),
        (None, TypeError, "a recipe is read from text, not from NoneType None"),
    ],
)
def test_what_stands_in_a_step_is_checked_and_the_step_is_named(text, kind, sentence):
    with pytest.raises(kind, match=f"^{sentence}"):
        from_line(text)


def test_nothing_in_a_line_is_executed(monkeypatch):
    called = []
    monkeypatch.setattr("builtins.print", lambda *given: called.append(given))
    for text in ("(print('run'),)", "(step(fine_tune, epochs=print('run')),)", "print('run')"):
        with pytest.raises(ValueError, match="not"):
            recipe_from(text)
    assert called == []


# Either


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_a_recipe_is_read_from_either_however_it_was_copied(recipe):
    old = json.dumps([{"technique": one.technique.name, "settings": one.values} for one in recipe])
    for text in (to_line(recipe), to_json(recipe), old):
        copies = (f"recipe = {text}", f"\n recipe={text}\n", repr(text), f"recipe = {text!r}", repr(f"recipe = {text}"))
        for copied in (text, *copies):
            assert values(recipe_from(copied)) == values(recipe), copied


def test_a_text_that_is_neither_is_refused_as_what_it_looks_like():
    with pytest.raises(ValueError, match=r"^a recipe in JSON must be .* cannot be read as JSON"):
        recipe_from("{'version': 1}")
    with pytest.raises(ValueError, match=r"^a recipe in a line must be .* it is no tuple"):
        recipe_from("[step(fine_tune)]")
    with pytest.raises(ValueError, match=r"^a recipe in a line must be .* it is no tuple"):
        recipe_from("recipe == ()")
    with pytest.raises(ValueError, match=r"^a recipe in a line must be .* read as Python .unterminated string"):
        recipe_from("'[]")
    with pytest.raises(TypeError, match=r"^a recipe is read from text, not from tuple \(\)$"):
        recipe_from(())


@pytest.mark.parametrize("text", ["", "  \n", "recipe =", "''"])
def test_an_empty_text_is_refused(text):
    with pytest.raises(ValueError, match=r"^there is no recipe in an empty text; give its line"):
        recipe_from(text)


def test_a_technique_of_ones_own_is_read_from_either(scale):
    recipe = (step(scale, factor=1.5),)
    for text in (to_line(recipe), to_json(recipe)):
        assert recipe_from(text, {"scale": scale}) == recipe


def test_a_learner_finds_the_line_at_the_front_door():
    line = efflab.to_line((efflab.step(efflab.fine_tune),))
    assert efflab.recipe_from(line) == (step(fine_tune),)
