"""Rows of `cunet.ops.error_function`."""

import math

import cunet

from . import Case

inf, nan, pi = math.inf, math.nan, math.pi


def bell(x):
    return 2 / math.sqrt(pi) * math.exp(-x * x)


CASES = [
    Case(
        cunet.erf,
        scalar=math.erf,
        edges=(
            (0, 0, bell(0)),
            (2.0**-60, 2.0**-59 / math.sqrt(pi), bell(0)),
            (3, math.erf(3), bell(3)),
            (8.5, 1, bell(8.5)),
            (30, 1, 0),
            (2.0**100, 1, 0),
            (inf, 1, 0),
            (-inf, -1, 0),
            (nan, nan, nan),
        ),
    ),
    Case(
        cunet.erfc,
        scalar=math.erfc,
        edges=(
            (0, 1, -bell(0)),
            (-3, math.erfc(-3), -bell(3)),
            (3, math.erfc(3), -bell(3)),
            (8.5, math.erfc(8.5), -bell(8.5)),
            (26, math.erfc(26), -bell(26)),
            (2.0**100, 0, 0),
            (inf, 0, 0),
            (-inf, 2, 0),
            (nan, nan, nan),
        ),
    ),
]
