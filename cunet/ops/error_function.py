"""The error function and its complement."""

from __future__ import annotations

import math

from ..autograd.op import Result, op
from ..kernels import elementwise
from ..kernels.backends.numpy import special


@elementwise("T x", "T y", "y = erf(x)")
def erf_forward(x):
    return special.erf(x)


@elementwise("T x", "T y", "y = erfc(x)")
def erfc_forward(x):
    return special.erfc(x)


# exp(-t * t) is mended by what the square lost in rounding: a unit in the last place of t * t = 81 is 81 of the result.
@elementwise(
    "T gy, T x, A factor",
    "T gx",
    """
    const A t = abs(x) > 30 ? A(30) : abs(x), square = t * t, lost = fma(t, t, -square);
    gx = gy * factor * (exp(-square) * (1 - lost));
    """,
    smooth="gx = gy * factor * gauss(x, A(-1))",
)
def gauss_backward(gy, x, factor):
    return gy * (factor * special.gauss(x))


@op
def erf(x) -> Result:
    """Return the error function ``2 / sqrt(pi) * integral of exp(-t**2) from 0 to x``.

    Example:
        >>> cunet.erf([0.0, 1.0, np.inf]).round(4)
        Tensor([0.    , 0.8427, 1.    ])
    """
    return erf_forward(x), lambda gy: (gauss_backward(gy, x, 2 / math.sqrt(math.pi)),)


@op
def erfc(x) -> Result:
    """Return ``1 - erf(x)``, relatively accurate where it is small: `erf` rounds to 1 from about x = 4 in float32.

    Example:
        >>> f"{cunet.erfc(5.0).item():.2e}", 1 - cunet.erf(5.0).item()
        ('1.54e-12', 0.0)
    """
    return erfc_forward(x), lambda gy: (gauss_backward(gy, x, -2 / math.sqrt(math.pi)),)
