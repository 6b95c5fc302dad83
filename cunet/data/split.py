"""Parts of data: to train on and to validate on, once or fold by fold."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..autograd.tensor import Tensor
from ..device import Array, asnumpy, is_array, like
from ..random import Draw, Generator, default_generator
from ..system.extras import extra
from .loader import Loader, permutation


class Subset:
    """Some samples of a dataset."""

    def __init__(self, dataset: Any, indices: np.ndarray) -> None:
        self.dataset, self.indices = dataset, indices

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self.indices)

    def __getitem__(self, i: int) -> Any:
        """Return a sample."""
        return self.dataset[int(self.indices[i])]


def split(
    *data: Any, share: float = 0.2, stratify: Any = None, generator: Generator | None = None
) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """Return data without a share of its samples, drawn at random, and those samples; each in the order they had.

    Args:
        data: arrays of equal length, NumPy's or CuPy's, or one dataset.
        share: of the second part, above 0 and below 1.
        stratify: labels (N,), of which both parts then have the same shares, as far as numbers allow.
        generator: where the order is drawn from; default: the stream "split".

    Raises:
        ValueError: one of the parts would be empty, or there is not one label a sample.

    Example:
        >>> from cunet import data
        >>> labels = np.arange(10) % 2
        >>> (x, y), (x_valid, y_valid) = data.split(np.arange(10.0), labels, share=0.4, stratify=labels)
        >>> np.bincount(y), np.bincount(y_valid)
        (array([3, 3]), array([2, 2]))
    """
    loader = Loader(*data)
    labels = None if stratify is None else _host(stratify)
    if labels is not None and labels.shape != (loader.n_samples,):
        raise ValueError(f"split: stratify must have shape (N,) = ({loader.n_samples},), got {labels.shape}")
    if not 0 < share < 1 or not 0 < round(share * loader.n_samples) < loader.n_samples:
        raise ValueError(f"split: share={share} of {loader.n_samples} samples leaves one of the parts empty")
    first, second = places((generator or default_generator("split")).next(), loader.n_samples, share, labels)
    return rows_of(loader, first), rows_of(loader, second)


def folds(
    splitter: Any, *data: Any, labels: Any = None, groups: Any = None, generator: Generator | None = None
) -> Iterator[tuple[tuple[Any, ...], tuple[Any, ...]]]:
    """Yield for each fold the samples to train on, and those to validate on, as scikit-learn divides them.

    Args:
        splitter: the number of folds, of about equal size, drawn at random; or an object of `sklearn.model_selection`
            with ``split``, such as ``GroupKFold(5)`` or ``TimeSeriesSplit()``.
        data: arrays of equal length, NumPy's or CuPy's, or one dataset.
        labels: (N,), handed to the splitter; with a number of folds, all have the same shares of them.
        groups: (N,), handed to the splitter.
        generator: where folds are drawn from; default: the stream "split".

    Raises:
        ImportError: scikit-learn is not installed: ``pip install "cunet[sklearn]"``.
        ValueError: by scikit-learn: there are too few samples.

    Example:
        >>> from cunet.data import folds
        >>> x, y = np.arange(6.0), np.array([0, 1] * 3)
        >>> [(len(x_train), np.bincount(y_valid)) for (x_train, _), (_, y_valid) in folds(3, x, y, labels=y)]
        [(4, array([1, 1])), (4, array([1, 1])), (4, array([1, 1]))]
    """
    loader = Loader(*data)
    y, among = (None if given is None else _host(given) for given in (labels, groups))
    if not hasattr(splitter, "split"):
        kinds = extra("sklearn.model_selection", "sklearn", "folds")
        kind = kinds.KFold if y is None else kinds.StratifiedKFold
        seed = int((generator or default_generator("split")).rng().integers(1 << 31))
        splitter = kind(splitter, shuffle=True, random_state=seed)
    for train, valid in splitter.split(np.zeros((loader.n_samples, 1)), y, among):
        yield rows_of(loader, train), rows_of(loader, valid)


def places(draw: Draw, n: int, share: float, labels: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Return where the samples of two parts are, of which the second has ``round(share * n)``, each rising."""
    order, count = permutation(draw, n), round(share * n)
    if labels is not None:
        order = order[np.argsort(labels[order], kind="stable")]
        chosen = np.zeros(n, bool)
        chosen[((np.arange(count) + 0.5) * n / count).astype(np.int64)] = True  # evenly, so of all labels alike
    else:
        chosen = np.arange(n) < count
    return np.sort(order[~chosen]), np.sort(order[chosen])


def rows_of(loader: Loader, indices: np.ndarray) -> tuple[Any, ...]:
    """Return some samples of a loader's arrays, or of its dataset."""
    if loader.arrays is None:
        return (Subset(loader.dataset, indices),)
    return tuple(_rows(array, indices) for array in loader.arrays)


def _rows(array: Array, indices: np.ndarray) -> Array:
    return array[like(indices, array)]


def _host(values: Any) -> np.ndarray:
    values = values.data if isinstance(values, Tensor) else values
    return asnumpy(values) if is_array(values) else np.asarray(values)
