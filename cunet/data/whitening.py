"""Whitening: linear maps after which the features of the training data are uncorrelated and have variance 1."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autograd.tensor import Tensor
from ..device import Array, array_module
from .scaler import MomentScaler, Scaler


class Whitening(MomentScaler):
    """Base of the whitenings ``y = W @ (x - mean)`` with ``W @ (cov + eps * I) @ W.T = I``.

    Samples (N, ...) are taken as rows of d features. Mean and covariance are found in one pass in float64; memory is
    that of d * d numbers. A direction in which the data do not vary (an eigenvalue of at most ``d * 2.2e-16`` times the
    largest one) is dropped, unless `eps` gives it a variance.

    Args:
        features: see `Scaler`.
        eps: shrinkage, added to each eigenvalue of the covariance, so that directions that are all noise are not
            blown up.
        ddof: the covariance is ``sum((x - mean) @ (x - mean).T) / (N - ddof)``.

    Source: Kessy, Lewin & Strimmer 2018, "Optimal whitening and decorrelation", table 1. Batches are joined as in
    `MomentScaler`.
    """

    scatter: Tensor
    _names = ("mean", "scatter")
    _wide = frozenset(_names)

    def __init__(self, features: int | tuple[int, ...] | None = None, *, eps: float = 0.0, ddof: int = 0) -> None:
        """Make a whitening that has seen nothing."""
        super().__init__(features, 0, eps, ddof)
        self._maps: tuple[Array, Array, Array, Array] | None = None  # mean and scatter, and the maps made of them

    @property
    def covariance(self) -> Array:
        """The covariance (d, d) of what was seen, float64, without `eps`."""
        return self._moments()

    def maps(self) -> tuple[Array, Array]:
        """Return W (k, d), and its inverse (d, k), or its pseudo-inverse where directions were dropped; float64."""
        mean, scatter = self.mean.data, self.scatter.data
        if self._maps is None or self._maps[0] is not mean or self._maps[1] is not scatter:
            self._maps = (mean, scatter, *self._solve(self.covariance))
        return self._maps[2:]

    def _solve(self, covariance: Array) -> tuple[Array, Array]:
        raise NotImplementedError

    def _spectrum(self, covariance: Array) -> tuple[Array, Array]:
        """Return the eigenvalues, the largest first, and eigenvectors in columns; those without variance left out.

        The largest entry of each vector is positive, so that they do not depend on the solver.
        """
        xp = array_module(covariance)
        values, vectors = xp.linalg.eigh(covariance)
        values, vectors = values[::-1], vectors[:, ::-1]
        kept = values > values[0] * len(values) * np.finfo(np.float64).eps
        values = xp.maximum(values, 0) + self.eps
        kept = kept | (values > 0 if self.eps else False)
        values, vectors = values[kept], vectors[:, kept]
        largest = xp.take_along_axis(vectors, abs(vectors).argmax(axis=0)[None], axis=0)
        return values, vectors * xp.where(largest < 0, -1.0, 1.0)

    def _reset(self, features: tuple[int, ...], xp: Any) -> None:
        super()._reset(features, xp)
        size = int(np.prod(features))
        self.register_buffer("scatter", xp.zeros((size, size), np.float64))

    def _second(self, away: Array) -> Array:
        rows = away.reshape(len(away), -1)
        return rows.T @ rows

    def _apply(self, x: Any) -> Any:
        rows = (x - self.mean.data.astype(x.dtype)).reshape(len(x), -1)
        return rows @ self.maps()[0].T.astype(x.dtype)

    def _invert(self, y: Any) -> Any:
        rows = y @ self.maps()[1].T.astype(y.dtype)
        return rows.reshape(len(y), *self.mean.shape) + self.mean.data.astype(y.dtype)

    def _check_features(self, who: str, x: Any) -> None:
        if not who.endswith("inverse_transform"):
            return super()._check_features(who, x)
        if x.shape[1:] != (len(self.maps()[0]),):
            raise ValueError(f"{who}: y must have shape (N, {len(self.maps()[0])}), got {x.shape}")

    def affine(self) -> tuple[Array, Array]:
        """Return ``(W, b)``, float64, with ``transform(x) = W @ x + b`` for flat samples."""
        matrix = self.maps()[0]
        return matrix, -matrix @ self.mean.data.reshape(-1)


class PCAWhitening(Whitening):
    """Whiten along the principal components: ``W = diag(1 / sqrt(values + eps)) @ vectors.T``, the largest first.

    Samples (N, ...) are taken as rows of d features. The result has as many as the data have directions: one in which
    they do not vary is dropped, unless `eps` gives it a variance.

    Args:
        features: shape of a sample, or a number of features; None: that of the first data. Needed before
            `load_state_dict` alone.
        eps: added to each eigenvalue of the covariance, so that directions that are all noise are not blown up.
        ddof: the covariance is ``sum((x - mean) @ (x - mean).T) / (N - ddof)``.

    Raises:
        ValueError: `eps` is negative or not finite.

    Source: Kessy, Lewin & Strimmer 2018, "Optimal whitening and decorrelation", table 1.

    Example:
        >>> from cunet.data import PCAWhitening
        >>> x = np.array([[3.0, 3.0], [-3.0, -3.0], [1.0, -1.0], [-1.0, 1.0]])
        >>> y = PCAWhitening().fit_transform(x)
        >>> y.round(4) + 0.0
        array([[ 1.4142,  0.    ],
               [-1.4142,  0.    ],
               [ 0.    ,  1.4142],
               [ 0.    , -1.4142]])
        >>> (y.T @ y / 4).round(4) + 0.0
        array([[1., 0.],
               [0., 1.]])
    """

    def _solve(self, covariance: Array) -> tuple[Array, Array]:
        values, vectors = self._spectrum(covariance)
        root = array_module(values).sqrt(values)
        return (vectors / root).T, vectors * root


class ZCAWhitening(Whitening):
    """Whiten and stay as close to the data as can be: ``W = vectors @ diag(1 / sqrt(values + eps)) @ vectors.T``.

    Of all whitenings it has the least mean squared distance to the data; what it makes of images looks like them.
    Directions in which the data do not vary become 0. The result has the shape of the data.

    Args:
        features, eps, ddof: as for `PCAWhitening`.

    Raises:
        ValueError: `eps` is negative or not finite.

    Example:
        >>> from cunet.data import ZCAWhitening
        >>> x = np.array([[3.0, 3.0], [-3.0, -3.0], [1.0, -1.0], [-1.0, 1.0]])
        >>> ZCAWhitening().fit_transform(x).round(4) + 0.0
        array([[ 1.,  1.],
               [-1., -1.],
               [ 1., -1.],
               [-1.,  1.]])
    """

    def _solve(self, covariance: Array) -> tuple[Array, Array]:
        values, vectors = self._spectrum(covariance)
        root = array_module(values).sqrt(values)
        return vectors / root @ vectors.T, vectors * root @ vectors.T

    def _apply(self, x: Any) -> Any:
        return super()._apply(x).reshape(x.shape)

    def _invert(self, y: Any) -> Any:
        return super()._invert(y.reshape(len(y), -1))

    def _check_features(self, who: str, x: Any) -> None:
        Scaler._check_features(self, who, x)


class CholeskyWhitening(Whitening):
    """Whiten each feature given those before it: W is the inverse of the lower Cholesky factor of ``cov + eps * I``.

    The map is a triangle: the first feature is only scaled. No direction can be dropped.

    Args:
        features, eps, ddof: as for `PCAWhitening`.

    Raises:
        ValueError: at first use: the covariance has no full rank and `eps` is 0.

    Example:
        >>> from cunet.data import CholeskyWhitening
        >>> x = np.array([[2.0, 2.0], [-2.0, -2.0], [2.0, 4.0], [-2.0, -4.0]])
        >>> CholeskyWhitening().fit_transform(x).round(4) + 0.0  # the first feature is only scaled
        array([[ 1., -1.],
               [-1.,  1.],
               [ 1.,  1.],
               [-1., -1.]])
    """

    def _solve(self, covariance: Array) -> tuple[Array, Array]:
        xp = array_module(covariance)
        values = xp.linalg.eigvalsh(covariance)
        if not bool(values[0] + self.eps > values[-1] * len(values) * np.finfo(np.float64).eps):
            raise ValueError(f"CholeskyWhitening: the covariance of {len(values)} features must have full rank, or eps "
                             "be more than 0; ZCAWhitening drops directions without variance")  # fmt: skip
        factor = xp.linalg.cholesky(covariance + self.eps * xp.eye(len(values)))
        return xp.linalg.inv(factor), factor
