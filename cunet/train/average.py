"""Averages of weights over training, which evaluate better than the last ones: EMA and SWA."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from ..autograd.tensor import Tensor
from ..device import Array, accumulator, is_floating, is_gpu_array, like
from ..nn.batch_norm import BatchNorm
from ..nn.module import Module
from ..nn.recompute import recompute_batch_norm
from ..system.checks import check_numbers


class Average:
    """Base of the averages of a model's weights.

    A `Trainer` puts the average into the model for each validation, with `Callback.on_epoch_end`, and at the end of
    `fit`: what is evaluated, predicted and saved then has it. A further `fit` goes on from the weights as they were.
    """

    def __init__(self) -> None:
        self.arrays: dict[str, Array] = {}  # the average, at least in float32
        self.count = 0  # weights that are in it
        self._own: dict[str, tuple[Array, Array]] = {}  # while it is in the model: what was put there, in place of what
        self._rooms: dict[str, Array] = {}  # on a GPU what was put there last; see `_room`

    @property
    def shown(self) -> bool:
        """Whether the average is in the model."""
        return bool(self._own)

    def after_update(self, model: Module) -> None:
        """Take in the weights after an update."""

    def after_epoch(self, model: Module, share: float) -> None:
        """Take in the weights after an epoch, of which with it `share` of all are done."""

    def check_data(self, model: Module, data: Any) -> None:
        """Raise ValueError if training data are such that `completed` could not go through them."""

    def completed(self, model: Module, batches: Iterable[Any], run: Any) -> None:
        """Find what cannot be averaged, before the average is put into the model."""

    def put(self, model: Module) -> None:
        """Put the average into the model, in place of the weights that are trained; nothing if there is none yet."""
        if self._own or not self.count:
            return
        for name, tensor in floating(model):
            if name in self.arrays:
                average = self._room(name, like(self.arrays[name], tensor.data).astype(tensor.dtype), tensor.data)
                self._own[name] = average, tensor.data
                tensor.data = average

    def _room(self, name: str, average: Array, own: Array) -> Array:
        """Return an array of these elements, which is to take the place of `own`.

        On a GPU it is the same one each time: an evaluation that is recorded as a CUDA graph finds no other.
        """
        room = self._rooms.get(name)
        if not is_gpu_array(average):
            return average
        if room is None or room is own or (room.shape, room.dtype) != (average.shape, average.dtype):
            self._rooms[name] = average
            return average
        room[...] = average
        return room

    def take(self, model: Module) -> bool:
        """Put the weights that are trained back, and tell whether that could be; others that were loaded stay."""
        tensors, own, self._own = dict(floating(model)), self._own, {}
        if not own or any(name not in tensors or tensors[name].data is not put for name, (put, _) in own.items()):
            return False
        for name, (_, trained) in own.items():
            tensors[name].data = trained
        return True

    def state_dict(self) -> dict[str, Any]:
        """Return copies of the average and how many weights are in it."""
        return {"count": self.count, "arrays": {name: array.copy() for name, array in self.arrays.items()}}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a state that `state_dict` returned."""
        self.count, self.arrays = state["count"], {name: array.copy() for name, array in state["arrays"].items()}

    def _blend(self, tensors: Iterable[tuple[str, Tensor]], weight: float) -> None:
        """Move the average towards the present values: ``average += weight * (value - average)``."""
        for name, tensor in tensors:
            value, average = tensor.data, self.arrays.get(name)
            wide = accumulator(value.dtype)
            if average is None or average.shape != value.shape:
                self.arrays[name] = value.astype(wide)
                continue
            average = like(average, value)
            self.arrays[name] = average + (value.astype(wide, copy=False) - average) * weight


class EMA(Average):
    """Average weights exponentially: ``average = decay * average + (1 - decay) * weights`` after each update.

    So are running statistics. In the first updates the decay is ``(1 + updates) / (10 + updates)``, as long as that is
    smaller: the weights at the beginning, which are random, are soon forgotten.

    Args:
        decay: in [0, 1); 0.999 is an average over some 1,000 updates.

    Raises:
        ValueError: `decay` is not in [0, 1).

    Source: Polyak and Juditsky 1992, "Acceleration of stochastic approximation by averaging"; Tarvainen and Valpola
    2017, arXiv:1703.01780, equation 2.

    Example:
        >>> from cunet.train import EMA, Trainer
        >>> x, y = np.ones((64, 2), np.float32), np.ones((64, 1), np.float32)
        >>> trainer = Trainer(nn.Linear(2, 1), "mse_loss", "adam", average=EMA(0.99), progress=False)
        >>> history = trainer.fit((x, y), epochs=2, batch_size=16)
        >>> trainer.average.count, trainer.average.shown  # updates that are in it; the model has it now
        (8, True)
    """

    def __init__(self, decay: float = 0.999) -> None:
        super().__init__()
        check_numbers("EMA", decay=decay)
        if not 0 <= decay < 1:
            raise ValueError(f"EMA: decay must be in [0, 1), got {decay}")
        self.decay = decay

    def after_update(self, model: Module) -> None:
        """Take in the weights after an update."""
        decay = min(self.decay, (1 + self.count) / (10 + self.count))
        self.count += 1
        self._blend(floating(model), 1 - decay)


class SWA(Average):
    """Average the weights at the ends of the last epochs, all alike (stochastic weight averaging).

    Running statistics of batch norms are not averaged but found by one more pass over the training data, without
    augmentation, before each validation and at the end. Take a learning rate that stays high.

    Args:
        start: share of the epochs of a `fit` after which averaging begins, in [0, 1).

    Raises:
        ValueError: `start` is not in [0, 1).

    Source: Izmailov et al. 2018, arXiv:1803.05407, algorithm 1.

    Example:
        >>> from cunet.train import SWA, Trainer
        >>> x, y = np.ones((64, 2), np.float32), np.ones((64, 1), np.float32)
        >>> trainer = Trainer(nn.Linear(2, 1), "mse_loss", "sgd", average=SWA(start=0.5), progress=False)
        >>> history = trainer.fit((x, y), epochs=4, batch_size=16)
        >>> trainer.average.count  # of the ends of 4 epochs
        2
    """

    def __init__(self, start: float = 0.75) -> None:
        super().__init__()
        check_numbers("SWA", start=start)
        if not 0 <= start < 1:
            raise ValueError(f"SWA: start must be in [0, 1), got {start}")
        self.start = start
        self._whole = False  # whether the statistics are those of the present average

    def after_epoch(self, model: Module, share: float) -> None:
        """Take in the weights after an epoch, of which with it `share` of all are done."""
        if share <= self.start:
            return
        self.count += 1
        self._whole = False
        self._blend(model.named_parameters(), 1 / self.count)

    def check_data(self, model: Module, data: Any) -> None:
        """Raise ValueError if there are statistics to find, and a generator has the data."""
        if isinstance(data, Iterator) and _layers(model):
            raise ValueError("Trainer.fit: SWA goes through the training data once more, which a generator does not "
                             "let one do; give a Loader, a dataset or a list of batches")  # fmt: skip

    def completed(self, model: Module, batches: Iterable[Any], run: Any) -> None:
        """Find the statistics of batch norms with the average as weights."""
        layers = _layers(model)
        if not self.count or self._whole or not layers:
            return
        before = [layer.statistics() for layer in layers]
        self.arrays = {name: array for name, array in self.arrays.items() if name in dict(model.named_parameters())}
        self.put(model)
        try:
            recompute_batch_norm(model, batches, run)
            found = {name: b.data.copy() for name, b in model.named_buffers() if is_floating(b.dtype)}
        finally:
            self.take(model)
            for layer, statistics in zip(layers, before, strict=True):
                layer.restore(statistics)
        self.arrays |= found
        self._whole = True

    def state_dict(self) -> dict[str, Any]:
        """Return the average, and whether its statistics are found."""
        return {**super().state_dict(), "whole": self._whole}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a state that `state_dict` returned."""
        super().load_state_dict(state)
        self._whole = state["whole"]


def _layers(model: Module) -> list[BatchNorm]:
    """Return the batch norms of a model that keep running statistics."""
    return [m for m in model.modules() if isinstance(m, BatchNorm) and m.running_mean is not None]


def floating(model: Module) -> list[tuple[str, Tensor]]:
    """Return the parameters and buffers of a model that are floating numbers, each once, by name."""
    tensors = [*model.named_parameters(), *model.named_buffers()]
    return [(name, tensor) for name, tensor in tensors if is_floating(tensor.dtype)]
