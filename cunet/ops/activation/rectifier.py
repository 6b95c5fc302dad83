"""Activations that are linear for positive x: the ReLU family, and ELU with its relatives.

What `squashing` says of all activations holds here too. The functions with an exponential part
take their derivative from `x`: ``y + alpha`` is 0 in float32 for an ELU of -17 and below.
"""

from __future__ import annotations

import math

import numpy as np

from ...autograd.op import Result, op
from ...device import Array, accumulator
from ...kernels import elementwise
from ...kernels.sum_to import sum_over
from .registry import activation
from .squashing import above, below, keep


@elementwise("T x", "T y", "y = x < 0 ? A(0) : x")
def relu_forward(x):
    return above(x)


@elementwise("T gy, T y", "T gx", "gx = y == 0 ? A(0) : gy")
def relu_backward(gy, y):
    return keep(gy, y != 0)


@activation(relu_forward, relu_backward, layer="ReLU", gain=math.sqrt(2))
@op(arrays=1)
def relu(input, inplace: bool = False) -> Result:
    """Return ``max(x, 0)``; derivative 1 for x > 0, else 0 (also at 0).

    Source: Nair & Hinton 2010, section 2.

    Example:
        >>> F.relu(cunet.tensor([-1.0, 0.0, 2.0]))
        Tensor([0., 0., 2.])
        >>> cunet.grad(lambda x: F.relu(x).sum())(np.array([-1.0, 0.0, 2.0]))
        array([0., 0., 1.])
    """
    y = relu_forward(input)
    return y, lambda gy: (relu_backward(gy, y),)  # from y: x is then free as soon as the next op has run


@elementwise("T x, A theta, A value", "T y", "y = x <= theta ? value : x")
def threshold_forward(x, theta, value):
    return np.where(x <= theta, x.dtype.type(value), x)


@elementwise("T gy, T x, A theta, A value", "T gx", "gx = x <= theta ? A(0) : gy")
def threshold_backward(gy, x, theta, value):
    return keep(gy, ~(x <= theta))


@activation(threshold_forward, threshold_backward, layer="Threshold")
@op(arrays=1)
def threshold(input, threshold: float = 1.0, value: float = 0.0, inplace: bool = False) -> Result:
    """Return `input` where ``x > threshold``, else `value`; the derivative is 1 and 0.

    Args:
        input: x; any shape, floating.
        threshold: the largest number that is replaced; with 1 and a value of 0 this is the source's thresholded ReLU.
        value: what replaces it.
        inplace: see `cunet.functional`.

    Source: Konda, Memisevic & Krueger 2014, arXiv:1402.3337.

    Example:
        >>> F.threshold(cunet.tensor([0.5, 1.0, 2.0]), threshold=1.0, value=-3.0)
        Tensor([-3., -3.,  2.])
    """
    return (
        threshold_forward(input, threshold, value),
        lambda gy: (threshold_backward(gy, input, threshold, value),),
    )


def _pick(x: np.ndarray, above: float, below: float | np.ndarray) -> np.ndarray:
    """Return `above` where ``x > 0``, else `below`: as `np.where`, in a fifth of its time."""
    positive = x > 0
    return x.dtype.type(above) * positive + np.asarray(below, x.dtype) * ~positive


def _finite(slope: float | np.ndarray) -> bool:
    """Tell whether 0 times the slope, of what it is not for, is 0."""
    return bool(np.isfinite(slope).all())


@elementwise("T x, A slope", "T y", "y = x > 0 ? x : slope * x")
def leaky_relu_forward(x, slope):
    if not _finite(slope):
        return np.where(x > 0, x, slope * x)
    return above(x) + slope * below(x)


@elementwise("T gy, T x, A slope", "T gx", "gx = x > 0 ? gy : gy * slope")
def leaky_relu_backward(gy, x, slope):
    if not _finite(slope):
        return np.where(x > 0, gy, gy * slope)
    return gy * _pick(x, 1, slope)


def _check_finite(what: str, value: float) -> None:
    if not -math.inf < value < math.inf:
        raise ValueError(f"{what} must be finite, got {value}")


def _slope_gain(negative_slope: float = 0.01) -> float:
    return math.sqrt(2 / (1 + negative_slope**2))


@activation(leaky_relu_forward, leaky_relu_backward, layer="LeakyReLU", gain=_slope_gain)
@op(arrays=1)
def leaky_relu(input, negative_slope: float = 0.01, inplace: bool = False) -> Result:
    """Return `input` where ``x > 0``, else ``negative_slope * x``; the derivative at 0 is negative_slope.

    Args:
        input: x; any shape, floating.
        negative_slope: slope for x <= 0; finite.
        inplace: see `cunet.functional`.

    Raises:
        ValueError: the slope is not finite.

    Source: Maas, Hannun & Ng 2013, section 2.

    Example:
        >>> F.leaky_relu(cunet.tensor([-2.0, 3.0])), F.leaky_relu(cunet.tensor([-2.0, 3.0]), negative_slope=0.25)
        (Tensor([-0.02,  3.  ]), Tensor([-0.5,  3. ]))
    """
    _check_finite("leaky_relu: negative_slope", negative_slope)
    return leaky_relu_forward(input, negative_slope), lambda gy: (leaky_relu_backward(gy, input, negative_slope),)


@elementwise("T gy, T x", "A terms", "terms = x > 0 ? A(0) : gy * x")
def prelu_weight_terms(gy, x):
    return keep(gy * x, ~(x > 0))


@activation(layer="PReLU", gain=lambda weight=0.25: _slope_gain(weight))
@op(arrays=2)
def prelu(input, weight, axis: int = 1) -> Result:
    """Return `input` where ``x > 0``, else ``weight * x``, with a learned weight, one for all or one per channel.

    The derivative by `input` at 0 is the weight; the derivative by the weight is ``min(x, 0)``, summed. The source
    starts the weight at 0.25 and exempts it from weight decay.

    Args:
        input: x; any shape, floating.
        weight: shape (1,), shared, or (C,) with ``C = x.shape[axis]``.
        axis: the channel axis of `input`.

    Raises:
        ValueError: the weight has another shape.

    Source: He et al. 2015, arXiv:1502.01852, equations 1 to 3.

    Example:
        >>> weight = cunet.tensor([0.25, 0.5], requires_grad=True)  # one slope a channel
        >>> y = F.prelu(cunet.tensor([[-1.0, -1.0], [2.0, -4.0]]), weight)
        >>> y.numpy()
        array([[-0.25, -0.5 ],
               [ 2.  , -2.  ]], dtype=float32)
        >>> y.sum().backward()
        >>> weight.grad
        array([-1., -5.], dtype=float32)
    """
    slope = _along_axis(input, weight, axis).astype(accumulator(input.dtype), copy=False)
    shared = tuple(k for k, length in enumerate(slope.shape) if length == 1)
    return leaky_relu_forward(input, slope), lambda gy: (
        lambda: leaky_relu_backward(gy, input, slope),
        lambda: sum_over(prelu_weight_terms(gy, input), shared).reshape(weight.shape),
    )


def _along_axis(x: Array, weight: Array, axis: int) -> Array:
    """Return the weight of a PReLU in a shape that broadcasts with `x`."""
    given = np.shape(weight)
    if given == (1,):
        return weight.reshape((1,) * x.ndim)
    channels = x.shape[axis] if -x.ndim <= axis < x.ndim else None
    if given != (channels,):
        expected = "(1,)" if channels is None else f"(1,) or (C,) = ({channels},)"
        raise ValueError(
            f"prelu: weight must have shape {expected} for input of shape {x.shape} and axis={axis}, got {given}"
        )
    return weight.reshape([channels if k == axis % x.ndim else 1 for k in range(x.ndim)])


@elementwise("T x, A alpha", "T y", "y = x > 0 ? x : alpha * expm1(x)")
def elu_forward(x, alpha):
    return above(x) + alpha * np.expm1(below(x))


@elementwise("T gy, T x, A alpha", "T gx", "gx = x > 0 ? gy : gy * (alpha * exp(x))")
def elu_backward(gy, x, alpha):
    return gy * (np.exp(below(x)) * _pick(x, 1, alpha))


def _elu_gain(alpha: float = 1.0) -> float:
    # E[expm1(z)**2; z < 0] = exp(2) Phi(-2) - 2 exp(1/2) Phi(-1) + 1/2, with 2 Phi(-a) = erfc(a / sqrt(2))
    negative = math.exp(2) / 2 * math.erfc(math.sqrt(2)) - math.exp(0.5) * math.erfc(math.sqrt(0.5)) + 0.5
    return 1 / math.sqrt(0.5 + alpha**2 * negative)


@activation(elu_forward, elu_backward, layer="ELU", gain=_elu_gain)
@op(arrays=1)
def elu(input, alpha: float = 1.0, inplace: bool = False) -> Result:
    """Return `input` where ``x > 0``, else ``alpha * (exp(x) - 1)``; the derivative at 0 is alpha.

    Saturates at -alpha for x towards -inf.

    Args:
        input: x; any shape, floating.
        alpha: what x towards -inf tends to, negated; finite.
        inplace: see `cunet.functional`.

    Raises:
        ValueError: alpha is not finite.

    Source: Clevert, Unterthiner & Hochreiter 2015, arXiv:1511.07289, section 3.

    Example:
        >>> F.elu(cunet.tensor([-100.0, -1.0, 0.0, 2.0])).round(4)
        Tensor([-1.    , -0.6321,  0.    ,  2.    ])
    """
    _check_finite("elu: alpha", alpha)
    return elu_forward(input, alpha), lambda gy: (elu_backward(gy, input, alpha),)


@elementwise("T x, A alpha", "T y", "y = x > 0 ? x : alpha * expm1(x / alpha)")
def celu_forward(x, alpha):
    return above(x) + alpha * np.expm1(below(x) / alpha)


@elementwise("T gy, T x, A alpha", "T gx", "gx = x > 0 ? gy : gy * exp(x / alpha)")
def celu_backward(gy, x, alpha):
    return gy * np.exp(below(x) / alpha)


@activation(celu_forward, celu_backward, layer="CELU", gain=1.2451983007007066)
@op(arrays=1)
def celu(input, alpha: float = 1.0, inplace: bool = False) -> Result:
    """Return `input` where ``x > 0``, else ``alpha * (exp(x / alpha) - 1)``; the derivative is 1 at 0 for every alpha.

    Args:
        input: x; any shape, floating.
        alpha: what x towards -inf tends to, negated; > 0, finite.
        inplace: see `cunet.functional`.

    Raises:
        ValueError: alpha is not positive, or not finite.

    Source: Barron 2017, arXiv:1704.07483.

    Example:
        >>> slope = cunet.grad(lambda x, f: f(x, alpha=2.0).sum())
        >>> slope(np.zeros(1), F.celu), slope(np.zeros(1), F.elu)
        (array([1.]), array([2.]))
    """
    if not alpha > 0:
        raise ValueError(f"celu: alpha must be > 0, got {alpha}")
    _check_finite("celu: alpha", alpha)
    return celu_forward(input, alpha), lambda gy: (celu_backward(gy, input, alpha),)


#: With these two, mean 0 and variance 1 are a stable fixed point from layer to layer.
SELU_SCALE = 1.0507009873554805
SELU_ALPHA = 1.6732632423543772
_SELU_FLOOR = 1.7580993408473768  # their product, rounded once


@elementwise("T x", "T y", "y = x > 0 ? A(1.0507009873554805) * x : A(1.7580993408473768) * expm1(x)")
def selu_forward(x):
    return SELU_SCALE * above(x) + _SELU_FLOOR * np.expm1(below(x))


@elementwise("T gy, T x", "T gx", "gx = gy * (x > 0 ? A(1.0507009873554805) : A(1.7580993408473768) * exp(x))")
def selu_backward(gy, x):
    return gy * (np.exp(below(x)) * _pick(x, SELU_SCALE, _SELU_FLOOR))


@activation(selu_forward, selu_backward, layer="SELU", gain=1.0)
@op(arrays=1)
def selu(input, inplace: bool = False) -> Result:
    """Return ``scale * elu(x, alpha)`` with the scale 1.0507009873554805 and the alpha 1.6732632423543772.

    Keeps mean 0 and variance 1 through depth if the inputs have them and weights are drawn by `lecun_normal`;
    dropout must then be alpha dropout. The derivative at 0 is ``scale * alpha``.

    Source: Klambauer et al. 2017, arXiv:1706.02515, equation 2 and appendix A1.

    Example:
        >>> F.selu(cunet.tensor([-100.0, -1.0, 0.0, 1.0])).round(4)
        Tensor([-1.7581, -1.1113,  0.    ,  1.0507])
    """
    return selu_forward(input), lambda gy: (selu_backward(gy, input),)
