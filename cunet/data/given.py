"""What a Loader is given, looked at before anything is made of it."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autograd.tensor import Tensor
from ..device import Array, device_of, is_array, is_floating, not_numbers
from ..system.checks import check_counts
from ..system.messages import foreign


def columns_of(data: tuple[Any, ...]) -> tuple[list[Any] | None, tuple[Any, ...]]:
    """Return the keys of a dict of arrays (else None), and what was given, with the arrays of a tuple or dict alone."""
    keys = None
    if len(data) == 1 and isinstance(data[0], (tuple, dict)) and data[0]:
        values = tuple(data[0].values()) if isinstance(data[0], dict) else data[0]
        if all(is_array(x) or isinstance(x, Tensor) for x in values):
            keys, data = list(data[0]) if isinstance(data[0], dict) else None, values
    return keys, tuple(x.data if isinstance(x, Tensor) else x for x in data)


def count_of(data: tuple[Any, ...]) -> int:
    """Return the number of samples in what was given to Loader, after checking that it makes sense."""
    if not data:
        raise TypeError("Loader: arrays or a dataset are required, got nothing")
    for number, x in enumerate(data):
        if not is_array(x):
            if len(data) > 1:
                raise TypeError(f"Loader: several arguments must all be arrays, number {number} is {foreign(x)}")
            if hasattr(x, "to_numpy") or not (hasattr(x, "__len__") and hasattr(x, "__getitem__")):
                raise TypeError(f"Loader: arrays or an object with len() and [i] are required, got {foreign(x)}")
        elif wrong := not_numbers(x):
            raise TypeError(f"Loader: arrays must hold numbers, but number {number} is {wrong}")
        elif x.ndim == 0:
            raise ValueError(f"Loader: arrays must have at least one axis, number {number} has none")
        elif len(x) != len(data[0]):
            raise ValueError(
                f"Loader: arrays must have equal lengths, but number 0 has shape {data[0].shape}"
                f" and number {number} has shape {x.shape}"
            )
    if len(data[0]) == 0:
        raise ValueError("Loader: there must be at least one sample, got none")
    return len(data[0])


def floating(dtype: Any) -> np.dtype:
    """Return a floating dtype, or raise TypeError."""
    dtype = np.dtype(dtype)
    if not is_floating(dtype):
        raise TypeError(f"Loader: dtype must be floating, got {dtype}")
    return dtype


def check_devices(arrays: tuple[Array, ...]) -> None:
    """Raise ValueError unless arrays are on one device."""
    devices = [device_of(x) for x in arrays]
    if len(set(devices)) > 1:
        raise ValueError(f"Loader: arrays must be on one device, got {', '.join(devices)}; pass device= to move them")


def worker_count(workers: Any, start_method: Any, arrays: bool) -> int:
    """Return how many processes make samples.

    Raises:
        ValueError: it is negative, or processes cannot be begun by this method here.
        TypeError: arrays were given, of which no sample has to be made.
    """
    check_counts("Loader", 0, workers=workers)
    count = int(workers)
    if count and arrays:
        raise TypeError(
            "Loader: workers are for datasets, whose samples take time to make, but arrays were given, of which a batch"
            " is cut at once: leave workers out"
        )
    if start_method is not None:
        from multiprocessing import get_all_start_methods

        if start_method not in (known := get_all_start_methods()):
            raise ValueError(f"Loader: start_method must be one of {', '.join(known)} here, got {start_method!r}")
    return count
