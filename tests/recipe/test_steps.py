"""Steps as values: compared, kept, and written as the call that they stand for."""

import numpy as np
import pytest

from efflab.prune import fine_tune, prune_weights
from efflab.recipe import script, step


def test_a_step_holds_every_setting_given_or_not():
    assert step(prune_weights, sparsity=0.8).values == {
        "sparsity": 0.8,
        "scope": "global",
        "criterion": "magnitude",
    }


def test_the_order_of_the_keywords_makes_no_difference():
    assert step(prune_weights, scope="per layer", sparsity=0.8) == step(prune_weights, sparsity=0.8, scope="per layer")


def test_the_order_of_the_layers_makes_no_difference():
    first = step(prune_weights, sparsity={"a": 0.1, "b": 0.2})
    second = step(prune_weights, sparsity={"b": 0.2, "a": 0.1})
    assert first == second
    assert hash(first) == hash(second)
    assert first.values["sparsity"] == {"a": 0.1, "b": 0.2}


def test_a_step_is_not_changed_by_what_happens_to_the_mapping_it_was_made_from():
    mapping = {"a": 0.1}
    one = step(prune_weights, sparsity=mapping)
    mapping["a"] = 0.9
    one.values["sparsity"]["a"] = 0.9
    assert one.values["sparsity"] == {"a": 0.1}


def test_steps_with_another_value_or_technique_differ():
    assert step(prune_weights, sparsity=0.8) != step(prune_weights, sparsity=0.81)
    assert step(fine_tune) != step(prune_weights)


def test_the_repr_of_a_step_reads_like_the_call():
    one = step(prune_weights, sparsity={"conv1": 0.25}, criterion="random")
    assert repr(one) == "prune_weights(sparsity={'conv1': 0.25}, scope='global', criterion='random')"


def test_a_step_cannot_be_changed():
    with pytest.raises(AttributeError):
        step(prune_weights).settings = ()


def test_a_number_from_numpy_becomes_pythons_own():
    for value in np.linspace(0.2, 0.8, 4):  # the natural loop of a learner
        one = step(prune_weights, sparsity=value)
        assert type(one.values["sparsity"]) is float
        assert "np." not in repr(one) + script((one,))
        layered = step(prune_weights, sparsity={"conv1": value})
        assert "np." not in repr(layered) + script((layered,))


def test_a_step_of_what_is_no_technique_is_one_sentence():
    with pytest.raises(TypeError, match=r"a technique is a function such as prune_weights, .* not 'prune_weights'"):
        step("prune_weights")
