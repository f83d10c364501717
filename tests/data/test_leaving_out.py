"""A class left out of training: gone where it is learned from, there where it is judged."""

import dataclasses

import pytest
import torch

from efflab.data import Data, Split, without_class
from tests.support import tiny_data


@pytest.fixture(scope="module")
def data() -> Data:
    return tiny_data()


def test_training_and_calibration_lack_the_class_and_keep_all_others_in_their_order(data: Data) -> None:
    others = without_class(data, 1)
    for name in ("train", "calibration"):
        before, now = getattr(data, name), getattr(others, name)
        kept = [i for i, label in enumerate(before.labels.tolist()) if label != 1]
        assert 0 < len(kept) < len(before)
        assert now.labels.tolist() == [before.labels.tolist()[i] for i in kept]
        assert torch.equal(now.images, torch.stack([before.images[i] for i in kept]))


def test_validation_test_and_the_classes_stay_whole(data: Data) -> None:
    others = without_class(data, 1)
    assert others.validation is data.validation
    assert others.test is data.test
    assert others.classes == data.classes
    assert others.task == data.task


def test_the_name_says_which_class_is_missing(data: Data) -> None:
    assert without_class(data, 1).name == "tiny without grey"


def test_the_data_that_it_is_made_of_stays(data: Data) -> None:
    before = data.train.labels.clone()
    without_class(data, 0)
    assert torch.equal(data.train.labels, before)


@pytest.mark.parametrize("label", [3, -1, 1.0, "grey", True, None])
def test_an_unknown_label_is_answered_with_those_that_exist(data: Data, label: object) -> None:
    with pytest.raises(ValueError, match=r"^label must be a class of tiny, .* from 0 to 2 \(dark, grey, light\), not "):
        without_class(data, label)


def test_of_many_classes_the_first_and_the_last_are_named(data: Data) -> None:
    many = dataclasses.replace(data, classes=tuple(map(str, range(100))))
    with pytest.raises(ValueError, match=r"from 0 to 99 \(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, \.\.\., 99\), not 100$"):
        without_class(many, 100)


def test_the_only_class_of_a_split_cannot_be_left_out(data: Data) -> None:
    alike = Split(data.calibration.images[:4], torch.ones(4, dtype=torch.int64))
    with pytest.raises(ValueError, match="label must leave images of another class: all 4 of calibration have the "):
        without_class(dataclasses.replace(data, calibration=alike), 1)
