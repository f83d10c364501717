"""Controls come from knobs alone, for every technique and for one that a learner writes."""

from typing import Annotated

import ipywidgets
import pytest
from torch import nn

from efflab.knobs import Choice, Range, technique
from efflab.recipe import TECHNIQUES
from efflab.widgets.controls import Control, spoken

SPARSITY = Range(0.0, 1.0, 0.01, "fraction of weights removed")
SCOPE = Choice(("global", "per layer"), "where weights compete")


@pytest.mark.parametrize("name", TECHNIQUES)
def test_every_knob_of_every_technique_gets_a_control_that_can_be_set_to_both_ends(name):
    one = TECHNIQUES[name]
    for knob_name, knob in one.knobs.items():
        control = Control(knob_name, knob, one.defaults[knob_name])
        assert control.setting == one.defaults[knob_name]
        for end in knob.ends:
            control.set(end)
            assert control.setting == end


def test_a_range_becomes_a_slider_and_a_choice_becomes_buttons():
    slider, buttons = Control("sparsity", SPARSITY, 0.5), Control("scope", SCOPE, "global")
    assert isinstance(slider.children[1], ipywidgets.FloatSlider)
    assert isinstance(buttons.children[1], ipywidgets.RadioButtons)
    assert isinstance(Control("epochs", Range(1, 30, 1, "epochs"), 3).children[1], ipywidgets.IntSlider)


def test_a_fraction_is_shown_in_percent_and_other_numbers_with_the_digits_of_their_step():
    formats = [
        Control("x", knob, knob.low).children[1].readout_format
        for knob in (SPARSITY, Range(0.0001, 0.01, 0.0001, "rate"), Range(0.0, 1.0, 0.1, "factor"))
    ]
    assert formats == [".0%", ".4f", ".1f"]


def test_moving_a_control_tells_whoever_listens_once():
    control, told = Control("sparsity", SPARSITY, 0.5), []
    control.on_change(lambda: told.append(control.setting))
    control.set(0.8)
    assert told == [0.8]


def test_a_mapping_opens_one_slider_a_layer_and_counts_as_one_move():
    control, told = Control("sparsity", SPARSITY, 0.5, layers=("conv1", "conv2")), []
    control.on_change(lambda: told.append(control.setting))
    control.set({"conv2": 0.9})
    assert told == [{"conv1": 0.5, "conv2": 0.9}]
    control.set(0.3)
    assert control.setting == 0.3


@pytest.mark.parametrize("bad", [*SPARSITY.bad_values()])
def test_a_bad_value_is_refused_with_the_name_of_the_knob_and_changes_nothing(bad):
    control = Control("sparsity", SPARSITY, 0.5)
    with pytest.raises((TypeError, ValueError), match="sparsity"):
        control.set(bad)
    assert control.setting == 0.5


def test_a_layer_that_is_not_there_is_refused_by_name():
    control = Control("sparsity", SPARSITY, 0.5, layers=("conv1",))
    with pytest.raises(ValueError, match="no control for layer 'conv9'; it has: conv1"):
        control.set({"conv9": 0.1})


def test_a_locked_control_is_disabled_until_it_is_unlocked():
    control = Control("sparsity", SPARSITY, 0.5)
    control.lock(True)
    assert control.children[1].disabled
    control.lock(False)
    assert not control.children[1].disabled


def test_a_technique_of_a_learner_gets_its_controls_with_no_further_work():
    @technique
    def shrink(model: nn.Module, *, factor: Annotated[float, Range(0.0, 1.0, 0.1, "factor")] = 0.9) -> nn.Module:
        return model

    control = Control("factor", shrink.knobs["factor"], shrink.defaults["factor"])
    assert control.children[0].value == "<span class='efflab-label'><b>Factor</b>: factor</span>"


COUNT = Range(1, 1000, 2, "requests", is_logarithmic=True)
SIZE = Range(0.01, 10.0, 10**0.1, "size", is_logarithmic=True)


def test_a_range_of_many_decades_becomes_a_slider_of_round_stops_from_end_to_end():
    counts, sizes = (Control("x", knob, knob.low).children[1] for knob in (COUNT, SIZE))
    assert [value for _, value in counts.options] == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1000]
    assert [value for _, value in sizes.options][10:21] == [0.1, 0.13, 0.16, 0.2, 0.25, 0.32, 0.4, 0.5, 0.63, 0.79, 1.0]
    assert sizes.options[-1] == ("10", 10.0)
    assert counts.options[-1] == ("1,000", 1000)


@pytest.mark.parametrize(("knob", "value"), [(COUNT, 100), (SIZE, 6.74)])
def test_such_a_slider_keeps_a_value_between_its_stops_and_that_is_one_move(knob, value):
    control, told = Control("x", knob, knob.low), []
    control.on_change(lambda: told.append(control.setting))
    control.set(value)
    control.set(value)
    assert told == [value]
    control.set(knob.high)
    assert control.setting == knob.high
    assert Control("x", knob, value).setting == value


def test_names_of_layers_and_labels_are_text_also_with_html_in_them():
    control = Control("sparsity", Range(0.0, 1.0, 0.01, "<b>bold</b>"), 0.5, layers=["<i>fc</i>"])
    control.set({"<i>fc</i>": 0.9})
    label, rows = control.children[:2]
    assert "&lt;b&gt;bold" in label.value
    assert "&lt;i&gt;fc" in rows.children[0].children[0].value


def test_names_are_written_as_people_write_them():
    names = [spoken(name) for name in ("kv_bits", "pue", "grams_per_kwh", "sparsity")]
    assert names == ["KV bits", "PUE", "Grams per kWh", "Sparsity"]


def test_a_choice_is_offered_other_options_and_keeps_its_own_while_it_is_among_them():
    control, told = Control("scope", SCOPE, "per layer"), []
    control.on_change(lambda: told.append(control.setting))
    control.offer(("one", "per layer"), "one")
    assert (control.setting, control.children[1].options) == ("per layer", ("one", "per layer"))
    control.offer(("one", "two"), "two")
    assert (control.setting, told) == ("two", [])
    control.set("one")
    assert told == ["one"]
    with pytest.raises(ValueError, match=r"scope .* must be one of 'one', 'two', not 'global'"):
        control.set("global")


def test_no_options_are_offered_that_lack_what_is_to_be_chosen_or_where_there_is_no_choice():
    control = Control("scope", SCOPE, "global")
    with pytest.raises(ValueError, match="must be one of 'one', not 'two'"):
        control.offer(("one",), "two")
    assert control.knob == SCOPE
    with pytest.raises(TypeError, match="sparsity is no choice"):
        Control("sparsity", SPARSITY, 0.5).offer(("one",), "one")
