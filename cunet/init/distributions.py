"""Constants, uniform, normal and truncated normal values, whatever the fans of the weight."""

from __future__ import annotations

import math

import numpy as np

from .initializer import Initializer, Request, factory


@factory
def constant(value: float) -> Initializer:
    """Fill with `value`: for biases and scales, not for weight matrices (see the module's docstring).

    Example:
        >>> init.constant(0.1)(3)
        array([0.1, 0.1, 0.1], dtype=float32)
        >>> nn.Linear(2, 3, bias_init=init.constant(0.1)).bias.numpy()
        array([0.1, 0.1, 0.1], dtype=float32)
    """
    return Initializer("constant", lambda r: np.full(r.shape, float(value)), value=value)


@factory
def zeros() -> Initializer:
    """Fill with 0.

    Example:
        >>> init.zeros()((2, 3))
        array([[0., 0., 0.],
               [0., 0., 0.]], dtype=float32)
        >>> nn.Linear(2, 3, bias_init=init.zeros()).bias.numpy()
        array([0., 0., 0.], dtype=float32)
    """
    return Initializer("zeros", lambda r: np.zeros(r.shape))


@factory
def ones() -> Initializer:
    """Fill with 1.

    Example:
        >>> init.ones()((2, 3))
        array([[1., 1., 1.],
               [1., 1., 1.]], dtype=float32)
    """
    return Initializer("ones", lambda r: np.ones(r.shape))


@factory
def uniform(low: float = 0.0, high: float = 1.0) -> Initializer:
    """Draw from U(low, high): ``low + (high - low) * u``; casting may round a value up to `high`.

    Raises:
        ValueError: low is above high.

    Example:
        >>> weight = init.uniform(-0.5, 0.5)((200, 100))
        >>> f"from {weight.min():.2f} to {weight.max():.2f}"
        'from -0.50 to 0.50'
    """
    if not low <= high:
        raise ValueError(f"uniform: low must be <= high, got low={low}, high={high}")
    return Initializer("uniform", lambda r: low + (high - low) * r.rng().random(r.shape), low=low, high=high)


@factory
def normal(mean: float = 0.0, std: float = 1.0) -> Initializer:
    """Draw from N(mean, std**2).

    Raises:
        ValueError: std is below 0.

    Example:
        >>> weight = init.normal(std=0.02)((200, 100))
        >>> f"{weight.std():.3f}", weight.dtype
        ('0.020', dtype('float32'))
    """
    _check_std("normal", std)
    return Initializer("normal", lambda r: mean + std * r.rng().standard_normal(r.shape), mean=mean, std=std)


@factory
def truncated_normal(mean: float = 0.0, std: float = 1.0, low: float = -2.0, high: float = 2.0) -> Initializer:
    """Draw ``mean + std * z``, z ~ N(0, 1) conditioned on ``low <= z <= high``, by exact rejection.

    Args:
        mean, std: of the normal before truncation. What is drawn has a smaller std: 0.8796 * std at +-2.
        low, high: bounds in units of `std`, not in those of the weight as in PyTorch, where the default
            bounds of +-2 never touch a weight of std 0.02. May be infinite.

    Raises:
        ValueError: std is below 0, or low is not below high.

    Example:
        >>> weight = init.truncated_normal(std=0.02)((200, 100))
        >>> f"std {weight.std():.4f}, largest {abs(weight).max():.3f}"  # 0.88 and 2 times 0.02
        'std 0.0176, largest 0.040'
    """
    _check_std("truncated_normal", std)
    if not low < high:
        raise ValueError(f"truncated_normal: low must be < high, got low={low}, high={high}")

    def fill(r: Request) -> np.ndarray:
        count = math.prod(r.shape)
        flip = low + high < 0  # the mirror image has its bulk or its near end on the left
        z = _truncated(r.rng(), -high, -low, count) if flip else _truncated(r.rng(), low, high, count)
        return (mean + (-std if flip else std) * z).reshape(r.shape)

    return Initializer("truncated_normal", fill, mean=mean, std=std, low=low, high=high)


def _check_std(who: str, std: float) -> None:
    if not std >= 0:
        raise ValueError(f"{who}: std must be >= 0, got {std}")


def _truncated(rng: np.random.Generator, low: float, high: float, count: int) -> np.ndarray:
    """Draw standard normals in [low, high], high >= -low.

    Source: Robert 1995, "Simulation of truncated normal variables", arXiv:0907.4010, section 2; the
    exponential proposal is truncated too and has rate `low`, and each proposal accepts at least 0.3.
    """
    width = high - low
    parts, missing = [np.empty(0)], count
    while missing > 0:
        tries = missing + missing // 8 + 16
        if low >= 0.5:
            z = low - np.log1p(rng.random(tries) * math.expm1(-low * width)) / low
            keep = rng.random(tries) < np.exp(-0.5 * (z - low) ** 2)
        elif width < 2.5:
            z = low + width * rng.random(tries)
            keep = rng.random(tries) < np.exp(0.5 * (max(low, 0.0) ** 2 - z**2))
        else:
            z = rng.standard_normal(tries)
            keep = z >= low
        parts.append(z[keep & (z <= high)][:missing])
        missing -= parts[-1].size
    return np.concatenate(parts)
