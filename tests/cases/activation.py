"""Rows of the activations. Oracles are their definitions, evaluated by mpmath with 130 digits.

Items of the source notes: N48 sigmoid, N49 hard_sigmoid, N51 softplus, N52 tanh (in `cases.math`), N53 softsign,
N54 relu, N55 leaky_relu, N56 prelu, N57 threshold_relu, N58 identity, N59 elu, N60 gelu, N61 selu.
"""

import functools
import math

import mpmath
import numpy as np
from mpmath import mp

from cunet.ops import activation, gated, rectifier

from . import Case

inf, nan = math.inf, math.nan
DIGITS = 130  # 1 + tanh(-120) still has 25 of them


def exact(f):
    """Make a function of Python floats of a formula in mpmath numbers."""

    @functools.wraps(f)
    def g(x, **kwargs):
        with mp.workdps(DIGITS):
            return float(f(mp.mpf(x), **{k: mp.mpf(v) if isinstance(v, float) else v for k, v in kwargs.items()}))

    return g


def smooth(f, *xs, **kwargs):
    """Return edges at `xs`, the derivative taken by mpmath."""
    slope = exact(lambda x, **kw: mpmath.diff(lambda t: f(t, **kw), x))
    return tuple((x, exact(f)(x, **kwargs), slope(x, **kwargs)) for x in xs)


def sigmoid(x):
    return (1 + mp.tanh(x / 2)) / 2


def logsigmoid(x):
    return mp.log(sigmoid(x))


def softplus(x, beta=1):
    return mp.log(1 + mp.exp(beta * x)) / beta


def elu(x, alpha=1):
    return x if x > 0 else alpha * (mp.exp(x) - 1)


def celu(x, alpha=1):
    return x if x > 0 else alpha * (mp.exp(x / alpha) - 1)


def selu(x):
    return mp.mpf("1.0507009873554804934193349852946") * elu(x, mp.mpf("1.6732632423543772848170429916717"))


def gelu(x, approximate="none"):
    if approximate == "tanh":
        return x / 2 * (1 + mp.tanh(mp.sqrt(2 / mp.pi) * (x + mp.mpf("0.044715") * x**3)))
    return x * (1 + mp.erf(x / mp.sqrt(2))) / 2


def silu(x):
    return x * sigmoid(x)


def mish(x):
    return x * mp.tanh(softplus(x))


def clip(x, min_val=-1, max_val=1):
    return sorted((x, min_val, max_val))[1]


def hard_sigmoid(x, slope):
    return clip(slope * x + mp.mpf(1) / 2, 0, 1)


def hard_swish(x):
    return x * clip(x + 3, 0, 6) / 6


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


def glu_reference(x, axis=-1):
    value, gate = np.split(x, 2, axis)
    return value * np.vectorize(exact(sigmoid))(gate)


TINY = 2.0**-100
A = 1.6732632423543772
L = 1.0507009873554805

# Where an argument is rounded before exp, an error of half an ulp there is one of |argument| / 2 ulp in the result.
ARGUMENT = 12
# At the minimum of a gated function the terms of its derivative cancel: they keep their places, the sum does not. The
# minimum stands as a kink in its row, so that random points stay 0.05 away, where the sum is 1/20 of the terms.
MINIMUM = 64

CASES = [
    Case(
        activation.identity,
        scalar=lambda x: x,
        ulp=0,
        grad_ulp=0,
        edges=((-0.0, 0, 1), (inf, inf, 1), (-inf, -inf, 1), (nan, nan, 1)),
    ),
    Case(
        activation.sigmoid,
        scalar=exact(sigmoid),
        edges=(
            *smooth(sigmoid, 0.0, TINY, 17, -17, 30, -30, 80, -80),
            (1000, 1, 0),
            (-1000, 0, 0),
            (inf, 1, 0),
            (-inf, 0, 0),
            (nan, nan, nan),
        ),
    ),
    Case(
        activation.logsigmoid,
        scalar=exact(logsigmoid),
        edges=(
            *smooth(logsigmoid, 0.0, -TINY, 17, -17, 80, -80),
            (1000, 0, 0),
            (-1e30, -1e30, 1),
            (inf, 0, 0),
            (-inf, -inf, 1),
            (nan, nan, nan),
        ),
    ),
    Case(
        activation.softplus,
        scalar=exact(softplus),
        edges=(
            *smooth(softplus, 0.0, TINY, 17, -17, 80, -80),
            (1000, 1000, 1),
            (-1000, 0, 0),
            (3e38, 3e38, 1),
            (inf, inf, 1),
            (-inf, 0, 0),
            (nan, nan, nan),
        ),
    ),
    Case(
        activation.softplus,
        {"beta": 2.5},
        scalar=exact(softplus),
        ulp=ARGUMENT,
        grad_ulp=ARGUMENT,
        edges=((3e38, 3e38, 1), (inf, inf, 1), (-inf, 0, 0), (nan, nan, nan)),
    ),
    Case(
        activation.softsign,
        scalar=lambda x: x / (1 + abs(x)),
        edges=(
            (0.0, 0, 1),
            (-TINY, -TINY, 1),
            (1e6, 1 / (1 + 1e-6), 1e-12 / (1 + 1e-6) ** 2),
            (3.3e38, 1, 3.3e38**-2),
            (-3.3e38, -1, 3.3e38**-2),
            (inf, 1, 0),
            (-inf, -1, 0),
            (nan, nan, nan),
        ),
    ),
    Case(
        activation.hard_tanh,
        scalar=clip,
        kinks=(-1, 1),
        ulp=0,
        edges=(
            (-0.0, 0, 1),
            (1, 1, 0),
            (-1, -1, 0),
            (1 - 2.0**-20, 1 - 2.0**-20, 1),
            (inf, 1, 0),
            (-inf, -1, 0),
            (nan, nan, 1),
        ),
    ),
    Case(
        activation.hard_tanh,
        {"min_val": -2.5, "max_val": 0.5},
        scalar=clip,
        kinks=(-2.5, 0.5),
        ulp=0,
        edges=((-2.5, -2.5, 0), (0.5, 0.5, 0), (-1, -1, 1), (inf, 0.5, 0), (-inf, -2.5, 0)),
    ),
    Case(
        activation.relu6,
        scalar=lambda x: clip(x, 0, 6),
        domain=(-3, 9),
        kinks=(0, 6),
        ulp=0,
        edges=(
            (0, 0, 0),
            (-0.0, 0, 0),
            (TINY, TINY, 1),
            (-TINY, 0, 0),
            (6, 6, 0),
            (inf, 6, 0),
            (-inf, 0, 0),
            (nan, nan, 1),
        ),
    ),
    Case(
        activation.hard_sigmoid,
        label="PyTorch",
        scalar=exact(lambda x: hard_sigmoid(x, mp.mpf(1) / 6)),
        kinks=(-3, 3),
        edges=(
            (0, 0.5, 1 / 6),
            (-3, 0, 0),
            (3, 1, 0),
            (-2.75, 1 / 24, 1 / 6),
            (2.75, 23 / 24, 1 / 6),
            (inf, 1, 0),
            (-inf, 0, 0),
            (nan, nan, 1 / 6),
        ),
    ),
    Case(
        activation.hard_sigmoid,
        {"slope": 0.2},
        label="Theano",
        scalar=exact(lambda x, slope: hard_sigmoid(x, slope)),
        kinks=(-2.5, 2.5),
        # 0.2 is no binary fraction: 0.2 * x + 0.5 of the oracle's 0.2 differs from that of the float32 one by 1e-8
        ulp=64,
        edges=((0, 0.5, 0.2), (-2.5, 0, 0), (2.5, 1, 0), (1, 0.7, 0.2), (inf, 1, 0), (-inf, 0, 0)),
    ),
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
        rectifier.threshold_relu,
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
        rectifier.threshold_relu,
        {"theta": -0.5},
        scalar=lambda x, theta: x if x > theta else 0.0,
        kinks=(-0.5,),
        ulp=0,
        edges=((-0.5, 0, 0), (-0.25, -0.25, 1), (-inf, 0, 0)),
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
    Case(
        gated.gelu,
        scalar=exact(gelu),
        kinks=(-0.7518,),
        ulp=24,  # the simulated device rounds the argument of erfc: see ARGUMENT, x * x / 2 = 18
        grad_ulp=MINIMUM,
        edges=(
            *smooth(gelu, 0.0, TINY, -1, 5, 30),
            (1000, 1000, 1),
            (-1000, 0, 0),
            (3e38, 3e38, 1),
            (-3e38, 0, 0),
            (inf, inf, 1),
            (-inf, 0, 0),
            (nan, nan, nan),
        ),
    ),
    Case(
        gated.gelu,
        {"approximate": "tanh"},
        scalar=exact(gelu),
        kinks=(-0.7525,),
        ulp=48,  # see ARGUMENT: it is 25 at x = -6, after four roundings
        grad_ulp=MINIMUM,
        edges=(
            *smooth(gelu, 0.0, TINY, -1, 5, 30, approximate="tanh"),
            (1000, 1000, 1),
            (-1000, 0, 0),
            (3e38, 3e38, 1),
            (-3e38, 0, 0),
            (inf, inf, 1),
            (-inf, 0, 0),
            (nan, nan, nan),
        ),
    ),
    Case(
        gated.silu,
        scalar=exact(silu),
        kinks=(-1.2785,),
        grad_ulp=MINIMUM,
        edges=(
            *smooth(silu, 0.0, TINY, 17, -17, 30, -30, 80, -80),
            (1000, 1000, 1),
            (-1000, 0, 0),
            (3e38, 3e38, 1),
            (-3e38, 0, 0),
            (inf, inf, 1),
            (-inf, 0, 0),
            (nan, nan, nan),
        ),
    ),
    Case(
        gated.mish,
        scalar=exact(mish),
        kinks=(-1.1924,),
        grad_ulp=MINIMUM,
        edges=(
            *smooth(mish, 0.0, TINY, 17, -17, 30, -30, 80, -80),
            (1000, 1000, 1),
            (-1000, 0, 0),
            (3e38, 3e38, 1),
            (-3e38, 0, 0),
            (inf, inf, 1),
            (-inf, 0, 0),
            (nan, nan, nan),
        ),
    ),
    Case(
        gated.hard_swish,
        scalar=exact(hard_swish),
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
