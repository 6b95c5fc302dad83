"""Files of images as inputs of a net."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..system.extras import extra
from .recipes import Picture


def read(paths: Sequence[str], picture: Picture) -> np.ndarray:
    """Return images as a batch of inputs, (N, \\*shape) float32: grey, square, light ink on dark ground as in MNIST.

    What is transparent is white; an image with a light border is inverted; one that is not square gets a border.

    Raises:
        ImportError: Pillow is not installed.
        OSError: a file cannot be read, or is no image.
    """
    pillow = extra("PIL.Image", "images", "cunet predict")
    rows = []
    for path in paths:
        with pillow.open(path) as image:
            over = image.convert("RGBA")
        white = pillow.new("RGBA", over.size, "white")
        white.alpha_composite(over)
        pixels = np.asarray(white.convert("L"), np.float32) / 255
        border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
        pixels = 1 - pixels if np.median(border) > 0.5 else pixels
        side = max(pixels.shape)
        square = np.zeros((side, side), np.float32)
        top, left = ((side - n) // 2 for n in pixels.shape)
        square[top : top + pixels.shape[0], left : left + pixels.shape[1]] = pixels
        small = pillow.fromarray(square).resize((picture.side, picture.side), pillow.Resampling.BILINEAR)
        rows.append((np.asarray(small, np.float32) - picture.mean) / picture.std)
    return np.stack(rows).reshape(len(rows), *picture.shape).astype(np.float32)
