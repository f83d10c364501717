from pathlib import Path

import pytest
import torch

from efflab.data import SOURCES, DataError, digits, load


def test_load_knows_the_five_data_sets() -> None:
    assert list(SOURCES) == ["digits", "scattered", "mnist", "fashion-mnist", "cifar10"]


def test_load_gives_what_the_function_of_that_name_gives() -> None:
    data = load("digits", seed=3)
    assert data.name == "digits"
    assert torch.equal(data.test.images, digits(3).test.images)


@pytest.mark.parametrize("name", ["mnits", "", "MNIST"])
def test_an_unknown_name_is_answered_with_the_known_ones(name: str) -> None:
    known = "digits, scattered, mnist, fashion-mnist, cifar10"
    with pytest.raises(DataError, match=f"no data set called '{name}'; known are {known}"):
        load(name)


def test_a_folder_for_what_comes_along_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="digits comes with efflab: leave out folder and download"):
        load("digits", folder=tmp_path)
    with pytest.raises(DataError, match="scattered comes with efflab"):
        load("scattered", download=True)
