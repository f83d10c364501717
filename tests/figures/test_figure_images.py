"""Images that changed their answer are drawn on one sheet, with a cue that is not a colour."""

import base64
import struct
import zlib

import numpy as np
import pytest
import torch

from efflab.figures import changed

DIGITS = tuple("0123456789")


def tensor(*numbers: int) -> torch.Tensor:
    return torch.tensor(numbers, dtype=torch.int64)


def pixels(picture) -> np.ndarray:
    """The sheet as (h, w, 4), read by the letter of the PNG specification; checks each checksum on the way."""
    data = base64.b64decode(picture.figure.data[0].source.removeprefix("data:image/png;base64,"))
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    chunks, at = {}, 8
    while at < len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        kind, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        assert struct.unpack(">I", data[at + 8 + length : at + 12 + length])[0] == zlib.crc32(kind + body)
        chunks[kind], at = body, at + 12 + length
    width, height, depth, colours = struct.unpack(">IIBB", chunks[b"IHDR"][:10])
    assert (depth, colours, list(chunks)[-1]) == (8, 6, b"IEND")
    lines = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(height, 1 + 4 * width)
    assert not lines[:, 0].any()
    return lines[:, 1:].reshape(height, width, 4)


def test_captions_say_the_truth_and_mark_the_answer_of_the_base_and_the_one_now():
    picture = changed(
        torch.rand(3, 1, 8, 8), tensor(4, 2, 5), tensor(4, 7, 1), tensor(9, 2, 2), DIGITS, n_changed_total=3
    )
    assert list(picture.figure.data[1].text) == [
        "is 4<br>base 4 ✓<br>now 9 ✗",
        "is 2<br>base 7 ✗<br>now 2 ✓",
        "is 5<br>base 1 ✗<br>now 2 ✗",
    ]
    assert picture.figure.layout.title.text == "is: the truth; base, now: the network's answers (✓ right, ✗ wrong)"


def test_images_with_long_names_stand_further_apart():
    short, long = (
        changed(torch.rand(1, 1, 8, 8), tensor(0), tensor(0), tensor(1), names, n_changed_total=1).figure.data[0]
        for names in (DIGITS, ("coat", "bag"))
    )
    assert long.dx < short.dx  # an image is a smaller part of its place


def test_a_very_long_name_is_cut_in_the_caption_and_whole_in_the_table():
    picture = changed(torch.rand(1, 1, 8, 8), tensor(0), tensor(0), tensor(1), ("ankle boot", "bag"), n_changed_total=1)
    assert picture.figure.data[1].text[0] == "is ankle.<br>base ankle. ✓<br>now bag ✗"
    assert picture.table["is"][0] == "ankle boot"


def test_each_image_lies_on_the_sheet_above_its_caption():
    images = torch.arange(8 * 16).reshape(8, 1, 4, 4).float()
    picture = changed(images, tensor(*[0] * 8), tensor(*[0] * 8), tensor(*[1] * 8), DIGITS, n_changed_total=8)
    sheet, image, captions = pixels(picture), picture.figure.data[0], picture.figure.data[1]
    expected = np.round(np.arange(16).reshape(4, 4) * 17).astype(np.uint8)  # from black to white
    for x, y in zip(captions.x, captions.y, strict=True):
        left, top = round(x / image.dx), round(int(y) / image.dy)
        tile = sheet[top : top + 4, left : left + 4]
        np.testing.assert_array_equal(tile[..., 0], expected)
        np.testing.assert_array_equal(tile[..., 1], expected)
        assert (tile[..., 3] == 255).all()
    assert (sheet[..., 3] == 255).sum() == 8 * 16  # the rest is transparent


def test_a_colour_image_keeps_its_colours():
    image = torch.zeros(1, 3, 4, 4)
    image[0, 0], image[0, 2, 0, 0] = 1.0, 0.5
    tile = pixels(changed(image, tensor(0), tensor(0), tensor(1), DIGITS, n_changed_total=1))[:4, :4]
    assert tile[0, 0].tolist() == [255, 0, 128, 255]
    assert tile[3, 3].tolist() == [255, 0, 0, 255]


def test_an_image_of_one_value_is_black_and_not_a_division_by_zero():
    tile = pixels(changed(torch.ones(1, 1, 4, 4), tensor(0), tensor(0), tensor(1), DIGITS, n_changed_total=1))[:4, :4]
    assert tile[..., :3].max() == 0


def test_a_large_image_is_drawn_with_fewer_pixels():
    images = torch.rand(12, 3, 224, 224)
    same = tensor(*[0] * 12)
    assert pixels(changed(images, same, same, same + 1, DIGITS, n_changed_total=12)).shape[1] <= 6 * 64 * 1.4


def test_twelve_of_many_are_shown_and_the_sentence_says_so():
    n = 20
    labels, before, now = tensor(*[3] * n), tensor(*[3] * 15, *[1] * 5), tensor(*[8] * n)
    picture = changed(torch.rand(n, 1, 8, 8), labels, before, now, DIGITS, n_changed_total=57)
    assert len(picture.figure.data[1].text) == len(picture.table) == 12
    assert picture.sentence == (
        "57 images changed their answer. Of the 12 shown, 12 went from right to wrong, 0 from wrong to right."
    )


def test_the_table_says_each_change_in_words():
    table = changed(torch.rand(2, 1, 8, 8), tensor(4, 2), tensor(4, 7), tensor(9, 2), DIGITS, n_changed_total=2).table
    assert table.to_numpy().tolist() == [["4", "4", "9", "right to wrong"], ["2", "7", "2", "wrong to right"]]


def test_nothing_changed_is_a_picture_that_says_so():
    none = tensor()
    picture = changed(torch.empty(0, 1, 8, 8), none, none, none, DIGITS, n_changed_total=0)
    assert picture.sentence == picture.figure.layout.annotations[0].text == "No image changed its answer."
    assert len(picture.table) == 0


def test_an_answer_without_a_class_is_named_by_its_number():
    picture = changed(torch.rand(1, 1, 8, 8), tensor(0), tensor(0), tensor(2), ("a", "b"), n_changed_total=1)
    assert list(picture.table["now answered"]) == ["output 2"]
    assert list(picture.table["base answered"]) == ["a"]


def test_lengths_that_differ_are_refused():
    with pytest.raises(ValueError, match=r"must have one length, not \[1, 2\]"):
        changed(torch.rand(2, 1, 8, 8), tensor(1, 2), tensor(1, 2), tensor(1), DIGITS, n_changed_total=2)


def test_two_other_networks_have_their_names_and_below_an_image_their_marks():
    given = torch.rand(1, 1, 8, 8), tensor(4), tensor(9), tensor(4), DIGITS
    picture = changed(*given, n_changed_total=1, names=("alone", "taught"), marks=("■", "●"))
    assert picture.figure.data[1].text[0] == "is 4<br>■ 9 ✗<br>● 4 ✓"
    legend = "is: the truth; ■ alone, ● taught: the network's answers (✓ right, ✗ wrong)"
    assert picture.figure.layout.title.text == legend
    assert list(picture.table) == ["is", "alone answered", "taught answered", "change"]
    without = changed(*given, n_changed_total=1, names=("alone", "taught"))
    assert without.figure.data[1].text[0] == "is 4<br>alone 9 ✗<br>taught 4 ✓"
