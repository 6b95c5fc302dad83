"""Rows of the trigonometric and hyperbolic functions of `cunet.ops.math`."""

import math

import cunet

from . import Case

inf, nan, pi = math.inf, math.nan, math.pi

CASES = [
    Case(
        cunet.sin,
        scalar=math.sin,
        edges=((0, 0, 1), (2.0**-100, 2.0**-100, 1), (100, math.sin(100), math.cos(100)), (inf, nan, nan)),
    ),
    Case(
        cunet.cos,
        scalar=math.cos,
        edges=((0, 1, 0), (2.0**-100, 1, -(2.0**-100)), (100, math.cos(100), -math.sin(100)), (inf, nan, nan)),
    ),
    Case(
        cunet.tan,
        scalar=math.tan,
        domain=(-1.4, 1.4),
        edges=((0, 0, 1), (2.0**-100, 2.0**-100, 1), (inf, nan, nan)),
    ),
    Case(
        cunet.arcsin,
        scalar=math.asin,
        domain=(-0.95, 0.95),
        edges=((0, 0, 1), (1, pi / 2, inf), (-1, -pi / 2, inf), (2, nan, nan)),
    ),
    Case(
        cunet.arccos,
        scalar=math.acos,
        domain=(-0.95, 0.95),
        edges=((0, pi / 2, -1), (1, 0, -inf), (-1, pi, -inf), (2, nan, nan)),
    ),
    Case(
        cunet.arctan,
        scalar=math.atan,
        edges=((0, 0, 1), (inf, pi / 2, 0), (-inf, -pi / 2, 0), (2.0**40, math.atan(2.0**40), 2.0**-80)),
    ),
    Case(
        cunet.sinh,
        scalar=math.sinh,
        edges=((0, 0, 1), (2.0**-100, 2.0**-100, 1), (1e4, inf, inf), (-inf, -inf, inf)),
    ),
    Case(
        cunet.cosh, scalar=math.cosh, edges=((0, 1, 0), (2.0**-100, 1, 2.0**-100), (-1e4, inf, -inf), (inf, inf, inf))
    ),
    Case(
        cunet.arcsinh,
        scalar=math.asinh,
        edges=((0, 0, 1), (2.0**-100, 2.0**-100, 1), (2.0**100, math.asinh(2.0**100), 2.0**-100), (-inf, -inf, 0)),
    ),
    Case(
        cunet.arccosh,
        scalar=math.acosh,
        domain=(1.1, 6),
        edges=((1, 0, inf), (0.5, nan, nan), (2.0**100, math.acosh(2.0**100), 2.0**-100), (inf, inf, 0)),
    ),
    Case(
        cunet.arctanh,
        scalar=math.atanh,
        domain=(-0.9, 0.9),
        edges=((0, 0, 1), (2.0**-100, 2.0**-100, 1), (1, inf, inf), (-1, -inf, inf), (2, nan, None)),
    ),
]
