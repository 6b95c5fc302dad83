"""Rows of the losses that are minus the logarithm of a probability. The oracles use mpmath's own functions."""

import mpmath
import numpy as np

from cunet import F

from . import Case
from .loss import REDUCTIONS, reduced
from .margin import each

mp = mpmath.mp.clone()
mp.dps = 30


def gaussian(input, target, var, full=False, eps=1e-6, reduction="mean"):
    """Minus the logarithm of the normal density, without its constant unless `full`."""
    var = np.asarray(var)
    var = var[..., None] if var.ndim == input.ndim - 1 else var
    losses = np.empty(input.shape)
    for at in np.ndindex(*input.shape):
        v = max(mp.mpf(float(np.broadcast_to(var, input.shape)[at])), mp.mpf(eps))
        density = mpmath.npdf(float(input[at]), float(target[at]), mp.sqrt(v))
        losses[at] = -mp.log(density) - (0 if full else mp.log(2 * mp.pi) / 2)
    return reduced(losses, reduction)


def gaussian_of_one_variance(input, target, var, **kwargs):
    return F.gaussian_nll_loss(input, target, var, **kwargs)


def poisson(x, t, log_input=True, full=False, eps=1e-8):
    rate = mp.exp(x) if log_input else mp.mpf(x)
    loss = rate - mp.mpf(t) * (mp.mpf(x) if log_input else mp.log(mp.mpf(x) + mp.mpf(eps)))
    return loss + (mp.mpf(t) * mp.log(t) - t + mp.log(2 * mp.pi * t) / 2 if full and t > 1 else 0)


def measured(*shape, var=None):
    def make(rng):
        x, t = rng.uniform(-2, 2, shape), rng.uniform(-2, 2, shape)
        return x, t, rng.uniform(0.25, 2, shape if var is None else var)

    return make


def counted(low, high):
    return lambda rng: (rng.uniform(low, high, (4, 6)), rng.integers(0, 7, (4, 6)) + 0.25)


CASES = [
    *[
        Case(F.gaussian_nll_loss, {"full": full, "reduction": r}, reference=gaussian, inputs=measured(4, 6))
        for full in (False, True)
        for r in REDUCTIONS
    ],
    *[
        Case(
            gaussian_of_one_variance,
            {"var": 0.25, "eps": eps},
            reference=gaussian,
            inputs=lambda rng: measured(4, 6)(rng)[:2],
        )
        for eps in (1e-6, 0.5)
    ],
    Case(F.gaussian_nll_loss, reference=gaussian, inputs=measured(4, 4, var=(4,)), label="one variance a row"),
    Case(F.gaussian_nll_loss, reference=gaussian, inputs=measured(4, 3, 5, var=(4, 1, 5)), label="shared"),
    *[
        Case(
            F.poisson_nll_loss,
            {"log_input": log_input, "full": full, "reduction": r},
            reference=each(poisson),
            inputs=counted(-2, 2) if log_input else counted(0.5, 8),
            ulp=16,  # losses of both signs are added, and where a rate is far below its count log1p nears its pole
        )
        for log_input in (True, False)
        for full in (True, False)
        for r in REDUCTIONS
    ],
]
