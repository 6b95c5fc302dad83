"""Rows of `cunet.ops.rounding`, and of `nan_to_num`. The oracles are Python's own operators on floats."""

import math
import operator

import cunet

from . import Case
from .math import loop

inf, nan = math.inf, math.nan
WHOLE = tuple(range(-6, 7))
HALVES = tuple(k + 0.5 for k in range(-7, 7))


def constant(op, scalar, kinks, *edges):
    """Make the row of a function whose gradient is 0, at infinities and NaN too."""
    ends = ((inf, inf, 0), (-inf, -inf, 0), (nan, nan, 0))
    return Case(op, scalar=scalar, kinks=kinks, edges=(*edges, *ends))


def quotients(rng):
    """Pairs whose quotient is far enough from whole numbers for a small step."""
    y = rng.uniform(0.5, 2, (3, 4)) * rng.choice([-1, 1], (3, 4))
    return y * (rng.integers(-4, 4, (3, 4)) + rng.uniform(0.2, 0.8, (3, 4))), y


def tenths(rng):
    """Numbers away from where rounding to one decimal jumps."""
    return ((rng.integers(-40, 40, (3, 4)) + rng.uniform(-0.3, 0.3, (3, 4))) / 10,)


def fives(rng):
    return (rng.integers(-9, 9, (3, 4)) * 10 + rng.uniform(-4, 4, (3, 4)),)


def left_over(x, *, divisor):
    return x % divisor


def left_under(x, *, number):
    return number % x


def how_often(x, *, divisor):
    return x // divisor


CASES = [
    constant(cunet.floor, math.floor, WHOLE, (2, 2, 0), (-0.5, -1, 0)),
    constant(cunet.ceil, math.ceil, WHOLE, (2, 2, 0), (0.5, 1, 0)),
    constant(cunet.trunc, math.trunc, WHOLE, (2.5, 2, 0), (-2.5, -2, 0)),
    constant(cunet.round, round, HALVES, (0.5, 0, 0), (1.5, 2, 0), (2.5, 2, 0), (-2.5, -2, 0), (2.0**40, 2.0**40, 0)),
    Case(
        cunet.sign,
        scalar=lambda x: math.copysign(1, x),
        kinks=(0,),
        edges=((0, 0, 0), (-0.0, 0, 0), (2.0**-100, 1, 0), (-inf, -1, 0), (nan, nan, 0)),
    ),
    Case(
        cunet.round, {"decimals": 1}, reference=lambda x, decimals: loop(lambda v: round(v, decimals))(x), inputs=tenths
    ),
    Case(
        cunet.round, {"decimals": -1}, reference=lambda x, decimals: loop(lambda v: round(v, decimals))(x), inputs=fives
    ),
    Case(cunet.remainder, reference=loop(operator.mod), inputs=quotients, elementwise=True),
    Case(cunet.floor_divide, reference=loop(operator.floordiv), inputs=quotients, elementwise=True),
    Case(
        cunet.divmod,
        reference=lambda x, y: tuple(loop(f)(x, y) for f in (operator.floordiv, operator.mod)),
        inputs=quotients,
    ),
    Case(
        left_over,
        {"divisor": 3},
        scalar=lambda x, divisor: x % divisor,
        kinks=(-6, -3, 0, 3, 6),
        edges=((7, 1, 1), (-7, 2, 1), (-0.0, 0, 1), (inf, nan, 1), (nan, nan, 1)),
    ),
    Case(
        left_under,
        {"number": 7},
        scalar=lambda x, number: number % x,
        domain=(2.4, 3.4),
        edges=((2.5, 2, -2), (-2.5, -0.5, 3), (inf, 7, 0), (-inf, -inf, 1), (0, nan, -inf)),
    ),
    Case(
        how_often,
        {"divisor": 3},
        scalar=lambda x, divisor: x // divisor,
        kinks=(-6, -3, 0, 3, 6),
        edges=((7, 2, 0), (-7, -3, 0), (6, 2, 0), (inf, nan, 0)),
    ),
    Case(
        cunet.nan_to_num,
        {"nan": 0.5, "posinf": 7.0, "neginf": -8.0},
        scalar=lambda x, **kwargs: x,
        edges=((nan, 0.5, 0), (inf, 7, 0), (-inf, -8, 0), (0, 0, 1)),
    ),
]
