"""Scalers of each feature by itself: to a range, or to mean 0 and variance 1."""

from __future__ import annotations

import math
from typing import Any

from ..autograd.tensor import Tensor
from ..device import Array, array_module
from ..system.checks import check_numbers
from .scaler import MomentScaler, Scaler


class MinMaxScaler(Scaler):
    """Map each feature's range in the training data to [low, high]: ``low + (x - min) / (max - min) * (high - low)``.

    A feature that is constant there is not divided: it becomes ``low + x - min``. Data beyond the range go beyond.

    Args:
        features: shape of one sample's statistics, or a number of features; None: that of the first data. Needed
            before `load_state_dict` alone.
        axis: the axes over which statistics are taken, 0 among them: ``(0, 2, 3)`` for one value a channel of (N, C,
            H, W).
        feature_range: (low, high).

    Raises:
        ValueError: `feature_range` does not rise; `axis` has no 0, or a negative one.

    Source: scikit-learn's class of that name, whose results these are to 1e-10.

    Example:
        >>> from cunet.data import MinMaxScaler
        >>> scaler = MinMaxScaler().fit(np.array([[0.0, 10.0], [4.0, 20.0]]))
        >>> scaler.transform(np.array([[1.0, 15.0], [8.0, 10.0]]))
        array([[0.25, 0.5 ],
               [2.  , 0.  ]])
    """

    minimum: Tensor
    maximum: Tensor
    _names = ("minimum", "maximum")
    _wide = frozenset(_names)

    def __init__(
        self,
        features: int | tuple[int, ...] | None = None,
        *,
        axis: int | tuple[int, ...] = 0,
        feature_range: tuple[float, float] = (0.0, 1.0),
    ) -> None:
        """Make a scaler that has seen nothing."""
        super().__init__(features, axis=axis)
        ends = feature_range if isinstance(feature_range, (tuple, list)) else ()
        for end in ends:
            check_numbers("MinMaxScaler", feature_range=end)
        if len(ends) != 2 or not ends[0] < ends[1]:
            raise ValueError(f"MinMaxScaler: feature_range must be (low, high) with low < high, got {feature_range}")
        self.low, self.high = map(float, ends)

    def _see(self, x: Array) -> None:
        least, most = (f(axis=self.axis, keepdims=True)[0] for f in (x.min, x.max))
        self._join(math.prod(x.shape[a] for a in self.axis), least, most)

    def _join(self, count: int, *statistics: Array) -> None:
        least, most = statistics
        xp = array_module(least)
        if self.fitted:
            least, most = xp.minimum(least, self.minimum.data), xp.maximum(most, self.maximum.data)
        self.minimum.data, self.maximum.data = least, most
        self.count.data = self.count.data + count

    def _scale(self) -> Array:
        span = self.maximum.data - self.minimum.data
        return (self.high - self.low) / array_module(span).where(span > 0, span, self.high - self.low)

    def _apply(self, x: Any) -> Any:
        return (x - self.minimum.data.astype(x.dtype)) * self._scale().astype(x.dtype) + self.low

    def _invert(self, y: Any) -> Any:
        return (y - self.low) / self._scale().astype(y.dtype) + self.minimum.data.astype(y.dtype)

    def affine(self) -> tuple[Array, Array]:
        """Return ``(a, b)``, float64, with ``transform(x) = a * x + b`` for flat samples."""
        scale = self._scale().reshape(-1)
        return scale, self.low - scale * self.minimum.data.reshape(-1)


class StandardScaler(MomentScaler):
    """Give each feature mean 0 and variance 1 over the training data: ``(x - mean) / sqrt(var + eps)``.

    A feature that is constant there becomes 0: it is divided by 1, or ``sqrt(eps)`` if that is not 0.

    Args:
        features, axis: as for `MinMaxScaler`.
        eps: added to the variances.
        ddof: variances are ``sum((x - mean)**2) / (N - ddof)``.

    Raises:
        ValueError: `axis` has no 0, or a negative one; `eps` is negative or not finite.

    Example:
        >>> from cunet.data import StandardScaler
        >>> scaler = StandardScaler().fit(np.array([[0.0, 10.0], [4.0, 10.0]]))  # the training data
        >>> y = scaler.transform(np.array([[6.0, 11.0]]))
        >>> y, scaler.inverse_transform(y)
        (array([[2., 1.]]), array([[ 6., 11.]]))
    """

    squares: Tensor
    _names = ("mean", "squares")
    _wide = frozenset(_names)

    def __init__(
        self,
        features: int | tuple[int, ...] | None = None,
        *,
        axis: int | tuple[int, ...] = 0,
        eps: float = 0.0,
        ddof: int = 0,
    ) -> None:
        """Make a scaler that has seen nothing."""
        super().__init__(features, axis, eps, ddof)

    @property
    def var(self) -> Array:
        """The variances, float64, without `eps`."""
        return self._moments()

    def _second(self, away: Array) -> Array:
        return (away * away).sum(axis=self.axis, keepdims=True)[0]

    def _divisor(self) -> Array:
        spread = array_module(self.var).sqrt(self.var + self.eps)
        return array_module(spread).where(spread > 0, spread, 1.0)

    def _apply(self, x: Any) -> Any:
        return (x - self.mean.data.astype(x.dtype)) / self._divisor().astype(x.dtype)

    def _invert(self, y: Any) -> Any:
        return y * self._divisor().astype(y.dtype) + self.mean.data.astype(y.dtype)

    def affine(self) -> tuple[Array, Array]:
        """Return ``(a, b)``, float64, with ``transform(x) = a * x + b`` for flat samples."""
        scale = 1 / self._divisor().reshape(-1)
        return scale, -scale * self.mean.data.reshape(-1)
