"""Activations that are flat, or nearly so, around 0: softshrink, hardshrink, tanhshrink.

What `squashing` says of all activations holds here too.
"""

from __future__ import annotations

import math

import numpy as np

from ...autograd.op import Result, op
from ...kernels import elementwise
from .registry import activation
from .squashing import keep


@elementwise("T x, A lambd", "T y", "y = x - (x < -lambd ? -lambd : x > lambd ? lambd : x)")
def softshrink_forward(x, lambd):
    return x - np.clip(x, -lambd, lambd)


@elementwise("T gy, T x, A lambd", "T gx", "gx = abs(x) <= lambd ? A(0) : gy")
def softshrink_backward(gy, x, lambd):
    return keep(gy, ~(np.abs(x) <= lambd))


@activation(softshrink_forward, softshrink_backward, layer="Softshrink")
@op(arrays=1)
def softshrink(input, lambd: float = 0.5) -> Result:
    """Pull towards 0 by `lambd`: ``input - clip(input, -lambd, lambd)``; derivative 0 for ``|input| <= lambd``, else 1.

    Args:
        input: any shape, floating.
        lambd: how far; at least 0, finite.

    Raises:
        ValueError: lambd is below 0 or not finite.

    Source: Donoho & Johnstone 1994, "Ideal spatial adaptation by wavelet shrinkage", section 2.1.

    Example:
        >>> F.softshrink(cunet.tensor([-1.0, 0.25, 2.0]))
        Tensor([-0.5,  0. ,  1.5])
    """
    if not 0 <= lambd < math.inf:
        raise ValueError(f"softshrink: lambd must be at least 0 and finite, got {lambd}")
    return softshrink_forward(input, lambd), lambda gy: (softshrink_backward(gy, input, lambd),)


@elementwise("T x, A lambd", "T y", "y = abs(x) <= lambd ? A(0) : x")
def hardshrink_forward(x, lambd):
    return keep(x, ~(np.abs(x) <= lambd))


@activation(hardshrink_forward, softshrink_backward, layer="Hardshrink")
@op(arrays=1)
def hardshrink(input, lambd: float = 0.5) -> Result:
    """Set what is near 0 to 0: `input` where ``|input| > lambd``, else 0; the derivative is 1 and 0.

    Args:
        input: any shape, floating.
        lambd: how near; at least 0.

    Raises:
        ValueError: lambd is below 0.

    Source: Donoho & Johnstone 1994, "Ideal spatial adaptation by wavelet shrinkage", section 2.1.

    Example:
        >>> F.hardshrink(cunet.tensor([-1.0, 0.25, 2.0]))
        Tensor([-1.,  0.,  2.])
    """
    if not lambd >= 0:
        raise ValueError(f"hardshrink: lambd must be at least 0, got {lambd}")
    return hardshrink_forward(input, lambd), lambda gy: (softshrink_backward(gy, input, lambd),)


# x - tanh(x) cancels where x is small. There tanh(x) = x / (1 + q) by Lambert's continued fraction, all of whose terms
# are positive, to 1e-19 up to 1; beyond, tanh(a) = 1 - 2 / (1 + exp(2 a)).
@elementwise(
    "T x",
    "T y",
    """A a = abs(x), c = a < 1 ? a : A(1), t = c * c;
    A q = t / (3 + t / (5 + t / (7 + t / (9 + t / (11 + t / (13 + t / (15 + t / (17 + t / 19))))))));
    y = copysign(a < 1 ? a * (q / (1 + q)) : (a - 1) + 2 / (1 + exp(2 * a)), x)""",
    smooth="y = x - tanh(x)",
)
def tanhshrink_forward(x):
    a = np.abs(x)
    t = np.square(np.minimum(a, 1))
    q = t / (3 + t / (5 + t / (7 + t / (9 + t / (11 + t / (13 + t / (15 + t / (17 + t / 19))))))))
    return np.copysign(np.where(a < 1, a * (q / (1 + q)), (a - 1) + 2 / (1 + np.exp(2 * a))), x)


@elementwise("T gy, T x", "T gx", "A t = tanh(x); gx = gy * (t * t)")
def tanhshrink_backward(gy, x):
    return gy * np.square(np.tanh(x))


@activation(tanhshrink_forward, tanhshrink_backward, layer="Tanhshrink")
@op
def tanhshrink(input) -> Result:
    """Return ``input - tanh(input)``, also where the two are nearly equal; derivative ``tanh(input)**2``.

    Source: Lambert 1761 for the continued fraction of tanh.

    Example:
        >>> F.tanhshrink(cunet.tensor([-1.0, 0.0, 2.0])).round(4)
        Tensor([-0.2384,  0.    ,  1.036 ])
        >>> f"{F.tanhshrink(cunet.tensor(0.001)):.3g}"  # the float32 tanh(0.001) is 0.001 to its last bits
        '3.33e-10'
    """
    return tanhshrink_forward(input), lambda gy: (tanhshrink_backward(gy, input),)
