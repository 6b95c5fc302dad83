"""Rows of `cunet.ops.sorting`. The oracles sort Python lists."""

import statistics

import numpy as np

import cunet

from . import Case
from .reduce import distinct, fold

AXES = (0, 1, -1)


def along(f):
    """Make an array oracle of a function of lists, along one axis."""

    def reference(x, axis=-1, **kw):
        moved = np.moveaxis(x, axis, -1)
        rows = [f(row.tolist(), **kw) for row in moved.reshape(-1, moved.shape[-1])]
        return np.moveaxis(np.array(rows).reshape(*moved.shape[:-1], -1), -1, axis)

    return reference


def largest(x, **kwargs):
    values, _ = cunet.topk(x, **kwargs)
    return values


def extremes(values, k, largest=True):
    return sorted(values, reverse=largest)[:k]


def chosen(rng):
    return rng.standard_normal((2, 3)), rng.integers(-3, 3, (2, 5))


def picked(x, places, axis):
    return np.array([[row[k] for k in at] for row, at in zip(x.tolist(), places.tolist(), strict=True)])


CASES = [
    *[Case(cunet.sort, {"axis": axis}, reference=along(sorted), inputs=distinct) for axis in AXES],
    Case(cunet.sort, {"axis": None}, reference=lambda x, axis: np.array(sorted(x.ravel().tolist())), inputs=distinct),
    Case(largest, {"k": 2}, reference=along(extremes), inputs=distinct),
    Case(largest, {"k": 1, "axis": 0}, reference=along(extremes), inputs=distinct),
    Case(largest, {"k": 3, "axis": 1, "largest": False}, reference=along(extremes), inputs=distinct),
    *[Case(cunet.median, {"axis": axis}, reference=fold(statistics.median), inputs=distinct) for axis in (None, 1, -1)],
    Case(cunet.median, {"axis": (0, 2), "keepdims": True}, reference=fold(statistics.median), inputs=distinct),
    Case(cunet.take_along_axis, {"axis": 1}, reference=picked, inputs=chosen),
]
