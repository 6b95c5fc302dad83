"""The loss of probabilities of yes and no: binary_cross_entropy. From logits it is in `divergence`."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...autograd.op import Result, op
from ...device import is_gpu_array
from ...kernels import elementwise
from .divergence import factor
from .regression import as_pair, check_reduction, divisor_of, reduce_loss, spread_gradient


@elementwise(
    "T p, T t, A weight",
    "A loss",
    "A yes = -log(p); A no = -log1p(-p);"
    " loss = weight * (t * (yes > 100 ? A(100) : yes) + (1 - t) * (no > 100 ? A(100) : no))",
)
def bernoulli_forward(p, t, weight):
    yes, no = np.minimum(-np.log(p), 100), np.minimum(-np.log1p(-p), 100)
    return weight * (t * yes + (1 - t) * no)


# At the ends each part has a divisor of its own: a right answer keeps the slope 1 that (p - t) / (p * (1 - p)) loses.
@elementwise(
    "A g, T p, T t, A weight",
    "T gp",
    "A q = 1 - p; A d = p * q; A least = A(1e-12);"
    " gp = g * weight * (d > least ? (p - t) / d"
    " : (1 - t) / (q < least ? least : q) - t / (p < least ? least : A(p)))",
)
def bernoulli_backward(g, p, t, weight):
    q = 1 - p
    d = p * q
    ends = (1 - t) / np.maximum(q, 1e-12) - t / np.maximum(p, 1e-12)
    return g * weight * np.where(d > 1e-12, (p - t) / d, ends)


@elementwise(
    "A g, T p, A weight",
    "T gt",
    "A yes = -log(p); A no = -log1p(-p); gt = g * weight * ((yes > 100 ? A(100) : yes) - (no > 100 ? A(100) : no))",
)
def bernoulli_target_backward(g, p, weight):
    return g * weight * (np.minimum(-np.log(p), 100) - np.minimum(-np.log1p(-p), 100))


@op(arrays=2)
def binary_cross_entropy(input, target, weight: Any = None, reduction: str = "mean") -> Result:
    """Return ``-(t * log(p) + (1 - t) * log(1 - p))`` for probabilities p and targets t; no logarithm is below -100.

    A float32 sigmoid is exactly 1 from 17 on: from logits `binary_cross_entropy_with_logits` is more accurate. The
    gradient divides by no less than 1e-12, so that it is finite at 0 and 1 too.

    Args:
        input: probabilities, from 0 to 1.
        target: from 0 to 1, of the same shape. Both get a gradient.
        weight: factor of each element's loss; broadcasts to the shape of `input`; gets no gradient.
        reduction: "mean" over all elements (whatever their weights), "sum", or "none".

    Raises:
        ValueError: a probability below 0 or above 1 on the CPU (on the GPU, where asking would make the host wait,
            its loss is NaN); shapes that do not fit, or an unknown reduction.
        TypeError: neither array is of floating dtype.

    Example:
        >>> F.binary_cross_entropy(cunet.tensor([0.5, 0.25]), cunet.tensor([1.0, 0.0]), reduction="none").round(4)
        Tensor([0.6931, 0.2877])
        >>> F.binary_cross_entropy(cunet.tensor([2.0]), cunet.tensor([1.0]))
        Traceback (most recent call last):
            ...
        ValueError: binary_cross_entropy: input must be probabilities, from 0 to 1, got 2.0 to 2.0; logits go ...
    """
    who = "binary_cross_entropy"
    check_reduction(who, reduction)
    p, t = as_pair(who, input, target)
    w = factor(who, "weight", weight, p)
    if p.size and not is_gpu_array(p) and (p.min() < 0 or p.max() > 1):
        raise ValueError(f"{who}: input must be probabilities, from 0 to 1, got {p.min()} to {p.max()}; logits go into "
                         "binary_cross_entropy_with_logits")  # fmt: skip
    divisor = divisor_of(p, reduction)

    def vjp(gy):
        g = spread_gradient(gy, p.dtype, divisor)
        return lambda: bernoulli_backward(g, p, t, w), lambda: bernoulli_target_backward(g, p, w)

    return reduce_loss(bernoulli_forward(p, t, w), p.dtype, reduction, divisor), vjp
