"""Batches from arrays in memory or from a dataset, in an order that can be drawn again."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from collections.abc import Generator as Generated
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..device import Array, device_of, is_array, is_floating, like, resolve_device, to_device
from ..random import Draw, Generator, default_generator
from ..system.checks import check_counts
from .collation import batch_of
from .given import check_devices, columns_of, count_of, floating, worker_count
from .upload import uploaded
from .workers import Job, made


@dataclass
class _Epoch:
    """Where an epoch stands: its draw (None: in order), its number, and that of the batch that comes next."""

    draw: Draw | None
    number: int
    next_batch: int = 0


@dataclass
class _Position:
    """The epoch of the newest iteration, which `state_dict` reports, and what the next iteration goes on with.

    Attributes:
        begun: how many epochs were begun.
    """

    epoch: _Epoch | None = None
    resume: _Epoch | None = None
    begun: int = 0


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
            dataset, and of arrays that are mapped from files (`numpy.memmap`), are moved one by one, on a GPU while it
            computes. Default: they stay where they are.
        collate: makes a batch from a list of samples; default: `collate`.
        dtype: floating arrays are converted to it once, now (those mapped from files, and batches of a dataset, when
            they are cut); integers stay what they are. Default: all keep theirs.
        workers: processes that make the samples of a dataset, and batches of them, while others are used: each has at
            most one batch ready. The dataset is what it was when the epoch began; what a sample's code counts or
            changes stays in the worker. 0: samples are made when their batch is asked for.
        start_method: "fork", "spawn" or "forkserver": how workers are begun, anew in each epoch; default: as
            `multiprocessing` does. Where they are not forked, dataset and `collate` are pickled, and a program needs
            ``if __name__ == "__main__":``.

    Batches are the same, to the bit, with any number of workers. What a dataset draws from cunet's streams
    (``cunet.random.default_generator("mine").rng()``, or a `Generator` of its own) depends on seed, epoch and the
    sample's place in it, and on nothing else. In workers NumPy's and Python's global generators are seeded so for each
    sample; without workers they are left alone.

    Yields:
        Tuples of arrays, one per array in `data` (of a dict: dicts); from a dataset, what `collate` makes.

    Raises:
        ValueError: arrays differ in length or device; there is no sample or no batch; `batch_size` is below 1.
        TypeError: `data` is neither arrays of numbers nor one dataset; `dtype` does not float; there are `workers` for
            arrays, or, when an epoch begins, what they have to be given cannot be pickled.
        RuntimeError: when a batch is due: its worker was killed. An error of the dataset comes as itself, when its
            batch is due, with a note that names the sample.

    Example:
        >>> from cunet.data import Loader
        >>> loader = Loader(np.arange(10.0), np.arange(10) % 2, batch_size=4)
        >>> [(x.shape, y.tolist()) for x, y in loader]
        [((4,), [0, 1, 0, 1]), ((4,), [0, 1, 0, 1]), ((2,), [0, 1])]
        >>> len(Loader(np.arange(10.0), batch_size=4, shuffle=True, drop_last=True))
        2
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
        workers: int = 0,
        start_method: str | None = None,
    ) -> None:
        """Check the data and move arrays; see the class for the arguments."""
        self._keys, data = columns_of(data)
        self.n_samples = count_of(data)
        check_counts("Loader", batch_size=batch_size)
        self.batch_size = int(batch_size)
        if drop_last and self.n_samples < self.batch_size:
            raise ValueError(
                f"Loader: drop_last=True leaves no batch: {self.n_samples} samples, batch_size {self.batch_size}"
            )
        self.shuffle, self.drop_last, self.order = shuffle or order is not None, drop_last, order or permutation
        self.generator = generator
        self.device = None if device is None else resolve_device(device)
        self.dtype = None if dtype is None else floating(dtype)
        self.collate = collate or batch_of
        self.workers, self.start_method = worker_count(workers, start_method, is_array(data[0])), start_method
        self.arrays = self.dataset = None
        if is_array(data[0]):
            if collate is not None:
                raise TypeError("Loader: collate is for datasets, but arrays were given")
            self.arrays = tuple(self._held(x) for x in data)
            if self.device is None:
                check_devices(self.arrays)
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
            epoch = _Epoch(self._generator().next() if self.shuffle else None, self._position.begun)
            self._position.begun += 1
        self._position.epoch = epoch
        return self._batches(epoch)

    def astype(self, dtype: Any) -> Loader:
        """Return a loader that goes through the same epochs, with the same position, in another dtype; see `Loader`."""
        other = copy.copy(self)
        other.dtype = floating(dtype)
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
            "epoch": epoch.number if epoch else self._position.begun,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a state that `state_dict` returned: the next iteration yields the batches that were left.

        Raises:
            ValueError: the state is of a loader with other data, batch size or shuffling. Nothing is changed.
        """
        required = {"n_samples", "batch_size", "generator", "draw", "next_batch", "epoch"}
        if {*state, "epoch"} != required:  # states from before 0.2.0 count no epochs
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
        whole, number = next_batch in (None, len(self)), state.get("epoch", 0)
        self._position.resume = None if whole else _Epoch(draw and Draw(*draw), number, next_batch)
        self._position.begun = number if whole else number + 1

    def _generator(self) -> Generator:
        return self.generator or default_generator("loader")

    def _batches(self, epoch: _Epoch) -> Iterator[Any]:
        order = None if epoch.draw is None else self.order(epoch.draw, self.n_samples)
        left = range(epoch.next_batch, len(self))
        with closing(self._cuts(order, left, (*(epoch.draw or ()), epoch.number))) as cuts:
            while epoch.next_batch < len(self):
                epoch.next_batch += 1  # before the yield, so that a state saved in the loop's body is past this batch
                yield next(cuts)

    def in_order(self) -> Iterator[Any]:
        """Yield batches of all samples in the order of the data; no draw is made, and no epoch's position changes."""
        return self._cuts(None, range(-(-self.n_samples // self.batch_size)), ())

    def _cuts(self, order: Any, numbers: range, epoch: tuple[int, ...]) -> Generated[Any, None, None]:
        """Yield some batches of an epoch: its order, or None; their numbers; what draws are to depend on."""
        if self.arrays is None:
            job = Job(self.dataset, self.collate, order, self.n_samples, self.batch_size, epoch)
            batches = made(job, numbers, self.workers, self.start_method) if self.workers else map(job.batch, numbers)
            yield from map(self._move, batches)
            return
        of = {device_of(x): x for x in self.arrays}
        orders = {device: like(order, x) for device, x in of.items() if order is not None}  # one upload an epoch
        for start in range(numbers.start * self.batch_size, numbers.stop * self.batch_size, self.batch_size):
            stop = min(start + self.batch_size, self.n_samples)
            columns = tuple(
                self._cut(x, slice(start, stop) if order is None else orders[device_of(x)][start:stop])
                for x in self.arrays
            )
            yield columns if self._keys is None else dict(zip(self._keys, columns, strict=True))

    def _cut(self, x: Array, rows: Any) -> Array:
        """Return rows of an array; those that are mapped from a file are read, converted and moved now."""
        part = self._cast(x[rows])
        if not isinstance(x, np.memmap):
            return part
        return uploaded(np.asarray(part), self.device or "cpu")

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
        """Return an array as it is kept: converted and moved, unless it is mapped from a file, where it stays."""
        if isinstance(x, np.memmap):
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
