"""Rows of `cunet.ops.linalg`. The oracles are loops over all indices with exact sums."""

import itertools
import math

import numpy as np

import cunet
from cunet.ops.linalg import linear

from . import Case


def matmul(x, y):
    a = x[None, :] if x.ndim == 1 else x
    b = y[:, None] if y.ndim == 1 else y
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    a, b = np.broadcast_to(a, batch + a.shape[-2:]), np.broadcast_to(b, batch + b.shape[-2:])
    out = np.empty((*batch, a.shape[-2], b.shape[-1]))
    for *at, i, j in np.ndindex(*out.shape):
        out[(*at, i, j)] = math.fsum(a[(*at, i, k)] * b[(*at, k, j)] for k in range(a.shape[-1]))
    out = out[..., 0] if y.ndim == 1 else out
    return out[..., 0, :] if x.ndim == 1 and y.ndim > 1 else out[..., 0] if x.ndim == 1 else out


def affine(x, weight, bias=None):
    y = matmul(x, weight.T.copy())
    return y if bias is None else y + bias


def einsum(*operands, subscripts):
    return cunet.einsum(subscripts, *operands)


def einstein(*operands, subscripts):
    """Sum over every assignment of the letters, one product at a time; ellipses are not for this oracle."""
    inputs, _, output = subscripts.partition("->")
    inputs = inputs.split(",")
    lengths = {c: n for s, a in zip(inputs, operands, strict=True) for c, n in zip(s, a.shape, strict=True)}
    letters = list(lengths)
    out = np.zeros([lengths[c] for c in output])
    for values in itertools.product(*(range(lengths[c]) for c in letters)):
        at = dict(zip(letters, values, strict=True))
        out[tuple(at[c] for c in output)] += math.prod(
            a[tuple(at[c] for c in s)] for s, a in zip(inputs, operands, strict=True)
        )
    return out


def normal(*shapes):
    return lambda rng: tuple(rng.standard_normal(s) for s in shapes)


def positive(*shapes):
    """Of a sum that is a result's only element: no terms cancel, so that each rounding costs it a unit at most."""
    return lambda rng: tuple(rng.uniform(0.5, 2, s) for s in shapes)


def product_row(*shapes):
    inputs = (positive if all(len(s) == 1 for s in shapes) else normal)(*shapes)
    return Case(cunet.matmul, reference=matmul, inputs=inputs, label="@".join(map(str, shapes)))


def einsum_row(subscripts, *shapes):
    one = subscripts.endswith("->")
    inputs, ulp = (positive(*shapes), sum(map(sum, shapes))) if one else (normal(*shapes), 4)
    return Case(einsum, {"subscripts": subscripts}, reference=einstein, inputs=inputs, ulp=ulp)


def contracted(x, y, of_x, of_y):
    """Sum over pairs of axes, one element of the result at a time."""
    left = [a for a in range(x.ndim) if a not in of_x]
    right = [b for b in range(y.ndim) if b not in of_y]
    out = np.zeros([x.shape[a] for a in left] + [y.shape[b] for b in right])
    for at in np.ndindex(*out.shape):
        terms = []
        for k in np.ndindex(*[x.shape[a] for a in of_x]):
            i = dict(zip([*left, *of_x], [*at[: len(left)], *k], strict=True))
            j = dict(zip([*right, *of_y], [*at[len(left) :], *k], strict=True))
            terms.append(x[tuple(i[a] for a in range(x.ndim))] * y[tuple(j[b] for b in range(y.ndim))])
        out[at] = math.fsum(terms)
    return out


def contracted_row(op, of_x, of_y, *shapes, **kwargs):
    def reference(x, y, **_):
        return contracted(x, y, of_x, of_y)

    label = "@".join(map(str, shapes))
    return Case(op, kwargs, reference=reference, inputs=normal(*shapes), label=label)


CASES = [
    contracted_row(cunet.dot, [0], [0], (3,), (3,)),
    contracted_row(cunet.dot, [1], [0], (2, 3), (3, 4)),
    contracted_row(cunet.dot, [2], [0], (2, 4, 3), (3,)),
    contracted_row(cunet.dot, [2], [1], (2, 4, 3), (2, 3, 2)),
    contracted_row(cunet.inner, [0], [0], (3,), (3,)),
    contracted_row(cunet.inner, [2], [1], (2, 4, 3), (2, 3)),
    contracted_row(cunet.outer, [], [], (3,), (4,)),
    contracted_row(cunet.tensordot, [1, 2], [0, 1], (2, 3, 4), (3, 4, 2)),
    contracted_row(cunet.tensordot, [0], [2], (3, 2), (2, 2, 3), axes=(0, -1)),
    contracted_row(cunet.tensordot, [2, 0], [0, 1], (3, 2, 4), (4, 3), axes=((2, 0), (0, 1))),
    contracted_row(cunet.tensordot, [], [], (2,), (3,), axes=0),
    product_row((2, 3), (3, 4)),
    product_row((3,), (3,)),
    product_row((2, 3), (3,)),
    product_row((3,), (3, 4)),
    product_row((5, 2, 3), (3, 4)),
    product_row((5, 2, 3), (3,)),
    product_row((3,), (5, 3, 4)),
    product_row((2, 3), (5, 3, 4)),
    product_row((2, 1, 2, 3), (3, 3, 4)),
    Case(linear, reference=affine, inputs=normal((5, 3), (4, 3), (4,)), label="bias"),
    Case(linear, reference=affine, inputs=normal((2, 5, 3), (4, 3)), label="no bias"),
    Case(linear, reference=affine, inputs=normal((3,), (4, 3), (4,)), label="one vector"),
    einsum_row("ij,jk->ik", (2, 3), (3, 4)),
    einsum_row("ij,jk,kl->il", (2, 3), (3, 4), (4, 2)),
    einsum_row("ij->ji", (2, 3)),
    einsum_row("ij->i", (2, 3)),
    einsum_row("ii->i", (3, 3)),
    einsum_row("ii->", (3, 3)),
    einsum_row("iji->j", (3, 2, 3)),
    einsum_row("i,j->", (3,), (2,)),
    einsum_row("bij,bjk->bik", (2, 3, 4), (2, 4, 3)),
    einsum_row("i,i,i->i", (3,), (3,), (3,)),
]
