"""Initializer: a small callable object that draws the first values of a weight."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, ParamSpec

import numpy as np

from ..autograd.tensor import Tensor
from ..device import is_array, is_floating
from ..random import Generator, default_generator
from ..system.checks import check_numbers
from .gains import Fans, check_shape, fans

Options = ParamSpec("Options")


class Request:
    """What one call asks for: who is asked, the shape, the fans, the dtype and the source of random numbers."""

    def __init__(
        self, who: str, shape: tuple[int, ...], fans: Fans | None, generator: Generator | None, dtype: np.dtype
    ) -> None:
        self.who, self.shape, self._fans, self.dtype = who, shape, fans, dtype
        self.generator = default_generator("init") if generator is None else generator

    def rng(self) -> np.random.Generator:
        """Take one draw."""
        return self.generator.rng()

    def need_axes(self, least: int, most: float = math.inf, layout: str = "(out, in, *kernel)") -> None:
        """Check how many axes the weight has."""
        if not least <= len(self.shape) <= most:
            count = f"{least}" if least == most else f"at least {least}" if most == math.inf else f"{least} to {most}"
            raise ValueError(f"{self.who}: weight must have {count} axes {layout}, got shape {self.shape}")

    @property
    def fans(self) -> Fans:
        """The fans given by the caller, else those of a Linear or Conv weight; at least 1 each."""
        if self._fans is None:
            self.need_axes(2)
        fan_in, fan_out = fans(self.shape) if self._fans is None else self._fans
        return max(fan_in, 1), max(fan_out, 1)


class Initializer:
    """Make arrays of one distribution: ``init(shape, generator=None, dtype=np.float32, fans=None)``.

    Args:
        name: shown in messages.
        fill: function of one request (``shape``, ``fans``, ``rng()``) that returns float64 values.
        options: shown by `repr`.

    Example:
        >>> first = init.Initializer("first", lambda r: r.rng().uniform(-1, 1, r.shape) / r.fans[0] ** 0.5)
        >>> first((3, 4)).shape, first
        ((3, 4), first())
        >>> layer = nn.Linear(4, 3, init=first)
        >>> f"{abs(layer.weight.numpy()).max():.1f}"
        '0.5'
    """

    def __init__(self, name: str, fill: Callable[[Request], np.ndarray], **options: Any) -> None:
        """Keep how to fill, and what to show."""
        self.name, self._fill, self._options = name, fill, options

    def __repr__(self) -> str:
        """Show the call that makes this initialiser."""
        return f"{self.name}({', '.join(f'{key}={value!r}' for key, value in self._options.items())})"

    def __call__(
        self,
        shape: int | Sequence[int],
        generator: Generator | None = None,
        dtype: Any = np.float32,
        *,
        fans: Fans | None = None,
    ) -> np.ndarray:
        """Return a new NumPy array.

        Args:
            shape: of the array.
            generator: taken one draw from; default ``default_generator("init")``.
            dtype: floating; the float64 values are cast to it once.
            fans: ``(fan_in, fan_out)`` where the weight is not laid out as Linear or Conv lay it out, such
                as ``init.fans(shape, transposed=True)``; unused by initialisers that do not scale.

        Raises:
            TypeError: dtype is not floating, or generator is not a `cunet.random.Generator`.
            ValueError: the shape does not fit the initialiser.
        """
        dtype = np.dtype(dtype)
        if not is_floating(dtype):
            raise TypeError(f"{self.name}: dtype must be floating, got {dtype}")
        if generator is not None and not isinstance(generator, Generator):
            raise TypeError(f"{self.name}: generator must be a cunet.random.Generator, got {type(generator).__name__}")
        request = Request(self.name, check_shape(self.name, shape), fans, generator, dtype)
        values = np.asarray(self._fill(request))
        if values.shape != request.shape:
            raise ValueError(f"{self.name}: must return shape {request.shape}, returned {values.shape}")
        return np.ascontiguousarray(values.astype(dtype, copy=False)).reshape(request.shape)


def factory(make: Callable[Options, Initializer]) -> Callable[Options, Initializer]:
    """Let a function that makes an initialiser refuse a weight, which it would not fill, and what is no number."""
    names = make.__code__.co_varnames
    numbers = {name for name, kind in make.__annotations__.items() if kind == "float"}

    @functools.wraps(make)
    def checked(*args: Options.args, **options: Options.kwargs) -> Initializer:
        for value in (*args, *options.values()):
            if isinstance(value, Tensor) or (is_array(value) and value.ndim):  # type: ignore[attr-defined]
                raise TypeError(
                    f"{make.__name__}: options must be numbers, got a {type(value).__name__}; an existing weight is "
                    f"filled by nn.init.{_IN_PLACE.get(make.__name__, make.__name__)}_(weight), and "
                    f"init.{make.__name__}()(weight.shape) is a new one"
                )
        given = {**dict(zip(names, args, strict=False)), **options}
        check_numbers(make.__name__, **{name: given[name] for name in numbers & given.keys()})
        return make(*args, **options)

    return checked


#: What `cunet.nn.init` calls otherwise.
_IN_PLACE = {"truncated_normal": "trunc_normal"}
