"""Initialisers: small callable objects that draw the first values of a weight.

An initialiser is made once and called with a shape::

    weight = init.kaiming_normal()((256, 784))            # float32, from default_generator("init")
    weight = init.get("orthogonal")((64, 64), generator, np.float64)

Values are drawn on the CPU in float64 and cast once, so one seed gives the same weights on every
device, and a float32 weight is the float64 one rounded. Each call that draws takes one call of its
generator; `constant`, `eye` and `dirac` take none. Layers accept an initialiser, a name, a number or a
function of ``(shape, generator, dtype)`` as ``init=`` (see `get`). There is no in-place form.

A constant is sound for a bias, a norm's scale or the last scale of a residual branch; in a weight
matrix it leaves all units of a layer equal for ever, because they also receive equal gradients.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..device import is_floating
from ..random import Generator, default_generator
from .gains import Fans, calculate_gain, check_shape, fans

__all__ = ["Initializer", "calculate_gain", "constant", "dirac", "eye", "fans", "get", "kaiming_normal"]
__all__ += ["kaiming_uniform", "lecun_normal", "lecun_uniform", "normal", "ones", "orthogonal", "truncated_normal"]
__all__ += ["uniform", "xavier_normal", "xavier_uniform", "zeros"]


class _Request:
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
    """

    def __init__(self, name: str, fill: Callable[[_Request], np.ndarray], **options: Any) -> None:
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
        request = _Request(self.name, check_shape(self.name, shape), fans, generator, dtype)
        values = np.asarray(self._fill(request))
        if values.shape != request.shape:
            raise ValueError(f"{self.name}: must return shape {request.shape}, returned {values.shape}")
        return np.ascontiguousarray(values.astype(dtype, copy=False)).reshape(request.shape)


def constant(value: float) -> Initializer:
    """Fill with `value`: for biases and scales, not for weight matrices (see the module's docstring)."""
    return Initializer("constant", lambda r: np.full(r.shape, float(value)), value=value)


def zeros() -> Initializer:
    """Fill with 0."""
    return Initializer("zeros", lambda r: np.zeros(r.shape))


def ones() -> Initializer:
    """Fill with 1."""
    return Initializer("ones", lambda r: np.ones(r.shape))


def uniform(low: float = 0.0, high: float = 1.0) -> Initializer:
    """Draw from U(low, high): ``low + (high - low) * u``; casting may round a value up to `high`."""
    if not low <= high:
        raise ValueError(f"uniform: low must be <= high, got low={low}, high={high}")
    return Initializer("uniform", lambda r: low + (high - low) * r.rng().random(r.shape), low=low, high=high)


def normal(mean: float = 0.0, std: float = 1.0) -> Initializer:
    """Draw from N(mean, std**2)."""
    _check_std("normal", std)
    return Initializer("normal", lambda r: mean + std * r.rng().standard_normal(r.shape), mean=mean, std=std)


def truncated_normal(mean: float = 0.0, std: float = 1.0, low: float = -2.0, high: float = 2.0) -> Initializer:
    """Draw ``mean + std * z``, z ~ N(0, 1) conditioned on ``low <= z <= high``, by exact rejection.

    Args:
        mean, std: of the normal before truncation. What is drawn has a smaller std: 0.8796 * std at +-2.
        low, high: bounds in units of `std`, not in those of the weight as in PyTorch, where the default
            bounds of +-2 never touch a weight of std 0.02. May be infinite.
    """
    _check_std("truncated_normal", std)
    if not low < high:
        raise ValueError(f"truncated_normal: low must be < high, got low={low}, high={high}")

    def fill(r: _Request) -> np.ndarray:
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


def _scaled(name: str, law: str, std: Callable[[Fans], float], **options: Any) -> Initializer:
    """Make the initialiser of mean 0 and a std that follows from the fans; `law`: uniform or normal."""

    def fill(r: _Request) -> np.ndarray:
        scale = std(r.fans)
        if law == "normal":
            return scale * r.rng().standard_normal(r.shape)
        return math.sqrt(3) * scale * (2 * r.rng().random(r.shape) - 1)

    return Initializer(name, fill, **options)


def xavier_uniform(gain: float = 1.0) -> Initializer:
    """Draw from U(-b, b), ``b = gain * sqrt(6 / (fan_in + fan_out))``: for tanh and other odd functions.

    Source: Glorot & Bengio 2010, "Understanding the difficulty of training deep feedforward neural networks", eq. 16.
    """
    return _scaled("xavier_uniform", "uniform", lambda f: gain * math.sqrt(2 / (f[0] + f[1])), gain=gain)


def xavier_normal(gain: float = 1.0) -> Initializer:
    """Draw from N(0, std**2), ``std = gain * sqrt(2 / (fan_in + fan_out))``; see `xavier_uniform`."""
    return _scaled("xavier_normal", "normal", lambda f: gain * math.sqrt(2 / (f[0] + f[1])), gain=gain)


def _kaiming(law: str, a: float, mode: str, nonlinearity: str) -> Initializer:
    name = f"kaiming_{law}"
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f'{name}: mode must be "fan_in" or "fan_out", got {mode!r}')
    gain = calculate_gain(nonlinearity, a if a or nonlinearity in ("leaky_relu", "prelu") else None)
    which = ("fan_in", "fan_out").index(mode)
    return _scaled(name, law, lambda f: gain / math.sqrt(f[which]), a=a, mode=mode, nonlinearity=nonlinearity)


def kaiming_uniform(a: float = 0.0, mode: str = "fan_in", nonlinearity: str = "leaky_relu") -> Initializer:
    """Draw from U(-b, b), ``b = gain * sqrt(3 / fan)``: He's initialisation, for relu and its kin.

    Args:
        a: param of the nonlinearity: the negative slope of leaky_relu or prelu (0: relu).
        mode: "fan_in" keeps the variance forward, "fan_out" that of the gradient backward.
        nonlinearity: that follows the layer; see `calculate_gain`.

    Source: He et al. 2015, arXiv:1502.01852, eq. 10, 14 and 15.
    """
    return _kaiming("uniform", a, mode, nonlinearity)


def kaiming_normal(a: float = 0.0, mode: str = "fan_in", nonlinearity: str = "leaky_relu") -> Initializer:
    """Draw from N(0, std**2), ``std = gain / sqrt(fan)``; see `kaiming_uniform`."""
    return _kaiming("normal", a, mode, nonlinearity)


def lecun_uniform() -> Initializer:
    """Draw from U(-b, b), ``b = sqrt(3 / fan_in)``; see `lecun_normal`."""
    return _scaled("lecun_uniform", "uniform", lambda f: 1 / math.sqrt(f[0]))


def lecun_normal() -> Initializer:
    """Draw from N(0, 1 / fan_in): for SELU networks and linear layers.

    Source: LeCun et al. 1998, "Efficient BackProp", eq. 16; Klambauer et al. 2017, arXiv:1706.02515, for SELU.
    """
    return _scaled("lecun_normal", "normal", lambda f: 1 / math.sqrt(f[0]))


def orthogonal(gain: float = 1.0) -> Initializer:
    """Draw ``gain * Q``, Q uniform (Haar) among matrices with orthonormal rows, or columns if rows > columns.

    Axes after the first are flattened to columns. The last bits depend on the machine's LAPACK.

    Source: Saxe et al. 2013, arXiv:1312.6120; Mezzadri 2006, arXiv:math-ph/0609050, section 5 (sign of R).
    """

    def fill(r: _Request) -> np.ndarray:
        r.need_axes(2)
        rows, columns = r.shape[0], math.prod(r.shape[1:])
        q, triangle = np.linalg.qr(r.rng().standard_normal((max(rows, columns), min(rows, columns))))
        q *= gain * np.copysign(1.0, np.diagonal(triangle))
        return (q.T if rows < columns else q).reshape(r.shape)

    return Initializer("orthogonal", fill, gain=gain)


def eye(gain: float = 1.0) -> Initializer:
    """Fill with ``gain`` on the main diagonal of a matrix ``(out, in)`` and 0 elsewhere."""

    def fill(r: _Request) -> np.ndarray:
        r.need_axes(2, 2, "(out, in)")
        return gain * np.eye(r.shape[0], r.shape[1])

    return Initializer("eye", fill, gain=gain)


def dirac(groups: int = 1) -> Initializer:
    """Fill a convolution's weight so that it passes as many channels of each group as it can unchanged.

    ``w[g * out/groups + c, c, centre] = 1``; centre is ``k // 2``, right for odd kernels with "same" padding.

    Args:
        groups: of the convolution; divides the first axis.
    """

    def fill(r: _Request) -> np.ndarray:
        r.need_axes(3, 5, "(out, in/groups, *kernel)")
        out, channels, *kernel = r.shape
        if groups < 1 or out % groups:
            raise ValueError(f"dirac: groups must be >= 1 and divide the first axis {out}, got {groups}")
        weight = np.zeros(r.shape)
        passed = np.arange(min(out // groups, channels))
        if 0 not in kernel:
            centre = tuple(k // 2 for k in kernel)
            for start in range(0, out, out // groups or 1):
                index: tuple[Any, ...] = (start + passed, passed, *centre)
                weight[index] = 1.0
        return weight

    return Initializer("dirac", fill, groups=groups)


_BY_NAME: dict[str, Callable[[], Initializer]] = {
    f.__name__: f
    for f in (zeros, ones, uniform, normal, truncated_normal, xavier_uniform, xavier_normal, kaiming_uniform)
    + (kaiming_normal, lecun_uniform, lecun_normal, orthogonal, eye, dirac)
}


def get(init: Any) -> Initializer:
    """Return the initialiser that `init` means.

    Args:
        init: an initialiser (returned as it is); a name, such as ``"kaiming_normal"``, for its defaults;
            a number, for `constant`; or a function ``fn(shape, generator, dtype) -> array``, where
            generator is a `cunet.random.Generator`.

    Raises:
        ValueError: unknown name.
        TypeError: anything else.
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
