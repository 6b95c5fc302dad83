"""The state of a training run: everything that the next step depends on, as a tree of plain values and arrays."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

from .. import random
from ..data import Loader
from ..nn.module import Module
from ..nn.streams import generators
from .metrics import Means

FORMAT = 1


class Running:
    """What is known of an epoch that is under way.

    Attributes:
        means: of loss and metrics over the batches so far.
        batches: how many were made.
        seconds: how long they took.
    """

    def __init__(self) -> None:
        self.means, self.batches, self.seconds = Means(), 0, 0.0

    def remaining(self, data: Any) -> Iterator[Any]:
        """Yield the batches of the epoch that are still to come; of what has no position, the first are left out."""
        if isinstance(data, Loader):
            if self.batches < len(data):
                yield from data
            return
        for number, batch in enumerate(data):
            if number >= self.batches:
                yield batch

    def state_dict(self) -> dict[str, Any]:
        """Return the state; reading it waits for the device."""
        return {"means": self.means.state_dict(), "batches": self.batches, "seconds": self.seconds}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a state that `state_dict` returned."""
        self.means.load_state_dict(state["means"])
        self.batches, self.seconds = state["batches"], state["seconds"]


class Run(Protocol):
    """What is saved of a Trainer."""

    model: Module
    optimizer: Any
    callbacks: list[Any]
    history: list[dict[str, Any]]
    epoch: int
    stop: bool
    interrupted: bool
    global_step: int
    fit_began: int
    epoch_state: Running | None
    train_data: Any


def state_of(run: Run) -> dict[str, Any]:
    """Return the state of a run, to be taken up by `restore`."""
    return {
        "format": FORMAT,
        "model": run.model.state_dict(),
        "trained": [name for name, p in run.model.named_parameters() if p.requires_grad],
        "optimizer": {"class": type(run.optimizer).__name__, "state": run.optimizer.state_dict()},
        "callbacks": [{"class": type(c).__name__, "state": c.state_dict()} for c in run.callbacks],
        "streams": random.get_state(),
        "generators": {name: generator.state_dict() for name, generator in generators(run.model).items()},
        "data": run.train_data.state_dict() if isinstance(run.train_data, Loader) else None,
        "history": run.history,
        "stopped": run.stop and not run.interrupted,
        "epoch": run.epoch,
        "steps": run.global_step,
        "began": run.fit_began,
        "running": run.epoch_state.state_dict() if run.epoch_state else None,
    }


def check(run: Run, state: Any) -> None:
    """Raise ValueError, naming what differs, unless a state is one of this model, optimiser and callbacks."""
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        found = state.get("format") if isinstance(state, dict) else type(state).__name__
        raise ValueError(f"Trainer: the state must be of a run, in format {FORMAT}, got {found!r}")
    saved = state["optimizer"]["class"]
    if saved != type(run.optimizer).__name__:
        raise ValueError(
            f"Trainer: the state is of the optimizer {saved}, this trainer has {type(run.optimizer).__name__}"
        )
    _partners(run, state)
    mine, theirs = generators(run.model).keys(), state["generators"].keys()
    if mine != theirs:
        raise ValueError(f"Trainer: the state has the random streams {sorted(theirs)}, the model {sorted(mine)}")


def _partners(run: Run, state: dict[str, Any]) -> list[tuple[Any, dict[str, Any]]]:
    """Return callbacks with what was saved of them: in order, those that keep no state left out."""
    kept = [saved for saved in state["callbacks"] if saved["state"]]
    pairs = []
    for callback in run.callbacks:
        if kept and kept[0]["class"] == type(callback).__name__:
            pairs.append((callback, kept.pop(0)["state"]))
    if kept:
        own = [type(c).__name__ for c in run.callbacks]
        raise ValueError(f"Trainer: the state has a {kept[0]['class']} among its callbacks, this trainer has {own}")
    return pairs


def restore(run: Run, state: dict[str, Any]) -> None:
    """Take a state over, but for the callbacks' part; nothing is changed where it does not fit.

    Raises:
        ValueError: it is of another model, optimiser, data, or other callbacks.
    """
    check(run, state)
    before = run.model.state_dict(), run.optimizer.state_dict()
    try:
        run.model.load_state_dict(state["model"])
        run.optimizer.load_state_dict(state["optimizer"]["state"])
        if state["data"] is not None and isinstance(run.train_data, Loader):
            run.train_data.load_state_dict(state["data"])
    except ValueError:
        run.model.load_state_dict(before[0])
        run.optimizer.load_state_dict(before[1])
        raise
    trained = set(state["trained"])
    for name, parameter in run.model.named_parameters():
        parameter.requires_grad = name in trained
    random.set_state(state["streams"])
    for name, generator in generators(run.model).items():
        generator.load_state_dict(state["generators"][name])
    run.history[:] = state["history"]
    run.epoch, run.global_step, run.fit_began = state["epoch"], state["steps"], state["began"]
    run.epoch_state = None
    if state["running"] is not None:
        run.epoch_state = Running()
        run.epoch_state.load_state_dict(state["running"])


def restore_callbacks(run: Run, state: dict[str, Any]) -> None:
    """Give each callback what was saved of it: after `on_fit_begin`, where they begin anew."""
    for callback, saved in _partners(run, state):
        callback.load_state_dict(saved)
