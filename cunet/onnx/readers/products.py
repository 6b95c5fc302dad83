"""Products, softmax, and losses of labels."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ...device import is_floating
from ...ops import linalg, softmax
from ...ops.array import reshape
from ...ops.einsum import einsum
from ...ops.loss import cross_entropy, nll
from ...ops.matrix.determinant import det
from ..reading import reads


@reads("MatMul")
def _(x, y):
    return linalg.matmul(x, y) if is_floating(x.dtype) else x.data @ y.data


@reads("Gemm")
def _(a, b, c=None, alpha=1.0, beta=1.0, transA=0, transB=0):  # noqa: N803 (ONNX's names)
    if transB and not transA and alpha == beta == 1 and (c is None or c.shape == b.shape[:1]):
        return linalg.linear(a, b, c)
    y = linalg.matmul(a.T if transA else a, b.T if transB else b)
    y = y if alpha == 1 else y * alpha
    return y if c is None else y + (c if beta == 1 else c * beta)


@reads("Einsum")
def _(*arrays, equation=""):
    return einsum(equation, *arrays)


@reads("Det")
def _(x):
    return det(x)


def _rows(function: Callable[..., Any]) -> Callable[..., Any]:
    def read(x, axis=None, opset=13):
        if opset >= 13:
            return function(x, -1 if axis is None else axis)
        k = (1 if axis is None else axis) % x.ndim  # of all axes from this one on
        flat = reshape(x, (math.prod(x.shape[:k]), math.prod(x.shape[k:])))
        return reshape(function(flat, 1), x.shape)

    return read


reads("Softmax")(_rows(softmax.softmax))
reads("LogSoftmax")(_rows(softmax.log_softmax))


@reads("NegativeLogLikelihoodLoss")
def _(x, target, weight=None, ignore_index=-100, reduction="mean"):
    return nll.nll_loss(x, target, weight, ignore_index, reduction)


@reads("SoftmaxCrossEntropyLoss")
def _(x, target, weight=None, ignore_index=-100, reduction="mean", results=1):
    loss = cross_entropy.cross_entropy(x, target, weight, ignore_index, reduction)
    return loss if results == 1 else (loss, softmax.log_softmax(x, 1))
