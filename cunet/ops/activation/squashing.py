"""Activations that squash or smooth; the others are in `clipping`, `gated`, `rectifier` and `shrink`.

All activations but `glu` work element by element and keep shape and dtype. NaN gives NaN. A piecewise function
is exactly `x` where it is the identity; where it is flat its gradient is 0, whatever arrives, even inf; a NaN in
`x` lets the gradient through. Derivatives are computed from `x` where `y` has lost them: ``1 - y`` is 0 in
float32 for a sigmoid of 17.
"""

from __future__ import annotations

import numpy as np

from ...autograd.op import Result, op
from ...kernels import elementwise
from .registry import activation


def keep(x: np.ndarray, active: np.ndarray) -> np.ndarray:
    """Return `x` where `active`, else 0: as `np.where`, in a tenth of its time.

    The bits are multiplied, as integers, by 0 or 1: ``x * active`` would make NaN of inf.
    """
    bits = np.int64 if x.dtype.itemsize == 8 else np.int32
    return (x.view(bits) * active).view(x.dtype)


def above(x: np.ndarray) -> np.ndarray:
    """Return ``np.maximum(x, 0)``, in a third of its time."""
    return np.clip(x, 0, np.inf)


def below(x: np.ndarray) -> np.ndarray:
    """Return ``np.minimum(x, 0)``, in a third of its time."""
    return np.clip(x, -np.inf, 0)


@activation(layer="Identity", gain=1.0)
@op
def identity(input) -> Result:
    """Return `input` itself: the linear activation.

    Example:
        >>> activation = {"relu": F.relu, "linear": F.identity}["linear"]
        >>> activation(cunet.tensor([-1.0, 2.0]))
        Tensor([-1.,  2.])
    """
    return input, lambda gy: (gy,)


@elementwise("T x", "T y", "y = 1 / (1 + exp(-x))")
def sigmoid_forward(x):  # exp overflows to inf only where the result is below the smallest normal number
    return 1 / (1 + np.exp(-x))


@elementwise(
    "T gy, T x",
    "T gx",
    "A e = exp(-abs(x)); gx = gy * (e / ((1 + e) * (1 + e)))",
    smooth="gx = gy * (1 / (1 + exp(-x))) * (1 / (1 + exp(x)))",
)
def sigmoid_backward(gy, x):
    e = np.exp(-np.abs(x))
    return gy * (e / ((1 + e) * (1 + e)))


@activation(sigmoid_forward, sigmoid_backward, layer="Sigmoid", gain=1.0)
@op
def sigmoid(input) -> Result:
    """Squash into (0, 1): ``1 / (1 + exp(-x))``.

    The derivative ``y * (1 - y)``, at most 1/4, is computed as ``e / (1 + e)**2`` with ``e = exp(-|x|)``. In
    float32 `y` is exactly 1 from x = 17 on: losses take the logits `input` instead.

    Example:
        >>> F.sigmoid(cunet.tensor([-1.0, 0.0, 1.0])).round(4)
        Tensor([0.2689, 0.5   , 0.7311])
        >>> 1 - F.sigmoid(cunet.tensor(20.0))  # nothing is left in float32
        Tensor(0.)
    """
    return sigmoid_forward(input), lambda gy: (sigmoid_backward(gy, input),)


@elementwise("T x", "T y", "y = (x < 0 ? x : A(0)) - log1p(exp(-abs(x)))", smooth="y = -softplus(-x)")
def logsigmoid_forward(x):
    return np.minimum(x, 0) - np.log1p(np.exp(-np.abs(x)))


@elementwise("T gy, T x", "T gx", "gx = gy / (1 + exp(x))")
def logsigmoid_backward(gy, x):
    return gy / (1 + np.exp(x))


@activation(logsigmoid_forward, logsigmoid_backward, layer="LogSigmoid")
@op
def logsigmoid(input) -> Result:
    """Return ``log(sigmoid(x))``, computed as ``min(x, 0) - log1p(exp(-|x|))``; derivative ``sigmoid(-x)``.

    Example:
        >>> F.logsigmoid(cunet.tensor([-200.0, 0.0, 1.0])).round(4)
        Tensor([-200.    ,   -0.6931,   -0.3133])
    """
    return logsigmoid_forward(input), lambda gy: (logsigmoid_backward(gy, input),)


@elementwise(
    "T x, A beta",
    "T y",
    "y = (x < 0 ? A(0) : x) + log1p(exp(-abs(beta * x))) / beta",
    smooth="y = softplus(beta * x) / beta",
)
def softplus_forward(x, beta):
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(beta * x))) / beta


@elementwise("T gy, T x, A beta", "T gx", "gx = gy / (1 + exp(-(beta * x)))")
def softplus_backward(gy, x, beta):
    return gy / (1 + np.exp(-(beta * x)))


@activation(
    softplus_forward,
    softplus_backward,
    layer="Softplus",
    gain=1.0418668355353017,
    parameters=lambda beta=1.0, threshold=20.0: (beta,),
)
@op(arrays=1)
def softplus(input, beta: float = 1.0, threshold: float = 20.0) -> Result:
    """Smooth a ReLU: ``log(1 + exp(beta * x)) / beta``; derivative ``sigmoid(beta * x)``.

    Computed as ``max(x, 0) + log1p(exp(-|beta * x|)) / beta``, which is exact to rounding everywhere: nothing has to
    turn linear above a threshold.

    Args:
        input: x; any shape, floating.
        beta: sharpness, > 0; the larger, the closer to `relu`.
        threshold: what PyTorch's turns linear at, for ``beta * x``; ignored, as that is exact to ``exp(-threshold)``.

    Raises:
        ValueError: beta is not positive, or threshold is below 20, where the difference would be seen.

    Example:
        >>> F.softplus(cunet.tensor([-1.0, 0.0, 1.0])).round(4)
        Tensor([0.3133, 0.6931, 1.3133])
        >>> F.softplus(cunet.tensor([-1.0, 0.0, 1.0]), beta=10.0).round(4)
        Tensor([0.    , 0.0693, 1.    ])
    """
    if not beta > 0:
        raise ValueError(f"softplus: beta must be > 0, got {beta}")
    if not threshold >= 20:
        raise ValueError(f"softplus: threshold must be at least 20, since nothing turns linear here, got {threshold}")
    return softplus_forward(input, beta), lambda gy: (softplus_backward(gy, input, beta),)


# Cut at 3e38, which 1 + |x| rounds to itself in every dtype: inf / inf would be NaN.
@elementwise("T x", "T y", "A c = x > A(3e38) ? A(3e38) : x < A(-3e38) ? A(-3e38) : x; y = c / (1 + abs(c))")
def softsign_forward(x):
    c = np.clip(x, -3e38, 3e38)
    return c / (1 + np.abs(c))


@elementwise("T gy, T x", "T gx", "A r = 1 / (1 + abs(x)); gx = gy * (r * r)")
def softsign_backward(gy, x):
    r = 1 / (1 + np.abs(x))
    return gy * (r * r)


@activation(softsign_forward, softsign_backward, layer="Softsign", gain=2.3375333631085396)
@op
def softsign(input) -> Result:
    """Squash into (-1, 1): ``x / (1 + |x|)``; derivative ``1 / (1 + |x|)**2``.

    It saturates, polynomially where tanh does exponentially.

    Source: Turian, Bergstra & Bengio 2009; Glorot & Bengio 2010, section 3.

    Example:
        >>> F.softsign(cunet.tensor([-3.0, 0.0, 1.0]))
        Tensor([-0.75,  0.  ,  0.5 ])
    """
    return softsign_forward(input), lambda gy: (softsign_backward(gy, input),)
