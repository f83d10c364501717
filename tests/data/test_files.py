import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from efflab.data import DataError, read_idx
from efflab.data.files import read_npz, verify_checksum, write_npz

IMAGES = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
IDX = b"\x00\x00\x08\x03" + struct.pack(">3I", 2, 3, 4) + bytes(range(24))


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_read_idx_gives_the_values_in_the_shape_of_the_header(tmp_path: Path, pack: type) -> None:
    (tmp_path / "images").write_bytes(pack(IDX))
    found = read_idx(tmp_path / "images")
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, IMAGES)


@pytest.mark.parametrize(
    ("code", "dtype"), [(8, ">u1"), (9, ">i1"), (0x0B, ">i2"), (0x0C, ">i4"), (0x0D, ">f4"), (0x0E, ">f8")]
)
def test_read_idx_knows_each_type_and_gives_it_in_this_machines_byte_order(
    tmp_path: Path, code: int, dtype: str
) -> None:
    values = np.array([1, 2, 100], dtype)
    (tmp_path / "values").write_bytes(bytes([0, 0, code, 1]) + struct.pack(">I", 3) + values.tobytes())
    found = read_idx(tmp_path / "values")
    assert found.dtype == np.dtype(dtype).newbyteorder("=")
    assert found.tolist() == [1, 2, 100]


BAD_IDX = {
    "no idx": (b"\x89PNG-and-more", "begins with the bytes 89 50 4e 47, so it is not an idx file"),
    "empty": (b"", r"begins with the bytes \(none\)"),
    "unknown type": (b"\x00\x00\x07\x01\x00\x00\x00\x00", "begins with the bytes 00 00 07 01"),
    "no axes": (b"\x00\x00\x08\x00", "begins with the bytes 00 00 08 00"),
    "half a header": (IDX[:10], "ends within its header"),
    "too few values": (IDX[:-1], "2 x 3 x 4 values, which take 24 bytes, but 23 follow"),
    "too many values": (IDX + b"\0", "2 x 3 x 4 values, which take 24 bytes, but 25 follow"),
    "a header that promises an exabyte": (b"\0\0\x08\x02" + b"\xff" * 8, "but 0 follow"),
    "gzip cut off": (gzip.compress(IDX)[:-6], "is a gzip file that was cut off"),
    "gzip without its end": (gzip.compress(IDX)[:-8], "is a gzip file that was cut off"),
    "gzip with a wrong checksum": (gzip.compress(IDX)[:-8] + b"\0" * 8, "cannot be read .*download or copy it again"),
    "gzip with nonsense inside": (gzip.compress(IDX)[:10] + b"\xff" * 30, "cannot be read .*download or copy it again"),
    "gzip of no idx": (gzip.compress(b"hello"), "begins with the bytes 68 65 6c 6c"),
}


@pytest.mark.parametrize(("content", "sentence"), BAD_IDX.values(), ids=BAD_IDX.keys())
def test_read_idx_names_the_file_and_its_fault(tmp_path: Path, content: bytes, sentence: str) -> None:
    (tmp_path / "images").write_bytes(content)
    with pytest.raises(DataError, match=f"images:? .*{sentence}"):
        read_idx(tmp_path / "images")


def test_read_idx_says_that_a_file_is_absent(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nothing-here does not exist; put the idx file there"):
        read_idx(tmp_path / "nothing-here")


def test_read_idx_says_that_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"{tmp_path.name} cannot be read"):
        read_idx(tmp_path)


def test_write_npz_leaves_the_file_and_nothing_else(tmp_path: Path) -> None:
    write_npz(tmp_path / "new" / "some.npz", {"a": IMAGES})
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["some.npz"]
    np.testing.assert_array_equal(read_npz(tmp_path / "new" / "some.npz")["a"], IMAGES)


def test_a_write_that_breaks_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "some.npz"
    write_npz(path, {"a": IMAGES})

    def full_disk(file: object, **arrays: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full_disk)
    with pytest.raises(OSError, match="No space left"):
        write_npz(path, {"a": IMAGES + 1})
    assert [path.name for path in tmp_path.iterdir()] == ["some.npz"]
    np.testing.assert_array_equal(read_npz(path)["a"], IMAGES)


def test_a_file_written_with_a_checksum_is_verified_and_a_changed_one_refused(tmp_path: Path) -> None:
    path = tmp_path / "some.npz"
    write_npz(path, {"a": IMAGES}, checksum=True)
    verify_checksum(path)
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(DataError, match=r"some\.npz does not agree with its checksum in some\.npz\.sha256"):
        verify_checksum(path)


def test_the_checksum_is_the_one_that_sha256sum_prints(tmp_path: Path) -> None:
    (tmp_path / "some.npz").write_bytes(b"abc")
    known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2, appendix B.1
    (tmp_path / "some.npz.sha256").write_text(f"{known}  some.npz\n")
    verify_checksum(tmp_path / "some.npz")


def test_a_file_without_a_checksum_beside_it_is_taken_as_it_is(tmp_path: Path) -> None:
    write_npz(tmp_path / "some.npz", {"a": IMAGES})
    assert [path.name for path in tmp_path.iterdir()] == ["some.npz"]
    verify_checksum(tmp_path / "some.npz")


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04 and no more"])
def test_read_npz_names_a_file_that_is_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "some.npz").write_bytes(content)
    with pytest.raises(DataError, match=r"some\.npz is damaged, or no npz file of plain numbers"):
        read_npz(tmp_path / "some.npz")


def test_read_npz_refuses_python_objects(tmp_path: Path) -> None:
    np.savez(tmp_path / "some.npz", a=np.array([{"key": 1}], dtype=object))
    with pytest.raises(DataError, match="no npz file of plain numbers"):
        read_npz(tmp_path / "some.npz")


def test_read_npz_refuses_a_single_array(tmp_path: Path) -> None:
    with open(tmp_path / "some.npz", "wb") as file:
        np.save(file, IMAGES)
    with pytest.raises(DataError, match="holds a single array"):
        read_npz(tmp_path / "some.npz")


def test_read_npz_says_that_a_file_is_absent(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"some\.npz does not exist"):
        read_npz(tmp_path / "some.npz")
