"""The pictures of the chapters are what the real page shows: each is taken anew, and is like the shipped one."""

import ast
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SHIPPED = sorted(path.stem for path in Path(__file__).parents[2].joinpath("notebooks", "pictures").glob("*.png"))
ROOM = 0.12
"""How much higher or lower a panel may be: times, and a line that other programs were running, take more or fewer."""
GRID = (32, 32)
MOST_APART = 0.04
"""The mean difference of two pictures, each made as small as `GRID`, of what is between black and white.

Up to 0.026 were seen for a line more or less, and 0.05 to 0.07 for charts that were drawn too narrow. So what is empty,
cut or laid out otherwise is found; another number, or another point of a curve, is not.
"""


def small(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("L").resize(GRID, Image.Resampling.BOX), dtype=float) / 255


@pytest.fixture
def pictures(tool: Callable[[str], ModuleType]) -> ModuleType:
    return tool("take_pictures")


def test_every_shipped_picture_has_its_cell(pictures):
    assert set(pictures.cells()) == set(SHIPPED)
    for cell in pictures.cells().values():
        ast.parse(cell)


@pytest.mark.parametrize("name", SHIPPED)
def test_the_page_still_looks_like_the_shipped_picture(name, pictures, page, lab, tmp_path):
    taken = tmp_path / f"{name}.png"
    pictures.take(page, lab.root, name, taken)
    with Image.open(taken) as now, Image.open(pictures.PICTURES / f"{name}.png") as shipped:
        assert now.width == shipped.width
        assert now.height == pytest.approx(shipped.height, rel=ROOM)
    apart = np.abs(small(taken) - small(pictures.PICTURES / f"{name}.png")).mean()
    assert apart < MOST_APART, f"take it anew: python tools/take_pictures.py {name}"
