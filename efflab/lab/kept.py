"""What a lab keeps: the results that it needed last, by the recipe that made them.

A recipe is a tuple of steps, so what its first steps made is found under the shorter tuple: moving the last knob does
not train the first step again. Two threads may ask at once, so each look and each change holds a lock; the work
itself does not.
"""

import threading
from collections import OrderedDict
from typing import Generic, TypeVar

from efflab.recipe import Recipe

T = TypeVar("T")


class Kept(Generic[T]):
    """At most `n` results, by recipe; the one that was not asked for longest goes first.

    Example:
        >>> from efflab import prune_weights, step
        >>> first, second, third = ((step(prune_weights, sparsity=s),) for s in (0.1, 0.2, 0.3))
        >>> kept = Kept[str](2)
        >>> kept.keep(first, "a"), kept.keep(second, "b"), kept.get(first), kept.keep(third, "c")
        (None, None, 'a', None)
        >>> kept.get(first), kept.get(second), kept.get(third)
        ('a', None, 'c')
    """

    def __init__(self, n: int) -> None:
        self._n = n
        self._results: OrderedDict[Recipe, T] = OrderedDict()
        self._lock = threading.Lock()

    def __contains__(self, recipe: Recipe) -> bool:
        return recipe in self._results

    def get(self, recipe: Recipe) -> T | None:
        """What the recipe made, if it is still here."""
        with self._lock:
            if recipe in self._results:
                self._results.move_to_end(recipe)
            return self._results.get(recipe)

    def keep(self, recipe: Recipe, result: T) -> None:
        """Keep what the recipe made."""
        with self._lock:
            self._results[recipe] = result
            self._results.move_to_end(recipe)
            if len(self._results) > self._n:
                self._results.popitem(last=False)

    def forget(self, recipe: Recipe) -> None:
        """Drop what the recipe made, and everything that was built on it."""
        with self._lock:
            for one in [one for one in self._results if one[: len(recipe)] == recipe]:
                del self._results[one]
