"""What a sweep of recipes asks and finds: points, each a recipe with a seed, and their table."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor

from efflab.knobs import Setting
from efflab.recipe import TECHNIQUES, AnyTechnique, Recipe, to_json, to_line

if TYPE_CHECKING:  # pandas takes 0.4 s to import: only who asks for a table pays
    import pandas as pd

NUMBERS = ("score", "low", "high", "n", "n_nonzero", "packed_bytes", "macs")
"""The columns that a point's network is judged by."""
Key = tuple[str, str, int]
"""What a point is kept under: the JSON of its recipe, a digest of the sources of techniques not ours, its seed."""


class SweepError(RuntimeError):
    """A sweep cannot go on; the sentence says why, what is saved, and how to continue."""


@dataclass(frozen=True)
class Judged:
    """A network on all `n` validation images: its score and the 95 % interval, fractions; and what it takes, computed.

    macs: of one inference, None where they cannot be counted. digest: of all its numbers; equal for equal networks.
    """

    score: float
    low: float
    high: float
    n: int
    n_nonzero: int
    packed_bytes: int
    macs: int | None
    digest: str


@dataclass(frozen=True)
class Swept:
    """A recipe with one seed: judged, or, where a technique refused, None and its sentence as the `reason`."""

    recipe: Recipe
    seed: int
    judged: Judged | None
    reason: str = ""


@dataclass(frozen=True)
class Asked:
    """A point that is to be judged. sources: a digest of the sources of its techniques that are not ours, or ""."""

    recipe: Recipe
    seed: int
    text: str
    sources: str = ""

    @property
    def key(self) -> Key:
        """What it is kept under."""
        return self.text, self.sources, self.seed

    @property
    def own(self) -> dict[str, AnyTechnique]:
        """Its techniques that are not ours, by name: a worker cannot know them."""
        return own_techniques(self.recipe)


def ask(recipe: Recipe, seed: int, *, with_sources: bool) -> Asked:
    """The point of a recipe and a seed.

    Raises:
        ValueError: two techniques of the recipe have one name; or the source of one is wanted, and is not known.
    """
    own = own_techniques(recipe)
    for one in recipe:
        if own.get(one.technique.name, one.technique) != one.technique:
            raise ValueError(f"two techniques of a recipe are called {one.technique.name}: rename yours")
    sources = digest_of(own[name].source.encode() for name in sorted(own)) if own and with_sources else ""
    return Asked(recipe, seed, to_json(recipe), sources)


def own_techniques(recipe: Recipe) -> dict[str, AnyTechnique]:
    """The techniques of a recipe that are not ours, by name."""
    return {one.technique.name: one.technique for one in recipe if TECHNIQUES.get(one.technique.name) != one.technique}


def in_order_of_prefixes(points: Iterable[Asked]) -> list[Asked]:
    """The points seed by seed, those side by side whose recipes begin alike: what they share then runs once."""
    points, rank = list(points), dict[object, int]()
    for one in points:
        for part in (one.seed, *one.recipe):
            rank.setdefault(part, len(rank))
    return sorted(points, key=lambda one: [rank[part] for part in (one.seed, *one.recipe)])


def digest_of(parts: Iterable[bytes]) -> str:
    """A digest of several texts or tensors, where one ends counts as well."""
    whole = hashlib.sha256()
    for part in parts:
        whole.update(hashlib.sha256(part).digest())
    return whole.hexdigest()


def bytes_of(tensors: Mapping[str, Tensor]) -> Iterable[bytes]:
    """The names, shapes and numbers of tensors, one after the other."""
    for name, tensor in tensors.items():
        yield f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode()
        yield tensor.detach().cpu().contiguous().numpy().tobytes()


def points_table(points: Iterable[Swept]) -> "pd.DataFrame":
    """A row for each point: `recipe` as a line that `recipe_from` reads, `seed`, the numbers, and `reason`.

    Columns of numbers: `score`, `low`, `high` (fractions), `n`, `n_nonzero`, `packed_bytes`, `macs`.
    """
    import pandas as pd

    rows = [(to_line(one.recipe), one.seed, *numbers_of(one, NUMBERS), one.reason) for one in points]
    return pd.DataFrame(rows, columns=["recipe", "seed", *NUMBERS, "reason"])


def knobs_table(rows: Iterable[tuple[Mapping[str, Setting], Swept]], knobs: Iterable[str]) -> "pd.DataFrame":
    """A row for each point of a grid: its knobs, `seed` if there are several, the numbers, `reason` if one has any."""
    import pandas as pd

    rows, columns = list(rows), ("score", "low", "high", "n_nonzero", "packed_bytes")
    table = pd.DataFrame({name: [values[name] for values, _ in rows] for name in knobs})
    if len({point.seed for _, point in rows}) > 1:
        table["seed"] = [point.seed for _, point in rows]
    table[list(columns)] = [numbers_of(point, columns) for _, point in rows]
    if any(point.reason for _, point in rows):
        table["reason"] = [point.reason for _, point in rows]
    return table


def numbers_of(point: Swept, names: Iterable[str]) -> list[float | None]:
    """Some numbers of a point; None where it was refused."""
    return [getattr(point.judged, name) if point.judged else None for name in names]
