"""Batches as a Trainer wants them: tuples of arrays on its device, floating ones in the dtype of its model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ..autograd.tensor import Tensor, as_array
from ..data import Loader
from ..data.upload import uploaded
from ..device import Array, is_array, is_floating
from ..system.messages import shown
from .arguments import is_dataset
from .metrics.scores import as_plain

#: Samples per batch where nothing else is said.
BATCH_SIZE = 128


def as_loader(
    data: Any, dtype: Any, shuffle: bool = False, device: str | None = None, batch_size: int | None = None
) -> Any:
    """Return data to go through, floating arrays converted once: a Loader of arrays or a dataset, or what was given."""
    size = BATCH_SIZE if batch_size is None else batch_size
    if isinstance(data, tuple):
        return Loader(*data, batch_size=size, shuffle=shuffle, device=device, dtype=dtype)
    if is_dataset(data):
        return Loader(data, batch_size=size, shuffle=shuffle)
    return data.astype(dtype) if isinstance(data, Loader) and dtype is not None else data


def batches(data: Any, dtype: Any, device: str) -> Iterator[tuple[Array, ...]]:
    """Yield the batches of data as tuples of arrays.

    Raises:
        TypeError: a batch is a dict, or its target has no axis of samples.
    """
    for batch in data:
        if isinstance(batch, dict):
            raise TypeError("Trainer: a batch must be a tuple (*inputs, target), got a dict")
        parts = batch if isinstance(batch, (tuple, list)) else (batch,)
        arrays = tuple([placed(part, dtype, device) for part in parts])
        if not arrays or not arrays[-1].ndim:
            shapes = ", ".join(str(a.shape) for a in arrays)
            raise TypeError(
                f"Trainer: a batch must be (*inputs, target), all with an axis of samples, got shapes ({shapes});"
                " single samples go into a Loader, which makes batches of them"
            )
        yield arrays


def placed(part: Any, dtype: Any, device: str) -> Array:
    """Return a part of a batch as an array on the device; a foreign tensor is read through NumPy's protocol."""
    part = part.data if isinstance(part, Tensor) else part
    if type(part) is not np.ndarray:
        part = as_array(np.asarray(part) if hasattr(part, "__array__") and not is_array(part) else part)
    if dtype is not None and part.dtype != dtype and is_floating(part.dtype):
        part = part.astype(dtype)
    return uploaded(part, device)


def n_samples(data: Any) -> int | None:
    """Return how many samples an epoch has, where the data tells, for the bar."""
    if isinstance(data, Loader):
        return min(data.n_samples, len(data) * data.batch_size)
    return None


def augmented(augment: Callable[..., Any], batch: tuple[Array, ...]) -> tuple[Array, ...]:
    """Return what an augmentation makes of a batch.

    Raises:
        TypeError: it returned no tuple (\\*inputs, target).
    """
    changed = augment(*batch)
    if not isinstance(changed, (tuple, list)) or len(changed) != len(batch):
        got = len(changed) if isinstance(changed, (tuple, list)) else shown(changed)
        raise TypeError(f"Trainer: augment must return a tuple (*inputs, target) of {len(batch)} arrays, got {got}")
    return tuple(as_plain(part) for part in changed)
