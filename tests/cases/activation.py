"""Rows of the activations. Oracles are their definitions, evaluated by mpmath with 130 digits.

Items of the notes: N48 sigmoid, N49 hardsigmoid, N51 softplus, N52 tanh (in `cases.math`), N53 softsign,
N58 identity; the others are in `cases.rectifier` and `cases.gated`.
"""

import functools
import math

import mpmath
from mpmath import mp

from cunet.ops.activation import clipping, squashing

from . import Case

inf, nan = math.inf, math.nan
DIGITS = 130  # 1 + tanh(-120) still has 25 of them
TINY = 2.0**-100
# Where an argument is rounded before exp, an error of half an ulp there is one of |argument| / 2 ulp in the result.
ARGUMENT = 12


def exact(f, digits=DIGITS):
    """Make a function of Python floats of a formula in mpmath numbers."""

    @functools.wraps(f)
    def g(x, **kwargs):
        with mp.workdps(digits):
            return float(f(mp.mpf(x), **{k: mp.mpf(v) if isinstance(v, float) else v for k, v in kwargs.items()}))

    return g


def smooth(f, *xs, **kwargs):
    """Return edges at `xs`, the derivative taken by mpmath."""
    slope = exact(lambda x, **kw: mpmath.diff(lambda t: f(t, **kw), x))
    return tuple((x, exact(f)(x, **kwargs), slope(x, **kwargs)) for x in xs)


def sigmoid(x):
    return (1 + mp.tanh(x / 2)) / 2


def logsigmoid(x):
    return mp.log(sigmoid(x))


def softplus(x, beta=1, threshold=20):
    return mp.log(1 + mp.exp(beta * x)) / beta


def clip(x, min_val=-1, max_val=1):
    return sorted((x, min_val, max_val))[1]


def hardsigmoid(x, slope):
    return clip(slope * x + mp.mpf(1) / 2, 0, 1)


CASES = [
    Case(
        squashing.identity,
        scalar=lambda x: x,
        ulp=0,
        grad_ulp=0,
        edges=((-0.0, 0, 1), (inf, inf, 1), (-inf, -inf, 1), (nan, nan, 1)),
    ),
    Case(
        squashing.sigmoid,
        scalar=exact(sigmoid),
        edges=(
            *smooth(sigmoid, 0.0, TINY, 17, -17, 30, -30, 80, -80),
            (1000, 1, 0),
            (-1000, 0, 0),
            (inf, 1, 0),
            (-inf, 0, 0),
            (nan, nan, nan),
        ),
    ),
    Case(
        squashing.logsigmoid,
        scalar=exact(logsigmoid),
        edges=(
            *smooth(logsigmoid, 0.0, -TINY, 17, -17, 80, -80),
            (1000, 0, 0),
            (-1e30, -1e30, 1),
            (inf, 0, 0),
            (-inf, -inf, 1),
            (nan, nan, nan),
        ),
    ),
    Case(
        squashing.softplus,
        scalar=exact(softplus),
        edges=(
            *smooth(softplus, 0.0, TINY, 17, -17, 80, -80),
            (1000, 1000, 1),
            (-1000, 0, 0),
            (3e38, 3e38, 1),
            (inf, inf, 1),
            (-inf, 0, 0),
            (nan, nan, nan),
        ),
    ),
    Case(
        squashing.softplus,
        {"beta": 2.5},
        scalar=exact(softplus),
        ulp=ARGUMENT,
        grad_ulp=ARGUMENT,
        edges=((3e38, 3e38, 1), (inf, inf, 1), (-inf, 0, 0), (nan, nan, nan)),
    ),
    Case(
        squashing.softsign,
        scalar=lambda x: x / (1 + abs(x)),
        edges=(
            (0.0, 0, 1),
            (-TINY, -TINY, 1),
            (1e6, 1 / (1 + 1e-6), 1e-12 / (1 + 1e-6) ** 2),
            (3.3e38, 1, 3.3e38**-2),
            (-3.3e38, -1, 3.3e38**-2),
            (inf, 1, 0),
            (-inf, -1, 0),
            (nan, nan, nan),
        ),
    ),
    Case(
        clipping.hardtanh,
        scalar=clip,
        kinks=(-1, 1),
        ulp=0,
        edges=(
            (-0.0, 0, 1),
            (1, 1, 0),
            (-1, -1, 0),
            (1 - 2.0**-20, 1 - 2.0**-20, 1),
            (inf, 1, 0),
            (-inf, -1, 0),
            (nan, nan, 1),
        ),
    ),
    Case(
        clipping.hardtanh,
        {"min_val": -2.5, "max_val": 0.5},
        scalar=clip,
        kinks=(-2.5, 0.5),
        ulp=0,
        edges=((-2.5, -2.5, 0), (0.5, 0.5, 0), (-1, -1, 1), (inf, 0.5, 0), (-inf, -2.5, 0)),
    ),
    Case(
        clipping.relu6,
        scalar=lambda x: clip(x, 0, 6),
        domain=(-3, 9),
        kinks=(0, 6),
        ulp=0,
        edges=(
            (0, 0, 0),
            (-0.0, 0, 0),
            (TINY, TINY, 1),
            (-TINY, 0, 0),
            (6, 6, 0),
            (inf, 6, 0),
            (-inf, 0, 0),
            (nan, nan, 1),
        ),
    ),
    Case(
        clipping.hardsigmoid,
        label="PyTorch",
        scalar=exact(lambda x: hardsigmoid(x, mp.mpf(1) / 6)),
        kinks=(-3, 3),
        edges=(
            (0, 0.5, 1 / 6),
            (-3, 0, 0),
            (3, 1, 0),
            (-2.75, 1 / 24, 1 / 6),
            (2.75, 23 / 24, 1 / 6),
            (inf, 1, 0),
            (-inf, 0, 0),
            (nan, nan, 1 / 6),
        ),
    ),
    Case(
        clipping.hardsigmoid,
        {"slope": 0.2},
        label="Theano",
        scalar=exact(lambda x, slope: hardsigmoid(x, slope)),
        kinks=(-2.5, 2.5),
        # 0.2 is no binary fraction: 0.2 * x + 0.5 of the oracle's 0.2 differs from that of the float32 one by 1e-8
        ulp=64,
        edges=((0, 0.5, 0.2), (-2.5, 0, 0), (2.5, 1, 0), (1, 0.7, 0.2), (inf, 1, 0), (-inf, 0, 0)),
    ),
]
