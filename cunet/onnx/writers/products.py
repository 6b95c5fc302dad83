"""Products, and the table of an embedding."""

from __future__ import annotations

import numpy as np

from ...ops import embedding, linalg
from ...ops.einsum import _einsum
from ..graph import NotExportable
from ..writing import writes
from .elementwise import alike


@writes(linalg.matmul)
def _(g, x, y):
    return g("MatMul", *alike(g, x, y))


@writes(linalg.linear)
def _(g, x, weight, bias=None):
    if x.ndim == 2 and bias is not None:
        return g("Gemm", *alike(g, x, weight, bias), transB=1)
    x, weight = alike(g, x, weight)
    y = g("MatMul", x, g("Transpose", weight, perm=[1, 0]))
    return y if bias is None else g("Add", y, *alike(g, bias))


@writes(_einsum)
def _(g, *operands, inputs, output):
    letters = {c: chr(ord("a") + k) for k, c in enumerate(dict.fromkeys("".join(inputs)))}
    equation = ",".join(inputs) + "->" + output
    return g("Einsum", *alike(g, *operands), equation="".join(letters.get(c, c) for c in equation))


@writes(embedding.embedding)
def _(g, indices, weight, *, max_norm):
    if max_norm is not None:
        raise NotExportable("max_norm changes the table while it is read; set it to None after training")
    return g("Gather", weight, g.cast(indices, np.int64), axis=0)
