"""Sine, cosine, tangent, the hyperbolic ones (`tanh` is in `math`), and the inverses of all; angles are in radians."""

from __future__ import annotations

from ..autograd.op import Result, op
from ..device import array_module
from .slopes import over, times


@op
def sin(x) -> Result:
    """Return the sine of `x` in radians.

    Example:
        >>> cunet.sin([0.0, np.pi / 2])
        Tensor([0., 1.])
        >>> cunet.grad(cunet.sin)(np.array(0.0))
        array(1.)
    """
    xp = array_module(x)
    return xp.sin(x), lambda gy: (gy * xp.cos(x),)


@op
def cos(x) -> Result:
    """Return the cosine of `x` in radians.

    Example:
        >>> cunet.cos([0.0, np.pi])
        Tensor([ 1., -1.])
    """
    xp = array_module(x)
    return xp.cos(x), lambda gy: (gy * -xp.sin(x),)


@op
def tan(x) -> Result:
    """Return the tangent of `x` in radians.

    Example:
        >>> cunet.tan([0.0, np.pi / 4]).round(4)
        Tensor([0., 1.])
    """
    y = array_module(x).tan(x)
    return y, lambda gy: (times(gy, 1 + y * y),)


@op
def arcsin(x) -> Result:
    """Return the inverse sine, in radians.

    Example:
        >>> cunet.arcsin([0.0, 1.0, 2.0]).round(4)
        Tensor([0.    , 1.5708,    nan])
    """
    xp = array_module(x)
    return xp.arcsin(x), lambda gy: (over(gy, xp.sqrt((1 - x) * (1 + x))),)


@op
def arccos(x) -> Result:
    """Return the inverse cosine, in radians.

    Example:
        >>> cunet.arccos([1.0, 0.0, -1.0]).round(4)
        Tensor([0.    , 1.5708, 3.1416])
    """
    xp = array_module(x)
    return xp.arccos(x), lambda gy: (over(gy, -xp.sqrt((1 - x) * (1 + x))),)


@op
def arctan(x) -> Result:
    """Return the inverse tangent, in radians.

    Example:
        >>> cunet.arctan([0.0, 1.0, np.inf]).round(4)
        Tensor([0.    , 0.7854, 1.5708])
    """
    return array_module(x).arctan(x), lambda gy: (gy / (1 + x * x),)


@op
def sinh(x) -> Result:
    """Return the hyperbolic sine.

    Example:
        >>> cunet.sinh([0.0, 1.0]).round(4)
        Tensor([0.    , 1.1752])
    """
    xp = array_module(x)
    return xp.sinh(x), lambda gy: (times(gy, xp.cosh(x)),)


@op
def cosh(x) -> Result:
    """Return the hyperbolic cosine.

    Example:
        >>> cunet.cosh([0.0, 1.0]).round(4)
        Tensor([1.    , 1.5431])
    """
    xp = array_module(x)
    return xp.cosh(x), lambda gy: (times(gy, xp.sinh(x)),)


@op
def arcsinh(x) -> Result:
    """Return the inverse hyperbolic sine.

    Example:
        >>> cunet.arcsinh(cunet.sinh([0.5, -2.0])).round(4)
        Tensor([ 0.5, -2. ])
    """
    xp = array_module(x)
    return xp.arcsinh(x), lambda gy: (gy / xp.hypot(1, x),)


@op
def arccosh(x) -> Result:
    """Return the inverse hyperbolic cosine.

    Example:
        >>> cunet.arccosh([1.0, 2.0, 0.5]).round(4)
        Tensor([0.   , 1.317,   nan])
    """
    xp = array_module(x)
    return xp.arccosh(x), lambda gy: (over(gy, xp.sqrt(x - 1) * xp.sqrt(x + 1)),)


@op
def arctanh(x) -> Result:
    """Return the inverse hyperbolic tangent.

    Example:
        >>> cunet.arctanh([0.0, 0.5, 1.0]).round(4)
        Tensor([0.    , 0.5493,    inf])
    """
    return array_module(x).arctanh(x), lambda gy: (over(gy, (1 - x) * (1 + x)),)
