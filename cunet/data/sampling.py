"""Orders of an epoch that are not plainly random, for `Loader(order=...)`."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..device import asnumpy, is_array
from ..random import Draw


class Weighted:
    """Draw each sample of an epoch by weights, again and again: some come several times and some not at all.

    ``Weighted(1 / np.bincount(y)[y])`` has all classes equally often.

    Args:
        weights: (N,), at least 0, in any scale.

    Raises:
        ValueError: a weight is negative or not finite, or all are 0.

    Example:
        >>> from cunet.data import Loader, Weighted
        >>> y = np.array([0] * 90 + [1] * 10)
        >>> loader = Loader(y, batch_size=100, order=Weighted(1 / np.bincount(y)[y]))
        >>> (batch,) = next(iter(loader))
        >>> 30 < int(batch.sum()) < 70  # about half, where there are 10
        True
    """

    def __init__(self, weights: Any) -> None:
        values = np.asarray(asnumpy(weights) if is_array(weights) else weights, np.float64)
        if values.ndim != 1 or not np.isfinite(values).all() or (values < 0).any() or not values.sum() > 0:
            lies = f"from {values.min()} to {values.max()}" if values.size else "none"
            raise ValueError(
                "Weighted: weights must have shape (N,), be finite, at least 0 and not all 0,"
                f" got shape {values.shape}, {lies}"
            )
        self.bounds = np.cumsum(values / values.sum())

    def __call__(self, draw: Draw, n: int) -> np.ndarray:
        """Return the places of an epoch's samples."""
        if len(self.bounds) != n:
            raise ValueError(f"Weighted: weights must have shape (N,) = ({n},), got ({len(self.bounds)},)")
        last = int(np.flatnonzero(np.diff(self.bounds, prepend=0.0))[-1])  # rounding may leave the sum below 1
        return np.minimum(np.searchsorted(self.bounds, draw.rng().random(n), side="right"), last)


class Stratified:
    """Go through all samples at random, so that each batch has the same shares of the labels, as numbers allow.

    Args:
        labels: (N,).

    Raises:
        ValueError: labels have not one axis; or, when an epoch begins, there is not one a sample.

    Example:
        >>> from cunet.data import Loader, Stratified
        >>> y = np.array([0] * 6 + [1] * 2)
        >>> loader = Loader(y, batch_size=4, order=Stratified(y))
        >>> [int(batch.sum()) for (batch,) in loader]  # a 1 in each batch
        [1, 1]
    """

    def __init__(self, labels: Any) -> None:
        values = np.asarray(asnumpy(labels) if is_array(labels) else labels)
        if values.ndim != 1:
            raise ValueError(f"Stratified: labels must have shape (N,), got {values.shape}")
        self.kinds = np.unique(values, return_inverse=True)[1]

    def __call__(self, draw: Draw, n: int) -> np.ndarray:
        """Return the places of an epoch's samples."""
        if len(self.kinds) != n:
            raise ValueError(f"Stratified: labels must have shape (N,) = ({n},), got ({len(self.kinds)},)")
        rng = draw.rng()
        chance, along = rng.random(n), np.empty(n)
        for kind in range(self.kinds.max(initial=-1) + 1):
            members = np.flatnonzero(self.kinds == kind)
            shuffled = members[np.argsort(chance[members], kind="stable")]
            along[shuffled] = (np.arange(len(members)) + rng.random()) / len(members)  # evenly over the epoch
        return np.argsort(along, kind="stable")
