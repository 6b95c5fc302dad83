"""Fashion-MNIST and EMNIST from files in their true format, which lie here or are downloaded."""

import gzip
import hashlib
import io
import zipfile

import numpy as np
import pytest
from data_server import compressed, idx_bytes, mirror, only_this_machine

from cunet.data import EMNIST, CorruptFile, DatasetUnavailable, FashionMNIST, relatives, write_idx
from cunet.data.finding import Archive

pytestmark = pytest.mark.cpu_only


@pytest.fixture(autouse=True)
def nowhere(monkeypatch, tmp_path):
    only_this_machine(monkeypatch)
    monkeypatch.delenv("CUNET_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))


def written(folder, names, rng, low=0, compress=False):
    """Write images and labels, and return them."""
    folder.mkdir(parents=True)
    images, labels = rng.integers(0, 256, (7, 28, 28), np.uint8), (np.arange(7) + low).astype(np.uint8)
    for name, array in zip(names, (images, labels), strict=True):
        write_idx(folder / name, array)
        if compress:
            (folder / f"{name}.gz").write_bytes(gzip.compress((folder / name).read_bytes()))
            (folder / name).unlink()
    return images, labels


FASHION = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte")


@pytest.mark.parametrize("place", ["fashion-mnist", "FashionMNIST/raw"])
def test_clothes_are_found_where_one_keeps_them(place, rng, tmp_path, monkeypatch):
    images, labels = written(tmp_path / "data" / place, FASHION, rng, compress=True)
    for root in (tmp_path / "data", tmp_path / "data" / place):
        found = FashionMNIST(root=root)
        np.testing.assert_array_equal(found.images, images)
        np.testing.assert_array_equal(found.labels, labels)
    monkeypatch.setenv("CUNET_DATA", str(tmp_path / "data"))
    x, y = FashionMNIST("train").arrays(flatten=False)
    np.testing.assert_allclose(x[:, 0], (images / 255 - 0.2860) / 0.3530, rtol=1e-5, atol=1e-5)
    assert x.shape == (7, 1, 28, 28) and y.dtype == np.int64 and len(FashionMNIST.NAMES) == 10
    with pytest.raises(DatasetUnavailable, match=r"FashionMNIST: there is no t10k-images-idx3-ubyte\[.gz\]"):
        FashionMNIST("test")


@pytest.mark.parametrize("part, low, classes", [("letters", 1, 26), ("balanced", 0, 47)])
def test_letters_stand_upright_and_are_counted_from_0(part, low, classes, rng, tmp_path):
    names = [f"emnist-{part}-train-{name}-ubyte" for name in ("images-idx3", "labels-idx1")]
    images, labels = written(tmp_path / "emnist", names, rng, low)
    found = EMNIST("train", part, root=tmp_path)
    np.testing.assert_array_equal(found.images, images.transpose(0, 2, 1))
    np.testing.assert_array_equal(found.labels, np.arange(7))
    assert classes == found.CLASSES and EMNIST.CLASSES == 10 and found.images.flags.c_contiguous
    with pytest.raises(ValueError, match="EMNIST: part must be one of balanced, byclass"):
        EMNIST("train", "capitals", root=tmp_path)


def test_damaged_files_are_named(rng, tmp_path):
    written(tmp_path / "raw", FASHION, rng)
    path = tmp_path / "raw" / FASHION[0]
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(CorruptFile, match="train-images"):
        FashionMNIST(root=tmp_path / "raw")


def contents(names, rng, low=0):
    """Return files by their names, and the arrays in them."""
    arrays = rng.integers(0, 256, (7, 28, 28), np.uint8), (np.arange(7) + low).astype(np.uint8)
    return {name: idx_bytes(array) for name, array in zip(names, arrays, strict=True)}, arrays


def test_clothes_are_downloaded_once_and_verified(rng, tmp_path, monkeypatch):
    files, (images, labels) = contents(FASHION, rng)
    sent = compressed(files)
    known = {name: (len(sent[f"{name}.gz"]), hashlib.sha256(sent[f"{name}.gz"]).hexdigest()) for name in files}
    monkeypatch.setattr(relatives, "PACKED", known)
    images_name, labels_name = (f"{name}.gz" for name in FASHION)
    wrong = gzip.compress(files[FASHION[0]], 1, mtime=5)  # the same content, but not what was verified
    with mirror(sent | {images_name: wrong}) as (url, _), pytest.raises(DatasetUnavailable, match="sent other content"):
        FashionMNIST(mirrors=[url])
    cache = tmp_path / "xdg" / "cunet" / "fashion-mnist"
    assert list(cache.iterdir()) == [] and cache.stat().st_mode & 0o777 == 0o700
    with mirror(sent) as (url, asked):
        with pytest.raises(DatasetUnavailable, match="there is no train-images"):
            FashionMNIST(download=False, mirrors=[url])
        with pytest.raises(DatasetUnavailable):
            FashionMNIST(root=tmp_path, mirrors=[url])
        assert asked == []
        for _ in range(2):
            found = FashionMNIST(mirrors=[url])
        assert asked == [images_name, labels_name]
    np.testing.assert_array_equal(found.images, images)
    np.testing.assert_array_equal(found.labels, labels)


def test_letters_come_out_of_one_archive(rng, tmp_path, monkeypatch):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for part in ("balanced", "byclass", "bymerge", "digits", "letters", "mnist"):
            for split in ("train", "test"):
                names = [f"emnist-{part}-{split}-{name}-ubyte" for name in ("images-idx3", "labels-idx1")]
                files, arrays = contents(names, rng, low=part == "letters")
                for name, content in compressed(files).items():
                    archive.writestr(f"gzip/{name}", content)
        archive.writestr("gzip/../../elsewhere", b"")
    content = packed.getvalue()
    whole = Archive("gzip.zip", len(content), hashlib.sha256(content).hexdigest())
    monkeypatch.setattr(relatives, "ARCHIVE", whole)
    with mirror({"gzip.zip": content}) as (url, asked):
        for part in ("mnist", "letters"):
            found = EMNIST("test", part, mirrors=[url])
            if part == "mnist":
                np.testing.assert_array_equal(found.images, arrays[0].transpose(0, 2, 1))
    assert asked == ["gzip.zip"]
    kept = sorted((tmp_path / "xdg").rglob("*.*"))
    assert (
        len(kept) == 24
        and {path.parent.name for path in kept} == {"emnist"}
        and {path.suffix for path in kept} == {".gz"}
    )
    with mirror({"gzip.zip": content[:-1] + b"!"}) as (url, _):
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "other"))
        with pytest.raises(DatasetUnavailable, match="EMNIST: .*and the download failed .*sent other content"):
            EMNIST(mirrors=[url])
    assert [path for path in (tmp_path / "other").rglob("*") if path.is_file()] == []
