"""Fashion-MNIST and EMNIST from files in their true format."""

import gzip

import numpy as np
import pytest

from cunet.data import EMNIST, CorruptFile, DatasetUnavailable, FashionMNIST, write_idx

pytestmark = pytest.mark.cpu_only


@pytest.fixture(autouse=True)
def nowhere(monkeypatch, tmp_path):
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
