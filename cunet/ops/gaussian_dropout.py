"""Gaussian dropout: each element is multiplied by noise of mean 1."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..autograd.op import Result, op
from ..autograd.tensor import Tensor
from ..device import array_module
from ..kernels import grid
from ..kernels.philox import PHILOX_CUDA
from ..random import Draw, Generator, default_generator
from ..random.generator import call_of
from ..system.messages import shown
from .operands import lifted
from .softmax import check_floating


@grid(
    "raw T x, uint64 seed, uint64 stream, uint64 call, float64 deviation, int64 count",
    "raw T y",
    """
    const philox_words made = philox4x64(seed, stream, 0, call, 0, 0, (unsigned long long)i);
    for (int pair = 0; pair < 2; ++pair) {
      const long long at = (long long)i * 4 + 2 * pair;
      const double u = ((double)(made.word[2 * pair] >> 12) + (double)0.5) * (double)2.220446049250313e-16;
      const double turn = (double)(made.word[2 * pair + 1] >> 12) * (double)2.220446049250313e-16;
      const double radius = sqrt((double)-2 * log(u)) * deviation;
      const double angle = (double)6.283185307179586 * turn;
      if (at < count) y[at] = (T)((double)(A)x[at] * ((double)1 + radius * cos(angle)));
      if (at + 1 < count) y[at + 1] = (T)((double)(A)x[at + 1] * ((double)1 + radius * sin(angle)));
    }
    """,
    preamble=PHILOX_CUDA,
)
def multiply_gaussian_noise(x, seed, stream, call, deviation, count, *, shape):
    words = Draw(int(seed), int(stream), int(call)).bit_generator().random_raw(-(-count // 4) * 4).reshape(-1, 2)
    parts = (words >> np.uint64(12)) * 2.0**-52
    radius = np.sqrt(-2 * np.log(parts[:, 0] + 2.0**-53)) * deviation  # the middles of 2**52 parts of [0, 1]
    angle = 2 * np.pi * parts[:, 1]
    noise = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1).reshape(-1)[:count]
    return (x.astype(np.float64) * (1 + noise)).astype(x.dtype)


multiply_gaussian_noise.native(None)  # NumPy has this very generator: nothing is gained by compiling


def _multiplied(x, draw, deviation):
    flat = array_module(x).ascontiguousarray(x.reshape(-1))
    key = np.uint64(draw.seed), np.uint64(draw.stream)
    call = np.uint64(draw.call) if type(flat) is np.ndarray else call_of(draw)
    y = multiply_gaussian_noise(
        flat, *key, call, np.float64(deviation), x.size, shape=flat.shape, threads=-(-x.size // 4)
    )
    return y.reshape(x.shape)


@op
def _gaussian_dropout(x, *, draw, deviation) -> Result:
    return _multiplied(x, draw, deviation), lambda gy: (_multiplied(gy, draw, deviation),)


def gaussian_dropout(
    input: Any, p: float = 0.5, training: bool = True, *, generator: Generator | None = None
) -> Tensor:
    """Multiply each element by ``1 + sqrt(p / (1 - p)) * z`` with z of the standard normal distribution.

    Mean and variance are those of dropout with the same `p`, but nothing is set to 0. Pairs of z are made by the
    transform of Box and Muller, in float64; nothing of them is kept for the way back.

    Args:
        input: floating, any shape.
        p: probability of the dropout that it stands for, in [0, 1).
        training: False returns `input` as it is.
        generator: where the noise is drawn from; by default the stream "dropout" of `cunet.manual_seed`. Every device
            draws the same, to rounding.

    Returns:
        Tensor like `input`.

    Raises:
        ValueError: `p` is not in [0, 1).
        TypeError: `input` is not of floating dtype.

    Source: Srivastava et al. 2014, JMLR 15, section 10.

    Example:
        >>> y = F.gaussian_dropout(cunet.tensor(np.ones(100_000, np.float32)), p=0.2)
        >>> f"mean {y.mean():.2f}, std {y.std():.2f}"  # sqrt(0.2 / 0.8) is 0.5
        'mean 1.00, std 0.50'
    """
    deviation = deviation_of("gaussian_dropout", p)
    x = lifted(input)
    check_floating("gaussian_dropout", x, "input")
    if not training or p == 0:
        return x
    return _gaussian_dropout(x, draw=(generator or default_generator("dropout")).next(), deviation=deviation)


def deviation_of(who: str, p: Any) -> float:
    """Return the standard deviation of the noise.

    Raises:
        ValueError: `p` is not in [0, 1).
    """
    if isinstance(p, bool) or not isinstance(p, (int, float, np.number)) or not 0 <= p < 1:
        raise ValueError(f"{who}: p must be in [0, 1), got {shown(p)}")
    return math.sqrt(p / (1 - p))
