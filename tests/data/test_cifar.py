"""CIFAR-10 from files in its binary format."""

import hashlib
import inspect
import io
import tarfile

import numpy as np
import pytest
from data_server import mirror, only_this_machine

from cunet.data import CIFAR10, EMNIST, CorruptFile, DatasetUnavailable, FashionMNIST, cifar, relatives
from cunet.data.finding import Archive

pytestmark = pytest.mark.cpu_only


@pytest.fixture(autouse=True)
def no_real_network(monkeypatch):
    only_this_machine(monkeypatch)


def written(folder, rng, count=3):
    """Write six files; return images and labels of the five to train on."""
    folder.mkdir()
    parts = []
    for name in [*(f"data_batch_{k}.bin" for k in range(1, 6)), "test_batch.bin"]:
        labels, images = rng.integers(0, 10, (count, 1)), rng.integers(0, 256, (count, 3072))
        np.concatenate([labels, images], axis=1).astype(np.uint8).tofile(folder / name)
        parts.append((images.reshape(count, 3, 32, 32), labels[:, 0]))
    return map(np.concatenate, zip(*parts[:5], strict=True))


def test_records_are_labels_and_planes_of_colour(rng, tmp_path, monkeypatch):
    images, labels = written(tmp_path / "cifar-10-batches-bin", rng)
    monkeypatch.setenv("CUNET_DATA", str(tmp_path))
    found = CIFAR10()
    np.testing.assert_array_equal(found.images, images)
    np.testing.assert_array_equal(found.labels, labels)
    assert found.images.dtype == np.uint8 and "15 images of 32x32" in repr(found)
    assert len(CIFAR10("test", root=tmp_path)) == 3
    x, _ = found.arrays(flatten=False)
    mean, std = (np.reshape(values, (3, 1, 1)) for values in (CIFAR10.MEAN, CIFAR10.STD))
    np.testing.assert_allclose(x, (images / 255 - mean) / std, rtol=1e-5, atol=1e-5)
    assert found.arrays()[0].shape == (15, 3072) and found.arrays(standardise=False)[0].max() <= 1


def test_what_is_no_such_file_is_refused(rng, tmp_path, monkeypatch):
    monkeypatch.delenv("CUNET_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    with pytest.raises(DatasetUnavailable, match="CIFAR10: there is no test_batch.bin in .*cifar-10-batches-bin"):
        CIFAR10("test")
    folder = tmp_path / "here"
    written(folder, rng)
    whole = (folder / "test_batch.bin").read_bytes()
    for wrong, said in (
        (whole[:-1], "records of 3073 bytes"),
        (b"", "records"),
        (b"\x0a" + whole[1:], "0 to 9, got 10"),
    ):
        (folder / "test_batch.bin").write_bytes(wrong)
        with pytest.raises(CorruptFile, match=said):
            CIFAR10("test", root=folder)


def test_the_archive_is_downloaded_verified_and_unpacked(rng, tmp_path, monkeypatch):
    folder = tmp_path / "cifar-10-batches-bin"
    images, labels = written(folder, rng)
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        archive.add(folder, "cifar-10-batches-bin")
    content = packed.getvalue()
    whole = Archive("cifar-10-binary.tar.gz", len(content), hashlib.sha256(content).hexdigest())
    monkeypatch.setattr(cifar, "ARCHIVE", whole)
    monkeypatch.delenv("CUNET_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    with mirror({whole.name: content}) as (url, asked):
        found = CIFAR10(mirrors=[url])
        assert len(CIFAR10("test", mirrors=[url])) == 3 and asked == [whole.name]
    np.testing.assert_array_equal(found.images, images)
    np.testing.assert_array_equal(found.labels, labels)
    assert len([path for path in (tmp_path / "xdg").rglob("*") if path.is_file()]) == 6  # and no archive
    monkeypatch.setattr(cifar, "ARCHIVE", Archive(whole.name, whole.size, "0" * 64))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "other"))
    with mirror({whole.name: content}) as (url, _), pytest.raises(DatasetUnavailable, match="sent other content"):
        CIFAR10(mirrors=[url])


def test_mirrors_are_encrypted_and_checksums_whole():
    for known in (cifar.ARCHIVE, relatives.ARCHIVE):
        assert len(known.sha256) == 64 and int(known.sha256, 16) > 0 and known.size > 1e8
    for data in (CIFAR10, FashionMNIST, EMNIST):
        assert all(m.startswith("https://") for m in inspect.signature(data).parameters["mirrors"].default)
    assert all(len(sha256) == 64 for _, sha256 in relatives.PACKED.values())
