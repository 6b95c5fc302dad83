"""Products: matmul with batch dimensions, and the linear layer's ``x @ W.T + b`` in one node."""

from __future__ import annotations

import math

import numpy as np

from ..autograd.op import Result, op
from ..device import Array, accumulator, array_module
from ..kernels import primitive
from ..kernels.assign import reshaped
from ..kernels.backends.cuda import products
from ..kernels.backends.native.products import bind_if_started
from ..kernels.backends.native.products import product as native_product
from ..kernels.backends.numpy import tuning as settings
from ..kernels.capture import add_elements, capturing
from ..kernels.spec import Plainly
from ..kernels.sum_to import sum_over


@primitive
def product(x: Array, y: Array, out: Array | None = None, add: bool = False) -> Array:
    """Return ``x @ y``, written into `out` if it is given, or `add`-ed to it."""
    if add:
        out += product(x, y)
        return out
    return x @ y if out is None else array_module(x).matmul(x, y, out=out)


product.cuda(products.product)


def _multiply(x: Array, y: Array, out: Array | None = None, add: bool = False) -> Array:
    """Return what the native backend does, where no builtin does it; it leaves small products to NumPy."""
    if out is not None or type(y) is not np.ndarray or x.dtype != y.dtype:
        return NotImplemented
    if x.ndim < 2 or y.ndim < 2 or (x.size * y.shape[-1] <= settings.tuning.product and not _is_recorded(x, y)):
        bind_if_started()
        return x @ y
    return native_product(x, y)


def _is_recorded(x: Array, y: Array) -> bool:
    """Tell whether a small product shall be recorded: one that NumPy too does by a single call of the same function."""
    return capturing.get() is not None and min(*x.shape[-2:], y.shape[-1]) > 1 and not np.may_share_memory(x, y)


product.native(Plainly("product", _multiply))


@product.numpy
def _(x: Array, y: Array, out: Array | None = None, add: bool = False) -> Array:
    """Go through one dtype, for half types float32: NumPy has no fast product of two dtypes or of halves."""
    if add or x.dtype == y.dtype == accumulator(x.dtype):
        return NotImplemented if add or out is not None else x @ y
    dtype = np.result_type(x.dtype, y.dtype)
    wide = accumulator(dtype)
    z = (x.astype(wide, copy=False) @ y.astype(wide, copy=False)).astype(dtype, copy=False)
    if out is None:
        return z
    out[...] = z
    return out


def as_matrix(x: Array) -> Array:
    """Flatten all axes but the last; -1 would not do where the last has length 0."""
    return x if x.ndim == 2 else reshaped(x, (math.prod(x.shape[:-1]), x.shape[-1]))


def column_sums(x: Array) -> Array:
    """Return the sums over the first axis of a matrix, kept in float32 for half types."""
    return sum_over(x, (0,), keepdims=False).astype(x.dtype, copy=False)


@op
def matmul(x, y) -> Result:
    """Return the matrix product ``x @ y`` as `numpy.matmul`: batch dimensions broadcast, 1-D allowed.

    Raises:
        ValueError: an argument has no axis, or the inner lengths differ.

    Example:
        >>> cunet.matmul([[1.0, 2.0], [3.0, 4.0]], [1.0, 10.0])
        Tensor([21., 43.])
        >>> cunet.matmul(np.zeros((8, 2, 3)), np.zeros((3, 4))).shape
        (8, 2, 4)
    """
    if not getattr(x, "ndim", 0) or not getattr(y, "ndim", 0):
        raise ValueError("matmul: both arguments must have at least 1 axis; use * for scalars")
    if x.shape[-1] != y.shape[-2 if y.ndim > 1 else 0]:
        raise ValueError(f"matmul: inner lengths must be equal, got shapes {x.shape} and {y.shape}")
    a = x[None, :] if x.ndim == 1 else x
    b = y[:, None] if y.ndim == 1 else y

    def vjp(gy):
        g = gy
        if y.ndim == 1:
            g = g[..., None]
        if x.ndim == 1:
            g = g[..., None, :]

        def for_y() -> Array:
            # With one matrix y: one big product instead of one per batch entry and a sum.
            gb = product(as_matrix(a).T, as_matrix(g)) if b.ndim == 2 else product(a.swapaxes(-1, -2), g)
            return gb[..., 0] if y.ndim == 1 else gb

        # The axis that a 1-D x was given is in front: the engine sums it away.
        return lambda: product(g, b.swapaxes(-1, -2)), for_y

    return product(x, y), vjp


@product.tensors
def _(x, y, out=None):
    return matmul(x, y)


@op
def linear(input, weight, bias=None) -> Result:
    """Apply an affine map: ``x @ weight.T + bias``.

    Args:
        input: shape (..., in_features).
        weight: shape (out_features, in_features), PyTorch's layout.
        bias: shape (out_features,) or None.

    Returns:
        Shape (..., out_features).

    Raises:
        ValueError: shapes do not fit together.

    Example:
        >>> weight = cunet.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
        >>> F.linear(cunet.tensor([[1.0, 2.0]]), weight, [0.0, 0.0, 0.5])  # from 2 features to 3
        Tensor([[1. , 2. , 3.5]])
    """
    if weight.ndim != 2 or not input.ndim or input.shape[-1] != weight.shape[1]:
        raise ValueError(
            "linear: input must have shape (..., in_features) and weight (out_features, in_features), "
            f"got {input.shape} and {weight.shape}"
        )
    if bias is not None and bias.shape != weight.shape[:1]:
        raise ValueError(f"linear: bias must have shape {weight.shape[:1]}, got {bias.shape}")
    flat = as_matrix(input)
    y = product(flat, weight.T)
    if bias is not None and capturing.get() is None:
        y += bias
    elif bias is not None:
        y = add_elements(y, bias)

    def vjp(gy):
        g = as_matrix(gy)
        return (
            lambda: product(g, weight) if input.ndim == 2 else product(g, weight).reshape(input.shape),
            lambda: product(g.T, flat),
            None if bias is None else lambda: column_sums(g),
        )

    return y if input.ndim == 2 else y.reshape(*input.shape[:-1], weight.shape[0]), vjp
