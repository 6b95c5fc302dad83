"""Rows of `cunet.ops.softmax` and `cunet.ops.embedding`. The oracles go row by row in 30-digit arithmetic."""

import math

import mpmath
import numpy as np

import cunet
from cunet import F

from . import Case

mp = mpmath.mp.clone()
mp.dps = 30


def by_rows(f, number=lambda v: mp.mpf(float(v))):
    """Make an array oracle of a function from a list of numbers to a list as long, applied along `axis`."""

    def reference(x, axis=-1):
        rows = np.moveaxis(x, axis, -1)
        out = np.empty(rows.shape)
        for index in np.ndindex(*rows.shape[:-1]):
            out[index] = [float(v) for v in f([number(v) for v in rows[index]])]
        return np.moveaxis(out, -1, axis)

    return reference


def odds(row):
    """Each probability from the odds against it."""
    return [1 / mp.fsum(mp.exp(other - x) for other in row) for x in row]


def log_odds(row):
    return [-mp.log(mp.fsum(mp.exp(other - x) for other in row)) for x in row]


def wide_odds(row):
    """The odds in correctly rounded sums of float64: 30 digits would take half a minute for 700 terms."""
    return [1 / math.fsum(math.exp(other - x) for other in row) for x in row]


def wide_log_odds(row):
    return [-math.log(math.fsum(math.exp(other - x) for other in row)) for x in map(float, row)]


def softmin(x, dim=-1):
    return by_rows(odds)(-x, axis=dim)


def scores(*shape, low=-4, high=4):
    return lambda rng: (rng.uniform(low, high, shape),)


def lookup(indices, weight, padding_idx=None):
    return np.array([list(weight[int(i)]) for i in indices.ravel()]).reshape(*indices.shape, weight.shape[1])


def large(rng):
    """Scores whose exponentials leave the range of float64, at steps that every dtype holds."""
    return (1024 * rng.integers(-2, 3, (6, 1)) + rng.integers(-4, 5, (6, 8)) / 1.0,)


CASES = [
    # The difference from the maximum, below 8, is half a unit of 4 off: up to 4 ulp of the exponential.
    Case(F.softmin, reference=softmin, inputs=scores(3, 5), elementwise=True, ulp=8),
    Case(F.softmin, {"dim": 0}, reference=softmin, inputs=scores(3, 5), elementwise=True, ulp=8),
    *[Case(F.softmax, {"axis": a}, reference=by_rows(odds), inputs=scores(3, 4, 5)) for a in (-1, 0, 1)],
    *[Case(F.log_softmax, {"axis": a}, reference=by_rows(log_odds), inputs=scores(3, 4, 5)) for a in (-1, 0, 1)],
    Case(
        F.softmax, reference=by_rows(odds), inputs=scores(4, 33), elementwise=True, ulp=8, half=False, label="default"
    ),
    # a simulated block of one thread adds 700 terms one by one
    Case(F.softmax, reference=by_rows(wide_odds, float), inputs=scores(2, 700), ulp=16, label="wide"),
    Case(F.log_softmax, reference=by_rows(wide_log_odds, float), inputs=scores(2, 700), ulp=16, label="wide"),
    # bfloat16 has steps of 16 at 2048
    Case(F.softmax, reference=by_rows(odds), inputs=large, half=False, label="large"),
    Case(F.log_softmax, reference=by_rows(log_odds), inputs=large, half=False, label="large"),
    Case(
        cunet.logsumexp,
        {"axis": 1},
        reference=lambda x, axis: np.array([float(mp.log(mp.fsum(map(mp.exp, row)))) for row in x]),
        inputs=large,
        half=False,
        label="large",
    ),
    *[
        Case(
            F.embedding,
            {} if padding_idx is None else {"padding_idx": padding_idx},
            reference=lookup,
            inputs=lambda rng: (rng.choice([0, 1, 2, 2, 2, 5], (4, 3)), rng.uniform(-2, 2, (6, 5))),
            # With a padding row the gradient is not that of the function: tests/ops/test_embedding.py
            differentiable=(1,),
        )
        for padding_idx in (None,)
    ],
]
