"""Rows of `cunet.ops.math`. Scalar oracles are those of Python's `math`, which has no NumPy in it."""

import math
import operator

import numpy as np

import cunet

from . import Case

inf, nan, pi = math.inf, math.nan, math.pi


def power_of(x, *, exponent):
    return x**exponent


def power_to(x, *, base):
    return base**x


def larger_than(x, *, floor):
    return cunet.maximum(x, floor)


def smaller_than(x, *, ceiling):
    return cunet.minimum(ceiling, x)


def ramp(x):
    return cunet.where(x.data > 0, x, 0.0)


def loop(f):
    """Make an array oracle of a scalar one: element by element, broadcasting."""
    return lambda *arrays: np.vectorize(f, otypes=[float])(*arrays)


def two(rng):
    return rng.uniform(-4, 4, (3, 1, 4)), rng.uniform(-4, 4, (2, 4))


def two_nonzero(rng):
    return rng.uniform(-4, 4, (3, 4)), rng.uniform(0.5, 4, (4,)) * rng.choice([-1, 1], 4)


def two_positive(rng):
    return rng.uniform(0.2, 3, (3, 1, 4)), rng.uniform(-2, 2, (2, 4))


def choice(rng):
    return rng.random((2, 4)) < 0.5, *two(rng)


def raising(f):
    """Give f its values at the ends, where `math` raises instead."""

    def g(x, **kw):
        try:
            return f(x, **kw)
        except OverflowError:
            return inf

    return g


def clipped(x, min=None, max=None):
    x = x if min is None or x > min else min
    return x if max is None or x < max else max


CASES = [
    Case(cunet.add, reference=loop(operator.add), inputs=two, elementwise=True),
    Case(cunet.subtract, reference=loop(operator.sub), inputs=two, elementwise=True),
    Case(cunet.multiply, reference=loop(operator.mul), inputs=two, elementwise=True),
    Case(cunet.divide, reference=loop(operator.truediv), inputs=two_nonzero, elementwise=True),
    Case(cunet.power, reference=loop(math.pow), inputs=two_positive, elementwise=True),
    Case(cunet.maximum, reference=loop(max), inputs=two, elementwise=True),
    Case(cunet.minimum, reference=loop(min), inputs=two, elementwise=True),
    Case(cunet.where, reference=loop(lambda c, x, y: x if c else y), inputs=choice, elementwise=True),
    Case(
        ramp, bfloat16=False, scalar=lambda x: max(x, 0.0), kinks=(0,), edges=((-inf, 0, 0), (inf, inf, 1), (nan, 0, 0))
    ),
    Case(
        larger_than,
        {"floor": 0.5},
        bfloat16=False,
        scalar=lambda x, floor: max(x, floor),
        kinks=(0.5,),
        edges=((0.5, 0.5, 0.5), (inf, inf, 1), (-inf, 0.5, 0), (nan, nan, None)),
    ),
    Case(
        smaller_than,
        {"ceiling": 0.5},
        bfloat16=False,
        scalar=lambda x, ceiling: min(x, ceiling),
        kinks=(0.5,),
        edges=((0.5, 0.5, 0.5), (inf, 0.5, 0), (-inf, -inf, 1), (nan, nan, None)),
    ),
    Case(cunet.negative, scalar=lambda x: -x, edges=((0, 0, -1), (inf, -inf, -1), (nan, nan, -1))),
    Case(
        cunet.abs,
        scalar=math.fabs,
        kinks=(0,),
        edges=((0, 0, 0), (-0.0, 0, 0), (-1e-30, 1e-30, -1), (-inf, inf, -1), (nan, nan, nan)),
    ),
    Case(cunet.square, scalar=lambda x: x * x, edges=((0, 0, 0), (-inf, inf, -inf), (2.0**100, 2.0**200, 2.0**101))),
    Case(
        cunet.sqrt,
        scalar=math.sqrt,
        domain=(0.1, 6),
        edges=(
            (0, 0, inf),
            (4, 2, 0.25),
            (inf, inf, 0),
            (-1, nan, nan),
            (nan, nan, nan),
            (2.0**-100, 2.0**-50, 2.0**49),
        ),
    ),
    Case(
        cunet.rsqrt,
        scalar=lambda x: 1 / math.sqrt(x),
        domain=(0.1, 6),
        edges=(
            (0, inf, -inf),
            (4, 0.5, -1 / 16),
            (inf, 0, 0),
            (-1, nan, nan),
            (nan, nan, nan),
            (2.0**-60, 2.0**30, -(2.0**89)),
            (2.0**-100, 2.0**50, -(2.0**149)),
        ),
    ),
    Case(
        cunet.reciprocal,
        scalar=lambda x: 1 / x,
        domain=(0.2, 6),
        edges=((inf, 0, 0), (-0.0, -inf, -inf), (2.0**40, 2.0**-40, -(2.0**-80)), (nan, nan, nan)),
    ),
    Case(
        power_of,
        {"exponent": 2},
        scalar=lambda x, exponent: math.pow(x, exponent),
        edges=((0, 0, 0), (-3, 9, -6), (inf, inf, inf), (-inf, inf, -inf), (nan, nan, nan)),
    ),
    Case(
        power_of,
        {"exponent": 0},
        scalar=lambda x, exponent: math.pow(x, exponent),
        edges=((0, 1, 0), (inf, 1, 0), (nan, 1, 0)),
    ),
    Case(
        power_of,
        {"exponent": 1},
        scalar=lambda x, exponent: x,
        edges=((0, 0, 1), (-inf, -inf, 1)),
    ),
    Case(
        power_of,
        {"exponent": 0.5},
        bfloat16=False,
        scalar=lambda x, exponent: math.sqrt(x),
        domain=(0.1, 6),
        edges=((0, 0, inf), (-1, nan, nan), (4, 2, 0.25)),
    ),
    Case(
        power_of,
        {"exponent": -3},
        scalar=lambda x, exponent: 1 / (x * x * x),
        domain=(0.3, 4),
        edges=((-1, -1, -3), (inf, 0, 0), (0, inf, -inf)),
    ),
    Case(
        power_to,
        {"base": 2},
        scalar=lambda x, base: math.pow(base, x),
        edges=((0, 1, math.log(2)), (-inf, 0, 0), (3, 8, 8 * math.log(2)), (nan, nan, nan)),
    ),
    Case(
        power_to,
        {"base": 0.0},
        bfloat16=False,
        scalar=lambda x, base: 0.0,
        domain=(0.5, 4),
        edges=((0, 1, 0), (2, 0, 0)),
    ),
    Case(
        cunet.exp,
        scalar=math.exp,
        edges=(
            (0, 1, 1),
            (-0.0, 1, 1),
            (2.0**-100, 1, 1),
            (1e4, inf, inf),
            (-1e4, 0, 0),
            (inf, inf, inf),
            (-inf, 0, 0),
        ),
    ),
    Case(
        cunet.expm1,
        scalar=math.expm1,
        edges=(
            (0, 0, 1),
            (2.0**-100, 2.0**-100, 1),
            (-30, math.expm1(-30), math.exp(-30)),
            (-inf, -1, 0),
            (inf, inf, inf),
            (nan, nan, nan),
        ),
    ),
    Case(
        cunet.exp2,
        scalar=lambda x: math.pow(2, x),
        edges=((0, 1, math.log(2)), (5, 32, 32 * math.log(2)), (1e4, inf, inf), (-inf, 0, 0), (nan, nan, nan)),
    ),
    Case(
        cunet.log,
        scalar=math.log,
        domain=(0.1, 6),
        edges=((0, -inf, inf), (1, 0, 1), (inf, inf, 0), (-1, nan, None), (2.0**-100, -100 * math.log(2), 2.0**100)),
    ),
    Case(
        cunet.log1p,
        scalar=math.log1p,
        domain=(-0.9, 6),
        edges=((0, 0, 1), (2.0**-100, 2.0**-100, 1), (-1, -inf, inf), (inf, inf, 0), (-2, nan, None)),
    ),
    Case(
        cunet.log2,
        scalar=math.log2,
        domain=(0.1, 6),
        edges=((0, -inf, inf), (8, 3, 0.125 / math.log(2)), (inf, inf, 0)),
    ),
    Case(
        cunet.log10,
        scalar=math.log10,
        domain=(0.1, 6),
        edges=((0, -inf, inf), (1000, 3, 0.001 / math.log(10)), (inf, inf, 0)),
    ),
    Case(
        cunet.tanh,
        scalar=math.tanh,
        edges=(
            (0, 0, 1),
            (2.0**-100, 2.0**-100, 1),
            (20, math.tanh(20), math.cosh(20) ** -2),
            (-20, math.tanh(-20), math.cosh(20) ** -2),
            (300, 1, math.cosh(300) ** -2),
            (inf, 1, 0),
            (-inf, -1, 0),
            (nan, nan, nan),
        ),
    ),
    Case(
        cunet.clip,
        {"min": -1.0, "max": 2.0},
        bfloat16=False,
        scalar=clipped,
        kinks=(-1, 2),
        edges=((-1, -1, 1), (2, 2, 1), (-1.5, -1, 0), (inf, 2, 0), (-inf, -1, 0), (nan, nan, None)),
    ),
    Case(
        cunet.clip,
        {"min": 0.0},
        bfloat16=False,
        scalar=clipped,
        kinks=(0,),
        edges=((inf, inf, 1), (-inf, 0, 0), (0, 0, 1)),
    ),
    Case(cunet.clip, {"max": 0.0}, bfloat16=False, scalar=clipped, kinks=(0,), edges=((inf, 0, 0), (-inf, -inf, 1))),
    Case(cunet.clip, {}, scalar=clipped, label="no limits", edges=((inf, inf, 1),)),
]
