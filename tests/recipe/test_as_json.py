"""A recipe as JSON: written with its version, read with or without one, and refused in a sentence."""

import json
from pathlib import Path

import pytest
import support

from efflab.prune import fine_tune, prune_gradually, prune_weights
from efflab.recipe import TECHNIQUES, Entry, entries_of, from_json, run, step, to_json
from efflab.recipe.entries import MAX_CHARACTERS, MAX_STEPS

RECIPE = (step(prune_weights, sparsity={"conv1": 0.5}), step(fine_tune, epochs=2))
STEPS = [
    {
        "technique": "prune_weights",
        "settings": {"sparsity": {"conv1": 0.5}, "scope": "global", "criterion": "magnitude"},
    },
    {"technique": "fine_tune", "settings": {"epochs": 2, "learning_rate": 0.003}},
]


def one_entry(technique: object, settings: object) -> str:
    return json.dumps({"version": 1, "steps": [{"technique": technique, "settings": settings}]})


def test_the_json_is_a_version_and_a_list_of_names_and_settings():
    assert json.loads(to_json(RECIPE)) == {"version": 1, "steps": STEPS}
    assert from_json(to_json(RECIPE)) == RECIPE


def test_the_list_alone_that_was_written_before_there_were_versions_is_still_read():
    assert from_json(json.dumps(STEPS)) == RECIPE


def test_a_record_that_was_written_before_there_were_versions_is_still_read(repository: Path):
    record = json.loads((repository / "data/expected/distillation_scattered.json").read_text("utf-8"))
    recipes = [from_json(json.dumps(setting["recipe"])) for setting in record["settings"]]
    assert {recipe[-1].technique.name for recipe in recipes} == {"distill_predictions"}


def test_an_empty_recipe_survives_json():
    assert from_json(to_json(())) == () == from_json("[]")


def test_what_is_no_recipe_is_not_written():
    with pytest.raises(TypeError, match=r"^a recipe is a tuple of steps, .* not Step fine_tune\(epochs=2"):
        to_json(step(fine_tune, epochs=2))


def test_settings_that_the_json_leaves_out_take_their_defaults():
    assert from_json('[{"technique": "fine_tune", "settings": {}}]') == (step(fine_tune),)


def test_a_technique_of_ones_own_comes_back_when_it_is_given(scale):
    recipe = (step(prune_weights), step(scale, factor={"a": 1.5}))
    assert from_json(to_json(recipe), TECHNIQUES | {"scale": scale}) == recipe
    with pytest.raises(ValueError, match=r"^step 2: unknown technique 'scale'; known are: prune_weights, fine_tune"):
        from_json(to_json(recipe))


def test_the_entries_of_a_technique_that_nobody_knows_can_be_read():
    assert entries_of(one_entry("mine", {"a": [1], "b": None})) == (Entry("mine", {"a": [1], "b": None}),)


def test_a_recipe_in_json_does_what_it_did_before(data):
    recipe = (step(prune_gradually, sparsity=0.8, epochs=2),)
    model = support.tiny_mlp()
    again = run(from_json(to_json(recipe)), model, data=data, seed=1)
    assert support.bits(again) == support.bits(run(recipe, model, data=data, seed=1))


# Refused


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", r"it cannot be read as JSON \(Expecting value: line 1 column 1"),
        ("{", r"it cannot be read as JSON \(Expecting property name"),
        ("5", "its steps must be a list, not 5"),
        ("null", "its steps must be a list, not None"),
        ("[1]", "step 1 must be an object in braces, not 1"),
        ('["prune_weights"]', "step 1 must be an object in braces, not 'prune_weights'"),
        ('{"technique": "prune_weights"}', "its version must be 1, not None"),
        ('{"steps": []}', "its version must be 1, not None"),
        ('{"version": 1}', "its steps must be a list, not None"),
        ('{"version": 1, "steps": {}}', r"its steps must be a list, not \{\}"),
        ('{"version": 0, "steps": []}', "its version must be 1, not 0"),
        ('{"version": true, "steps": []}', "its version must be 1, not True"),
        ('{"version": 1.0, "steps": []}', "its version must be 1, not 1.0"),
        ('{"version": "2", "steps": []}', "its version must be 1, not '2'"),
        ('[{"technique": "prune_weights"}]', "the settings of step 1 must be an object in braces, not None"),
        ('[{"settings": {}}]', "the technique of step 1 must be a name in quotes, not None"),
        ('[{"technique": "fine_tune", "settings": 5}]', "the settings of step 1 must be an object in braces, not 5"),
        ('[{"technique": [], "settings": {}}]', r"the technique of step 1 must be a name in quotes, not \[\]"),
        (
            '[{"technique": "fine_tune", "settings": {"epochs": 2, "epochs": 3}}]',
            r"it cannot be read as JSON \('epochs' is written twice\)",
        ),
        ("9" * 5000, r"it cannot be read as JSON \(Exceeds the limit"),
        ("[" * 100_000, "it is nested too deeply$"),
        ('{"a":' * 100_000, "it is nested too deeply$"),
    ],
)
def test_json_that_is_no_recipe_is_refused_with_what_would_be_right_and_the_reason(text, reason):
    wanted = r'^a recipe in JSON must be \{"version": 1, "steps": \[\{"technique": name, "settings": \{\.\.\.\}\}, '
    with pytest.raises(ValueError, match=rf"{wanted}\.\.\.\]\}}, not .*: {reason}") as refused:
        from_json(text)
    assert len(str(refused.value)) < 400


def test_a_recipe_of_a_newer_version_says_to_update():
    text = '{"version": 2, "steps": "who knows"}'
    with pytest.raises(ValueError, match=r"newer efflab: its version is 2, .* up to version 1; update efflab"):
        from_json(text)


def test_a_text_that_is_too_long_is_not_even_parsed(monkeypatch):
    monkeypatch.setattr(json, "loads", None)
    with pytest.raises(ValueError, match=r"at most 1,000,000 characters long, not 10,000,000: it was not read$"):
        from_json(" " * 10_000_000)


def test_a_text_of_just_the_length_that_is_allowed_is_read():
    text = to_json(RECIPE)
    assert from_json(text.ljust(MAX_CHARACTERS)) == RECIPE
    with pytest.raises(ValueError, match="not 1,000,001"):
        from_json(text.ljust(MAX_CHARACTERS + 1))


@pytest.mark.parametrize("text", [None, b"[]", 5, []])
def test_what_is_no_text_is_refused(text):
    with pytest.raises(TypeError, match=f"^a recipe is read from text, not from {type(text).__name__} "):
        from_json(text)


def test_so_many_steps_as_are_allowed_are_read_and_one_more_is_not():
    assert len(from_json(to_json((step(fine_tune),) * MAX_STEPS))) == 50
    with pytest.raises(ValueError, match=r"^a recipe that is read must have at most 50 steps, not 51$"):
        from_json(to_json((step(fine_tune),) * 51))


@pytest.mark.parametrize("name", ["vanish", "", "<b>fine_tune</b>", "fine_tune\n", "__class__", "x" * 5000])
def test_a_name_that_is_no_technique_is_refused_as_the_text_that_it_is(name):
    with pytest.raises(ValueError, match=r"^step 1: unknown technique ") as refused:
        from_json(one_entry(name, {}))
    assert repr(name[:79])[:-1] in str(refused.value)
    assert str(refused.value).endswith("; known are: " + ", ".join(TECHNIQUES))
    assert len(str(refused.value)) < 800


@pytest.mark.parametrize(
    ("settings", "kind", "sentence"),
    [
        ({"sparsity": 7}, ValueError, r"sparsity \(.*\) must be a number from 0.0 to 1.0, not 7"),
        ({"sparsity": float("nan")}, ValueError, r"sparsity \(.*\) must be a number from 0.0 to 1.0, not nan"),
        ({"sparsity": "<i>"}, TypeError, r"sparsity \(.*\) must be a number from 0.0 to 1.0, not '<i>'"),
        ({"sparsity": None}, TypeError, r"sparsity \(.*\) must be a number from 0.0 to 1.0, not None"),
        ({"sparsity": {"a": {"b": 1}}}, TypeError, r"sparsity\['a'\] \(.*\) must be a number from 0.0 to 1.0, not \{"),
        ({"scope": "all"}, ValueError, r"scope \(.*\) must be one of 'global', 'per layer', not 'all'"),
        ({"sparsety": 0.5}, TypeError, r"prune_weights has no knob 'sparsety'; its knobs are: sparsity, scope"),
        ({"technique": "x"}, TypeError, r"prune_weights has no knob 'technique'; its knobs are: sparsity, scope"),
    ],
)
def test_a_setting_is_checked_like_any_other_and_its_step_is_named(settings, kind, sentence):
    text = to_json(RECIPE)[:-2] + ", " + json.dumps({"technique": "prune_weights", "settings": settings}) + "]}"
    with pytest.raises(kind, match=f"^step 3, prune_weights: {sentence}"):
        from_json(text)


def test_a_sentence_about_an_endless_value_has_an_end():
    with pytest.raises(TypeError, match=r"^step 1, fine_tune: epochs .* not 'xxx.*\.\.\.$") as refused:
        from_json(one_entry("fine_tune", {"epochs": "x" * 900_000}))
    assert len(str(refused.value)) < 600
