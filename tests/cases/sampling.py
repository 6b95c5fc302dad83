"""Rows of ops that draw noise: it is that of the first call of the stream with seed 0."""

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


def gaussian_dropout(x, p):
    words = Generator(0, "dropout").next().bit_generator().random_raw(-(-x.size // 4) * 4).tolist()
    noise = []
    for first, second in zip(words[::2], words[1::2], strict=True):
        radius, turn = math.sqrt(-2 * math.log(((first >> 12) + 0.5) / 2**52)), 2 * math.pi * (second >> 12) / 2**52
        noise += [radius * math.cos(turn), radius * math.sin(turn)]
    return x * (1 + math.sqrt(p / (1 - p)) * np.reshape(noise[: x.size], x.shape))


def normal(rng):
    return (rng.standard_normal((2, 3, 4)),)


CASES = [  # half types round the logits and the noise before the exponential
    Case(F.gumbel_softmax, reference=gumbel_softmax, inputs=normal, half=False),
    Case(F.gumbel_softmax, {"tau": 2.0, "axis": 1}, reference=gumbel_softmax, inputs=normal, half=False),
    *[Case(F.gaussian_dropout, {"p": p}, reference=gaussian_dropout, inputs=normal) for p in (0.2, 0.5)],
    Case(
        F.gaussian_dropout, {"p": 0.9}, reference=gaussian_dropout, inputs=lambda rng: (rng.random(7) + 1,), label="odd"
    ),
]
