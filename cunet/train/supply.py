"""What a `fit` trains and validates on, made of what it was given: split, weighted, cut into stretches."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..autograd.tensor import Tensor, as_array
from ..data import Loader
from ..data.split import places, rows_of
from ..device import is_array, like
from ..random import Generator, default_generator
from ..system.checks import check_counts, check_numbers
from .arguments import check_data, is_dataset
from .batches import as_loader


@dataclass
class Supply:
    """What `Trainer.fit` is told of its data; see there for the arguments."""

    train: Any
    valid: Any = None
    batch_size: int | None = None
    steps_per_epoch: int | None = None
    validation_split: float = 0.0
    sample_weight: Any = None
    evaluate_first: bool = False

    def check(self) -> None:
        """Raise TypeError or ValueError for what cannot be, before anything is made."""
        for data in (self.train,) if self.valid is None else (self.train, self.valid):
            check_data("Trainer.fit", data)
        own = isinstance(self.train, tuple) or is_dataset(self.train)
        if self.batch_size is not None:
            check_counts("Trainer.fit", batch_size=self.batch_size)
            if not own:
                raise ValueError("Trainer.fit: batch_size is for arrays and datasets; this data has its own batches")
        if self.steps_per_epoch is not None:
            check_counts("Trainer.fit", steps_per_epoch=self.steps_per_epoch)
        check_numbers("Trainer.fit", validation_split=self.validation_split)
        if not 0 <= self.validation_split < 1:
            raise ValueError(f"Trainer.fit: validation_split must be in [0, 1), got {self.validation_split}")
        if self.validation_split and (self.valid is not None or not own):
            wrong = "beside valid" if own else "and data that is no tuple of arrays or dataset"
            raise ValueError(f"Trainer.fit: validation_split takes samples from arrays or a dataset, got it {wrong}")

        if self.evaluate_first and self.valid is None and not self.validation_split:
            raise ValueError("Trainer.fit: evaluate_first needs valid, or validation_split, to evaluate on")

    def prepared(self, dtype: Any, device: str) -> tuple[Any, Any]:
        """Return the data for training, whose batches end with the samples' weights if there are, and for validation.

        Raises:
            ValueError: there is not one weight a sample, or nothing would be left to train or to validate on.
        """
        train, valid = self.train, self.valid
        if self.sample_weight is not None and self.sample_weight is not True:
            train = weighted(train, self.sample_weight)
        if self.validation_split:
            train, valid = split(train, self.validation_split)
            if self.sample_weight is not None:
                valid = Unweighted(valid) if is_dataset(valid) else valid[:-1]
        train = as_loader(train, dtype, shuffle=True, device=device, batch_size=self.batch_size)
        valid = as_loader(valid, dtype, device=device, batch_size=self.batch_size)
        return Stretches(train, self.steps_per_epoch) if self.steps_per_epoch else train, valid


class Stretches:
    """Batches of which an epoch takes the next `steps`; where they end they begin again.

    Args:
        data: an iterable of batches; a generator need not end.
        steps: how many batches an epoch has.
    """

    def __init__(self, data: Any, steps: int) -> None:
        self.data, self.steps, self.taken = data, steps, 0
        self._iterator: Iterator[Any] | None = None

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""
        return self.steps

    def __iter__(self) -> Iterator[Any]:
        """Yield the batches up to the end of an epoch."""
        while True:
            yield self._next()
            if self.taken % self.steps == 0:
                return

    def _next(self) -> Any:
        for _ in range(2):
            if self._iterator is None:
                self._iterator = iter(self.data)
            for batch in self._iterator:
                self.taken += 1
                return batch
            self._iterator = None
        raise ValueError(
            f"Trainer.fit: the training data ended after {self.taken} batches, in the middle of an epoch of"
            f" steps_per_epoch={self.steps}; let the generator go on, or give something that can be gone through again"
        )

    def state_dict(self) -> dict[str, Any]:
        """Return how many batches were taken, and the position of a Loader."""
        inner = self.data.state_dict() if isinstance(self.data, Loader) else None
        return {"steps": self.steps, "taken": self.taken, "data": inner}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state that `state_dict` returned: what is no Loader is gone through up to there.

        Raises:
            ValueError: it has other epochs, or the data end before.
        """
        if state.keys() != {"steps", "taken", "data"} or state["steps"] != self.steps:
            raise ValueError(f"Trainer.fit: the state has steps_per_epoch {state.get('steps')}, this fit {self.steps}")
        if isinstance(self.data, Loader):
            self.data.load_state_dict(state["data"])
            self._iterator, self.taken = None, state["taken"]
            return
        self._iterator = None
        self.taken = 0
        while self.taken < state["taken"]:
            self._next()


def underlying(data: Any) -> Any:
    """Return what batches come from: the data that `Stretches` go through, else the data themselves."""
    return data.data if isinstance(data, Stretches) else data


class Weighted:
    """Samples of a dataset, each with its weight behind it."""

    def __init__(self, dataset: Any, weight: np.ndarray) -> None:
        self.dataset, self.weight = dataset, weight

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self.weight)

    def __getitem__(self, i: int) -> tuple[Any, ...]:
        """Return a sample with its weight."""
        return (*self.dataset[i], self.weight[i])


class Unweighted(Weighted):
    """Samples of a weighted dataset without their weights."""

    def __init__(self, dataset: Any) -> None:
        super().__init__(dataset, np.empty(len(dataset)))

    def __getitem__(self, i: int) -> tuple[Any, ...]:
        """Return a sample without its weight."""
        return tuple(self.dataset[i][:-1])


def weighted(data: Any, weight: Any) -> Any:
    """Return data whose batches end with the samples' weights.

    Raises:
        TypeError: `data` has batches of its own, which have to end with the weights themselves.
        ValueError: there is not one weight a sample.
    """
    weight = weight.data if isinstance(weight, Tensor) else weight if is_array(weight) else as_array(weight)
    loader = data if isinstance(data, Loader) else None
    if loader is None and (isinstance(data, tuple) or is_dataset(data)):
        loader = Loader(*data) if isinstance(data, tuple) else Loader(data)
    if loader is None:
        raise TypeError("Trainer.fit: sample_weight must be True for data with batches of its own, which then end with "
                        "the weights of their samples")  # fmt: skip
    if weight.shape != (loader.n_samples,):
        raise ValueError(f"Trainer.fit: sample_weight must have shape (N,) = ({loader.n_samples},), got {weight.shape}")
    if loader is not data:
        return (*data, weight) if isinstance(data, tuple) else Weighted(data, np.asarray(weight))
    other = copy.copy(loader)
    if loader.arrays is None:
        other.dataset = Weighted(loader.dataset, np.asarray(weight))
    else:
        other.arrays = (*loader.arrays, like(weight, loader.arrays[0]))
    return other


def split(data: Any, share: float) -> tuple[Any, Any]:
    """Return a tuple of arrays or a dataset without a share of its samples, and those samples.

    They are drawn from the seed of `cunet.manual_seed` and the number of samples alone: the same in every call, so that
    a second `fit`, or one that goes on, trains on no sample that it validates on.

    Raises:
        ValueError: one of the two would be empty.
    """
    loader = Loader(*data) if isinstance(data, tuple) else Loader(data)
    n = loader.n_samples
    count = round(share * n)
    if not 0 < count < n:
        raise ValueError(f"Trainer.fit: validation_split={share} of {n} samples leaves none to train or to validate on")
    draw = Generator(default_generator("split").seed, "split").next()
    parts = [rows_of(loader, indices) for indices in places(draw, n, share)]
    return (parts[0][0], parts[1][0]) if loader.arrays is None else (parts[0], parts[1])
