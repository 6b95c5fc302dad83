"""Digits, and the choice between MNIST and Digits."""

import subprocess
import sys

import numpy as np
import pytest
from data_server import fill, only_this_machine, small_mnist

from cunet.data import MNIST, CorruptFile, DatasetUnavailable, Digits, load_images
from cunet.data.download import DownloadFailed

pytestmark = pytest.mark.cpu_only


@pytest.fixture
def no_mnist(monkeypatch, tmp_path):
    only_this_machine(monkeypatch)
    monkeypatch.delenv("CUNET_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    def fail(urls, *args, **kwargs):
        raise DownloadFailed("there is no network")

    monkeypatch.setattr("cunet.data.mnist.fetch", fail)


def test_the_two_splits_are_all_the_digits_once():
    source = pytest.importorskip("sklearn.datasets").load_digits()
    train, test = Digits("train"), Digits("test")
    assert (len(train), len(test)) == (1442, 355)

    def rows(images, labels):
        return sorted(map(bytes, np.column_stack([images.reshape(-1, 64), labels]).astype(np.uint8)))

    both = rows(np.concatenate([train.images, test.images]), np.concatenate([train.labels, test.labels]))
    assert both == rows(source.images, source.target)
    assert set(rows(train.images, train.labels)).isdisjoint(rows(test.images, test.labels))


def test_the_split_is_stratified_and_fixed():
    pytest.importorskip("sklearn")
    train, test = Digits("train"), Digits("test")
    share = np.bincount(test.labels) / (np.bincount(test.labels) + np.bincount(train.labels))
    assert np.all(np.abs(share - 0.2) < 0.01)
    # the data set begins with 0 1 2 3 4 5 6 7 8 9 three times over
    assert train.labels[:30].tolist() == list(range(10)) * 3
    np.testing.assert_array_equal(test.images, Digits("test").images)


def test_types_and_constants():
    pytest.importorskip("sklearn")
    train = Digits()
    assert train.images.dtype == np.uint8 and train.images.shape[1:] == (8, 8) and train.images.max() == 16
    assert train.labels.dtype == np.int64 and repr(train) == "Digits('train': 1442 images of 8x8)"
    count, total = train.images.size, int(train.images.sum())
    squares = int(np.square(train.images, dtype=np.int64).sum())
    assert round(total / count / 16, 4) == Digits.MEAN
    assert round((squares / count - (total / count) ** 2) ** 0.5 / 16, 4) == Digits.STD
    x, y = train.arrays()
    assert x.shape == (1442, 64) and x.dtype == np.float32 and y.dtype == np.int64
    assert train.arrays(flatten=False, standardise=False)[0].max() == 1.0
    assert train.arrays(flatten=False)[0].shape == (1442, 1, 8, 8)


def test_split_is_checked():
    with pytest.raises(ValueError, match="Digits: split must be"):
        Digits("all")


@pytest.fixture
def no_sklearn(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)


def test_missing_scikit_learn_is_named(no_sklearn):
    with pytest.raises(ImportError, match="Digits needs scikit-learn, .*: pip install scikit-learn"):
        Digits()


def test_nobody_is_told_of_a_fallback_that_cannot_be_had(no_sklearn, no_mnist, capsys):
    with pytest.raises(ImportError, match="pip install scikit-learn"):
        load_images()
    assert capsys.readouterr().err == ""


def test_importing_the_data_package_imports_nothing_heavy():
    heavy = ["sklearn", "tqdm", "urllib.request", "http.client"]
    code = f"import sys, cunet.data; print([m for m in {heavy} if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert found.stdout.strip() == "[]"


def test_auto_falls_back_aloud_in_one_line(no_mnist, capsys):
    pytest.importorskip("sklearn")
    train, test = load_images()
    assert isinstance(train, Digits) and (train.split, test.split) == ("train", "test")
    said = capsys.readouterr()
    assert said.out == "" and said.err.count("\n") == 1
    assert "Falling back" in said.err and "1,797" in said.err and "there is no network" in said.err


def test_auto_is_mnist_where_it_is(no_mnist, monkeypatch, tmp_path, rng, capsys):
    contents, truth = small_mnist(monkeypatch, rng)
    fill(tmp_path / "data" / "mnist", contents)
    monkeypatch.setenv("CUNET_DATA", str(tmp_path / "data"))
    train, test = load_images("auto")
    assert isinstance(train, MNIST) and capsys.readouterr().err == ""
    np.testing.assert_array_equal(train.images, truth["train"][0])
    np.testing.assert_array_equal(test.labels, truth["test"][1])


def test_auto_does_not_hide_a_damaged_file_or_a_wrong_root(no_mnist, monkeypatch, tmp_path, rng):
    contents, _ = small_mnist(monkeypatch, rng)
    folder = fill(tmp_path / "mnist", {name: content[:-1] for name, content in contents.items()})
    with pytest.raises(CorruptFile, match="truncated"):
        load_images("auto", root=folder)
    with pytest.raises(DatasetUnavailable, match="nowhere"):
        load_images("auto", root=tmp_path / "nowhere")


def test_mnist_does_not_fall_back(no_mnist):
    with pytest.raises(DatasetUnavailable, match="there is no network"):
        load_images("mnist")


def test_digits_by_name(no_mnist, capsys):
    pytest.importorskip("sklearn")
    assert isinstance(load_images("digits")[1], Digits) and capsys.readouterr().err == ""


def test_unknown_name():
    with pytest.raises(ValueError, match='"auto", "mnist" or "digits", got \'cifar\''):
        load_images("cifar")
