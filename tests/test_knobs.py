"""Knobs: what `@technique` reads from a signature, what it refuses, and what it leaves alone."""

import inspect
from collections.abc import Mapping
from typing import Annotated

import pytest
from torch import nn

from efflab.data import Data
from efflab.knobs import Choice, Range, check_setting, technique
from efflab.training import Progress

Amount = Annotated[float, Range(0.0, 1.0, 0.1, "how much")]
Count = Annotated[int, Range(1, 8, 1, "how many")]
Kind = Annotated[str, Choice(("soft", "hard"), "which kind")]

MODEL = nn.Identity()


@technique
def sand(model: nn.Module, *, amount: Amount = 0.5, count: Count = 2, kind: Kind = "soft") -> nn.Module:
    """Give the model back."""
    return model


@technique
def polish(
    model: nn.Module, *, data: Data, amount: Amount | Mapping[str, Amount] = 0.5, progress: Progress | None = None
) -> nn.Module:
    """Give the model back."""
    return model


# A range


@pytest.mark.parametrize("value", [0.0, 1.0, 0.5, 0, 1, 0.123456789])
def test_a_range_takes_both_ends_and_any_number_between(value):
    Range(0.0, 1.0, 0.1, "how much").check("amount", value)


@pytest.mark.parametrize("value", [-0.001, 1.001, float("nan"), float("inf"), -float("inf"), 10**400])
def test_a_range_refuses_numbers_outside_with_name_label_ends_and_value(value):
    with pytest.raises(ValueError, match=r"^amount \(how much\) must be a number from 0.0 to 1.0, not ") as refusal:
        Range(0.0, 1.0, 0.1, "how much").check("amount", value)
    assert str(refusal.value).endswith(repr(value))


@pytest.mark.parametrize("value", [True, False, None, "0.5", [0.5], 0.5j])
def test_a_range_refuses_what_is_no_number_as_a_type(value):
    with pytest.raises(TypeError, match=r"^amount \(how much\) must be a number"):
        Range(0.0, 1.0, 0.1, "how much").check("amount", value)


def test_a_range_of_whole_numbers_refuses_fractions_and_floats():
    whole = Range(1, 8, 1, "how many")
    assert whole.is_integer
    whole.check("count", 8)
    for value in (2.5, 2.0):  # 2.0 would pass every comparison, and fail in `range(count)`
        with pytest.raises(TypeError, match=r"count \(how many\) must be a whole number from 1 to 8, not 2"):
            whole.check("count", value)


def test_a_range_with_one_float_takes_fractions():
    assert not Range(0, 1, 0.5, "how much").is_integer


# A choice


@pytest.mark.parametrize("value", ["Soft", "", "softhard", None, 0, ["soft"], ("soft",)])
def test_a_choice_refuses_anything_but_its_options_and_lists_them(value):
    with pytest.raises(ValueError, match=r"^kind \(which kind\) must be one of 'soft', 'hard', not ") as refusal:
        Choice(("soft", "hard"), "which kind").check("kind", value)
    assert str(refusal.value).endswith(repr(value))


def test_the_ends_are_the_lowest_and_highest_number_and_the_first_and_last_option():
    assert Range(1, 8, 1, "how many").ends == (1, 8)
    assert Choice(("soft", "firm", "hard"), "which kind").ends == ("soft", "hard")


@pytest.mark.parametrize(
    "knob", [Range(0.0, 1.0, 0.1, "a"), Range(1, 8, 1, "b"), Range(-5, 5, 5, "c"), Choice(("x",), "d")]
)
def test_every_generated_bad_value_is_refused(knob):
    values = list(knob.bad_values())
    assert len(values) >= 5
    for value in values:
        with pytest.raises((TypeError, ValueError), match="thing"):
            knob.check("thing", value)


# A setting per layer


def test_a_value_per_layer_is_checked_and_the_layer_is_named():
    knob = Range(0.0, 1.0, 0.1, "how much")
    check_setting(knob, "amount", {"conv1": 0.0, "conv2": 1.0})
    with pytest.raises(ValueError, match=r"amount\['conv2'\] \(how much\) must be a number from 0.0 to 1.0, not 2"):
        check_setting(knob, "amount", {"conv1": 0.5, "conv2": 2})


def test_a_mapping_must_name_a_layer():
    with pytest.raises(ValueError, match=r"amount .* must name at least one layer"):
        check_setting(Range(0.0, 1.0, 0.1, "how much"), "amount", {})


def test_a_mapping_must_use_names_as_keys():
    with pytest.raises(TypeError, match=r"amount .* layer names as keys, not 1"):
        check_setting(Range(0.0, 1.0, 0.1, "how much"), "amount", {1: 0.5})


# What @technique reads


def test_the_knobs_come_from_the_signature_in_its_order():
    assert list(sand.knobs) == ["amount", "count", "kind"]
    assert sand.knobs["count"] == Range(1, 8, 1, "how many")
    assert sand.defaults == {"amount": 0.5, "count": 2, "kind": "soft"}
    assert list(sand.defaults) == list(sand.knobs)


def test_reserved_inputs_are_no_knobs():
    assert polish.inputs == ("data", "progress")
    assert list(polish.knobs) == ["amount"]


def test_only_a_technique_that_asks_for_progress_is_slow():
    assert polish.is_slow
    assert not sand.is_slow


def test_only_a_knob_whose_type_has_a_mapping_is_per_layer():
    assert polish.per_layer == {"amount"}
    assert sand.per_layer == set()
    with pytest.raises(TypeError, match="amount of sand takes one value for the whole model, not a mapping"):
        sand(MODEL, amount={"conv1": 0.5})


def test_a_technique_keeps_the_name_the_docstring_and_the_source_of_its_function():
    assert (sand.name, sand.label, polish.__name__) == ("sand", "sand", "polish")
    assert sand.__doc__ == "Give the model back."
    assert sand.source == inspect.getsource(sand.function)
    assert sand.source.startswith("@technique\ndef sand(")


def test_a_label_has_spaces_where_the_name_has_underscores():
    def melt_down(model: nn.Module) -> nn.Module:
        return model

    assert technique(melt_down).label == "melt down"


# What a call does


def test_a_call_checks_the_knobs_before_the_function_runs():
    calls = []

    @technique
    def watched(model: nn.Module, *, amount: Amount = 0.5) -> nn.Module:
        calls.append(amount)
        return model

    with pytest.raises(ValueError, match="amount"):
        watched(MODEL, amount=1.5)
    assert calls == []
    watched(MODEL, amount=0.25)
    assert calls == [0.25]


def test_a_call_does_nothing_but_check():
    received = []

    @technique
    def watched(model: nn.Module, *, amount: Amount = 0.5, seed: int = 0) -> nn.Module:
        received.append((model, amount, seed))
        return model

    before = dict(vars(watched))
    assert watched(MODEL, amount=0.25, seed=7) is MODEL  # no copy
    assert watched(MODEL, amount=0.25, seed=7) is MODEL  # no cache: the function ran again
    assert received == [(MODEL, 0.25, 7)] * 2
    assert vars(watched) == before  # nothing noted down


def test_declaring_a_technique_registers_it_nowhere():
    from efflab.recipe import TECHNIQUES

    before = dict(TECHNIQUES)

    @technique
    def unheard_of(model: nn.Module) -> nn.Module:
        return model

    assert before == TECHNIQUES
    assert unheard_of not in TECHNIQUES.values()


def test_nothing_is_printed_or_logged(capfd, caplog):
    with caplog.at_level(0):
        sand(MODEL, amount=0.25)
    assert capfd.readouterr() == ("", "")
    assert caplog.records == []


def test_an_unknown_knob_is_named_with_the_known_ones():
    with pytest.raises(TypeError, match="sand has no knob 'amuont'; its knobs are: amount, count, kind"):
        sand.check({"amuont": 0.5})


def test_two_techniques_are_equal_when_they_are_the_same_function():
    assert technique(sand.function) == sand
    assert hash(technique(sand.function)) == hash(sand)
    assert sand != polish


# What @technique refuses at definition


def test_a_knob_without_a_kind_is_refused():
    with pytest.raises(TypeError, match="bare: amount has no kind"):

        @technique
        def bare(model: nn.Module, *, amount: float = 0.5) -> nn.Module:
            return model


def test_a_knob_without_an_annotation_is_refused():
    with pytest.raises(TypeError, match="bare: amount has no kind"):

        @technique
        def bare(model: nn.Module, *, amount=0.5) -> nn.Module:
            return model


def test_a_knob_without_a_default_is_refused():
    with pytest.raises(TypeError, match="bare: amount has no default"):

        @technique
        def bare(model: nn.Module, *, amount: Amount) -> nn.Module:
            return model


@pytest.mark.parametrize(("value", "error"), [(1.5, ValueError), (None, TypeError), ("much", TypeError)])
def test_a_default_out_of_range_is_refused(value, error):
    with pytest.raises(error, match=r"bare: the default of amount .* must be a number from 0.0 to 1.0"):

        @technique
        def bare(model: nn.Module, *, amount: Amount = value) -> nn.Module:
            return model


def test_two_positional_arguments_are_refused():
    with pytest.raises(TypeError, match="bare must take one model first and keyword-only knobs after it"):

        @technique
        def bare(model: nn.Module, amount: Amount = 0.5) -> nn.Module:
            return model


def test_no_model_at_all_is_refused():
    with pytest.raises(TypeError, match="bare must take one model first"):

        @technique
        def bare(*, amount: Amount = 0.5) -> nn.Module:
            return MODEL


@pytest.mark.parametrize("rest", ["*models", "*, amount: Amount = 0.5, **more"])
def test_arguments_that_no_slider_could_show_are_refused(rest):
    scope = {"nn": nn, "Amount": Amount, "technique": technique}
    with pytest.raises(TypeError, match="bare must take one model first and keyword-only knobs after it"):
        exec(f"@technique\ndef bare(model: nn.Module, {rest}) -> nn.Module:\n    return model\n", scope)


def test_a_technique_whose_source_nobody_kept_says_so():
    scope = {"nn": nn, "technique": technique}
    exec("@technique\ndef typed(model: nn.Module) -> nn.Module:\n    return model\n", scope)
    with pytest.raises(ValueError, match="the source of typed is not known"):
        scope["typed"].source  # noqa: B018
