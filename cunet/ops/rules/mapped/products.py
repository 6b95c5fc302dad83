"""Products of matrices, and functions of them."""

from __future__ import annotations

from typing import Any

from ....autograd.mapped import Call, mapped_by
from ... import math
from ...array import expand_dims, reshape, squeeze, swapaxes
from ...einsum import _einsum
from ...linalg import linear, matmul
from ...matrix import determinant, equations, spectral, triangular


@mapped_by(matmul)
def _(call: Call) -> Any:
    (x, y), (one, two) = call.args, (call.ndim(0), call.ndim(1))
    if not one or not two:
        raise ValueError("matmul: both arguments must have at least 1 axis; use * for scalars")
    if one == 1 and not call.mapped[1] and two <= 2:
        return matmul(x, y)
    if two == 1 and not call.mapped[0] and one <= 2:
        return matmul(y, swapaxes(x, 0, 1) if one == 2 else x)
    if one == 1:
        x = expand_dims(x, axis=-2)
    if two == 1:
        y = expand_dims(y, axis=-1)
    most = max(one, two, 2)
    x, y = (_lengthened(a, m, most, call) for a, m in zip((x, y), call.mapped, strict=True))
    z = matmul(x, y)
    return squeeze(z, axis=tuple(k for k, n in ((-2, one), (-1, two)) if n == 1)) if 1 in (one, two) else z


def _lengthened(a: Any, mapped: bool, ndim: int, call: Call) -> Any:
    """Return matrices with so many axes in a sample."""
    missing = ndim + mapped - a.ndim
    return reshape(a, (call.size, *(1,) * missing, *a.shape[1:])) if mapped and missing else a


@mapped_by(linear)
def _(call: Call) -> Any:
    x, weight, bias, *_ = (*call.args, None)
    mapped = (*call.mapped, False)
    if not mapped[1]:
        if not mapped[2]:
            return linear(x, weight, bias)
        y = linear(x, weight)
        return math.add(y, call.padded(2, max(1, y.ndim - mapped[0])))
    vector = call.ndim() == 1
    if vector:
        x = expand_dims(x, axis=-2)
    ndim = max(2, call.ndim())
    y = matmul(_lengthened(x, mapped[0], ndim, call), _lengthened(swapaxes(weight, -1, -2), True, ndim, call))
    y = squeeze(y, axis=-2) if vector else y
    return y if bias is None else math.add(y, call.padded(2, call.ndim()))


@mapped_by(_einsum)
def _(call: Call) -> Any:
    inputs, output = call.options["inputs"], call.options["output"]
    letter = next(
        c for c in "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ" if c not in "".join((*inputs, output))
    )
    own = tuple(letter + s if m else s for s, m in zip(inputs, call.mapped, strict=True))
    return call.op(*call.args, inputs=own, output=letter + output)


@mapped_by(
    determinant.det, determinant._slogdet, equations.inv, equations.pinv, spectral._eigh, spectral._svd,
    spectral.eigvalsh, spectral.svdvals, triangular._qr, triangular.cholesky,
)  # fmt: skip
def _(call: Call) -> Any:
    if call.ndim() < 2:
        call.refuse(f"a sample must be a matrix, got shape {call.shape()}")
    return call.op(call.args[0], **call.options)


@mapped_by(equations.solve)
def _(call: Call) -> Any:
    a, b = call.args
    vector = call.ndim(1) == 1
    if call.ndim(0) < 2 or not call.ndim(1):
        call.refuse("a must be a matrix in each sample, and b a vector or a matrix")
    b = expand_dims(b, axis=-1) if vector else b
    most = max(call.ndim(0), call.ndim(1) + vector)
    x = call.op(_lengthened(a, call.mapped[0], most, call), _lengthened(b, call.mapped[1], most, call))
    return squeeze(x, axis=-1) if vector else x
