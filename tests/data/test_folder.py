"""Folders of images, read by Pillow."""

import sys

import numpy as np
import pytest

from cunet.data import CorruptFile, DatasetUnavailable, ImageFolder, Loader

pytestmark = pytest.mark.cpu_only
Image = pytest.importorskip("PIL.Image", reason="Pillow is not installed; it comes with the extra [images]")


@pytest.fixture
def root(tmp_path, rng):
    """Two classes in three formats, one file in a folder below, and what is no image."""
    colours = rng.integers(0, 256, (4, 5, 6, 3), np.uint8)
    for path, pixels in zip(("cat/b.png", "cat/deep/a.BMP", "dog/a.png", "dog/b.gif"), colours, strict=True):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(tmp_path / path)
    (tmp_path / "cat/notes.txt").write_text("no image")
    (tmp_path / "empty").mkdir()
    (tmp_path / "stray.png").write_bytes((tmp_path / "cat/b.png").read_bytes())
    return tmp_path, colours


def test_classes_and_samples_are_in_the_order_of_their_names(root):
    folder, colours = root
    found = ImageFolder(folder)
    assert found.names == ["cat", "dog"] and found.labels.tolist() == [0, 0, 1, 1] and len(found) == 4
    x, label = found[0]
    np.testing.assert_allclose(x, colours[0].transpose(2, 0, 1) / 255, rtol=1e-6)
    assert x.dtype == np.float32 and label == 0 and x.flags.c_contiguous
    np.testing.assert_allclose(found[1][0], colours[1].transpose(2, 0, 1) / 255, rtol=1e-6)
    x, y = next(iter(Loader(ImageFolder(folder, (3, 4)), batch_size=4)))
    assert x.shape == (4, 3, 3, 4) and 0 <= x.min() <= x.max() <= 1 and y.tolist() == [0, 0, 1, 1]
    assert ImageFolder(folder, colour=False)[2][0].shape == (1, 5, 6)


def test_pictures_lie_as_their_exif_data_say(tmp_path):
    (tmp_path / "a").mkdir()
    picture = Image.fromarray(np.arange(6, dtype=np.uint8).reshape(2, 3))
    exif = Image.Exif()
    exif[0x0112] = 6  # turn it to the right
    picture.save(tmp_path / "a/x.png", exif=exif)
    np.testing.assert_allclose(ImageFolder(tmp_path, colour=False)[0][0][0] * 255, [[3, 0], [4, 1], [5, 2]], atol=1e-4)


def test_damaged_files_empty_folders_and_a_missing_library(root, monkeypatch):
    folder, _ = root
    path = folder / "dog/a.png"
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(CorruptFile, match=r"dog.a\.png: it is no whole image"):
        ImageFolder(folder)[2]
    with pytest.raises(DatasetUnavailable, match="must hold a folder of images for each class"):
        ImageFolder(folder / "empty")
    with pytest.raises(DatasetUnavailable, match="there is no folder"):
        ImageFolder(folder / "no")
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    with pytest.raises(ImportError, match=r'ImageFolder needs PIL.*pip install "cunet\[images\]"'):
        ImageFolder(folder)
