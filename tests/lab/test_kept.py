"""What a lab keeps: the results that were needed last, and nothing that was built on what is forgotten."""

import threading

import pytest

from efflab.lab.kept import Kept
from efflab.prune import prune_weights
from efflab.recipe import Recipe, step


def recipe(*percents: int) -> Recipe:
    return tuple(step(prune_weights, sparsity=percent / 100) for percent in percents)


def test_what_was_kept_is_found_under_an_equal_recipe():
    kept = Kept[str](3)
    kept.keep(recipe(10), "ten")
    assert kept.get(recipe(10)) == "ten"
    assert recipe(10) in kept


def test_what_was_never_kept_is_not_there():
    kept = Kept[str](3)
    kept.keep(recipe(10), "ten")
    for other in (recipe(20), recipe(10, 10), ()):
        assert kept.get(other) is None
        assert other not in kept


@pytest.mark.parametrize("n", [1, 2, 5])
def test_no_more_than_n_are_kept_and_the_oldest_goes(n):
    kept = Kept[int](n)
    for percent in range(20):
        kept.keep(recipe(percent), percent)
        assert [one for one in range(20) if recipe(one) in kept] == list(range(max(0, percent - n + 1), percent + 1))


def test_whoever_is_asked_for_stays_longer():
    kept = Kept[str](2)
    kept.keep(recipe(10), "ten")
    kept.keep(recipe(20), "twenty")
    kept.get(recipe(10))
    kept.keep(recipe(30), "thirty")
    assert [kept.get(recipe(percent)) for percent in (10, 20, 30)] == ["ten", None, "thirty"]


def test_whoever_is_kept_again_is_new_and_has_the_new_value():
    kept = Kept[str](2)
    kept.keep(recipe(10), "ten")
    kept.keep(recipe(20), "twenty")
    kept.keep(recipe(10), "another ten")
    kept.keep(recipe(30), "thirty")
    assert [kept.get(recipe(percent)) for percent in (10, 20, 30)] == ["another ten", None, "thirty"]


def test_to_look_whether_it_is_there_keeps_nothing_longer():
    kept = Kept[str](2)
    kept.keep(recipe(10), "ten")
    kept.keep(recipe(20), "twenty")
    assert recipe(10) in kept
    kept.keep(recipe(30), "thirty")
    assert recipe(10) not in kept


def test_what_was_built_on_a_forgotten_recipe_is_forgotten_too_and_nothing_else():
    kept = Kept[int](10)
    everything = [recipe(10), recipe(10, 20), recipe(10, 20, 30), recipe(20), recipe(20, 10), recipe(11)]
    for one in everything:
        kept.keep(one, len(one))
    kept.forget(recipe(10, 20))
    assert [one in kept for one in everything] == [True, False, False, True, True, True]
    kept.forget(recipe(10))
    assert [one in kept for one in everything] == [False, False, False, True, True, True]


def test_to_forget_what_is_not_there_changes_nothing():
    kept = Kept[str](2)
    kept.keep(recipe(10), "ten")
    kept.forget(recipe(20))
    assert kept.get(recipe(10)) == "ten"


def test_threads_that_keep_get_and_forget_at_once_do_not_disturb_each_other():
    kept = Kept[int](3)
    recipes = [recipe(percent) for percent in range(12)]
    wrong: list[object] = []

    def work(start: int) -> None:
        try:
            for turn in range(300):
                index = (start + turn) % len(recipes)
                kept.keep(recipes[index], index)
                if kept.get(recipes[index]) not in (index, None):
                    wrong.append(index)
                kept.forget(recipes[(index + 5) % len(recipes)])
        except (KeyError, RuntimeError) as error:  # what a dictionary says when it is changed meanwhile
            wrong.append(error)

    threads = [threading.Thread(target=work, args=(number * 3,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert sum(one in kept for one in recipes) <= 3
