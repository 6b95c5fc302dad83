"""IDX files: every dtype there and back, the bytes of the format, and what damaged files say."""

import gzip
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from cunet.data import CorruptFile, read_idx, write_idx

pytestmark = pytest.mark.cpu_only

DTYPES = ["uint8", "int8", "int16", "int32", "float32", "float64"]
# 2 x 2 int16 [[1, -2], [256, 3]], byte by byte from the description of the format
INT16 = bytes.fromhex("00000b02 00000002 00000002 0001 fffe 0100 0003")


def test_reads_the_bytes_of_the_format(tmp_path):
    (tmp_path / "a").write_bytes(INT16)
    array = read_idx(tmp_path / "a")
    assert array.dtype == np.int16 and array.dtype.isnative
    np.testing.assert_array_equal(array, [[1, -2], [256, 3]])


def test_writes_the_bytes_of_the_format(tmp_path):
    write_idx(tmp_path / "a", np.array([[1, -2], [256, 3]], np.int16))
    assert (tmp_path / "a").read_bytes() == INT16


@pytest.mark.parametrize("code, dtype", [(8, "u1"), (9, "i1"), (11, ">i2"), (12, ">i4"), (13, ">f4"), (14, ">f8")])
def test_every_type_code(tmp_path, code, dtype):
    values = np.array([1, 2, 100], dtype)
    (tmp_path / "a").write_bytes(bytes([0, 0, code, 1, 0, 0, 0, 3]) + values.tobytes())
    array = read_idx(tmp_path / "a")
    assert array.dtype == np.dtype(dtype).newbyteorder("=")
    np.testing.assert_array_equal(array, [1, 2, 100])


@pytest.mark.parametrize("name", ["a", "a.gz"])
@given(array=st.sampled_from(DTYPES).flatmap(lambda t: hnp.arrays(t, hnp.array_shapes(min_dims=0, min_side=0))))
def test_there_and_back(tmp_path_factory, name, array):
    path = tmp_path_factory.getbasetemp() / name
    write_idx(path, array)
    found = read_idx(path)
    assert found.dtype == array.dtype and found.shape == array.shape and found.tobytes() == array.tobytes()
    assert found.flags.writeable


def test_other_byte_order_and_layout_are_written_right(tmp_path):
    array = np.arange(6, dtype=">i4").reshape(2, 3).T
    write_idx(tmp_path / "a", array)
    np.testing.assert_array_equal(read_idx(tmp_path / "a"), [[0, 3], [1, 4], [2, 5]])


def test_compression_is_told_by_content_not_by_name(tmp_path):
    (tmp_path / "a").write_bytes(gzip.compress(INT16))
    (tmp_path / "b.gz").write_bytes(INT16)
    np.testing.assert_array_equal(read_idx(tmp_path / "a"), read_idx(tmp_path / "b.gz"))


def test_equal_arrays_give_equal_compressed_bytes(tmp_path, monkeypatch):
    write_idx(tmp_path / "a.gz", np.arange(5, dtype=np.int32))
    monkeypatch.setattr("time.time", lambda: 2e9)
    write_idx(tmp_path / "b.gz", np.arange(5, dtype=np.int32))
    assert (tmp_path / "a.gz").read_bytes() == (tmp_path / "b.gz").read_bytes()


@pytest.mark.parametrize("dtype", ["bool", "int64", "uint16", "float16", "complex64"])
def test_dtypes_without_a_code_are_refused_and_nothing_is_written(tmp_path, dtype):
    with pytest.raises(TypeError, match=f"write_idx: dtype must be uint8.* got {dtype}"):
        write_idx(tmp_path / "a", np.zeros(3, dtype))
    assert not (tmp_path / "a").exists()


def test_axis_too_long_for_the_header(tmp_path):
    with pytest.raises(ValueError, match=r"shorter than 2\*\*32, got shape \(4294967296,\)"):
        write_idx(tmp_path / "a", np.broadcast_to(np.uint8(0), (1 << 32,)))


@pytest.mark.parametrize(
    "content, reason",
    [
        (b"", "truncated: .* at least 4 bytes, this one has 0"),
        (INT16[:3], "truncated"),
        (INT16[:10], "truncated: the IDX header has 12 bytes, the file 10"),
        (INT16[:-1], r"truncated: its header promises shape \(2, 2\) of int16, 20 bytes in all, but it holds 19"),
        (INT16 + b"\0", "wrong size: .* 20 bytes in all, but it holds more"),
        (b"\1" + INT16[1:], "not an IDX file: it begins with the bytes 01 00 0b 02"),
        (INT16[:2] + b"\x0a" + INT16[3:], "not an IDX file"),
        (b"<html>not found</html>", "not an IDX file"),
        (b"\0\0\x08\xff" + b"\0\0\0\1" * 255 + b"\0", "not an IDX file"),
        (b"\0\0\x0e\x08" + b"\xff" * 32, "truncated"),
        (gzip.compress(INT16)[:-9], "truncated: the gzip stream"),
        (gzip.compress(INT16)[:5], "truncated: the gzip stream"),
        (gzip.compress(INT16)[:-8] + bytes(8), "damaged gzip stream"),
        (gzip.compress(INT16)[:12] + b"\xff\xff" + gzip.compress(INT16)[14:], "damaged gzip stream"),
        (gzip.compress(INT16[:-1]), "truncated: its header"),
    ],
    ids=lambda value: "" if isinstance(value, bytes) else None,  # a compressed file holds the time
)
def test_damaged_files_are_named_and_say_what_to_do(tmp_path, content, reason):
    path = tmp_path / "digits-idx"
    path.write_bytes(content)
    with pytest.raises(CorruptFile, match=reason) as caught:
        read_idx(path)
    assert str(caught.value).startswith(f"{path}: ") and "delete this file and fetch it again" in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing-here"):
        read_idx(tmp_path / "nothing-here")


def test_a_file_is_read_no_further_than_its_header_says(tmp_path):
    path = tmp_path / "bomb.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(INT16)
        for _ in range(64):
            file.write(bytes(1 << 20))
    tracemalloc.start()
    try:
        with pytest.raises(CorruptFile, match="wrong size: .* 20 bytes in all, but it holds more"):
            read_idx(path)
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()
