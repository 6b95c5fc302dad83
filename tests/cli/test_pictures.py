"""Files of images become inputs as MNIST's are."""

import numpy as np
import pytest

from cunet.cli.pictures import read
from cunet.cli.recipes import Picture

Image = pytest.importorskip("PIL.Image")
pytestmark = pytest.mark.cpu_only

PLAIN = Picture(4, 0.0, 1.0, False)


def saved(folder, pixels, mode=None):
    path = str(folder / "a.png")
    image = Image.fromarray(np.asarray(pixels, np.uint8))
    (image.convert(mode) if mode else image).save(path)
    return path


def dot(ground, ink):
    pixels = np.full((4, 4), ground)
    pixels[1, 2] = ink
    return pixels


def test_pixels_are_scaled_as_those_that_were_trained_on(tmp_path):
    path = saved(tmp_path, dot(0, 204))
    x = read([path, path], Picture(4, 0.25, 0.5, True))
    assert x.shape == (2, 16) and x.dtype == np.float32
    np.testing.assert_allclose(x[0], (dot(0, 204).reshape(-1) / 255 - 0.25) / 0.5, rtol=1e-6)
    assert read([path], PLAIN).shape == (1, 1, 4, 4)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "1", "LA"])
def test_dark_ink_on_light_paper_is_inverted_in_every_mode(mode, tmp_path):
    np.testing.assert_allclose(read([saved(tmp_path, dot(255, 0), mode)], PLAIN)[0, 0], dot(0, 1), atol=1e-6)
    np.testing.assert_allclose(read([saved(tmp_path, dot(0, 255), mode)], PLAIN)[0, 0], dot(0, 1), atol=1e-6)


def test_what_is_transparent_is_paper(tmp_path):
    pixels = np.zeros((4, 4, 4), np.uint8)
    pixels[1, 2, 3] = 255  # black ink, all else transparent black
    np.testing.assert_allclose(read([saved(tmp_path, pixels)], PLAIN)[0, 0], dot(0, 1), atol=1e-6)


def test_large_images_are_made_small_and_others_than_squares_get_a_border(tmp_path):
    big = np.kron(dot(0, 255), np.ones((8, 8)))
    small = read([saved(tmp_path, big)], PLAIN)[0, 0]
    assert small.argmax() == dot(0, 1).argmax() and small.max() > 0.5
    tall = read([saved(tmp_path, np.full((4, 2), 100))], PLAIN)[0, 0]
    np.testing.assert_allclose(tall, np.tile([0, 100 / 255, 100 / 255, 0], (4, 1)), atol=1e-6)
    assert read([saved(tmp_path, [[7]])], PLAIN).shape == (1, 1, 4, 4)


def test_what_is_no_image_is_an_error_of_files(tmp_path):
    with pytest.raises(FileNotFoundError):
        read([str(tmp_path / "no.png")], PLAIN)
    (tmp_path / "text.png").write_text("text")
    with pytest.raises(OSError, match=r"cannot identify image file .*text\.png"):
        read([str(tmp_path / "text.png")], PLAIN)


def test_without_pillow_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "PIL.Image", None)
    with pytest.raises(ImportError, match=r'cunet predict needs PIL.* pip install "cunet\[images\]"'):
        read(["a.png"], PLAIN)
