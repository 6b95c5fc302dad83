"""Rows of the rectifiers: N54 relu, N55 leaky_relu, N56 prelu, N57 threshold, N59 elu, N61 selu of the notes."""

import numpy as np
from mpmath import mp

from cunet.ops.activation import rectifier

from . import Case
from .activation import ARGUMENT, TINY, exact, inf, nan, smooth

A = 1.6732632423543772
L = 1.0507009873554805


def elu(x, alpha=1):
    return x if x > 0 else alpha * (mp.exp(x) - 1)


def celu(x, alpha=1):
    return x if x > 0 else alpha * (mp.exp(x / alpha) - 1)


def selu(x):
    return mp.mpf("1.0507009873554804934193349852946") * elu(x, mp.mpf("1.6732632423543772848170429916717"))


def prelu_reference(x, weight, axis=1):
    y = np.empty_like(x)
    for at in np.ndindex(x.shape):
        y[at] = x[at] if x[at] > 0 else x[at] * weight[at[axis] if len(weight) > 1 else 0]
    return y


def prelu_inputs(shape, weights):
    def draw(rng):
        x = rng.uniform(0.1, 3, shape) * rng.choice([-1, 1], shape)
        return x, rng.uniform(0.1, 0.9, weights)

    return draw


CASES = [
    Case(
        rectifier.relu,
        scalar=lambda x: max(x, 0.0),
        kinks=(0,),
        ulp=0,
        grad_ulp=0.01,  # that of the differences
        edges=(
            (0, 0, 0),
            (-0.0, 0, 0),
            (TINY, TINY, 1),
            (-TINY, 0, 0),
            (1e-300, 1e-300, 1),
            (inf, inf, 1),
            (-inf, 0, 0),
            (nan, nan, 1),
        ),
    ),
    Case(
        rectifier.threshold,
        scalar=lambda x: x if x > 1 else 0.0,
        kinks=(1,),
        ulp=0,
        edges=(
            (1, 0, 0),
            (1 + 2.0**-20, 1 + 2.0**-20, 1),
            (0.5, 0, 0),
            (-5, 0, 0),
            (inf, inf, 1),
            (-inf, 0, 0),
            (nan, nan, 1),
        ),
    ),
    Case(
        rectifier.threshold,
        {"threshold": -0.5, "value": 0.75},
        scalar=lambda x, threshold, value: x if x > threshold else value,
        kinks=(-0.5,),
        ulp=0,
        edges=((-0.5, 0.75, 0), (-0.25, -0.25, 1), (-inf, 0.75, 0), (inf, inf, 1), (nan, nan, 1)),
    ),
    Case(
        rectifier.leaky_relu,
        scalar=lambda x: x if x > 0 else x / 100,
        kinks=(0,),
        edges=(
            (0, 0, 0.01),
            (TINY, TINY, 1),
            (-TINY, -TINY / 100, 0.01),
            (inf, inf, 1),
            (-inf, -inf, 0.01),
            (nan, nan, None),
        ),
    ),
    Case(
        rectifier.leaky_relu,
        {"negative_slope": 3.0},  # more than 1, so that max(x, slope * x) is wrong
        scalar=lambda x, negative_slope: x if x > 0 else x * negative_slope,
        kinks=(0,),
        edges=((0, 0, 3), (2, 2, 1), (-2, -6, 3), (inf, inf, 1), (-inf, -inf, 3)),
    ),
    Case(
        rectifier.prelu,
        label="shared",
        reference=prelu_reference,
        inputs=prelu_inputs((3, 4, 5), 1),
        elementwise=True,
    ),
    Case(
        rectifier.prelu,
        label="per channel",
        reference=prelu_reference,
        inputs=prelu_inputs((3, 4, 2, 2), 4),
        elementwise=True,
    ),
    Case(
        rectifier.prelu,
        {"axis": -1},
        label="channels last",
        reference=prelu_reference,
        inputs=prelu_inputs((3, 2, 4), 4),
        elementwise=True,
    ),
    Case(
        rectifier.elu,
        scalar=exact(elu),
        kinks=(0,),
        edges=(
            *smooth(elu, -TINY, -1, -20, -80, 1, 100),
            (0, 0, 1),
            (-1000, -1, 0),
            (1e30, 1e30, 1),
            (inf, inf, 1),
            (-inf, -1, 0),
            (nan, nan, nan),
        ),
    ),
    Case(
        rectifier.elu,
        {"alpha": 0.5},
        scalar=exact(elu),
        kinks=(0,),
        edges=(
            *smooth(elu, -TINY, -20, 100, alpha=0.5),
            (0, 0, 0.5),  # the derivative from the left
            (-0.0, 0, 0.5),
            (inf, inf, 1),
            (-inf, -0.5, 0),
            (nan, nan, nan),
        ),
    ),
    Case(
        rectifier.celu,
        scalar=exact(celu),
        edges=(*smooth(celu, -20, -80, 100), (0, 0, 1), (inf, inf, 1), (-inf, -1, 0), (nan, nan, nan)),
    ),
    Case(
        rectifier.celu,
        {"alpha": 0.5},
        scalar=exact(celu),
        grad_ulp=ARGUMENT,
        edges=(*smooth(celu, -20, 100, alpha=0.5), (0, 0, 1), (inf, inf, 1), (-inf, -0.5, 0), (nan, nan, nan)),
    ),
    Case(
        rectifier.selu,
        scalar=exact(selu),
        kinks=(0,),
        edges=(
            *smooth(selu, -TINY, -1, -20, -80, 1, 100),
            (0, 0, L * A),
            (-1000, -L * A, 0),
            (inf, inf, L),
            (-inf, -L * A, 0),
            (nan, nan, nan),
        ),
    ),
]
