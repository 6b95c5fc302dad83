"""Batches from samples of a dataset."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autograd.tensor import Tensor
from ..device import Array, array_module, is_array, not_numbers
from ..system.messages import foreign


def collate(samples: list[Any]) -> Any:
    """Stack samples of one kind along a new first axis.

    Tuples and lists give a tuple, dicts a dict, each entry stacked by itself; anything else must be an array or a
    number. Python floats become float32, other numbers keep NumPy's dtype for them.

    Raises:
        ValueError: samples differ in shape, length or keys.
        TypeError: samples are no numbers, such as strings.

    Example:
        >>> from cunet.data import collate
        >>> x, y = collate([(np.zeros(3), 1), (np.ones(3), 0)])
        >>> x.shape, y
        ((2, 3), array([1, 0]))
    """
    first = samples[0]
    if isinstance(first, (tuple, list)):
        if len({len(sample) for sample in samples}) > 1:
            raise ValueError(f"collate: samples must have equal lengths, got {sorted({len(s) for s in samples})}")
        return tuple(collate(list(column)) for column in zip(*samples, strict=True))
    if isinstance(first, dict):
        for sample in samples:
            if sample.keys() != first.keys():
                raise ValueError(f"collate: samples must have equal keys, got {list(first)} and {list(sample)}")
        return {key: collate([sample[key] for sample in samples]) for key in first}
    arrays = [_as_array(sample) for sample in samples]
    for number, array in enumerate(arrays):
        if array.shape != arrays[0].shape:
            raise ValueError(
                f"collate: samples must have equal shapes, got {arrays[0].shape} and {array.shape} (numbers 0 and"
                f" {number} of the batch); make them equal in the dataset, or give Loader a collate= of your own"
            )
    return array_module(*arrays).stack(arrays)


def batch_of(samples: list[Any]) -> Any:
    """Return what `collate` does, but always a tuple or dict, as Loader yields for arrays."""
    batch = collate(samples)
    return batch if isinstance(batch, (tuple, dict)) else (batch,)


def _as_array(sample: Any) -> Array:
    if isinstance(sample, Tensor):
        return sample.data
    array = sample if is_array(sample) else np.asarray(sample, np.float32 if type(sample) is float else None)
    if wrong := not_numbers(array):
        raise TypeError(f"collate: samples must be numbers, got {wrong if is_array(sample) else foreign(sample)}")
    return array
