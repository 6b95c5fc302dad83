"""What `cunet.parity` runs of `cunet.linalg` and `cunet.fft`, and of samples with gradients.

Signs of eigenvectors and of pairs of singular vectors are free, and so are those of rows of R: two libraries may
choose differently. Their rows look at what does not depend on them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...ops.complex import Complex
from ..row import Inputs, Row, function_of

_SHAPE = (3, 9, 9)
#: Transforms that take complex numbers.
_OF_PAIRS = ["fft", "fft2", "fftn", "ifft", "ifft2", "ifftn", "irfft2", "irfftn"]


def _apart(*shape: int) -> Inputs:
    """Draw matrices with singular values from about 2 to 4, well apart."""

    def draw(rng: np.random.Generator) -> tuple[Any, ...]:
        a = rng.uniform(-0.1, 0.1, shape)
        k = np.arange(min(shape[-2:]))
        a[..., k, k] += 2 + k / 4
        return (a,)

    return draw


def _beside(first: Inputs, *shape: int) -> Inputs:
    return lambda rng: (*first(rng), rng.uniform(-2, 2, shape))


def _gram(f: Callable[[Any], Any]) -> Callable[..., Any]:
    return lambda a, **static: f(a @ a.swapaxes(-1, -2), **static)


def _symmetric(f: Callable[[Any], Any]) -> Callable[..., Any]:
    return lambda a, **static: f((a + a.swapaxes(-1, -2)) / 2, **static)


def _eigh(a: Any) -> Any:
    w, v = function_of("linalg.eigh")(a)
    return w, v * v


def _svd(a: Any) -> Any:
    u, s, vh = function_of("linalg.svd")(a, full_matrices=False)
    return u * u, s, vh * vh


def _qr(a: Any) -> Any:
    q, r = function_of("linalg.qr")(a)
    return q * q, r * r


def _lstsq(a: Any, b: Any) -> Any:
    x, residuals, _, s = function_of("linalg.lstsq")(a, b)
    return x, residuals, s


def _irfft(*pair: Any, **static: Any) -> Any:
    return function_of("fft.irfft")(pair, **static)


def _complex(name: str) -> Callable[..., Any]:
    """Return a transform of a pair, which gives its parts."""

    def transform(*pair: Any, **static: Any) -> Any:
        y = function_of(f"fft.{name}")(Complex(*pair), **static)
        return tuple(y) if isinstance(y, Complex) else y

    return transform


def _row(name: str, inputs: Inputs, call: Callable[..., Any] | None = None, label: str = "", **static: Any) -> Row:
    return Row(name, inputs, static, "sum", call, label)


def _normal(*shapes: tuple[int, ...]) -> Inputs:
    return lambda rng: tuple(rng.standard_normal(shape) for shape in shapes)


ROWS: list[Row] = [
    _row("linalg.solve", _beside(_apart(*_SHAPE), 3, 9, 5)),
    _row("linalg.solve", _beside(_apart(9, 9), 9), label="a vector"),
    _row("linalg.inv", _apart(*_SHAPE)),
    _row("linalg.pinv", _apart(3, 9, 5)),
    _row("linalg.lstsq", _beside(_apart(9, 5), 9, 3), _lstsq),
    _row("linalg.matrix_power", _apart(*_SHAPE), n=3),
    _row("linalg.det", _apart(3, 4, 4)),
    _row("linalg.slogdet", _apart(*_SHAPE)),
    _row("linalg.cholesky", _apart(*_SHAPE), _gram(function_of("linalg.cholesky"))),
    _row("linalg.qr", _apart(3, 9, 5), _qr),
    _row("linalg.eigh", _apart(*_SHAPE), _symmetric(_eigh)),
    _row("linalg.eigvalsh", _apart(*_SHAPE), _symmetric(function_of("linalg.eigvalsh"))),
    _row("linalg.svd", _apart(3, 9, 5), _svd),
    _row("linalg.svdvals", _apart(3, 5, 9)),
    _row("linalg.norm", _apart(3, 9, 7)),
    _row("linalg.norm", _apart(3, 9, 7), ord=3, axis=1),
    _row("linalg.norm", _apart(3, 9, 7), ord="nuc", axis=(0, 2)),
    *[_row("fft.rfft", _normal((5, 70)), n=n) for n in (64, 81)],
    *[_row(f"fft.{name}", _normal((3, 8, 9), (3, 8, 9)), _complex(name)) for name in _OF_PAIRS],
    *[_row(f"fft.{name}", _normal((3, 8, 9))) for name in ("rfft2", "rfftn")],
    _row("gumbel_softmax", _normal((9, 70)), tau=0.5),
    *[_row("fft.irfft", _normal((5, 36), (5, 36)), _irfft, n=n) for n in (70, 71)],
]
