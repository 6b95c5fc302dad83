"""Rows of the gated activations: N60 gelu of the notes, and its relatives."""

import numpy as np
from mpmath import mp

from cunet.ops.activation import gated

from . import Case
from .activation import TINY, clip, exact, inf, nan, sigmoid, smooth, softplus

# At the minimum of a gated function the terms of its derivative cancel: they keep their places, the sum does not. The
# minimum stands as a kink in its row, so that random points stay 0.05 away, where the sum is 1/20 of the terms.
MINIMUM = 64

# What all of them are far out, where a product of x and the gate would be inf * 0.
FAR = (
    (1000, 1000, 1),
    (-1000, 0, 0),
    (3e38, 3e38, 1),
    (-3e38, 0, 0),
    (inf, inf, 1),
    (-inf, 0, 0),
    (nan, nan, nan),
)


def gelu(x, approximate="none"):
    if approximate == "tanh":
        return x / (1 + mp.exp(-2 * mp.sqrt(2 / mp.pi) * (x + mp.mpf("0.044715") * x**3)))  # 1 + tanh(t), halved
    return x * mp.erfc(-x / mp.sqrt(2)) / 2


def silu(x):
    return x * sigmoid(x)


def mish(x):
    return x * mp.tanh(softplus(x))


def hardswish(x):
    return x * clip(x + 3, 0, 6) / 6


def glu_reference(x, axis=-1):
    value, gate = np.split(x, 2, axis)
    return value * np.vectorize(exact(sigmoid))(gate)


CASES = [
    Case(
        gated.gelu,
        scalar=exact(gelu, digits=40),  # nothing cancels, and rows of 8,200 are many
        kinks=(-0.7518,),
        # The simulated device rounds erfc's argument x / sqrt(2): the constant and the product are 1.6 halves of a unit
        # off, of which erfc at x = -6 makes 37 times as much, 60 in the result's own units where these are smallest.
        ulp=64,
        grad_ulp=MINIMUM,
        edges=(
            *smooth(gelu, 0.0, TINY, -1, 5, 30),
            *FAR,
        ),
    ),
    Case(
        gated.gelu,
        {"approximate": "tanh"},
        scalar=exact(gelu),
        kinks=(-0.7525,),
        # exp's argument is 25 at x = -6. Its two terms, of which the cubic one is 0.6, have 1 and 3 roundings, sum and
        # product one each: 4.2 halves of a unit, 105 in the result's own units where these are smallest.
        ulp=110,
        grad_ulp=MINIMUM,
        edges=(
            *smooth(gelu, 0.0, TINY, -1, 5, 30, approximate="tanh"),
            *FAR,
        ),
    ),
    Case(
        gated.silu,
        scalar=exact(silu),
        kinks=(-1.2785,),
        grad_ulp=MINIMUM,
        edges=(
            *smooth(silu, 0.0, TINY, 17, -17, 30, -30, 80, -80),
            *FAR,
        ),
    ),
    Case(
        gated.mish,
        scalar=exact(mish),
        kinks=(-1.1924,),
        ulp=9,  # NumPy's exp is 2 units off, which are up to 4 halves of the result's; 5 roundings follow
        grad_ulp=MINIMUM,
        edges=(
            *smooth(mish, 0.0, TINY, 17, -17, 30, -30, 80, -80),
            *FAR,
        ),
    ),
    Case(
        gated.hardswish,
        scalar=exact(hardswish),
        kinks=(-3, 3),
        edges=(
            (0, 0, 0.5),
            (-3, 0, 0),
            (3, 3, 1),
            (-1.5, -0.375, 0),
            (1, 2 / 3, 5 / 6),
            (3e38, 3e38, 1),
            (inf, inf, 1),
            (-inf, 0, 0),
            (nan, nan, nan),
        ),
    ),
    Case(gated.glu, reference=glu_reference, inputs=lambda rng: (rng.uniform(-6, 6, (3, 8)),), elementwise=True),
    Case(
        gated.glu,
        {"axis": 1},
        reference=glu_reference,
        inputs=lambda rng: (rng.uniform(-6, 6, (2, 6, 3)),),
        elementwise=True,
    ),
]
