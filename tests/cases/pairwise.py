"""Rows of `cunet.ops.pairwise`."""

import math

import mpmath

import cunet

from . import Case
from .math import loop, two

inf, nan, pi = math.inf, math.nan, math.pi


def beyond(rng):
    """Three arrays, weights also outside of [0, 1]."""
    return rng.uniform(1, 4, (3, 1, 4)), rng.uniform(1, 4, (2, 4)), rng.uniform(-0.3, 1.3, (2, 1))


def positive(rng):
    return rng.uniform(0, 4, (3, 1, 4)), rng.uniform(0, 4, (2, 4))


def beside_one(x):
    return cunet.hypot(x, 1)


def angle_over_one(x):
    return cunet.arctan2(x, 1)


def angle_of_one(x):
    return cunet.arctan2(1, x)


def beside_zero(x):
    return cunet.logaddexp(0, x)


def weighed(x, *, start, end):
    return cunet.lerp(start, end, x)


CASES = [
    Case(cunet.hypot, reference=loop(math.hypot), inputs=two, elementwise=True),
    Case(
        beside_one,
        scalar=lambda x: math.hypot(x, 1),
        edges=((0, 1, 0), (2.0**100, 2.0**100, 1), (-inf, inf, -1), (2.0**-100, 1, 2.0**-100), (nan, nan, nan)),
    ),
    Case(cunet.arctan2, reference=loop(math.atan2), inputs=two, elementwise=True),
    Case(
        angle_over_one,
        scalar=math.atan,
        edges=((0, 0, 1), (inf, pi / 2, 0), (2.0**40, math.atan(2.0**40), 2.0**-80), (nan, nan, nan)),
    ),
    Case(
        angle_of_one,
        scalar=lambda x: math.atan2(1, x),
        edges=(
            (0, pi / 2, -1),
            (inf, 0, 0),
            (-inf, pi, 0),
            (-(2.0**40), math.atan2(1, -(2.0**40)), -(2.0**-80)),
            (nan, nan, nan),
        ),
    ),
    Case(
        cunet.logaddexp,
        reference=loop(lambda x, y: float(mpmath.log(mpmath.exp(x) + mpmath.exp(y)))),
        inputs=positive,
        elementwise=True,
    ),
    Case(
        beside_zero,
        scalar=lambda x: float(mpmath.log1p(mpmath.exp(x))),
        edges=(
            (0, math.log(2), 0.5),
            (-80, math.exp(-80), math.exp(-80)),
            (1000, 1000, 1),
            (inf, inf, 1),
            (-inf, 0, 0),
            (nan, nan, nan),
        ),
    ),
    Case(cunet.lerp, reference=loop(lambda a, b, w: a + w * (b - a)), inputs=beyond),
    Case(
        weighed,
        {"start": 2, "end": 5},
        scalar=lambda x, start, end: start + x * (end - start),
        domain=(-0.5, 3),
        edges=((0, 2, 3), (1, 5, 3), (0.5, 3.5, 3), (inf, inf, 3), (-inf, -inf, 3), (nan, nan, 3)),
    ),
]
