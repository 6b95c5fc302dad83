"""Samples through which a gradient goes."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autograd.op import Result, op
from ..autograd.tensor import Tensor, array_of
from ..device import array_module
from ..kernels import grid
from ..kernels.philox import PHILOX_CUDA
from ..random import Draw, Generator, default_generator
from ..random.generator import call_of
from .dim import dim_or_axis
from .math import add, multiply
from .softmax import check_floating, softmax


@grid(
    "raw T x, uint64 seed, uint64 stream, uint64 call, int64 count",
    "raw T y",
    """
    const philox_words made = philox4x64(seed, stream, 0, call, 0, 0, (unsigned long long)i);
    for (int w = 0; w < 4; ++w) {
      const long long at = (long long)i * 4 + w;
      const double u = ((double)(made.word[w] >> 12) + (double)0.5) * (double)2.220446049250313e-16;
      if (at < count) y[at] = (T)((double)(A)x[at] - log(-log(u)));
    }
    """,
    preamble=PHILOX_CUDA,
)
def add_gumbel_noise(x, seed, stream, call, count, *, shape):
    words = Draw(int(seed), int(stream), int(call)).bit_generator().random_raw(count)
    u = ((words >> np.uint64(12)) + 0.5) * 2.0**-52  # the middles of 2**52 parts of [0, 1]
    return (x.astype(np.float64) - np.log(-np.log(u))).astype(x.dtype)


add_gumbel_noise.native(None)  # NumPy has this very generator: nothing is gained by compiling


@op
def _add_gumbel_noise(x, *, draw) -> Result:
    flat = array_module(x).ascontiguousarray(x.reshape(-1))
    key = np.uint64(draw.seed), np.uint64(draw.stream)
    call = np.uint64(draw.call) if type(flat) is np.ndarray else call_of(draw)
    y = add_gumbel_noise(flat, *key, call, x.size, shape=flat.shape, threads=-(-x.size // 4))
    return y.reshape(x.shape), lambda gy: (gy,)


def with_gumbel_noise(x: Any, draw: Draw) -> Tensor:
    """Return ``x - log(-log(u))`` of floating `x`, u uniform in (0, 1), drawn anew for each element."""
    return _add_gumbel_noise(x, draw=draw)


def gumbel_softmax(
    logits: Any,
    tau: float = 1.0,
    hard: bool = False,
    eps: float = 1e-10,
    dim: int = -1,
    *,
    axis: int | None = None,
    generator: Generator | None = None,
) -> Tensor:
    """Draw from classes with probabilities ``softmax(logits)``, softly: ``softmax((logits + g) / tau)``.

    The largest element is where `cunet.random.categorical` could have drawn; the smaller `tau`, the nearer it is to 1.

    Args:
        logits: floating, any shape.
        tau: temperature, > 0.
        hard: give 1 for the largest and 0 for all others (to rounding), with the gradient of the soft sample.
        eps: is not used, in PyTorch neither.
        dim: the axis of classes.
        axis: NumPy's name of `dim`, which may be given instead.
        generator: where the noise g, of Gumbel's distribution, is drawn from; by default the stream "sampling" of
            `cunet.manual_seed`. Every device draws the same.

    Returns:
        Tensor like `logits`, whose elements along `dim` sum to 1.

    Raises:
        ValueError: `tau` is not positive.
        TypeError: `logits` are not floating, or the axis was given under both names.

    Source: Jang, Gu, Poole 2017, arXiv:1611.01144, equation 2; Maddison, Mnih, Teh 2017, arXiv:1611.00712.

    Example:
        >>> logits = cunet.tensor(np.zeros((3, 4), np.float32), requires_grad=True)
        >>> F.gumbel_softmax(logits, hard=True).numpy().round(4)
        array([[0., 1., 0., 0.],
               [0., 0., 0., 1.],
               [0., 1., 0., 0.]], dtype=float32)
    """
    if not tau > 0:
        raise ValueError(f"gumbel_softmax: tau must be positive, got {tau}")
    axis = dim_or_axis("gumbel_softmax", dim, axis, -1)
    check_floating("gumbel_softmax", logits, "logits")
    noisy = with_gumbel_noise(logits, draw=(generator or default_generator("sampling")).next())
    y = softmax(multiply(noisy, 1 / tau), axis=axis)
    if not hard:
        return y
    data = array_of(logits)
    xp = array_module(data)
    classes = xp.arange(data.shape[axis]).reshape([-1 if k == axis % data.ndim else 1 for k in range(data.ndim)])
    chosen = xp.expand_dims(y.data.argmax(axis=axis), axis) == classes
    return add(y, chosen.astype(data.dtype) - y.data)
