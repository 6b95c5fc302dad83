"""MNIST: where it is looked for, what is said when it is not there, and the real files where they are at hand."""

import gzip
import os
import stat
from pathlib import Path

import numpy as np
import pytest
from data_server import closed_port, compressed, fill, idx_bytes, mirror, only_this_machine, small_mnist

from cunet.data import MNIST, CorruptFile, DatasetUnavailable
from cunet.data.mnist import MIRRORS
from cunet.system.paths import user_cache

pytestmark = pytest.mark.cpu_only

REAL = Path(os.environ.get("CUNET_DATA", "")) / "mnist"
needs_mnist = pytest.mark.skipif(
    not ("CUNET_DATA" in os.environ and REAL.is_dir()), reason="the real MNIST is not there: CUNET_DATA names no mnist/"
)


@pytest.fixture
def places(monkeypatch, tmp_path):
    """Make the environment empty: no CUNET_DATA, an empty cache, no network beyond this machine."""
    only_this_machine(monkeypatch)
    monkeypatch.delenv("CUNET_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    return tmp_path


@pytest.fixture
def small(places, monkeypatch, rng):
    return small_mnist(monkeypatch, rng)


def assert_is(found, truth):
    np.testing.assert_array_equal(found.images, truth[0])
    np.testing.assert_array_equal(found.labels, truth[1])
    assert found.images.dtype == np.uint8 and found.labels.dtype == np.int64


def dotted(contents):
    return {name.replace("-idx", ".idx"): content for name, content in contents.items()}


@pytest.mark.parametrize("subfolder", [".", "mnist"])
@pytest.mark.parametrize(
    "form", [dict, compressed, dotted, lambda c: dotted(compressed(c))], ids=["raw", "gz", "dot", "dot-gz"]
)
def test_explicit_root(places, small, form, subfolder):
    contents, truth = small
    fill(places / "here" / subfolder, form(contents))
    for split in ("train", "test"):
        assert_is(MNIST(split, root=places / "here"), truth[split])
    assert_is(MNIST(root=str(places / "here")), truth["train"])
    assert not (places / "xdg").exists()


def test_explicit_root_never_falls_through(places, small, monkeypatch):
    contents, _ = small
    monkeypatch.setenv("CUNET_DATA", str(fill(places / "data" / "mnist", contents).parent))
    fill(user_cache("mnist"), contents)
    fill(places / "half", {"train-images-idx3-ubyte": contents["train-images-idx3-ubyte"]})
    with mirror(compressed(contents)) as (url, asked):
        with pytest.raises(DatasetUnavailable, match="no train-labels-idx1-ubyte.*half"):
            MNIST("train", root=places / "half", mirrors=[url])
        with pytest.raises(DatasetUnavailable, match="no folder .*nothing"):
            MNIST("train", root=places / "nothing", mirrors=[url])
    assert asked == []


def test_order_is_environment_then_cache_then_download(places, small, monkeypatch, rng):
    contents, truth = small
    other = {name: idx_bytes(np.zeros((3, 28, 28) if "images" in name else 3, np.uint8)) for name in contents}
    monkeypatch.setenv("CUNET_DATA", str(fill(places / "data" / "mnist", contents).parent))
    fill(user_cache("mnist"), other)  # would be an error if it were read
    with mirror({}) as (url, asked):
        assert_is(MNIST("test", mirrors=[url]), truth["test"])
        monkeypatch.delenv("CUNET_DATA")
        fill(user_cache("mnist"), contents)
        assert_is(MNIST("test", mirrors=[url]), truth["test"])
    assert asked == []


def test_the_folder_of_torchvision_is_known(places, small, monkeypatch):
    contents, truth = small
    fill(places / "data" / "MNIST" / "raw", contents)
    assert_is(MNIST("test", root=places / "data"), truth["test"])
    monkeypatch.setenv("CUNET_DATA", str(places / "data"))
    assert_is(MNIST("train", download=False), truth["train"])


@pytest.mark.parametrize("data", ["", "no-such-folder", "no-mnist", "half"])
def test_what_the_environment_lacks_is_looked_for_further(places, small, monkeypatch, data):
    contents, truth = small
    (places / "no-mnist").mkdir()
    fill(places / "half" / "mnist", {"t10k-labels-idx1-ubyte": contents["t10k-labels-idx1-ubyte"]})
    monkeypatch.setenv("CUNET_DATA", str(places / data) if data else "")
    fill(user_cache("mnist"), compressed(contents))
    assert_is(MNIST("test", download=False), truth["test"])


def test_download_fills_a_private_cache_once(places, small):
    contents, truth = small
    with mirror({}) as (empty, _), mirror(compressed(contents)) as (url, asked):
        assert_is(MNIST("test", mirrors=[empty, closed_port(), url]), truth["test"])
        assert sorted(asked) == ["t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"]
        assert_is(MNIST("test", mirrors=[url.rstrip("/")]), truth["test"])
        assert len(asked) == 2
        assert_is(MNIST("train", mirrors=[url.rstrip("/")]), truth["train"])
    folder = places / "xdg" / "cunet" / "mnist"
    assert sorted(p.name for p in folder.iterdir()) == sorted(compressed(contents))
    for private in (folder, folder.parent):
        assert stat.S_IMODE(private.stat().st_mode) == 0o700


def test_only_what_the_cache_lacks_is_downloaded(places, small):
    contents, truth = small
    fill(user_cache("mnist"), {"t10k-images-idx3-ubyte": contents["t10k-images-idx3-ubyte"]})
    with mirror(compressed(contents)) as (url, asked):
        assert_is(MNIST("test", mirrors=[url]), truth["test"])
    assert asked == ["t10k-labels-idx1-ubyte.gz"]


def test_a_corrupt_download_never_reaches_the_cache(places, small):
    contents, _ = small
    bad = {name: body[:-9] for name, body in compressed(contents).items()}
    with mirror(bad) as (url, _), pytest.raises(DatasetUnavailable, match=f"{url}.*sent a damaged file"):
        MNIST("train", mirrors=[url])
    assert list(user_cache("mnist").iterdir()) == []


def test_unavailable_lists_where_it_looked_and_what_to_do(places, small, monkeypatch):
    with pytest.raises(DatasetUnavailable) as caught:
        MNIST("train", mirrors=["https://mirror.invalid/"])
    said = str(caught.value)
    for part in (
        "CUNET_DATA is not set",
        str(user_cache("mnist")),
        "https://mirror.invalid/train-images",
        "pass root=",
    ):
        assert part in said
    monkeypatch.setenv("CUNET_DATA", str(places / "data"))
    with pytest.raises(DatasetUnavailable) as caught:
        MNIST("train", download=False)
    for part in (str(places / "data" / "mnist"), "CUNET_DATA", "download=False"):
        assert part in str(caught.value)


def test_without_a_writable_cache_it_is_unavailable(places, small, monkeypatch):
    (places / "xdg").write_text("a file where the folder should be")
    with mirror({}) as (url, asked), pytest.raises(DatasetUnavailable, match="xdg"):
        MNIST("train", mirrors=[url])
    assert asked == []


def test_without_a_home_it_is_unavailable(places, small, monkeypatch):
    def no_home():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", no_home)
    with pytest.raises(DatasetUnavailable, match="home"):
        MNIST("train", mirrors=[])


def test_cache_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    for value in ("", "relative/is/ignored"):
        monkeypatch.setenv("XDG_CACHE_HOME", value)
        assert user_cache("mnist") == tmp_path / ".cache" / "cunet" / "mnist"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "x"))
    assert user_cache("mnist") == tmp_path / "x" / "cunet" / "mnist"


@pytest.mark.parametrize(
    "damage, reason",
    [
        (lambda c: c[:-1], "truncated"),
        (lambda c: gzip.compress(c)[:-9], "truncated: the gzip stream"),
        (lambda c: c[:-1] + bytes([c[-1] ^ 1]), "not that of MNIST's t10k-images-idx3-ubyte"),
        (lambda c: b"<html>", "not an IDX file"),
    ],
    ids=["short", "gzip", "bit", "page"],
)
@pytest.mark.parametrize("place", ["root", "environment", "cache"])
def test_damaged_files_are_named_wherever_they_are(places, small, monkeypatch, damage, reason, place):
    contents, _ = small
    name = "t10k-images-idx3-ubyte"
    folder = fill(
        user_cache("mnist") if place == "cache" else places / "mnist", {**contents, name: damage(contents[name])}
    )
    if place == "environment":
        monkeypatch.setenv("CUNET_DATA", str(places))
    with pytest.raises(CorruptFile, match=reason) as caught:
        MNIST("test", root=places if place == "root" else None, mirrors=[])
    assert str(folder / name) in str(caught.value) and "delete this file and fetch it again" in str(caught.value)


def test_verify_false_accepts_other_data_but_not_nonsense(places, small):
    name, labels = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
    mine = np.full((4, 20, 10), 7, np.uint8)
    fill(places / "mine", {name: idx_bytes(mine), labels: idx_bytes(np.arange(4, dtype=np.uint8))})
    with pytest.raises(CorruptFile, match="verify=False"):
        MNIST("train", root=places / "mine")
    assert_is(MNIST("train", root=places / "mine", verify=False), (mine, np.arange(4)))
    fill(places / "mine", {labels: idx_bytes(np.arange(3, dtype=np.uint8))})
    with pytest.raises(CorruptFile, match=r"\(4, 20, 10\) with labels \(3,\)"):
        MNIST("train", root=places / "mine", verify=False)


def test_split_is_checked(places):
    with pytest.raises(ValueError, match='MNIST: split must be "train" or "test", got \'valid\''):
        MNIST("valid")


def test_items_and_arrays(places, small):
    contents, truth = small
    images, labels = truth["train"]
    data = MNIST(root=fill(places / "here", contents))
    assert len(data) == 12 and repr(data) == "MNIST('train': 12 images of 28x28)"
    np.testing.assert_array_equal(data[3][0], images[3])
    assert data[-1][1] == labels[-1]
    np.testing.assert_array_equal(data[2:4][0], images[2:4])
    assert len(list(data)) == 12  # iteration ends

    x, y = data.arrays()
    assert x.shape == (12, 784) and x.dtype == np.float32 and y.shape == (12,) and y.dtype == np.int64
    assert x[5, 28 * 3 + 4] == pytest.approx((images[5, 3, 4] / 255 - 0.1307) / 0.3081, abs=1e-6)
    x, _ = data.arrays(flatten=False, standardise=False)
    assert x.shape == (12, 1, 28, 28) and x.dtype == np.float32
    assert x[5, 0, 3, 4] == np.float32(images[5, 3, 4] / 255)
    y[:] = -1
    np.testing.assert_array_equal(data.labels, labels)


def test_mirrors_are_encrypted():
    assert MIRRORS and all(url.startswith("https://") and url.endswith("/") for url in MIRRORS)


@pytest.mark.slow
@needs_mnist
def test_the_real_thing():
    train, test = MNIST("train"), MNIST("test")
    assert train.images.shape == (60000, 28, 28) and test.images.shape == (10000, 28, 28)
    assert train.labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert np.bincount(test.labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    # exact sums of integers, then the textbook formulas
    count, total = train.images.size, int(train.images.sum(dtype=np.int64))
    squares = int(np.square(train.images, dtype=np.int64).sum())
    mean = total / count
    std = (squares / count - mean**2) ** 0.5
    assert round(mean / 255, 4) == MNIST.MEAN and round(std / 255, 4) == MNIST.STD
    x, _ = train.arrays()
    assert x.mean(dtype=np.float64) == pytest.approx(0, abs=1e-3) and x.std(dtype=np.float64) == pytest.approx(
        1, abs=1e-3
    )


@needs_mnist
def test_a_real_file_that_lost_its_end_is_named(tmp_path):
    for source in REAL.glob("t10k-*"):
        (tmp_path / source.name).write_bytes(source.read_bytes())
    images = next(tmp_path.glob("t10k-images*"))
    images.write_bytes(images.read_bytes()[:100_000])
    with pytest.raises(CorruptFile, match="truncated") as caught:
        MNIST("test", root=tmp_path)
    assert str(images) in str(caught.value)
