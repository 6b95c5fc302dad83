"""What all scalers share: statistics of the training data in one pass, and the map they make, as a layer too."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from typing import Any, Self

import numpy as np

from ..autograd.tensor import Tensor
from ..device import Array, array_module, is_array, is_floating
from ..nn.module import Module
from ..system.checks import check_counts, check_numbers

#: Elements of the data that are taken at once in float64: 32 MiB. More change nothing in speed.
_BLOCK = 1 << 22


class Scaler(Module):
    """Base of the scalers: what is fitted is state (buffers in float64), so it is saved with a model and moves with it.

    `fit` sees the training data alone, whole or in batches; `merge` joins what several processes saw. `transform` is
    differentiable: a Tensor gives a Tensor, an array an array, of its own dtype (float32 of integers). As a layer, a
    scaler is its `transform`; `fold_scaler` then puts it into the `Linear` behind it.

    Args:
        features: shape of one sample's statistics, or a number of features; None: that of the first data. Needed
            before `load_state_dict` alone.
        axis: the axes over which statistics are taken, 0 among them: ``(0, 2, 3)`` for one value a channel of (N, C,
            H, W).
    """

    count: Tensor  # samples seen, int64
    _names: tuple[str, ...]  # of the buffers that hold what was seen of each feature

    def __init__(self, features: int | tuple[int, ...] | None = None, *, axis: int | tuple[int, ...] = 0) -> None:
        """Make a scaler that has seen nothing."""
        axes = tuple(axis) if isinstance(axis, (tuple, list)) else (axis,)
        for a in axes:
            check_counts(type(self).__name__, 0, axis=a)
        self.axis = tuple(int(a) for a in axes)
        if 0 not in self.axis:
            raise ValueError(f"{type(self).__name__}: axis must hold 0, got {axis!r}")
        self.register_buffer("count", np.zeros((), np.int64))
        for name in self._names:
            self.register_buffer(name, None)
        if features is not None:
            self._reset((int(features),) if isinstance(features, (int, np.integer)) else tuple(features), np)

    @property
    def fitted(self) -> bool:
        """Whether any data was seen."""
        return bool(self.count.data > 0)

    def fit(self, data: Any) -> Self:
        """Forget what was seen, and see this: an array (N, ...), or an iterable of batches, such as a `Loader`.

        Of a batch that is a tuple the first array is taken.

        Raises:
            TypeError: data that are no real numbers.
            ValueError: no sample, NaN or inf, or another shape than before; what was fitted before is kept.
        """
        fresh = copy.deepcopy(self)
        fresh.count.data = np.zeros((), np.int64)
        for batch in [data] if isinstance(data, Tensor) or is_array(data) else data:
            fresh.partial_fit(batch[0] if isinstance(batch, (tuple, list)) else batch)
        if not fresh.fitted:
            raise ValueError(f"{type(self).__name__}.fit: the data must hold a sample at least, got none")
        return self._take_over(fresh)

    def partial_fit(self, x: Any) -> Self:
        """See one more batch; `fit` on all batches gives the same."""
        x = self._checked(x)
        if len(x) and math.prod(x.shape):
            shape = self._shape_of(x)
            if not self.fitted:
                self._reset(shape, array_module(x))
            for block in _blocks(x):
                self._see(block.astype(np.float64))
        return self

    def merge(self, other: Self) -> Self:
        """Add what another scaler of the same kind saw of other data.

        Raises:
            TypeError: `other` is of another class. ValueError: it has other features.
        """
        if type(other) is not type(self):
            raise TypeError(f"{type(self).__name__}.merge: other must be one too, got {type(other).__name__}")
        if not self.fitted:
            return self._take_over(copy.deepcopy(other))
        if other.fitted:
            mine, theirs = (getattr(s, self._names[0]).shape for s in (self, other))
            if mine != theirs:
                raise ValueError(f"{type(self).__name__}.merge: features must have shape {mine}, got {theirs}")
            self._join(int(other.count.data), *(getattr(other, name).data for name in self._names))
        return self

    def transform(self, x: Any) -> Any:
        """Return the scaled data: an array for an array, a Tensor for a Tensor.

        Raises:
            RuntimeError: nothing was fitted. ValueError: `x` has other features.
        """
        return self._apply(self._ready(x, "transform"))

    def inverse_transform(self, y: Any) -> Any:
        """Return the data that `transform` makes `y` of, but for what it dropped; an array or a Tensor, as `y` is."""
        return self._invert(self._ready(y, "inverse_transform"))

    def fit_transform(self, x: Any) -> Any:
        """Return ``fit(x).transform(x)``."""
        return self.fit(x).transform(x)

    def forward(self, x: Any) -> Any:
        """Scale; see `transform`."""
        return self.transform(x if isinstance(x, Tensor) else Tensor(x))

    def affine(self) -> tuple[Array, Array]:
        """Return ``(A, b)``, float64, with ``transform(x) = A @ x + b`` for flat samples; A is 1-D where diagonal."""
        raise NotImplementedError

    def _see(self, x: Array) -> None:
        raise NotImplementedError

    def _join(self, count: int, *statistics: Array) -> None:
        raise NotImplementedError

    def _apply(self, x: Any) -> Any:
        raise NotImplementedError

    def _invert(self, y: Any) -> Any:
        raise NotImplementedError

    def _reset(self, features: tuple[int, ...], xp: Any) -> None:
        """Make the buffers of a scaler that has seen nothing."""
        self.count.data = xp.zeros((), np.int64)
        for name in self._names:
            self.register_buffer(name, xp.zeros(features, np.float64))

    def _take_over(self, other: Scaler) -> Self:
        self.count.data = other.count.data
        for name in self._names:
            self.register_buffer(name, getattr(other, name))
        return self

    def _checked(self, x: Any) -> Array:
        """Return data as a real array whose features are those that are known."""
        who = f"{type(self).__name__}.fit"
        x = x.data if isinstance(x, Tensor) else x
        x = x if is_array(x) else np.asarray(x)
        if x.dtype.kind not in "fiub" and not is_floating(x.dtype):
            raise TypeError(f"{who}: the data must be real numbers, got {x.dtype}")
        if x.ndim <= max(self.axis) or x.ndim < 2:
            raise ValueError(f"{who}: the data must have shape (N, ...) with axes {self.axis}, got {x.shape}")
        self._check_features(who, x)
        if is_floating(x.dtype) and not bool(array_module(x).isfinite(x).all()):
            raise ValueError(f"{who}: the data must be finite, got NaN or inf")
        return x

    def _shape_of(self, x: Any) -> tuple[int, ...]:
        """Return the shape of the statistics of data like `x`, which broadcast against a sample."""
        return tuple(1 if axis in self.axis else size for axis, size in enumerate(x.shape))[1:]

    def _known(self) -> tuple[int, ...] | None:
        """Return the shape of the statistics, if data or the user told it."""
        first = getattr(self, self._names[0])
        return None if first is None else first.shape

    def _check_features(self, who: str, x: Any) -> None:
        known = self._known()
        if known is not None and (x.ndim < 2 or self._shape_of(x) != known):
            raise ValueError(f"{who}: samples must have features of shape {known}, got data of shape {x.shape}")

    def _ready(self, x: Any, method: str) -> Any:
        """Return floating data that the fitted map may be applied to."""
        who = f"{type(self).__name__}.{method}"
        if not self.fitted:
            raise RuntimeError(f"{who}: nothing was fitted yet; call fit(training data) first")
        x = x if isinstance(x, Tensor) or is_array(x) else np.asarray(x)
        self._check_features(who, x)
        return x if is_floating(x.dtype) else x.astype(np.float32)


class MomentScaler(Scaler):
    """Base of the scalers by mean and second moments: variances, or a covariance.

    Its second buffer holds the sums of ``self._second`` of deviations from the mean.

    Source: batches are joined by Chan, Golub & LeVeque 1979, "Updating formulae and a pairwise algorithm for computing
    sample variances", equations 2.1.
    """

    mean: Tensor

    def __init__(self, features: Any, axis: int | tuple[int, ...], eps: float, ddof: int) -> None:
        """Make a scaler that has seen nothing."""
        super().__init__(features, axis=axis)
        check_counts(type(self).__name__, 0, ddof=ddof)
        self.eps, self.ddof = _shrinkage(type(self).__name__, eps), ddof

    def _second(self, away: Array) -> Array:
        """Return the sums over samples of the products of deviations."""
        raise NotImplementedError

    def _moments(self) -> Array:
        """Return the second moments, float64, without `eps`."""
        return getattr(self, self._names[1]).data / max(1, int(self.count.data) - self.ddof)

    def _see(self, x: Array) -> None:
        # Deviations from a sample, or from the mean so far, are exactly 0 for a constant feature.
        first = x[tuple(slice(0, 1) if a in self.axis else slice(None) for a in range(x.ndim))][0]
        guess = self.mean.data if self.fitted else first
        away = x - guess
        offset = away.mean(axis=self.axis, keepdims=True)[0]
        away -= offset
        self._join(math.prod(x.shape[a] for a in self.axis), guess + offset, self._second(away))

    def _join(self, count: int, *statistics: Array) -> None:
        mean, second = statistics
        own, before = getattr(self, self._names[1]), int(self.count.data)
        if before:
            away = mean - self.mean.data
            mean = self.mean.data + away * (count / (before + count))
            second = own.data + second + self._second(away[None]) * (before * count / (before + count))
        self.mean.data, own.data = mean, second
        self.count.data = self.count.data + count


def _shrinkage(owner: str, eps: float) -> float:
    """Return `eps` if it is a finite number of 0 or more; else raise an error that names `owner`."""
    check_numbers(owner, eps=eps)
    if not 0 <= eps < math.inf:
        raise ValueError(f"{owner}: eps must be finite and not negative, got {eps}")
    return float(eps)


def _blocks(x: Array) -> Iterator[Array]:
    step = max(1, _BLOCK // math.prod(x.shape[1:]))
    return (x[k : k + step] for k in range(0, len(x), step))
