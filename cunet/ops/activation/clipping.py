"""Activations that are a line between two bounds: hardtanh, relu6, hardsigmoid.

What `squashing` says of all activations holds here too.
"""

from __future__ import annotations

import numpy as np

from ...autograd.op import Result, op
from ...kernels import elementwise
from .registry import activation
from .squashing import keep


@elementwise("T x, A low, A high", "T y", "y = x < low ? low : x > high ? high : x")
def hardtanh_forward(x, low, high):
    return np.clip(x, low, high)


# From x: y rounded to a half type may differ from low and high.
@elementwise("T gy, T x, A low, A high", "T gx", "gx = x <= low || x >= high ? A(0) : gy")
def hardtanh_backward(gy, x, low, high):
    return keep(gy, ~((x <= low) | (x >= high)))


@activation(hardtanh_forward, hardtanh_backward, layer="Hardtanh")
@op(arrays=1)
def hardtanh(input, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Result:
    """Clip to [min_val, max_val]; derivative 1 inside, 0 outside and on the two ends.

    Args:
        input: x; any shape, floating.
        min_val, max_val: the two ends.
        inplace: see `cunet.functional`.

    Raises:
        ValueError: min_val is not below max_val.

    Example:
        >>> F.hardtanh(cunet.tensor([-2.0, 0.5, 2.0]))
        Tensor([-1. ,  0.5,  1. ])
        >>> F.hardtanh(cunet.tensor([-2.0, 0.5, 2.0]), min_val=0.0, max_val=1.0)
        Tensor([0. , 0.5, 1. ])
    """
    if not min_val < max_val:
        raise ValueError(f"hardtanh: min_val must be < max_val, got {min_val} and {max_val}")
    return hardtanh_forward(input, min_val, max_val), lambda gy: (hardtanh_backward(gy, input, min_val, max_val),)


@activation(hardtanh_forward, hardtanh_backward, layer="ReLU6", gain=1.4142135650950737, parameters=lambda: (0, 6))
@op(arrays=1)
def relu6(input, inplace: bool = False) -> Result:
    """Return ``min(max(x, 0), 6)``; derivative 1 for 0 < x < 6, else 0.

    Source: Krizhevsky 2010, "Convolutional deep belief networks on CIFAR-10".

    Example:
        >>> F.relu6(cunet.tensor([-1.0, 3.0, 8.0]))
        Tensor([0., 3., 6.])
    """
    return hardtanh_forward(input, 0, 6), lambda gy: (hardtanh_backward(gy, input, 0, 6),)


# slope * (x + end), not slope * x + 0.5, which cancels near the lower end.
@elementwise("T x, A slope, A end", "T y", "A h = slope * (x + end); y = h < 0 ? A(0) : h > 1 ? A(1) : h")
def hardsigmoid_forward(x, slope, end):
    return np.clip(slope * (x + end), 0, 1)


@elementwise("T gy, T x, A slope, A end", "T gx", "gx = abs(x) >= end ? A(0) : gy * slope")
def hardsigmoid_backward(gy, x, slope, end):
    return keep(gy * slope, ~(np.abs(x) >= end))


@activation(
    hardsigmoid_forward,
    hardsigmoid_backward,
    layer="Hardsigmoid",
    parameters=lambda slope=1 / 6: (slope, 0.5 / slope),
)
@op(arrays=1)
def hardsigmoid(input, inplace: bool = False, *, slope: float = 1 / 6) -> Result:
    """Approximate the sigmoid by a line: ``clip(slope * x + 0.5, 0, 1)``.

    The derivative is `slope` for ``|x| < 0.5 / slope``, else 0.

    Args:
        input: x; any shape, floating.
        inplace: see `cunet.functional`.
        slope: 1/6 (the default) as in PyTorch and Keras 3; 0.2 as in Theano and Keras 2. The two differ by up
            to 1/12.

    Raises:
        ValueError: slope is not positive.

    Example:
        >>> F.hardsigmoid(cunet.tensor([-3.0, 0.0, 1.5])).round(4)
        Tensor([0.  , 0.5 , 0.75])
        >>> F.hardsigmoid(cunet.tensor([-3.0, 0.0, 1.5]), slope=0.2).round(4)
        Tensor([0. , 0.5, 0.8])
    """
    if not slope > 0:
        raise ValueError(f"hardsigmoid: slope must be > 0, got {slope}")
    end = 0.5 / slope
    return hardsigmoid_forward(input, slope, end), lambda gy: (hardsigmoid_backward(gy, input, slope, end),)
