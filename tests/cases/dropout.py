"""Rows of `cunet.ops.dropout`. The oracle reads each element's lane off NumPy's Philox, one element at a time."""

import hashlib
import math

import numpy as np

from cunet.ops import dropout as ops

from . import Case


def lane(words, element):
    """Return the 16 bits that belong to an element: the layout of cunet.ops.dropout, spelled out."""
    tile, at = divmod(element, 512)
    row, at = divmod(at, 128)
    thread, position = divmod(at, 4)
    return (words[tile * 128 + thread * 4 + row] >> (16 * position)) & 0xFFFF


def first_lanes(count, seed=0, call=0):
    """Return the lanes of a draw of the stream "dropout"."""
    stream = int.from_bytes(hashlib.blake2b(b"dropout", digest_size=8).digest(), "little")
    philox = np.random.Philox(key=np.array([seed, stream], np.uint64), counter=np.array([0, call, 0, 0], np.uint64))
    words = [int(w) for w in philox.random_raw(-(-count // 512) * 128)]
    return [lane(words, e) for e in range(count)]


def kept(shape, p):
    """Return the mask of seed 0, first call: kept where the lane is not among the lowest `p` of all."""
    return np.array([bits >= p * 65536 for bits in first_lanes(math.prod(shape))], bool).reshape(shape)


def dropout(x, p):
    return np.array([v / (1 - p) if k else 0.0 for v, k in zip(x.flat, kept(x.shape, p).flat, strict=True)]).reshape(
        x.shape
    )


def channel_mask(x, p, axis=1):
    shape = [n if k in (0, axis % x.ndim) else 1 for k, n in enumerate(x.shape)]
    return np.broadcast_to(kept(shape, p), x.shape)


def dropout_channel(x, p, axis=1):
    return np.where(channel_mask(x, p, axis), x / (1 - p), 0.0)


def stochastic_depth(x, p, mode="row"):
    drawn = kept((x.shape[0] if mode == "row" else 1,), p)
    return np.stack([sample / (1 - p) if drawn[i % len(drawn)] else 0 * sample for i, sample in enumerate(x)])


def alpha(x, keep, p):
    """Set dropped elements to alpha', then standardise for an x of mean 0 and variance 1."""
    low = -1.0507009873554804934 * 1.6732632423543772848
    mean, variance = p * low, (1 - p) * 1 + p * low**2 - (p * low) ** 2
    return (np.where(keep, x, low) - mean) / math.sqrt(variance)


def alpha_dropout(x, p, training):
    return alpha(x, kept(x.shape, p), p)


def feature_alpha_dropout(x, p, training, axis=1):
    return alpha(x, channel_mask(x, p, axis), p)


def normal(*shape):
    return lambda rng: (rng.standard_normal(shape),)


CASES = [
    # 1,100 elements: two whole tiles of 512 (vector path) and a part of one (scalar path)
    *[
        Case(ops.dropout, {"p": p}, reference=dropout, inputs=normal(*s), elementwise=True, label=str(s))
        for s, p in [((3, 5), 0.5), ((11, 100), 0.25), ((1100,), 0.75)]
    ],
    Case(ops.dropout, {"p": 1.0}, reference=lambda x, p: 0 * x, inputs=normal(20), elementwise=True),
    *[
        Case(op, {"p": 0.5} | kw, reference=dropout_channel, inputs=normal(*s), elementwise=True, label=str(s))
        for op, s, kw in [
            (ops.dropout_channel, (5, 4), {}),
            (ops.dropout_channel, (4, 3, 2, 5), {"axis": -1}),
            (ops.dropout1d, (4, 5, 3), {}),
            (ops.dropout2d, (4, 5, 2, 3), {}),
            (ops.dropout3d, (2, 5, 2, 1, 3), {}),
        ]
    ],
    *[
        Case(ops.stochastic_depth, kw, reference=stochastic_depth, inputs=normal(*s), elementwise=True, label=str(s))
        for s, kw in [((40,), {"p": 0.5}), ((9, 3, 2), {"p": 0.25}), ((5, 4), {"p": 0.75, "mode": "batch"})]
    ],
    *[
        Case(ops.alpha_dropout, {"p": p, "training": True}, reference=alpha_dropout, inputs=normal(7, 90))
        for p in (0.125, 0.5)
    ],
    Case(
        ops.feature_alpha_dropout,
        {"p": 0.25, "training": True},
        reference=feature_alpha_dropout,
        inputs=normal(4, 5, 3),
    ),
]
