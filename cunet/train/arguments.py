"""What a Trainer is given, looked at before anything runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from .. import functional
from ..device import is_array
from ..nn.module import Module
from ..system.messages import shown, warn

_ORDER = "the order is Trainer(model, loss, optimizer)"


def check_model(model: Any) -> None:
    """Raise TypeError unless `model` is a Module."""
    if not isinstance(model, Module):
        raise TypeError(f"Trainer: model must be a Module, got {shown(model)}; {_ORDER}")


def loss_function(loss: Any) -> Callable[..., Any]:
    """Return a loss, which may be given by its name in `cunet.functional`.

    Raises:
        TypeError: it is no function.
        ValueError: there is none of that name.
    """
    if isinstance(loss, str):
        if not (hasattr(functional, loss) and loss in functional.__all__):
            raise ValueError(f"Trainer: loss must be a function or its name in cunet.functional, got {loss!r}")
        return getattr(functional, loss)
    if not callable(loss) or isinstance(loss, type):
        raise TypeError(f"Trainer: loss must be a function (prediction, target), got {shown(loss)}; {_ORDER}")
    return loss


def check_optimizer(optimizer: Any) -> None:
    """Raise TypeError unless `optimizer` is None or can step."""
    wrong = isinstance(optimizer, (type, Module)) or not hasattr(optimizer, "zero_grad")
    if optimizer is not None and wrong:
        raise TypeError(
            f"Trainer: optimizer must be one of cunet.optim, made with model.parameters(), got {shown(optimizer)};"
            f" {_ORDER}"
        )


def listed_callbacks(callbacks: Any, kind: type) -> list[Any]:
    """Return callbacks as a list; one may be given alone.

    Raises:
        TypeError: one of them is no object of the class `kind`.
    """
    found = list(callbacks) if isinstance(callbacks, Iterable) else [callbacks]
    for i, callback in enumerate(found):
        if not isinstance(callback, kind):
            hint = "; wrap a schedule: Schedule(schedule)" if hasattr(callback, "step") else ""
            raise TypeError(f"Trainer: callbacks[{i}] must be a Callback, got {shown(callback)}{hint}")
    return found


def check_epochs(epochs: Any) -> None:
    """Raise TypeError unless `epochs` is a whole number, ValueError if it is negative."""
    if not isinstance(epochs, (int, np.integer)):
        raise TypeError(f"Trainer.fit: epochs must be a whole number, got {epochs!r}")
    if epochs < 0:
        raise ValueError(f"Trainer.fit: epochs must not be negative, got {epochs}")


def check_data(who: str, data: Any) -> None:
    """Raise TypeError unless `data` is something to go through batch by batch."""
    if is_array(data) or isinstance(data, (str, dict)) or not isinstance(data, Iterable):
        dataset = (
            not is_array(data)
            and not isinstance(data, (str, dict))
            and hasattr(data, "__len__")
            and hasattr(data, "__getitem__")
        )
        raise TypeError(
            f"{who}: data must be a Loader, another iterable of batches or a tuple of arrays such as (x, target), "
            f"got {shown(data)}" + ("; make batches of a dataset: Loader(dataset, batch_size=128)" if dataset else "")
        )


def warn_of_strangers(model: Module, optimizer: Any) -> None:
    """Warn where an optimiser holds no parameter of the model: nothing of it would be trained."""
    own = {id(p) for p in model.parameters()}
    held = [p for group in getattr(optimizer, "param_groups", ()) for p in group["params"]]
    if held and own and not any(id(p) in own for p in held):
        warn("Trainer: the optimizer holds no parameter of this model: it will not train")
