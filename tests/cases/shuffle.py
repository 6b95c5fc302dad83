"""Rows of `cunet.ops.shuffle`. The oracle finds the source of each pixel."""

import numpy as np

from cunet import F

from . import Case


def pixel_shuffle(x, upscale_factor):
    r = upscale_factor
    *lead, c, h, w = x.shape
    y = np.empty((*lead, c // r**2, h * r, w * r))
    for *at, k, i, j in np.ndindex(*y.shape):
        y[(*at, k, i, j)] = x[(*at, k * r**2 + i % r * r + j % r, i // r, j // r)]
    return y


def pixel_unshuffle(y, downscale_factor):
    r = downscale_factor
    *lead, c, h, w = y.shape
    x = np.empty((*lead, c * r**2, h // r, w // r))
    for *at, k, i, j in np.ndindex(*x.shape):
        x[(*at, k, i, j)] = y[(*at, k // r**2, i * r + k % r**2 // r, j * r + k % r)]
    return x


def normal(*shape):
    return lambda rng: (rng.standard_normal(shape),)


CASES = [
    Case(F.pixel_shuffle, {"upscale_factor": 2}, reference=pixel_shuffle, inputs=normal(2, 8, 2, 3)),
    Case(F.pixel_shuffle, {"upscale_factor": 3}, reference=pixel_shuffle, inputs=normal(9, 2, 1), label="no samples"),
    Case(F.pixel_shuffle, {"upscale_factor": 1}, reference=pixel_shuffle, inputs=normal(1, 2, 3, 2, 2)),
    Case(F.pixel_unshuffle, {"downscale_factor": 2}, reference=pixel_unshuffle, inputs=normal(2, 2, 4, 6)),
    Case(F.pixel_unshuffle, {"downscale_factor": 3}, reference=pixel_unshuffle, inputs=normal(1, 6, 3)),
]
