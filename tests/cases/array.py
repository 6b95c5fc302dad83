"""Rows of `cunet.ops.array`. The oracles build their results index by index, in plain loops."""

import numpy as np

import cunet

from . import Case


def build(shape, source):
    """Make an array whose element at each index is ``source(index)``."""
    out = np.empty(shape)
    for index in np.ndindex(*shape):
        out[index] = source(*index)
    return out


def one(*shape):
    return lambda rng: (rng.standard_normal(shape),)


def three(*shapes):
    return lambda rng: tuple(rng.standard_normal(s) for s in shapes)


def concatenate(*tensors, axis=0):
    return cunet.concatenate(tensors, axis=axis)


def stack(*tensors, axis=0):
    return cunet.stack(tensors, axis=axis)


def getitem(x, *, index):
    return cunet.getitem(x, index)


def there_and_back(x):
    """Go through float64 and back: the result keeps the dtype, as the generic tests want it."""
    return x.astype(np.float64).astype(x.dtype)


def to_own_device(x):
    return x.to(x.device)


def padded(x, pad_width, value=0.0):
    (a, b), (c, d) = pad_width
    n, m = x.shape
    return build((n + a + b, m + c + d), lambda i, j: x[i - a, j - c] if a <= i < a + n and c <= j < c + m else value)


ROWS = [2, 0, 2, 2]  # a row that is picked three times collects three gradients
MASK = np.array([[True, False, True], [False, False, True]])
OLD_ROWS = np.array([[0, 2], [2, 2]])

CASES = [
    Case(
        cunet.reshape,
        {"shape": (2, 6)},
        reference=lambda x, shape: build(shape, lambda i, j: x[(6 * i + j) // 4, (6 * i + j) % 4]),
        inputs=one(3, 4),
    ),
    Case(
        cunet.reshape,
        {"shape": -1},
        reference=lambda x, shape: build((12,), lambda i: x[i // 4, i % 4]),
        inputs=one(3, 4),
    ),
    Case(cunet.transpose, {}, reference=lambda x: build((4, 3, 2), lambda i, j, k: x[k, j, i]), inputs=one(2, 3, 4)),
    Case(
        cunet.transpose,
        {"axes": (1, -1, 0)},
        reference=lambda x, axes: build((3, 4, 2), lambda i, j, k: x[k, i, j]),
        inputs=one(2, 3, 4),
    ),
    Case(
        cunet.swapaxes,
        {"axis1": 0, "axis2": -1},
        reference=lambda x, axis1, axis2: build((4, 3, 2), lambda i, j, k: x[k, j, i]),
        inputs=one(2, 3, 4),
    ),
    Case(cunet.squeeze, {}, reference=lambda x: build((3, 2), lambda i, j: x[0, i, 0, j]), inputs=one(1, 3, 1, 2)),
    Case(
        cunet.squeeze,
        {"axis": -2},
        reference=lambda x, axis: build((1, 3, 2), lambda i, j, k: x[i, j, 0, k]),
        inputs=one(1, 3, 1, 2),
    ),
    Case(
        cunet.expand_dims,
        {"axis": (0, -1)},
        reference=lambda x, axis: build((1, 3, 2, 1), lambda i, j, k, m: x[j, k]),
        inputs=one(3, 2),
    ),
    Case(
        cunet.broadcast_to,
        {"shape": (2, 3, 4)},
        reference=lambda x, shape: build(shape, lambda i, j, k: x[j, 0]),
        inputs=one(3, 1),
    ),
    Case(there_and_back, reference=lambda x: x, inputs=one(3, 2)),
    Case(to_own_device, reference=lambda x: x, inputs=one(3, 2)),
    Case(
        getitem,
        {"index": (1, slice(None, None, -2))},
        reference=lambda x, index: build((2,), lambda j: x[1, 3 - 2 * j]),
        inputs=one(3, 4),
        label="basic",
    ),
    Case(
        getitem,
        {"index": (None, ..., 0)},
        reference=lambda x, index: build((1, 3), lambda i, j: x[j, 0]),
        inputs=one(3, 4),
        label="none and dots",
    ),
    Case(
        getitem,
        {"index": ROWS},
        reference=lambda x, index: build((4, 2), lambda i, j: x[ROWS[i], j]),
        inputs=one(3, 2),
        label="list, repeated",
    ),
    Case(
        getitem,
        {"index": (slice(None), OLD_ROWS)},
        reference=lambda x, index: build((2, 2, 2), lambda i, j, k: x[i, OLD_ROWS[j, k]]),
        inputs=one(2, 3),
        label="2-d array, repeated",
    ),
    Case(
        getitem,
        {"index": MASK},
        reference=lambda x, index: np.array([x[0, 0], x[0, 2], x[1, 2]]),
        inputs=one(2, 3),
        label="mask",
    ),
    Case(
        concatenate,
        {},
        reference=lambda a, b, c, axis=0: build(
            (6, 2), lambda i, j: a[i, j] if i < 2 else b[i - 2, j] if i < 3 else c[i - 3, j]
        ),
        inputs=three((2, 2), (1, 2), (3, 2)),
    ),
    Case(
        concatenate,
        {"axis": -1},
        reference=lambda a, b, axis: build((2, 4), lambda i, j: a[i, j] if j < 3 else b[i, j - 3]),
        inputs=three((2, 3), (2, 1)),
    ),
    Case(
        concatenate,
        {"axis": None},
        reference=lambda a, b, axis: np.array([*(v for row in a for v in row), *b]),
        inputs=three((2, 3), (2,)),
    ),
    Case(stack, {}, reference=lambda a, b: build((2, 3), lambda i, j: (a, b)[i][j]), inputs=three((3,), (3,))),
    Case(
        stack,
        {"axis": -1},
        reference=lambda a, b, axis: build((2, 3, 2), lambda i, j, k: (a, b)[k][i, j]),
        inputs=three((2, 3), (2, 3)),
    ),
    Case(
        cunet.split,
        {"sections": 2, "axis": 1},
        reference=lambda x, sections, axis: (
            build((2, 2), lambda i, j: x[i, j]),
            build((2, 2), lambda i, j: x[i, j + 2]),
        ),
        inputs=one(2, 4),
    ),
    Case(
        cunet.split,
        {"sections": [1, 1, 3]},
        reference=lambda x, sections: (x[:1], x[1:1], x[1:3], x[3:]),
        inputs=one(4, 2),
    ),
    Case(cunet.pad, {"pad_width": ((1, 0), (2, 1)), "value": 7.0}, reference=padded, inputs=one(2, 3)),
    Case(cunet.pad, {"pad_width": 1}, reference=lambda x, pad_width: padded(x, ((1, 1), (1, 1))), inputs=one(2, 3)),
    Case(cunet.flip, {}, reference=lambda x: build((2, 3), lambda i, j: x[1 - i, 2 - j]), inputs=one(2, 3)),
    Case(cunet.flip, {"axis": -1}, reference=lambda x, axis: build((2, 3), lambda i, j: x[i, 2 - j]), inputs=one(2, 3)),
    Case(
        cunet.tile,
        {"reps": (2, 1, 2)},
        reference=lambda x, reps: build((2, 2, 6), lambda i, j, k: x[j, k % 3]),
        inputs=one(2, 3),
    ),
    Case(cunet.tile, {"reps": 2}, reference=lambda x, reps: build((2, 6), lambda i, j: x[i, j % 3]), inputs=one(2, 3)),
    Case(
        cunet.repeat,
        {"repeats": 2},
        reference=lambda x, repeats: np.array([v for row in x for v in row for _ in range(2)]),
        inputs=one(2, 3),
    ),
    Case(
        cunet.repeat,
        {"repeats": 3, "axis": -1},
        reference=lambda x, repeats, axis: build((2, 9), lambda i, j: x[i, j // 3]),
        inputs=one(2, 3),
    ),
    Case(
        cunet.repeat,
        {"repeats": [2, 0, 1], "axis": 1},
        reference=lambda x, repeats, axis: build((2, 3), lambda i, j: x[i, (0, 0, 2)[j]]),
        inputs=one(2, 3),
    ),
]
