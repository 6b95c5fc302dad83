"""Batches from arrays in memory or from a dataset, in an order that can be drawn again."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..autograd.tensor import Tensor
from ..device import Array, device_of, is_array, is_floating, like, not_numbers, resolve_device, to_device
from ..random import Draw, Generator, default_generator
from ..system.checks import check_counts
from ..system.messages import foreign
from .collation import batch_of
from .upload import uploaded


@dataclass
class _Epoch:
    """Where an epoch stands: its draw (None: in order) and the number of the batch that comes next."""

    draw: Draw | None
    next_batch: int = 0


@dataclass
class _Position:
    """The epoch of the newest iteration, which `state_dict` reports, and what the next iteration goes on with."""

    epoch: _Epoch | None = None
    resume: _Epoch | None = None


class Loader:
    """Yield the batches of an epoch each time it is iterated over; iterations may be nested.

    Args:
        data: arrays of equal length (NumPy or CuPy; Tensors give their arrays), also as one tuple, or as one dict
            (then batches are dicts); or one dataset: anything with ``len(dataset)`` and ``dataset[i]``. Batches of
            arrays are cut in bulk: without `shuffle` they are views, with it one gather per array. Samples of a dataset
            are fetched one by one and given to `collate`.
        batch_size: samples per batch; the last batch of an epoch may be shorter.
        shuffle: whether each epoch has a new random order.
        order: how that order is made, which it implies: ``order(draw, n)`` returns the places of n samples, such as
            `Weighted` and `Stratified` do; default: each sample once.
        drop_last: whether to leave out a last batch that is shorter.
        generator: where the orders are drawn from, one draw per epoch; default: the stream "loader" of
            `cunet.manual_seed`.
        device: "cpu", "gpu" or "auto": arrays are moved there once, now, and each batch is cut there; batches of a
            dataset are moved one by one. Default: they stay where they are.
        collate: makes a batch from a list of samples; default: `collate`.
        dtype: floating arrays are converted to it once, now (those mapped from files, and batches of a dataset, when
            they are cut); integers stay what they are. Default: all keep theirs.

    Yields:
        Tuples of arrays, one per array in `data` (of a dict: dicts); from a dataset, what `collate` makes.

    Raises:
        ValueError: arrays differ in length or device; there is no sample or no batch; `batch_size` is below 1.
        TypeError: `data` is neither arrays of numbers nor one dataset; `dtype` does not float.
    """

    def __init__(
        self,
        *data: Any,
        batch_size: int = 128,
        shuffle: bool = False,
        drop_last: bool = False,
        generator: Generator | None = None,
        device: str | None = None,
        collate: Callable[[list[Any]], Any] | None = None,
        dtype: Any = None,
        order: Callable[[Draw, int], np.ndarray] | None = None,
    ) -> None:
        """Check the data and move arrays; see the class for the arguments."""
        self._keys, data = _columns(data)
        self.n_samples = _n_samples(data)
        check_counts("Loader", batch_size=batch_size)
        self.batch_size = int(batch_size)
        if drop_last and self.n_samples < self.batch_size:
            raise ValueError(
                f"Loader: drop_last=True leaves no batch: {self.n_samples} samples, batch_size {self.batch_size}"
            )
        self.shuffle, self.drop_last, self.order = shuffle or order is not None, drop_last, order or permutation
        self.generator = generator
        self.device = None if device is None else resolve_device(device)
        self.dtype = None if dtype is None else _floating(dtype)
        self.collate = collate or batch_of
        self.arrays = self.dataset = None
        if is_array(data[0]):
            if collate is not None:
                raise TypeError("Loader: collate is for datasets, but arrays were given")
            self.arrays = tuple(self._held(x) for x in data)
            _check_devices(self.arrays)
        else:
            self.dataset = data[0]
        self._position = _Position()

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""
        whole, rest = divmod(self.n_samples, self.batch_size)
        return whole + (rest > 0 and not self.drop_last)

    def __iter__(self) -> Iterator[Any]:
        """Begin an epoch, or go on with the one that `load_state_dict` brought."""
        epoch, self._position.resume = self._position.resume, None
        if epoch is None:
            epoch = _Epoch(self._generator().next() if self.shuffle else None)
        self._position.epoch = epoch
        return self._batches(epoch)

    def astype(self, dtype: Any) -> Loader:
        """Return a loader that goes through the same epochs, with the same position, in another dtype; see `Loader`."""
        other = copy.copy(self)
        other.dtype = _floating(dtype)
        if self.arrays is not None:
            other.arrays = tuple(other._held(x) for x in self.arrays)
        return other

    def state_dict(self) -> dict[str, Any]:
        """Return the position as plain numbers: what the newest iteration has not yielded yet is still to come."""
        epoch = self._position.resume or self._position.epoch
        if epoch is not None and epoch.next_batch == len(self):
            epoch = None  # the last batch is out: what is still to come is the next epoch
        return {
            "n_samples": self.n_samples,
            "batch_size": self.batch_size,
            "generator": self._generator().state_dict(),
            "draw": list(epoch.draw) if epoch and epoch.draw else None,
            "next_batch": epoch.next_batch if epoch else None,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a state that `state_dict` returned: the next iteration yields the batches that were left.

        Raises:
            ValueError: the state is of a loader with other data, batch size or shuffling. Nothing is changed.
        """
        required = {"n_samples", "batch_size", "generator", "draw", "next_batch"}
        if set(state) != required:
            raise ValueError(f"Loader: state must have the keys {sorted(required)}, got {sorted(state)}")
        for name in ("n_samples", "batch_size"):
            if state[name] != getattr(self, name):
                raise ValueError(f"Loader: the state has {name} {state[name]}, this loader {getattr(self, name)}")
        draw, next_batch = state["draw"], state["next_batch"]
        if next_batch is not None:
            if (draw is not None) != self.shuffle:
                raise ValueError(f"Loader: the state has shuffle={draw is not None}, this loader {self.shuffle}")
            if not 0 <= next_batch <= len(self):
                raise ValueError(f"Loader: the state is at batch {next_batch}, this loader has {len(self)}")
        self._generator().load_state_dict(state["generator"])
        self._position.epoch = None
        whole = next_batch in (None, len(self))
        self._position.resume = None if whole else _Epoch(draw and Draw(*draw), next_batch)

    def _generator(self) -> Generator:
        return self.generator or default_generator("loader")

    def _batches(self, epoch: _Epoch) -> Iterator[Any]:
        order = None if epoch.draw is None else self.order(epoch.draw, self.n_samples)
        if self.arrays is not None and order is not None:
            order = like(order, self.arrays[0])  # one upload an epoch
        while epoch.next_batch < len(self):
            start = epoch.next_batch * self.batch_size
            stop = min(start + self.batch_size, self.n_samples)
            rows = slice(start, stop) if order is None else order[start:stop]
            epoch.next_batch += 1  # before the yield, so that a state saved in the loop's body is past this batch
            yield self._cut(rows)

    def in_order(self) -> Iterator[Any]:
        """Yield batches of all samples in the order of the data; no draw is made, and no epoch's position changes."""
        for start in range(0, self.n_samples, self.batch_size):
            yield self._cut(slice(start, min(start + self.batch_size, self.n_samples)))

    def _cut(self, rows: Any) -> Any:
        if self.arrays is not None:
            columns = tuple(self._cast(x[rows]) for x in self.arrays)
            return columns if self._keys is None else dict(zip(self._keys, columns, strict=True))
        dataset: Any = self.dataset
        numbers = range(rows.start, rows.stop) if isinstance(rows, slice) else rows.tolist()
        return self._move(self.collate([dataset[i] for i in numbers]))

    def _move(self, x: Any) -> Any:
        """Return `x`, with each array in it in the loader's dtype and on its device."""
        if self.device is None and self.dtype is None:
            return x
        if isinstance(x, (tuple, list)):
            moved = [self._move(part) for part in x]
            return moved if isinstance(x, list) else tuple(moved)
        if isinstance(x, dict):
            return {key: self._move(part) for key, part in x.items()}
        if not is_array(x):
            return x
        x = self._cast(x)
        return x if self.device is None else uploaded(x, self.device)

    def _held(self, x: Array) -> Array:
        """Return an array as it is kept: converted and moved, unless it is mapped from a file and can stay there."""
        if isinstance(x, np.memmap) and self.device != "gpu":
            return x
        return self._cast(x) if self.device is None else to_device(self._cast(x), self.device)

    def _cast(self, x: Array) -> Array:
        if self.dtype is None or x.dtype == self.dtype or not is_floating(x.dtype):
            return x
        return x.astype(self.dtype)


def permutation(draw: Draw, n: int) -> np.ndarray:
    """Return the order of `n` things that a draw stands for: the ranks of its first `n` 64-bit words.

    NumPy may change the algorithm of ``Generator.permutation``; the words of Philox will stay what they are.
    """
    return np.argsort(draw.bit_generator().random_raw(n), kind="stable")


def _columns(data: tuple[Any, ...]) -> tuple[list[Any] | None, tuple[Any, ...]]:
    """Return the keys of a dict of arrays (else None), and what was given, with the arrays of a tuple or dict alone."""
    keys = None
    if len(data) == 1 and isinstance(data[0], (tuple, dict)) and data[0]:
        values = tuple(data[0].values()) if isinstance(data[0], dict) else data[0]
        if all(is_array(x) or isinstance(x, Tensor) for x in values):
            keys, data = list(data[0]) if isinstance(data[0], dict) else None, values
    return keys, tuple(x.data if isinstance(x, Tensor) else x for x in data)


def _n_samples(data: tuple[Any, ...]) -> int:
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


def _floating(dtype: Any) -> np.dtype:
    dtype = np.dtype(dtype)
    if not is_floating(dtype):
        raise TypeError(f"Loader: dtype must be floating, got {dtype}")
    return dtype


def _check_devices(arrays: tuple[Array, ...]) -> None:
    devices = [device_of(x) for x in arrays]
    if len(set(devices)) > 1:
        raise ValueError(f"Loader: arrays must be on one device, got {', '.join(devices)}; pass device= to move them")
