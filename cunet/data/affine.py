"""Random turns, shifts, zooms and shears of images."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..device import Array, array_module, like
from ..random import Generator
from ..system.checks import check_numbers
from .augment import Augmentation, Range, rising, share


class RandomAffine(Augmentation):
    """Turn, shift, zoom and shear each image about its middle, in one bilinear interpolation; zeros come in.

    Args:
        degrees: largest angle, either way.
        translate: largest shift, either way, as a share of height and width.
        scale: zoom, from and to, uniform in the logarithm.
        shear: largest angle, either way, by which columns lean.
        generator: stream of random numbers.

    Raises:
        ValueError: `degrees` or `shear` is negative, or `shear` not below 90; `translate` is not from 0 to 1; `scale`
            does not rise from above 0.

    Example:
        >>> from cunet.data import RandomAffine
        >>> images, labels = np.zeros((8, 1, 28, 28), np.float32), np.arange(8)
        >>> x, y = RandomAffine(degrees=10, translate=0.1, scale=(0.9, 1.1))(images, labels)
        >>> x.shape, y  # labels are handed on
        ((8, 1, 28, 28), array([0, 1, 2, 3, 4, 5, 6, 7]))
    """

    def __init__(
        self,
        degrees: float = 0.0,
        translate: float = 0.0,
        scale: Range = (1.0, 1.0),
        shear: float = 0.0,
        generator: Generator | None = None,
    ) -> None:
        super().__init__(generator)
        check_numbers("RandomAffine", degrees=degrees, shear=shear)
        if degrees < 0 or not 0 <= shear < 90:
            raise ValueError(
                f"RandomAffine: degrees and shear must be at least 0, shear below 90, got {degrees}, {shear}"
            )
        self.degrees, self.shear = degrees, shear
        self.translate = share("RandomAffine", "translate", translate)
        self.scale = rising("RandomAffine", "scale", scale)

    def _changed(self, x: Array, rng: np.random.Generator) -> Array:
        self._checked(x, floating=True)
        n, _, height, width = x.shape
        angle = np.deg2rad(rng.uniform(-1, 1, n) * self.degrees)
        lean = np.tan(np.deg2rad(rng.uniform(-1, 1, n) * self.shear))
        zoom = np.exp(rng.uniform(np.log(self.scale[0]), np.log(self.scale[1]), n))
        down, right = (rng.uniform(-1, 1, n) * self.translate * size for size in (height, width))
        # Where a pixel comes from: back by the shift, the turn, the zoom and the shear, about the middle.
        back = np.einsum("nij,njk->nik", _shears(-lean), _turns(-angle) / zoom[:, None, None])
        return _sampled(x, back, np.stack([down, right], axis=1))


def _turns(angle: np.ndarray) -> np.ndarray:
    """Return matrices (N, 2, 2) for (row, column) that turn against the clock."""
    cos, sin = np.cos(angle), np.sin(angle)
    return np.stack([[cos, -sin], [sin, cos]]).transpose(2, 0, 1)


def _shears(lean: np.ndarray) -> np.ndarray:
    """Return matrices for (row, column) that add `lean` times the row to the column."""
    one, zero = np.ones_like(lean), np.zeros_like(lean)
    return np.stack([[one, zero], [lean, one]]).transpose(2, 0, 1)


def _sampled(x: Array, back: np.ndarray, shift: np.ndarray) -> Array:
    """Return images whose pixel at `p` from the middle is that of `x` at ``back @ (p - shift)``, bilinearly."""
    xp = array_module(x)
    middle = [(size - 1) / 2 for size in x.shape[2:]]
    offset = np.asarray(middle) - np.einsum("nij,nj->ni", back, shift + middle)
    rows, columns = (xp.arange(size, dtype=np.float64) for size in x.shape[2:])
    b, o = like(back, x), like(offset, x)
    places = [
        b[:, k, 0, None, None] * rows[:, None] + b[:, k, 1, None, None] * columns + o[:, k, None, None] for k in (0, 1)
    ]
    corners = [xp.floor(place) for place in places]
    samples, channels = xp.arange(len(x))[:, None, None, None], xp.arange(x.shape[1])[None, :, None, None]
    total = xp.zeros_like(x)
    for steps in ((0, 0), (0, 1), (1, 0), (1, 1)):
        weight: Any = 1.0
        index = []
        for place, corner, step, size in zip(places, corners, steps, x.shape[2:], strict=True):
            at = corner + step
            inside = (at >= 0) & (at < size)
            weight = weight * (1 - xp.abs(place - at)) * inside
            index.append(xp.clip(at, 0, size - 1).astype(np.int64)[:, None])
        total += weight[:, None].astype(x.dtype) * x[samples, channels, index[0], index[1]]
    return total
