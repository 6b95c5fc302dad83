"""Rows of `cunet.fft`. The oracle is the sum of the definition, term by term."""

import cmath
import math

import numpy as np

import cunet
from cunet import fft

from . import Case

SCALE = {None: lambda n: 1, "ortho": lambda n: 1 / math.sqrt(n), "forward": lambda n: 1 / n}
INVERSE = {None: lambda n: 1 / n, "ortho": lambda n: 1 / math.sqrt(n), "forward": lambda n: 1}


def turned(k, n):
    return cmath.exp(2j * math.pi * (k % n) / n)


def rfft(x, n=None, axis=-1, norm=None):
    rows = np.moveaxis(x, axis, -1)
    n = n or rows.shape[-1]
    out = np.zeros((*rows.shape[:-1], n // 2 + 1), complex)
    for *at, k in np.ndindex(*out.shape):
        out[(*at, k)] = SCALE[norm](n) * sum(v * turned(-j * k, n) for j, v in enumerate(rows[tuple(at)][:n]))
    out = np.moveaxis(out, -1, axis)
    return out.real, out.imag


def irfft(real, imag, n=None, axis=-1, norm=None):
    rows = np.moveaxis(real + 1j * imag, axis, -1)
    n = n or 2 * (rows.shape[-1] - 1)
    out = np.zeros((*rows.shape[:-1], n))
    for *at, j in np.ndindex(*out.shape):
        total = 0.0
        for k, z in enumerate(rows[tuple(at)][: n // 2 + 1]):
            alone = k == 0 or 2 * k == n  # its imaginary part means nothing
            total += z.real * turned(j * k, n).real if alone else 2 * (z * turned(j * k, n)).real
        out[(*at, j)] = INVERSE[norm](n) * total
    return np.moveaxis(out, -1, axis)


def irfft_of_a_pair(real, imag, **kwargs):
    return fft.irfft((real, imag), **kwargs)


def fft_of_a_pair(real, imag, axes=(-1,), s=None, inverse=False, norm=None):
    return (fft.ifftn if inverse else fft.fftn)(cunet.Complex(real, imag), s, axes, norm)


def transform(real, imag, axes=(-1,), s=None, inverse=False, norm=None):
    z = real + 1j * imag
    for axis, n in zip(axes, s or [z.shape[axis] for axis in axes], strict=True):
        rows, sign = np.moveaxis(z, axis, -1), 1 if inverse else -1
        scale = (INVERSE if inverse else SCALE)[norm](n)
        z = np.zeros((*rows.shape[:-1], n), complex)
        for *at, k in np.ndindex(*z.shape):
            z[(*at, k)] = scale * sum(v * turned(sign * j * k, n) for j, v in enumerate(rows[tuple(at)][:n]))
        z = np.moveaxis(z, -1, axis)
    return z.real, z.imag


def normal(*shape, count=1):
    return lambda rng: tuple(rng.standard_normal(shape) for _ in range(count))


#: float16 inputs are exact, but a sum of some may be in the middle between two float16 numbers.
CASES = [
    *[
        Case(fft.rfft, kwargs, reference=rfft, inputs=normal(3, 8, 2), ulp=8, label="even")
        for kwargs in ({"axis": 1}, {"axis": -2, "n": 6}, {"axis": 1, "n": 11, "norm": "ortho"})
    ],
    Case(fft.rfft, {"norm": "forward"}, reference=rfft, inputs=normal(3, 7), ulp=8, label="odd"),
    Case(fft.rfft, reference=rfft, inputs=normal(2, 1), label="one point"),
    *[
        Case(irfft_of_a_pair, kwargs, reference=irfft, inputs=normal(3, 5, 2, count=2), ulp=8, grad_ulp=16)
        for kwargs in ({"axis": 1}, {"axis": -2, "n": 9}, {"axis": 1, "n": 6}, {"axis": 1, "n": 13, "norm": "ortho"})
    ],
    Case(
        irfft_of_a_pair, {"norm": "forward", "n": 1}, reference=irfft, inputs=normal(2, 3, count=2), label="one point"
    ),
    *[
        Case(fft_of_a_pair, kwargs, reference=transform, inputs=normal(3, 4, 5, count=2), ulp=8, grad_ulp=16)
        for kwargs in ({}, {"axes": (0, 2), "inverse": True}, {"axes": (1,), "s": (3,), "norm": "ortho"})
    ],
    Case(
        fft_of_a_pair,
        {"axes": (1, 2), "s": (6, 3), "norm": "forward"},
        reference=transform,
        inputs=normal(2, 4, 5, count=2),
        ulp=8,
        grad_ulp=16,
    ),
]
