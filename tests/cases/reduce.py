"""Rows of `cunet.ops.reduce` and `.cumulative`. The oracles fold Python floats one list at a time, with exact sums."""

import itertools
import math
import operator
import statistics

import numpy as np

import cunet

from . import Case

AXES = (None, 0, -1, (0, 2))


def fold(f):
    """Make an array oracle of a function of a list of numbers."""

    def reference(x, axis=None, keepdims=False, **kw):
        axes = tuple(range(x.ndim)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
        axes = {a % x.ndim for a in axes}
        kept = [1 if a in axes else n for a, n in enumerate(x.shape)]
        out = np.empty(kept)
        for index in np.ndindex(*kept):
            cut = tuple(slice(None) if a in axes else i for a, i in enumerate(index))
            out[index] = f(x[cut].ravel().tolist(), **kw)
        return out if keepdims else out.reshape([n for a, n in enumerate(x.shape) if a not in axes])

    return reference


def logsumexp(values):
    return math.log(math.fsum(math.exp(v) for v in values))


def running(join):
    """Make an array oracle of what joins two numbers."""

    def reference(x, axis=None):
        if axis is None:
            return np.array(list(itertools.accumulate(x.ravel().tolist(), join)))
        moved = np.moveaxis(np.empty(x.shape), axis, -1)
        for index in np.ndindex(*moved.shape[:-1]):
            moved[index] = list(itertools.accumulate(np.moveaxis(x, axis, -1)[index].tolist(), join))
        return np.moveaxis(moved, -1, axis)

    return reference


def cube(rng):
    return (rng.uniform(-2, 2, (2, 3, 4)),)


def mostly_positive(rng):
    """For sums of all elements: one that nearly cancels cannot have all its places right."""
    return (rng.uniform(-1, 3, (2, 3, 4)),)


def far_from_zero(rng):
    """A mean far above the spread, which a one-pass variance does not survive in float32."""
    return (4096 + rng.uniform(-1, 1, (5, 6)),)


def with_zeros(rng):
    x = rng.uniform(0.5, 2, (4, 5))
    x[0, 1] = 0  # a row with one zero,
    x[2, 1] = x[2, 4] = 0  # and one with two
    return (x,)


def rows(op, f, inputs=cube, **more):
    settings = [*({"axis": axis} for axis in AXES), {"axis": 1, "keepdims": True}]
    return [Case(op, kwargs, reference=fold(f), inputs=inputs, **more) for kwargs in settings]


def distinct(rng):
    """No two elements closer than 0.1, so that small steps make no tie; bfloat16 keeps them apart too."""
    return (rng.permutation(24).reshape(2, 3, 4) * 0.125 - 1.5,)


CASES = [
    *rows(cunet.sum, math.fsum, mostly_positive),
    *rows(cunet.mean, statistics.fmean, mostly_positive),
    *rows(cunet.var, statistics.pvariance),
    Case(cunet.var, {"axis": -1, "ddof": 1}, reference=fold(lambda v, ddof: statistics.variance(v)), inputs=cube),
    Case(
        cunet.var,
        {"axis": 0},
        reference=fold(statistics.pvariance),
        inputs=far_from_zero,
        half=False,  # half types hold no fractions near 4096
        grad_ulp=4096,  # the mean is rounded at 4096, the deviations are near 1
        label="far",
    ),
    *rows(cunet.std, statistics.pstdev),
    Case(cunet.std, {"axis": 1, "ddof": 1}, reference=fold(lambda v, ddof: statistics.stdev(v)), inputs=cube),
    *[Case(cunet.max, {"axis": a}, reference=fold(max), inputs=distinct) for a in AXES],
    *[Case(cunet.min, {"axis": a}, reference=fold(min), inputs=distinct) for a in AXES],
    Case(cunet.max, {"axis": 1, "keepdims": True}, reference=fold(max), inputs=distinct),
    Case(cunet.min, {"axis": 1, "keepdims": True}, reference=fold(min), inputs=distinct),
    *rows(cunet.prod, math.prod, ulp=16, grad_ulp=32),  # up to 24 factors: one rounding each
    Case(cunet.prod, {"axis": 1}, reference=fold(math.prod), inputs=with_zeros, label="zeros"),
    *rows(cunet.logsumexp, logsumexp),
    *[Case(cunet.cumsum, {"axis": a}, reference=running(operator.add), inputs=cube, ulp=16) for a in (None, 0, -1)],
    *[
        Case(cunet.cumprod, {"axis": a}, reference=running(operator.mul), inputs=cube, ulp=16, grad_ulp=32)
        for a in (None, 0, -1)
    ],
    Case(cunet.cumprod, {"axis": 1}, reference=running(operator.mul), inputs=with_zeros, label="zeros"),
]
