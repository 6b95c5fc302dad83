"""Rows of `cunet.ops.sampling`: the noise is that of the first call of the stream with seed 0."""

import math

import numpy as np

from cunet import F
from cunet.random import Generator

from . import Case


def gumbel_softmax(x, tau=1.0, hard=False, axis=-1):
    words = Generator(0, "sampling").next().bit_generator().random_raw(x.size)
    noise = np.array([-math.log(-math.log(((w >> 12) + 0.5) / 2**52)) for w in words.tolist()]).reshape(x.shape)

    def row(scores):
        shares = [math.exp(s) for s in scores.tolist()]
        return np.array(shares) / math.fsum(shares)

    return np.apply_along_axis(row, axis, (x + noise) / tau)


def normal(rng):
    return (rng.standard_normal((2, 3, 4)),)


CASES = [  # half types round the logits and the noise before the exponential
    Case(F.gumbel_softmax, reference=gumbel_softmax, inputs=normal, half=False),
    Case(F.gumbel_softmax, {"tau": 2.0, "axis": 1}, reference=gumbel_softmax, inputs=normal, half=False),
]
