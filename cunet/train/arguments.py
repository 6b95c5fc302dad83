"""What a Trainer is given, looked at before anything runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import functional, optim
from ..device import is_array
from ..nn.module import Module
from ..system.checks import check_counts
from ..system.messages import shown, warn

if TYPE_CHECKING:
    from ..diagnose import Recorder

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


def optimizer_of(optimizer: Any, model: Module) -> Any:
    """Return an optimiser, which may be given by its name in `cunet.optim`, in lower case; or several, in a dict.

    Raises:
        TypeError: it is none, nor None.
        ValueError: there is none of that name.
    """
    if isinstance(optimizer, str):
        known = {name.lower(): kind for name, kind in vars(optim).items() if _is_kind(kind)}
        if optimizer.lower() not in known:
            raise ValueError(
                f"Trainer: no optimizer is called {optimizer!r}; known by name: {', '.join(sorted(known))}"
            )
        return known[optimizer.lower()](model.parameters())
    for one in optimizer.values() if isinstance(optimizer, dict) else (optimizer,):
        if one is None and not isinstance(optimizer, dict):
            continue
        if isinstance(one, (type, Module)) or not hasattr(one, "zero_grad"):
            raise TypeError(
                f"Trainer: optimizer must be one of cunet.optim, made with model.parameters(), its name, or a dict of "
                f"optimizers, got {shown(one)}; {_ORDER}"
            )
    return optimizer


def _is_kind(kind: Any) -> bool:
    """Tell whether something in `cunet.optim` is a class of optimisers that steps without a closure."""
    return isinstance(kind, type) and issubclass(kind, optim.Optimizer) and kind not in (optim.Optimizer, optim.LBFGS)


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


def recorder_of(diagnose: Any, model: Module, optimizer: Any, clipped: bool, accumulate: int) -> Recorder | None:
    """Return what observes steps; None if nothing shall.

    Raises:
        TypeError, ValueError: `diagnose` is neither a flag nor a number of steps.
    """
    if diagnose is False:
        return None
    if diagnose is not True:
        check_counts("Trainer", diagnose=diagnose)
    from ..diagnose.recorder import EVERY, Recorder  # not loaded where nobody asks for it

    every = EVERY if diagnose is True else diagnose
    return Recorder(model, optimizer, every, clipped=clipped, accumulate=accumulate)


def check_average(average: Any, kind: type) -> Any:
    """Return `average`; raise TypeError unless it is None or an object of the class `kind`."""
    if average is not None and not isinstance(average, kind):
        raise TypeError(f"Trainer: average must be EMA(...), SWA(...) or None, got {shown(average)}")
    return average


def check_epochs(epochs: Any) -> None:
    """Raise TypeError unless `epochs` is a whole number, ValueError if it is negative."""
    if not isinstance(epochs, (int, np.integer)):
        raise TypeError(f"Trainer.fit: epochs must be a whole number, got {epochs!r}")
    if epochs < 0:
        raise ValueError(f"Trainer.fit: epochs must not be negative, got {epochs}")


def check_choice(name: str, value: Any, choices: tuple[Any, ...]) -> None:
    """Raise ValueError unless `value` is one of the choices."""
    if value not in choices:
        listed = ", ".join(map(repr, choices[:-1]))
        raise ValueError(f"Trainer: {name} must be {listed} or {choices[-1]!r}, got {value!r}")


def check_positive(name: str, value: Any) -> None:
    """Raise TypeError unless `value` is None or a number, ValueError unless that is above 0."""
    if value is None:
        return
    if not isinstance(value, (int, float, np.number)):
        raise TypeError(f"Trainer: {name} must be a number or None, got {shown(value)}")
    if not value > 0:
        raise ValueError(f"Trainer: {name} must be above 0, got {value}")


def is_dataset(data: Any) -> bool:
    """Tell whether `data` holds samples by their numbers, and does not go through batches by itself."""
    plain = is_array(data) or isinstance(data, (str, dict, Iterable))
    return not plain and hasattr(data, "__len__") and hasattr(data, "__getitem__")


def check_data(who: str, data: Any) -> None:
    """Raise TypeError unless `data` is something to go through batch by batch, or to make batches of."""
    if is_array(data) or isinstance(data, (str, dict)) or not (isinstance(data, Iterable) or is_dataset(data)):
        raise TypeError(
            f"{who}: data must be a Loader, another iterable of batches, a dataset or a tuple of arrays such as "
            f"(x, target), got {shown(data)}"
        )


def check_trained(model: Module, optimizer: Any, plain: bool) -> None:
    """Raise ValueError if there is no optimiser, or several for `plain` steps; warn of one that trains something else.

    One that holds no parameter of the model, that is: nothing of it would be trained.
    """
    if optimizer is None:
        raise ValueError("Trainer.fit: an optimizer is required, got None")
    if isinstance(optimizer, dict) and plain:
        raise ValueError("Trainer.fit: several optimizers need a step of your own, which says when each one steps")
    own = {id(p) for p in model.parameters()}
    all_of_them = optimizer.values() if isinstance(optimizer, dict) else (optimizer,)
    held = [p for one in all_of_them for group in getattr(one, "param_groups", ()) for p in group["params"]]
    if held and own and not any(id(p) in own for p in held):
        warn("Trainer: the optimizer holds no parameter of this model: it will not train")
