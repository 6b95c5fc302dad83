"""Activations that multiply their input by a gate in [0, 1], most of them smooth: GELU, SiLU, Mish, GLU.

What `squashing` says of all activations holds here too. A gate is kept relatively accurate where it
is small, so that the tails are right to the last units; and `x` is cut where the gate is 0 or 1 in every
dtype, because ``-inf * 0`` would be NaN where the limit is 0.
"""

from __future__ import annotations

import math

import numpy as np

from ...autograd.op import Result, op
from ...autograd.tape import is_recording
from ...device import array_module
from ...kernels import elementwise, primitive
from ...kernels.backends.numpy import blocks, special
from ..dim import dim_or_axis
from .registry import activation
from .squashing import keep


@elementwise("T x", "T y", "A c = x < -40 ? A(-40) : x; y = c * normcdf(c)", smooth="y = x * normcdf(x)")
def gelu_forward(x):
    return special.gelu(x)


# fma finds what rounding x * x lost: at x = -6 the exponential would multiply it by 18. Processors need the exponential
# for normcdf itself, and have this function.
_NORMAL_CUDA = """
#ifndef CUNET_MEMBER
__device__ inline A normcdf(A x, A* gauss) {
  const A s = x * x;
  *gauss = exp(s / -2) * (1 - fma(x, x, -s) / 2);
  return normcdf(x);
}
#endif
"""


@elementwise(
    "T gy, T x",
    "T gx",
    """A c = x < -40 ? A(-40) : x > 40 ? A(40) : x; A gauss; A below = normcdf(c, &gauss);
    gx = gy * (below + c * (A(0.3989422804014327) * gauss))""",
    preamble=_NORMAL_CUDA,
    smooth="gx = gy * (normcdf(x) + A(0.3989422804014327) * (x * gauss(x, A(-0.5))))",
)
def gelu_backward(gy, x):
    return gy * special.gelu_derivative(x)


@primitive
def _gelu_and_slope(x):
    """Return y, and dy/dx where it is found on the way, else None."""
    return gelu_forward(x), None


_gelu_and_slope.native(_gelu_and_slope.body)


@_gelu_and_slope.numpy
def _(x):  # the derivative needs most of y again
    if x.dtype.char not in "fd" or not x.ndim or not x.dtype.isnative:
        return NotImplemented
    return blocks.run(special.gelu_and_derivative, [x], x, [x.dtype] * 2)


# 0.5 * (1 + tanh(u)) is the sigmoid of v = 2 u, which keeps its small values.
_SLOPE = math.sqrt(8 / math.pi)
_CUBIC = 0.044715 * _SLOPE


@elementwise(
    "T x",
    "T y",
    """A c = x < -40 ? A(-40) : x;
    A v = c * (A(1.5957691216057308) + A(0.07135481627260025) * c * c);
    y = c / (1 + exp(-v))""",
)
def gelu_tanh_forward(x):
    c = np.maximum(x, -40)
    v = c * (_SLOPE + _CUBIC * c * c)
    return c / (1 + np.exp(-v))


@elementwise(
    "T gy, T x",
    "T gx",
    """A c = x < -40 ? A(-40) : x > 40 ? A(40) : x; A s = A(0.07135481627260025) * c * c;
    A v = c * (A(1.5957691216057308) + s); A dv = A(1.5957691216057308) + 3 * s;
    gx = gy * ((1 + c * dv / (1 + exp(v))) / (1 + exp(-v)))""",
)
def gelu_tanh_backward(gy, x):
    c = np.clip(x, -40, 40)
    s = _CUBIC * c * c
    v = c * (_SLOPE + s)
    dv = _SLOPE + 3 * s
    return gy * ((1 + c * dv / (1 + np.exp(v))) / (1 + np.exp(-v)))


def _check_approximate(approximate: str) -> None:
    if approximate not in ("none", "tanh"):
        raise ValueError(f'gelu: approximate must be "none" or "tanh", got {approximate!r}')


def _gelu_gain(approximate: str = "none") -> float:
    _check_approximate(approximate)
    return 1.5335304411955353 if approximate == "none" else 1.5335805216661470


@activation(
    gelu_forward,
    gelu_backward,
    layer="GELU",
    gain=_gelu_gain,
    parameters=lambda approximate="none": (),
    cancels=True,
    variants={("approximate", "tanh"): (gelu_tanh_forward, gelu_tanh_backward)},
)
@op(arrays=1)
def gelu(input, approximate: str = "none") -> Result:
    """Return ``x * Phi(x)``, Phi the distribution function of the standard normal.

    Not monotone, and so not just a smooth ReLU: it falls to its least value, -0.170, at x = -0.752. The
    derivative is ``Phi(x) + x * phi(x)``, phi the density.

    Args:
        input: x; any shape, floating.
        approximate: "none", or "tanh" for ``x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x**3)))``, which
            differs by at most 4.8e-4.

    Raises:
        ValueError: another value of approximate.

    Source: Hendrycks & Gimpel 2016, arXiv:1606.08415, section 2.

    Example:
        >>> F.gelu(cunet.tensor([-1.0, 1.0])).round(4), F.gelu(cunet.tensor([-1.0, 1.0]), approximate="tanh").round(4)
        (Tensor([-0.1587,  0.8413]), Tensor([-0.1588,  0.8412]))
    """
    _check_approximate(approximate)
    if approximate == "tanh":
        return gelu_tanh_forward(input), lambda gy: (gelu_tanh_backward(gy, input),)
    y, slope = _gelu_and_slope(input) if is_recording() else (gelu_forward(input), None)
    if slope is None:
        return y, lambda gy: (gelu_backward(gy, input),)
    return y, lambda gy: (blocks.run(np.multiply, [gy, slope], slope, [slope.dtype]),)


@elementwise("T x", "T y", "A c = x < -800 ? A(-800) : x; y = c / (1 + exp(-c))")
def silu_forward(x):
    c = np.maximum(x, -800)
    return c / (1 + np.exp(-c))


# One exponential, which is that of silu_forward too; where it overflows, its share of 1 + e is all.
@elementwise(
    "T gy, T x",
    "T gx",
    """A c = x < -800 ? A(-800) : x; A e = exp(-c); A s = 1 / (1 + e); A rest = e > A(1e30) ? A(1) : e * s;
    gx = gy * ((1 + (c > 800 ? A(800) : c) * rest) * s)""",
    smooth="A c = x < -800 ? A(-800) : x > 800 ? A(800) : x; gx = gy * ((1 + c / (1 + exp(c))) / (1 + exp(-c)))",
)
def silu_backward(gy, x):
    c = np.maximum(x, -800)
    e = np.exp(-c)
    s = 1 / (1 + e)
    return gy * ((1 + np.minimum(c, 800) * np.where(e > 1e30, 1, e * s)) * s)


@activation(silu_forward, silu_backward, layer="SiLU", gain=1.6765324703310912, cancels=True)
@op(arrays=1)
def silu(input, inplace: bool = False) -> Result:
    """Return ``x * sigmoid(x)``, also called swish; derivative ``sigmoid(x) * (1 + x * sigmoid(-x))``.

    Source: Elfwing, Uchibe & Doya 2017, arXiv:1702.03118; Ramachandran et al. 2017, arXiv:1710.05941.

    Example:
        >>> F.silu(cunet.tensor([-1.0, 0.0, 1.0])).round(4)
        Tensor([-0.2689,  0.    ,  0.7311])
    """
    return silu_forward(input), lambda gy: (silu_backward(gy, input),)


# tanh(log(1 + e)) = m / (m + 2) with e = exp(x), m = e * (e + 2): no cancellation; 1 from x = 22 in every dtype.
@elementwise(
    "T x",
    "T y",
    "A c = x < -800 ? A(-800) : x; A e = exp(c > 22 ? A(22) : c); A m = e * (e + 2); y = c * (m / (m + 2))",
)
def mish_forward(x):
    c = np.maximum(x, -800)
    e = np.exp(np.minimum(c, 22))
    m = e * (e + 2)
    return c * (m / (m + 2))


@elementwise(
    "T gy, T x",
    "T gx",
    """A c = x < -800 ? A(-800) : x > 22 ? A(22) : x; A e = exp(c); A m = e * (e + 2); A d = m + 2;
    gx = gy * (m / d + 4 * c * (e / d) * ((1 + e) / d))""",
)
def mish_backward(gy, x):
    c = np.clip(x, -800, 22)
    e = np.exp(c)
    m = e * (e + 2)
    d = m + 2
    return gy * (m / d + 4 * c * (e / d) * ((1 + e) / d))


@activation(mish_forward, mish_backward, layer="Mish", gain=1.4868475812732081, cancels=True)
@op(arrays=1)
def mish(input, inplace: bool = False) -> Result:
    """Return ``x * tanh(log(1 + exp(x)))``.

    With ``e = exp(x)`` and ``d = (1 + e)**2 + 1`` the gate is ``(d - 2) / d``, its derivative ``4 e (1 + e) / d**2``.

    Source: Misra 2019, arXiv:1908.08681, equation 1.

    Example:
        >>> F.mish(cunet.tensor([-1.0, 0.0, 1.0])).round(4)
        Tensor([-0.3034,  0.    ,  0.8651])
    """
    return mish_forward(input), lambda gy: (mish_backward(gy, input),)


@elementwise("T x", "T y", "A c = x < -3 ? A(-3) : x; y = c * (c > 3 ? A(1) : (c + 3) / 6)")
def hardswish_forward(x):
    c = np.maximum(x, -3)
    return c * (np.minimum(c + 3, 6) / 6)


@elementwise("T gy, T x", "T gx", "gx = x <= -3 ? A(0) : x >= 3 ? gy : gy * ((2 * x + 3) / 6)")
def hardswish_backward(gy, x):
    return keep(gy * np.where(x >= 3, 1, (2 * x + 3) / 6), ~(x <= -3))


@activation(hardswish_forward, hardswish_backward, layer="Hardswish", gain=1.7366572127665416, cancels=True)
@op(arrays=1)
def hardswish(input, inplace: bool = False) -> Result:
    """Approximate `silu` by pieces: ``x * clip((x + 3) / 6, 0, 1)``.

    The derivative is 0 for x <= -3, 1 for x >= 3 and ``(2 * x + 3) / 6`` between.

    Source: Howard et al. 2019, arXiv:1905.02244, section 5.2.

    Example:
        >>> F.hardswish(cunet.tensor([-1.0, 0.0, 1.0, 4.0])).round(4)
        Tensor([-0.3333,  0.    ,  0.6667,  4.    ])
    """
    return hardswish_forward(input), lambda gy: (hardswish_backward(gy, input),)


@elementwise("T value, T gate", "T y", "y = value / (1 + exp(-gate))")
def glu_forward(value, gate):
    return value / (1 + np.exp(-gate))


@elementwise(
    "T gy, T value, T gate",
    "T gvalue, T ggate",
    "A s = gy / (1 + exp(-gate)); gvalue = s; ggate = s * (value / (1 + exp(gate)))",
)
def glu_backward(gy, value, gate):
    s = gy / (1 + np.exp(-gate))
    return s, s * (value / (1 + np.exp(gate)))


@activation(layer="GLU")
@op(arrays=1)
def glu(input, dim: int = -1, *, axis: int | None = None) -> Result:
    """Split `input` into two halves along `dim` and return ``first * sigmoid(second)``.

    Args:
        input: floating, of even length along `dim`.
        dim: the axis that is halved.
        axis: NumPy's name of `dim`, which may be given instead.

    Raises:
        ValueError: `input` has no such axis, or its length is odd.

    Source: Dauphin et al. 2016, arXiv:1612.08083, equation 1.

    Example:
        >>> F.glu(cunet.tensor([[1.0, 2.0, 0.0, 100.0]]))  # the last axis is halved: gates of 1/2 and 1
        Tensor([[0.5, 2. ]])
    """
    axis = dim_or_axis("glu", dim, axis, -1)
    if not isinstance(axis, int):
        raise TypeError(f"glu: dim must be a number, got {axis!r}")
    if not -input.ndim <= axis < input.ndim or input.shape[axis] % 2:
        raise ValueError(f"glu: input must have an even length along dim={axis}, got shape {input.shape}")
    before = (slice(None),) * (axis % input.ndim)
    half, xp = input.shape[axis] // 2, array_module(input)
    value, gate = input[(*before, slice(half))], input[(*before, slice(half, None))]
    return glu_forward(value, gate), lambda gy: (xp.concatenate(glu_backward(gy, value, gate), axis=axis),)
