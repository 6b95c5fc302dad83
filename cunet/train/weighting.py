"""A loss in which samples, or their labels, count differently."""

from __future__ import annotations

import copy
import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..autograd.tensor import Tensor
from ..device import Array, accumulator, array_module, device_of, like
from ..kernels.capture import done
from ..nn.loss import Loss
from .weights import label_weights


class Weighting:
    """The mean of a loss by weights: ``sum(weight * loss) / sum(weight)`` over samples, or over their labels.

    Args:
        loss: a loss with the option ``reduction="none"``.
        classes: weights by label, or None.

    Attributes:
        sample_weight: of the batch that comes next: an array (N,), or None.
        total: the sum of weights of the last batch; a 0-d array, not waited for.
    """

    def __init__(self, loss: Callable[..., Tensor], classes: Mapping[int, float] | np.ndarray | None) -> None:
        self.loss, self.classes = loss, classes
        self.each = without_mean(loss)
        self.sample_weight: Any = None
        self.total: Any = None
        self._tables: dict[tuple[int, str], Array] = {}  # weights of all classes, by their number and the device

    @classmethod
    def of(cls, loss: Callable[..., Tensor], class_weight: Any, by_sample: bool) -> Weighting | None:
        """Return the weighting that `Trainer.fit` was asked for, or None.

        Raises:
            TypeError, ValueError: the loss has no ``reduction="none"``, or a weight is no number or negative.
        """
        if class_weight is None and not by_sample:
            return None
        if isinstance(class_weight, Mapping):
            for label, weight in class_weight.items():
                if not isinstance(label, (int, np.integer)) or label < 0:
                    raise ValueError(f"Trainer.fit: class_weight must have labels 0, 1, ... as keys, got {label!r}")
                if not isinstance(weight, (int, float, np.number)):
                    raise TypeError(f"Trainer.fit: class_weight must hold numbers, got {weight!r} for {label}")
            weights = np.array(list(class_weight.values()), float)
        elif class_weight is not None:
            weights = class_weight = np.array(class_weight, float)  # a copy: sent to a device once
            if weights.ndim != 1:
                raise ValueError(f"Trainer.fit: class_weight must have shape (C,), got {weights.shape}")
        if class_weight is not None and not (np.isfinite(weights) & (weights >= 0)).all():
            raise ValueError(f"Trainer.fit: class_weight must be finite and not negative, got {class_weight}")
        return cls(loss, class_weight)

    def __call__(self, prediction: Tensor, target: Array) -> Tensor:
        """Return the loss of a batch."""
        each = self.each(prediction, target)  # by the weights that the loss has for labels, 0 for ignored ones
        if self.sample_weight is not None and self.sample_weight.shape != each.shape[:1]:
            raise ValueError(f"Trainer: weights of samples must have shape (N,) = {each.shape[:1]}, "
                             f"got {self.sample_weight.shape}")  # fmt: skip
        share, self.total = done(self._shares, target, self.sample_weight, prediction.shape, each.shape, each.dtype)
        return (each * share).sum()

    def _shares(
        self, target: Array, sample_weight: Array | None, scores: tuple[int, ...], shape: tuple[int, ...], dtype: Any
    ) -> tuple[Array, Array]:
        """Return what each loss counts in their sum, and the sum of their weights.

        Args:
            target, sample_weight: of the batch.
            scores: the shape of the prediction.
            shape, dtype: those of the losses.
        """
        xp = array_module(target)
        weight = xp.ones(shape, accumulator(dtype))
        if sample_weight is not None:
            weight = weight * sample_weight.reshape(-1, *[1] * (len(shape) - 1))
        if self.classes is not None:
            weight = weight * self._by_label(scores, target, shape)
        total = xp.asarray((weight * label_weights(self.loss, target, shape)).sum())
        share = weight / xp.where(total == 0, 1, total)  # where nothing counts the loss is 0
        return share.astype(dtype), total

    def _by_label(self, scores: tuple[int, ...], target: Array, shape: tuple[int, ...]) -> Array:
        """Return the weights of the classes of a batch, which broadcast to the losses' shape."""
        given, floats = target.shape == scores, target.dtype.kind == "f"
        if floats and given and shape != scores:  # probabilities of classes on axis 1
            table = self._table(scores[1], target)
            return (target * table.reshape(-1, *[1] * (target.ndim - 2))).sum(axis=1)
        table = self._table(2 if given or len(scores) < 2 else scores[1], target)
        labels = target.astype(np.int64)
        return table[labels % len(table)].reshape(shape)  # those that are ignored weigh 0 by themselves

    def _table(self, classes: int, target: Array) -> Array:
        """Return the weights of all classes where a target lies: sent there once, as no recorded step does it."""
        key = classes, device_of(target)
        if key not in self._tables:
            self._tables[key] = like(self._listed(classes), target)
        return self._tables[key]

    def _listed(self, classes: int) -> np.ndarray:
        """Return the weights of all classes.

        Raises:
            ValueError: there is not one for each, or there are some for others.
        """
        given = self.classes
        if isinstance(given, Mapping):
            if max(given, default=0) < classes:
                table = np.ones(classes)
                table[list(given)] = list(given.values())
                return table
        elif given is not None and len(given) == classes:
            return given
        raise ValueError(f"Trainer.fit: class_weight must be of the {classes} classes 0, 1, ..., got {given!r}")


def without_mean(loss: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Return a loss that gives one value a sample, or a label, in place of their mean.

    Raises:
        TypeError: it has no option ``reduction``.
    """
    if isinstance(loss, Loss):
        other = copy.copy(loss)
        other.reduction = "none"
        return other
    try:
        known = "reduction" in inspect.signature(loss).parameters
    except ValueError:
        known = False
    if not known:
        raise TypeError(
            'Trainer.fit: class_weight and sample_weight need a loss with reduction="none", one of '
            f"cunet.functional or a function with that argument; {getattr(loss, '__name__', loss)} has none"
        )
    return functools.partial(loss, reduction="none")
