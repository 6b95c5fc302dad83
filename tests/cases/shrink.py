"""Rows of the activations that are flat around 0."""

from mpmath import mp

from cunet.ops.activation import shrink

from . import Case
from .activation import TINY, exact, inf, nan, smooth


def softshrink(x, lambd=0.5):
    return max(abs(x) - lambd, 0.0) * (1 if x > 0 else -1)


def hardshrink(x, lambd=0.5):
    return x if abs(x) > lambd else 0.0


def tanhshrink(x):
    return x - mp.tanh(x)


CASES = [
    Case(
        shrink.softshrink,
        scalar=softshrink,
        kinks=(-0.5, 0.5),
        ulp=0.5,
        edges=(
            (0.5, 0, 0),
            (-0.5, 0, 0),
            (0.5 + 2.0**-20, 2.0**-20, 1),
            (-0.5 - 2.0**-20, -(2.0**-20), 1),
            (-0.0, 0, 0),
            (inf, inf, 1),
            (-inf, -inf, 1),
            (nan, nan, 1),
        ),
    ),
    Case(
        shrink.softshrink,
        {"lambd": 2.0},
        scalar=softshrink,
        kinks=(-2, 2),
        ulp=0.5,
        edges=((2, 0, 0), (-2, 0, 0), (-3, -1, 1), (1, 0, 0)),
    ),
    Case(shrink.softshrink, {"lambd": 0.0}, scalar=softshrink, ulp=0, edges=((0, 0, 0), (TINY, TINY, 1))),
    Case(
        shrink.hardshrink,
        scalar=hardshrink,
        kinks=(-0.5, 0.5),
        ulp=0,
        edges=(
            (0.5, 0, 0),
            (-0.5, 0, 0),
            (0.5 + 2.0**-20, 0.5 + 2.0**-20, 1),
            (-0.5 - 2.0**-20, -0.5 - 2.0**-20, 1),
            (inf, inf, 1),
            (-inf, -inf, 1),
            (nan, nan, 1),
        ),
    ),
    Case(
        shrink.hardshrink,
        {"lambd": 2.0},
        scalar=hardshrink,
        kinks=(-2, 2),
        ulp=0,
        edges=((2, 0, 0), (-2, 0, 0), (-3, -3, 1), (1, 0, 0)),
    ),
    Case(
        shrink.tanhshrink,
        scalar=exact(tanhshrink),
        edges=(
            *smooth(tanhshrink, 1e-3, -1e-3, 0.3, -0.7, 0.99, 1.0, -1.01, 1.7, 9, -30),
            (0, 0, 0),
            (-0.0, 0, 0),
            (1e-10, 1e-30 / 3, 1e-20),
            (1000, 999, 1),
            (3e38, 3e38, 1),
            (inf, inf, 1),
            (-inf, -inf, 1),
            (nan, nan, nan),
        ),
    ),
]
