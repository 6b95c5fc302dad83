"""Scaled dot-product attention as one recorded op, and the sinusoids that tell positions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..autograd.op import Results, op
from ..autograd.tensor import Tensor
from ..device import Array, array_module, is_floating
from ..kernels import elementwise
from ..kernels.capture import added, done
from ..random import Generator, default_generator
from ..system.checks import check_counts
from .dropout import inverted
from .dropout_mask import draw_elements, threshold_of
from .linalg import product
from .operands import alike, lifted
from .softmax import check_floating, softmax_backward, softmax_dot
from .softmax_stats import softmax_stats

Shape = tuple[int, ...]


@elementwise("T x, A factor", "T y", "y = x * factor")
def attention_scaled(x, factor):
    return x * x.dtype.type(factor)


@elementwise("T x, bool allowed", "T y", "y = allowed ? x : log(A(0))")
def attention_mask(x, allowed):
    return np.where(allowed, x, x.dtype.type(-np.inf))


# top is -inf where nothing may be attended to: softmax has no value there, and 0 stands for it.
@elementwise("T x, A top, A rest", "T y", "y = top == log(A(0)) ? A(0) : exp(x - top) / (1 + rest)")
def attention_weights(x, top, rest):
    nothing = np.isneginf(top)
    if nothing.any():
        return np.where(nothing, 0, np.exp(x - np.where(nothing, 0, top)) / (1 + np.where(nothing, 0, rest)))
    y = x - top
    np.exp(y, out=y)
    y /= 1 + rest
    return y


def _cleared(x: Array, allowed: Array | None, bias: Array | None) -> Array:
    """Return keys or values, 0 for those that a mask hides from every query: their weight 0 times NaN would be NaN."""
    mask = allowed if bias is None else bias
    if mask is None or not mask.ndim:
        return x
    xp = array_module(x)
    seen = mask if bias is None else ~xp.isneginf(bias)
    seen = seen.any(axis=-2) if seen.ndim > 1 else seen
    if seen.shape[-1] == 1 or type(seen) is np.ndarray and seen.all():
        return x
    return xp.where(seen[..., None], x, x.dtype.type(0))


def _past(query: Array, key: Array) -> Array:
    """Return which keys lie in the past of each query, or at its place, bool (L, S)."""
    xp = array_module(query)
    shape = query.shape[-2], key.shape[-2]
    return done(_lower, *shape) if xp is np else _lower(*shape, xp)


def _lower(rows: int, columns: int, xp: Any = np) -> Array:
    return xp.arange(columns) <= xp.arange(rows)[:, None]


def _scores(query: Array, key: Array, allowed: Array | None, bias: Array | None) -> Array:
    """Return ``query @ key^T + bias``, -inf where nothing may be attended to."""
    scores = product(query, key.swapaxes(-1, -2))
    if bias is not None:
        scores = added(scores, bias.astype(scores.dtype, copy=False))
    return scores if allowed is None else attention_mask(scores, allowed)


@op
def _attention(query, key, value, attn_mask=None, *, is_causal, scale, draw, threshold) -> Results:
    query, key, value = alike(query, key, value)
    allowed = attn_mask if attn_mask is not None and attn_mask.dtype.kind == "b" else None
    bias = attn_mask if attn_mask is not None and allowed is None else None
    key, value = _cleared(key, allowed, bias), _cleared(value, allowed, bias)
    if is_causal:
        past = _past(query, key)
        allowed = past if allowed is None else allowed & past
    scaled = attention_scaled(query, scale)
    scores = _scores(scaled, key, allowed, bias)
    weights = attention_weights(scores, *softmax_stats(scores, axis=-1, keepdims=True))

    def drop(x: Array) -> Array:
        return x if draw is None else draw_elements(x, draw, threshold, inverted(threshold))

    used = drop(weights)

    def vjp(gys):
        gy, gused = gys
        cache: list[Array] = []

        def gscores() -> Array:
            if not cache:
                g = None if gy is None else product(gy, value.swapaxes(-1, -2))
                g = gused if g is None else g if gused is None else added(g, gused)
                g = drop(g)
                cache.append(softmax_backward(g, weights, softmax_dot(g, weights, axis=-1, keepdims=True)))
            return cache[0]

        return (
            lambda: attention_scaled(product(gscores(), key), scale),
            lambda: product(gscores().swapaxes(-1, -2), scaled),
            None if gy is None else lambda: product(drop(weights).swapaxes(-1, -2), gy),
            None if bias is None else gscores,
        )

    return (product(used, value), used), vjp


def attention(
    query: Any,
    key: Any,
    value: Any,
    attn_mask: Any = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    *,
    training: bool = True,
    generator: Generator | None = None,
) -> tuple[Tensor, Tensor]:
    """Return the result of `scaled_dot_product_attention` together with the weights it used, (..., L, S)."""
    who = "scaled_dot_product_attention"
    query, key, value = arrays = [lifted(a) for a in (query, key, value)]
    for name, a in zip(("query", "key", "value"), arrays, strict=True):
        check_floating(who, a, name)
    scores = _check(who, *[a.shape for a in arrays])
    if attn_mask is not None:
        attn_mask = lifted(attn_mask)
        if attn_mask.dtype.kind != "b" and not is_floating(attn_mask.dtype):
            raise TypeError(f"{who}: attn_mask must be of bool or floating dtype, got {attn_mask.dtype}")
        if (_common(attn_mask.shape, scores) or ())[-2:] != scores[-2:]:
            raise ValueError(f"{who}: attn_mask must broadcast to (..., L, S) = {scores}, got {attn_mask.shape}")
    threshold = threshold_of(who, dropout_p, "dropout_p") if training else 0
    draw = (generator or default_generator("dropout")).next() if threshold else None
    factor = 1 / math.sqrt(max(1, query.shape[-1])) if scale is None else float(scale)
    options: dict[str, Any] = {"is_causal": is_causal, "scale": factor, "draw": draw, "threshold": threshold}
    y, weights = _attention(query, key, value, attn_mask, **options)
    return y, weights


def scaled_dot_product_attention(
    query: Any,
    key: Any,
    value: Any,
    attn_mask: Any = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    *,
    training: bool = True,
    generator: Generator | None = None,
) -> Tensor:
    """Return means of `value`, weighted by how well each query fits each key.

    ``softmax(query @ key.T * scale + attn_mask) @ value``. A query that may attend to nothing gets 0, and gives
    no gradient. A key and its value that `attn_mask` hides from every query are not looked at, be they NaN. One hidden
    from some queries only (by `is_causal` too) must be finite for these: a weight of 0 times NaN is NaN, and to leave
    out single products would cost more than all of them.
    Memory grows as L * S: the weights are kept for the way back.

    Args:
        query: floating, shape (..., L, E).
        key: shape (..., S, E); leading axes broadcast.
        value: shape (..., S, Ev).
        attn_mask: broadcasts to (..., L, S): bool, True where a query may attend to a key; or floating, added to
            the scores, with a gradient.
        dropout_p: probability to drop a weight after the softmax; the others are scaled by ``1 / (1 - p)``.
        is_causal: whether query i may attend to keys 0 to i only; together with attn_mask, both hold.
        scale: by default ``1 / sqrt(E)``.
        training: False switches dropout off.
        generator: where the mask is drawn from; by default the stream "dropout" of `cunet.manual_seed`.

    Returns:
        Shape (..., L, Ev).

    Raises:
        ValueError: shapes do not fit together.
        TypeError: query, key or value is not floating, or attn_mask is neither bool nor floating.

    Source: Vaswani et al. 2017, arXiv:1706.03762, equation 1.

    Example:
        >>> x, value = cunet.tensor(np.zeros((1, 3, 4), np.float32)), cunet.tensor([[[0.0], [3.0], [6.0]]])
        >>> F.scaled_dot_product_attention(x, x, value).numpy().ravel().round(4)  # equal scores: the mean
        array([3., 3., 3.], dtype=float32)
        >>> F.scaled_dot_product_attention(x, x, value, is_causal=True).numpy().ravel().round(4)
        array([0. , 1.5, 3. ], dtype=float32)
    """
    out, _ = attention(
        query, key, value, attn_mask, dropout_p, is_causal, scale, training=training, generator=generator
    )
    return out


def _common(*shapes: Shape) -> Shape | None:
    """Return the shape that all of these broadcast to, None if there is none."""
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        return None


def _check(who: str, query: Shape, key: Shape, value: Shape) -> Shape:
    """Return the shape (..., L, S) of the scores, with the leading axes of all three."""
    lead = _common(query[:-2], key[:-2], value[:-2])
    if lead is None or min(map(len, (query, key, value))) < 2 or query[-1] != key[-1] or key[-2] != value[-2]:
        raise ValueError(
            f"{who}: query, key and value must have shapes (..., L, E), (..., S, E) and (..., S, Ev), "
            f"got {query}, {key} and {value}"
        )
    return *lead, query[-2], key[-2]


def sinusoidal_positions(length: int, dim: int, dtype: Any = np.float32) -> np.ndarray:
    """Return vectors that tell positions: sines at even, cosines at odd places, of falling frequencies.

    ``out[t, 2k] = sin(t / 10000**(2k / dim))`` and ``out[t, 2k + 1] = cos(t / 10000**(2k / dim))``.

    Args:
        length: number of positions, from 0 on.
        dim: length of each vector.
        dtype: of the result; computed in float64.

    Returns:
        NumPy array of shape (length, dim).

    Raises:
        TypeError, ValueError: `length` is no whole number of at least 0, or `dim` none of at least 1.

    Source: Vaswani et al. 2017, arXiv:1706.03762, section 3.5.

    Example:
        >>> F.sinusoidal_positions(3, 4).round(4)
        array([[ 0.    ,  1.    ,  0.    ,  1.    ],
               [ 0.8415,  0.5403,  0.01  ,  1.    ],
               [ 0.9093, -0.4161,  0.02  ,  0.9998]], dtype=float32)
    """
    check_counts("sinusoidal_positions", 0, length=length)
    check_counts("sinusoidal_positions", dim=dim)
    angles = np.arange(length)[:, None] * np.exp(np.arange(0, dim, 2) * (-math.log(10000.0) / dim))
    table = np.empty((length, dim))
    table[:, 0::2] = np.sin(angles)
    table[:, 1::2] = np.cos(angles[:, : dim // 2])
    return table.astype(dtype)
