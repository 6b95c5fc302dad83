"""Schemes that scale the variance by the fans of the weight: Xavier, Kaiming, LeCun."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .gains import Fans, calculate_gain
from .initializer import Initializer, Request, factory


def _scaled(name: str, distribution: str, std: Callable[[Fans], float], **options: Any) -> Initializer:
    """Make the initialiser of mean 0 and a std that follows from the fans; `distribution`: uniform or normal."""

    def fill(r: Request) -> np.ndarray:
        scale = std(r.fans)
        if distribution == "normal":
            return scale * r.rng().standard_normal(r.shape)
        return math.sqrt(3) * scale * (2 * r.rng().random(r.shape) - 1)

    return Initializer(name, fill, **options)


@factory
def xavier_uniform(gain: float = 1.0) -> Initializer:
    """Draw from U(-b, b), ``b = gain * sqrt(6 / (fan_in + fan_out))``: for tanh and other odd functions.

    Source: Glorot & Bengio 2010, "Understanding the difficulty of training deep feedforward neural networks", eq. 16.

    Example:
        >>> weight = init.xavier_uniform()((100, 500))
        >>> f"{abs(weight).max():.3f}"  # sqrt(6 / (500 + 100))
        '0.100'
    """
    return _scaled("xavier_uniform", "uniform", lambda f: gain * math.sqrt(2 / (f[0] + f[1])), gain=gain)


@factory
def xavier_normal(gain: float = 1.0) -> Initializer:
    """Draw from N(0, std**2), ``std = gain * sqrt(2 / (fan_in + fan_out))``; see `xavier_uniform`.

    Example:
        >>> f"{init.xavier_normal()((100, 500)).std():.3f}"  # sqrt(2 / (500 + 100))
        '0.058'
    """
    return _scaled("xavier_normal", "normal", lambda f: gain * math.sqrt(2 / (f[0] + f[1])), gain=gain)


def _kaiming(distribution: str, a: float, mode: str, nonlinearity: str) -> Initializer:
    name = f"kaiming_{distribution}"
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f'{name}: mode must be "fan_in" or "fan_out", got {mode!r}')
    gain = calculate_gain(nonlinearity, a if a or nonlinearity in ("leaky_relu", "prelu") else None)
    which = ("fan_in", "fan_out").index(mode)
    return _scaled(name, distribution, lambda f: gain / math.sqrt(f[which]), a=a, mode=mode, nonlinearity=nonlinearity)


@factory
def kaiming_uniform(a: float = 0.0, mode: str = "fan_in", nonlinearity: str = "leaky_relu") -> Initializer:
    """Draw from U(-b, b), ``b = gain * sqrt(3 / fan)``: He's initialisation, for relu and its kin.

    Args:
        a: param of the nonlinearity: the negative slope of leaky_relu or prelu (0: relu).
        mode: "fan_in" keeps the variance forward, "fan_out" that of the gradient backward.
        nonlinearity: that follows the layer; see `calculate_gain`.

    Raises:
        ValueError: another mode, or a nonlinearity that `calculate_gain` does not know.

    Source: He et al. 2015, arXiv:1502.01852, eq. 10, 14 and 15.

    Example:
        >>> f"{abs(init.kaiming_uniform()((100, 600))).max():.3f}"  # sqrt(2) * sqrt(3 / 600)
        '0.100'
        >>> nn.Conv2d(3, 16, 3, init="kaiming_uniform").weight.shape
        (16, 3, 3, 3)
    """
    return _kaiming("uniform", a, mode, nonlinearity)


@factory
def kaiming_normal(a: float = 0.0, mode: str = "fan_in", nonlinearity: str = "leaky_relu") -> Initializer:
    """Draw from N(0, std**2), ``std = gain / sqrt(fan)``; see `kaiming_uniform`.

    Example:
        >>> f"{init.kaiming_normal()((100, 500)).std():.3f}"  # sqrt(2 / 500)
        '0.063'
        >>> f"{init.kaiming_normal(mode='fan_out')((100, 500)).std():.3f}"  # sqrt(2 / 100)
        '0.141'
    """
    return _kaiming("normal", a, mode, nonlinearity)


@factory
def lecun_uniform() -> Initializer:
    """Draw from U(-b, b), ``b = sqrt(3 / fan_in)``; see `lecun_normal`.

    Example:
        >>> f"{abs(init.lecun_uniform()((100, 300))).max():.3f}"  # sqrt(3 / 300)
        '0.100'
    """
    return _scaled("lecun_uniform", "uniform", lambda f: 1 / math.sqrt(f[0]))


@factory
def lecun_normal() -> Initializer:
    """Draw from N(0, 1 / fan_in): for SELU networks and linear layers.

    Source: LeCun et al. 1998, "Efficient BackProp", eq. 16; Klambauer et al. 2017, arXiv:1706.02515, for SELU.

    Example:
        >>> net = nn.Sequential(nn.Linear(100, 100, init=init.lecun_normal()), nn.SELU())
        >>> f"{net[0].weight.numpy().std():.2f}"
        '0.10'
    """
    return _scaled("lecun_normal", "normal", lambda f: 1 / math.sqrt(f[0]))
