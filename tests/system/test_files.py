"""safetensors files: what is kept, atomic writing, and what is said about files that are none."""

import os
import stat
import sys

import numpy as np
import pytest
import safetensors

from cunet.system import files

ARRAYS = {
    "matrix": np.arange(6, dtype=np.float32).reshape(2, 3),
    "transposed": np.arange(6, dtype=np.float64).reshape(2, 3).T,
    "strided": np.arange(10)[::3],
    "scalar": np.array(3, np.int64),
    "empty": np.zeros((0, 4), np.float16),
    "flags": np.array([True, False]),
}


def test_arrays_come_back_with_shape_dtype_and_values(tmp_path, dev):
    path = tmp_path / "x.safetensors"
    files.save_arrays(path, {name: dev(array) for name, array in ARRAYS.items()})
    loaded = files.load_arrays(str(path))
    assert loaded.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert loaded[name].shape == array.shape and loaded[name].dtype == array.dtype
        np.testing.assert_array_equal(loaded[name], array)


@pytest.mark.cpu_only
def test_bfloat16_comes_back_as_float32(tmp_path):
    ml_dtypes = pytest.importorskip("ml_dtypes")
    array = np.array([[1.0, -2.5, 3e38], [1e-40, np.inf, -0.0]], ml_dtypes.bfloat16)
    files.save_arrays(tmp_path / "x", {"a": array})
    loaded = files.load_arrays(tmp_path / "x")["a"]
    assert loaded.dtype == np.float32
    np.testing.assert_array_equal(loaded, array.astype(np.float32))


@pytest.mark.cpu_only
def test_a_dtype_that_numpy_has_not_is_named(tmp_path):
    torch = pytest.importorskip("torch")
    from safetensors.torch import save_file

    save_file({"w": torch.ones(4).to(torch.float8_e4m3fn)}, tmp_path / "x")
    with pytest.raises(ValueError, match="holds arrays of dtype F8_E4M3; known are F64, F32"):
        files.load_arrays(tmp_path / "x")


@pytest.mark.cpu_only
def test_files_pass_between_torch_and_cunet(tmp_path):
    torch = pytest.importorskip("torch")
    from safetensors.torch import load_file, save_file

    files.save_arrays(tmp_path / "ours", ARRAYS, metadata={"format": "pt"})
    theirs = load_file(tmp_path / "ours")
    for name, array in ARRAYS.items():
        assert tuple(theirs[name].shape) == array.shape
        np.testing.assert_array_equal(theirs[name].numpy(), array)
    save_file({"w": torch.arange(4.0), "b": torch.arange(4, dtype=torch.bfloat16)}, tmp_path / "theirs")
    for array in files.load_arrays(tmp_path / "theirs").values():
        np.testing.assert_array_equal(array, [0, 1, 2, 3])
        array += 1  # an array of its own
    with safetensors.safe_open(tmp_path / "ours", framework="np") as opened:
        assert opened.metadata()["format"] == "pt"


@pytest.mark.cpu_only
def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "x.safetensors"
    files.save_arrays(path, {"a": np.zeros(3)})

    def full(descriptor):
        raise OSError("No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        files.save_arrays(path, {"a": np.ones(3)})
    np.testing.assert_array_equal(files.load_arrays(path)["a"], 0)
    assert [p.name for p in tmp_path.iterdir()] == ["x.safetensors"]


@pytest.mark.cpu_only
@pytest.mark.skipif(sys.platform == "win32", reason="POSIX permissions")
def test_a_file_has_the_permissions_of_any_new_file(tmp_path):
    previous = os.umask(0o027)
    try:
        files.save_arrays(tmp_path / "x", ARRAYS)
    finally:
        os.umask(previous)
    assert stat.S_IMODE((tmp_path / "x").stat().st_mode) == 0o640


@pytest.mark.cpu_only
@pytest.mark.parametrize("content", [b"", b"not safetensors", None])
def test_a_damaged_file_is_named(content, tmp_path):
    path = tmp_path / "x.safetensors"
    if content is None:
        files.save_arrays(path, ARRAYS)
        content = path.read_bytes()[:-4]
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"x\.safetensors is not a whole safetensors file \(.*write or fetch it again"):
        files.load_arrays(path)


@pytest.mark.cpu_only
def test_missing_files_and_folders_are_not_found(tmp_path):
    with pytest.raises(FileNotFoundError):
        files.load_arrays(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError):
        files.save_arrays(tmp_path / "nowhere" / "x", ARRAYS)


@pytest.mark.cpu_only
def test_every_bit_that_flips_in_the_data_is_noticed(tmp_path, rng):
    path = tmp_path / "x"
    files.save_arrays(path, ARRAYS, metadata={"note": "kept"})
    whole = path.read_bytes()
    start = 8 + int.from_bytes(whole[:8], "little")
    assert start % 8 == 0
    for at in [*range(start, len(whole), 7), len(whole) - 1, whole.index(b"matrix")]:
        damaged = bytearray(whole)
        damaged[at] ^= 1 << int(rng.integers(3))
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"x does not fit the checksum in it: it is damaged|not a whole"):
            files.load_arrays(path)
    assert files.load_metadata(path) == {"note": "kept"}


@pytest.mark.cpu_only
@pytest.mark.parametrize(
    "content", [b"", b"short", b"\xff" * 20, (2).to_bytes(8, "little") + b"[]", b"\0" * 9], ids=range(5)
)
def test_a_file_of_another_kind_has_no_metadata(content, tmp_path):
    (tmp_path / "x").write_bytes(content)
    assert files.load_metadata(tmp_path / "x") == {}


@pytest.mark.cpu_only
def test_what_a_killed_save_left_is_swept(tmp_path):
    path, other = tmp_path / "x", tmp_path / f"y.{'0' * 32}.part"
    old, young = (tmp_path / f"x.{digit * 32}.part" for digit in "12")
    for file in (old, young, other):
        file.write_bytes(b"half")
    for file in (old, other):
        os.utime(file, (0, 0))
    files.save_arrays(path, ARRAYS)
    assert sorted(tmp_path.iterdir()) == sorted([path, young, other])


@pytest.mark.cpu_only
@pytest.mark.skipif(sys.platform == "win32", reason="POSIX permissions and links")
def test_a_link_is_written_through_and_the_mode_kept(tmp_path):
    (tmp_path / "store").mkdir()
    path, link = tmp_path / "store" / "x", tmp_path / "latest"
    link.symlink_to(path)
    files.save_arrays(link, {"a": np.zeros(2)})  # to where nothing is yet
    path.chmod(0o604)
    files.save_arrays(link, {"a": np.ones(2)})
    assert link.is_symlink() and not path.is_symlink()
    assert stat.S_IMODE(path.stat().st_mode) == 0o604
    np.testing.assert_array_equal(files.load_arrays(path)["a"], 1)


@pytest.mark.cpu_only
def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no folder .*nowhere to write x to; make it first"):
        files.save_arrays(tmp_path / "nowhere" / "x", ARRAYS)
    with pytest.raises(IsADirectoryError, match="is a folder; give the name of a file in it"):
        files.save_arrays(tmp_path, ARRAYS)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.cpu_only
def test_a_path_may_begin_at_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    files.save_arrays("~/x.safetensors", ARRAYS, {"kind": "test"})
    assert (tmp_path / "x.safetensors").is_file()
    assert files.load_arrays("~/x.safetensors").keys() == ARRAYS.keys()
    assert files.load_metadata("~/x.safetensors") == {"kind": "test"}


@pytest.mark.cpu_only
def test_pytorchs_own_files_say_what_to_write(tmp_path):
    np.savez(tmp_path / "x.npz", **ARRAYS)
    (tmp_path / "x.pth").write_bytes(b"\x80\x02pickle")
    for name in ("x.npz", "x.pth"):
        with pytest.raises(ValueError, match=rf"{name} is no safetensors file but a zip .*safetensors.torch.save_file"):
            files.load_arrays(tmp_path / name)
