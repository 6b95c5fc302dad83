"""Rows of `cunet.ops.rearrange`. The oracles build their results index by index, in plain loops."""

import numpy as np

import cunet

from . import Case
from .array import build, one, three


def hstack(*tensors):
    return cunet.hstack(tensors)


def vstack(*tensors):
    return cunet.vstack(tensors)


CASES = [
    Case(cunet.diagonal, {}, reference=lambda x: build((2,), lambda i: x[i, i]), inputs=one(2, 3)),
    Case(
        cunet.diagonal,
        {"axis1": -1, "axis2": 0},
        reference=lambda x, axis1, axis2: build((2, 3), lambda j, i: x[i, j, i]),
        inputs=one(3, 2, 4),
    ),
    Case(cunet.diagonal, {"offset": 1}, reference=lambda x, offset: np.array([x[0, 1], x[1, 2]]), inputs=one(2, 3)),
    Case(
        cunet.diagonal,
        {"offset": -1, "axis1": 1, "axis2": 2},
        reference=lambda x, **_: build((2, 2), lambda i, j: x[i, j + 1, j]),
        inputs=one(2, 3, 4),
    ),
    Case(
        cunet.trace,
        {"offset": 1, "axis1": 2, "axis2": 0},
        reference=lambda x, **_: build((3,), lambda j: x[1, j, 0]),
        inputs=one(2, 3, 4),
    ),
    Case(cunet.trace, {}, reference=lambda x: np.array(x[0, 0] + x[1, 1]), inputs=one(2, 3)),
    Case(cunet.diag, {}, reference=lambda x: build((3, 3), lambda i, j: x[i] * (i == j)), inputs=one(3)),
    Case(cunet.diag, {"k": -2}, reference=lambda x, k: build((4, 4), lambda i, j: i == j + 2 and x[j]), inputs=one(2)),
    Case(cunet.diag, {"k": 1}, reference=lambda x, k: np.array([x[0, 1], x[1, 2]]), inputs=one(2, 3), label="matrix"),
    Case(
        cunet.tril,
        {"k": 1},
        reference=lambda x, k: build((3, 4), lambda i, j: x[i, j] * (j <= i + 1)),
        inputs=one(3, 4),
    ),
    Case(
        cunet.triu,
        {},
        reference=lambda x: build((2, 3, 3), lambda n, i, j: x[n, i, j] * (j >= i)),
        inputs=one(2, 3, 3),
    ),
    Case(
        cunet.roll,
        {"shift": 2},
        reference=lambda x, shift: build((2, 3), lambda i, j: x.flat[3 * i + j - 2]),
        inputs=one(2, 3),
    ),
    Case(
        cunet.roll,
        {"shift": (-1, 2), "axis": (0, 1)},
        reference=lambda x, **_: build((3, 4), lambda i, j: x[(i + 1) % 3, j - 2]),
        inputs=one(3, 4),
    ),
    Case(
        cunet.roll,
        {"shift": 5, "axis": 1},
        reference=lambda x, **_: build((3, 4), lambda i, j: x[i, j - 1]),
        inputs=one(3, 4),
    ),
    Case(
        cunet.moveaxis,
        {"source": 0, "destination": -1},
        reference=lambda x, **_: build((3, 4, 2), lambda i, j, k: x[k, i, j]),
        inputs=one(2, 3, 4),
    ),
    Case(
        cunet.moveaxis,
        {"source": (2, 0), "destination": (0, 1)},
        reference=lambda x, **_: build((4, 2, 3), lambda i, j, k: x[j, k, i]),
        inputs=one(2, 3, 4),
    ),
    Case(
        hstack,
        reference=lambda a, b: build((2, 5), lambda i, j: a[i, j] if j < 3 else b[i, j - 3]),
        inputs=three((2, 3), (2, 2)),
    ),
    Case(hstack, reference=lambda a, b: np.array([*a, b]), inputs=three((3,), ()), label="flat"),
    Case(
        vstack,
        reference=lambda a, b: build((3, 3), lambda i, j: a[i, j] if i < 2 else b[j]),
        inputs=three((2, 3), (3,)),
    ),
    Case(cunet.diff, {}, reference=lambda x: build((2, 3), lambda i, j: x[i, j + 1] - x[i, j]), inputs=one(2, 4)),
    Case(
        cunet.diff,
        {"n": 2, "axis": 0},
        reference=lambda x, **_: build((2, 2), lambda i, j: x[i + 2, j] - 2 * x[i + 1, j] + x[i, j]),
        inputs=one(4, 2),
        grad_ulp=16,
    ),
    Case(
        cunet.diff,
        {"prepend": 1, "append": 2},
        reference=lambda x, **_: np.array([[a - 1, b - a, 2 - b] for a, b in x]),
        inputs=one(3, 2),
    ),
]
