"""What may be given as ``init=``: an initialiser, a name, a number or a function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .distributions import constant, normal, ones, truncated_normal, uniform, zeros
from .initializer import Initializer
from .matrices import delta_orthogonal, dirac, eye, orthogonal
from .variance_scaling import (
    kaiming_normal,
    kaiming_uniform,
    lecun_normal,
    lecun_uniform,
    xavier_normal,
    xavier_uniform,
)

_DISTRIBUTIONS = (zeros, ones, uniform, normal, truncated_normal)
_SCHEMES = (xavier_uniform, xavier_normal, kaiming_uniform, kaiming_normal, lecun_uniform, lecun_normal)
_MATRICES = (orthogonal, delta_orthogonal, eye, dirac)
_BY_NAME: dict[str, Callable[[], Initializer]] = {f.__name__: f for f in (*_DISTRIBUTIONS, *_SCHEMES, *_MATRICES)}


def get(init: Any) -> Initializer:
    """Return the initialiser that `init` means.

    Args:
        init: an initialiser (returned as it is); a name, such as ``"kaiming_normal"``, for its defaults;
            a number, for `constant`; or a function ``fn(shape, generator, dtype) -> array``, where
            generator is a `cunet.random.Generator`.

    Raises:
        ValueError: unknown name.
        TypeError: anything else.

    Example:
        >>> init.get("kaiming_normal"), init.get(0.5)
        (kaiming_normal(a=0.0, mode='fan_in', nonlinearity='leaky_relu'), constant(value=0.5))
        >>> init.get(lambda shape, generator, dtype: generator.rng().exponential(size=shape))((2, 3)).dtype
        dtype('float32')
    """
    if isinstance(init, Initializer):
        return init
    if isinstance(init, str):
        if init not in _BY_NAME:
            raise ValueError(f"init: unknown name {init!r}; known: {', '.join(sorted(_BY_NAME))}")
        return _BY_NAME[init]()
    if isinstance(init, (int, float, np.number)) and not isinstance(init, bool):
        return constant(float(init))
    if callable(init):
        if init in _BY_NAME.values():
            return init()  # `init.zeros` for `init.zeros()`
        name = getattr(init, "__name__", type(init).__name__)
        return Initializer(name, lambda r: np.array(init(r.shape, r.generator, r.dtype)))
    raise TypeError(f"init: must be an initialiser, a name, a number or a function, got {type(init).__name__}")
