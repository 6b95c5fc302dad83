"""Rows of `cunet.linalg`. The oracles are loops, sums over permutations, and mpmath with 30 digits."""

import itertools
import math

import mpmath
import numpy as np

from cunet import linalg
from cunet.device import array_module

from . import Case

#: The condition of a matrix, here up to 10 or so, multiplies the rounding.
ULP = 32

mp = mpmath.mp.clone()
mp.dps = 30


def each(function):
    """Return a function that goes over leading axes, of one that takes matrices of mpmath."""

    def over(*stacks, **kwargs):
        batch = np.broadcast_shapes(*[a.shape[:-2] for a in stacks])
        stacks = [np.broadcast_to(a, batch + a.shape[-2:]) for a in stacks]
        results = [function(*[mp.matrix(a[at].tolist()) for a in stacks], **kwargs) for at in np.ndindex(*batch)]
        parts = zip(*[r if isinstance(r, tuple) else (r,) for r in results], strict=True)
        arrays = tuple(np.stack([floats(p) for p in part]) for part in parts)
        arrays = tuple(a.reshape(batch + a.shape[1:]) for a in arrays)
        return arrays if isinstance(results[0], tuple) else arrays[0]

    return over


def floats(p):
    return np.array(p.tolist(), float) if isinstance(p, mp.matrix) else np.asarray(p, float)


def solve(a, b):
    return each(mp.inverse)(a) @ b if b.ndim == 1 else each(lambda a, b: mp.inverse(a) * b)(a, b)


def det(a):
    """Sum over all permutations."""
    out = np.empty(a.shape[:-2])
    for at in np.ndindex(*out.shape):
        terms = []
        for p in itertools.permutations(range(a.shape[-1])):
            swaps = sum(p[i] > p[j] for j in range(len(p)) for i in range(j))
            terms.append((-1) ** swaps * math.prod(a[at][i, k] for i, k in enumerate(p)))
        out[at] = math.fsum(terms)
    return out


def slogdet(a):
    return np.sign(det(a)), np.log(np.abs(det(a)))


def pinv(a):
    tall = each(lambda a: mp.inverse(a.T * a) * a.T)
    return tall(a) if a.shape[-2] >= a.shape[-1] else tall(a.swapaxes(-1, -2)).swapaxes(-1, -2)


def lstsq(a, b):
    x = pinv(a) @ b
    residuals = ((b - a @ x) ** 2).sum(axis=0, keepdims=b.ndim == 1) if len(a) > a.shape[1] else np.empty(0)
    return x, residuals, min(a.shape), svdvals(a)


def matrix_power(a, n):
    return each(lambda a: a**n)(a)


def svdvals(a):
    return each(lambda a: sorted((float(s) for s in mp.svd_r(a, compute_uv=False)), reverse=True))(a)


def symmetric(a):
    return (a + a.swapaxes(-1, -2)) / 2


def cholesky_of_a_gram_matrix(a):
    x = a @ a.swapaxes(-1, -2)
    return linalg.cholesky(x + array_module(x.data).eye(a.shape[-1], dtype=x.dtype))


def cholesky(a):
    return each(mp.cholesky)(a @ a.swapaxes(-1, -2) + np.eye(a.shape[-1]))


def qr_with_a_positive_diagonal(a):
    q, r = linalg.qr(a)
    k = r.shape[-2]
    s = array_module(r.data).sign(r.data.diagonal(0, -2, -1)[..., :k])
    return q * s[..., None, :], r * s[..., None]


def qr(a):
    """Gram and Schmidt, column by column."""

    def one(a):
        k = min(a.rows, a.cols)
        q = mp.matrix(a.rows, k)
        for j in range(k):
            v = a[:, j]
            for i in range(j):
                v = v - q[:, i] * (q[:, i].T * a[:, j])[0]
            q[:, j] = v / mp.norm(v)
        return q, q.T * a

    return each(one)(a)


def projectors(v):
    """Return ``v_k v_k.T`` for each column: eigenvectors have no sign."""
    rows = v.swapaxes(-1, -2)
    return rows[..., :, None] * rows[..., None, :]


def eigh_of_a_symmetric_matrix(a, UPLO="L"):
    w, v = linalg.eigh(symmetric(a), UPLO)
    return w, projectors(v)


def eigh(a, UPLO="L"):
    w, v = each(lambda a: mp.eigsy(a))(symmetric(a))
    return w[..., 0], projectors(v)


def eigvalsh_of_a_symmetric_matrix(a, UPLO="L"):
    return linalg.eigvalsh(symmetric(a), UPLO)


def eigvalsh(a, UPLO="L"):
    return eigh(a)[0]


def pairs(u, s, vh):
    """Return the singular values and ``u_k v_k.T``: the signs of a pair of vectors are free."""
    rows = u.swapaxes(-1, -2)
    return s, rows[..., :, None] * vh[..., :, None, :]


def svd_in_pairs(a):
    return pairs(*linalg.svd(a, full_matrices=False))


def svd(a):
    u, s, vh = each(lambda a: mp.svd_r(a, full_matrices=False))(a)
    return pairs(u, s[..., 0], vh)


def norm(x, ord=None, axis=None, keepdims=False):
    axes = tuple(range(x.ndim)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    moved = np.moveaxis(x, axes, range(-len(axes), 0))
    batch = moved.shape[: x.ndim - len(axes)]
    out = np.array([one_norm(moved[at], ord) for at in np.ndindex(*batch)]).reshape(batch)
    return np.expand_dims(out, axes) if keepdims else out


def one_norm(x, ord):
    if ord in (None, "fro") or x.ndim == 1:
        sizes = np.abs(x).ravel().tolist()
        p = 2 if ord in (None, "fro") else ord
        return (max(sizes) if p > 0 else min(sizes)) if math.isinf(p) else math.fsum(s**p for s in sizes) ** (1 / p)
    if ord in (2, -2, "nuc"):
        return {2: max, -2: min, "nuc": math.fsum}[ord](svdvals(x).tolist())
    sums = np.abs(x).sum(axis=0 if abs(ord) == 1 else 1)
    return sums.max() if ord > 0 else sums.min()


def square(*batch, n=3):
    return lambda rng: (rng.standard_normal((*batch, n, n)) + 3 * np.eye(n),)


def normal(*shapes):
    return lambda rng: tuple(rng.standard_normal(s) for s in shapes)


def equations(of_a, of_b):
    return lambda rng: (rng.standard_normal(of_a) + 3 * np.eye(of_a[-1]), rng.standard_normal(of_b))


def tall(*shape):
    """Draw a matrix whose elements and singular values are well apart from 0, and the latter from each other."""

    def draw(rng):
        a = rng.uniform(0.1, 0.5, shape) * rng.choice([-1, 1], shape)
        k = np.arange(min(shape[-2:]))
        a[..., k, k] += 2 + 2 * k
        return (a,)

    return draw


def with_side(first, *shape):
    return lambda rng: (*first(rng), rng.standard_normal(shape))


def row(op, reference, inputs, label="", half=True, **kwargs):
    return Case(op, kwargs, reference=reference, inputs=inputs, label=label, ulp=ULP, grad_ulp=2 * ULP, half=half)


NORMS = [
    *[{"ord": ord, "axis": 1} for ord in (None, 2, 1, 3, 0.5, -1, math.inf, -math.inf)],
    *[
        {"ord": ord, "axis": (0, 2), "keepdims": True}
        for ord in (None, "fro", "nuc", 2, -2, 1, -1, math.inf, -math.inf)
    ],
    *[{"ord": "nuc", "axis": (2, 1)}, {"ord": 1, "axis": (2, 0)}, {}, {"axis": -1, "keepdims": True}],
]

CASES = [
    row(linalg.solve, solve, equations((3, 3), (3,)), "a vector"),
    row(linalg.solve, solve, equations((2, 3, 3), (3,)), "a vector for all"),
    row(linalg.solve, solve, equations((3, 3), (2, 3, 2)), "many sides"),
    row(linalg.solve, solve, equations((2, 3, 3), (2, 3, 1)), "batch"),
    row(linalg.inv, each(mp.inverse), square()),
    row(linalg.inv, each(mp.inverse), square(2, 1), "batch"),
    row(linalg.det, det, square()),
    row(linalg.det, det, square(2, n=1), "1 x 1"),
    row(linalg.det, det, square(2, 2, n=4), "batch"),
    row(linalg.slogdet, slogdet, square(2)),
    row(linalg.pinv, pinv, tall(4, 3), "tall"),
    row(linalg.pinv, pinv, tall(2, 2, 3), "wide"),
    row(linalg.lstsq, lstsq, with_side(tall(5, 3), 5, 2), "tall"),
    row(linalg.lstsq, lstsq, with_side(tall(5, 3), 5), "a vector"),
    row(linalg.lstsq, lstsq, with_side(tall(2, 3), 2, 2), "wide"),
    row(linalg.matrix_power, matrix_power, square(2), n=3),
    row(linalg.matrix_power, matrix_power, square(), n=-2),
    row(cholesky_of_a_gram_matrix, cholesky, normal((2, 3, 3)), half=False),
    row(qr_with_a_positive_diagonal, qr, tall(2, 4, 3), "tall"),
    row(qr_with_a_positive_diagonal, qr, tall(2, 4), "wide"),
    row(eigh_of_a_symmetric_matrix, eigh, tall(2, 3, 3)),
    row(eigh_of_a_symmetric_matrix, eigh, tall(3, 3), UPLO="U"),
    row(eigvalsh_of_a_symmetric_matrix, eigvalsh, tall(2, 3, 3)),
    row(svd_in_pairs, svd, tall(2, 4, 3), "tall"),
    row(svd_in_pairs, svd, tall(2, 3), "wide"),
    row(linalg.svdvals, svdvals, tall(2, 3, 4)),
    *[row(linalg.norm, norm, tall(4, 3, 2), **settings) for settings in NORMS],
]
