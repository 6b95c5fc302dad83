"""The state of a training run: everything that the next step depends on, as a tree of plain values and arrays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from .. import random
from ..data import Loader
from ..nn.module import Module
from ..nn.streams import generators
from .average import Average
from .history import History
from .metrics.measures import Measures
from .supply import Stretches
from .updates import Updates

FORMAT = 2
#: What knows where it stands in an epoch, and saves that.
POSITIONED = (Loader, Stretches)


class Running:
    """What is known of an epoch that is under way.

    Attributes:
        measures: loss and metrics over the batches so far.
        batches: how many were made.
        seconds: how long they took.
        lost: how many of them were left out, as their loss or gradient was not finite.
        saved: the weights that the epoch began with, where they may be gone back to.
    """

    def __init__(self, metrics: Mapping[str, Any]) -> None:
        self.measures = Measures(metrics)
        self.batches, self.seconds, self.lost = 0, 0.0, 0
        self.saved: dict[str, Any] | None = None

    def remaining(self, data: Any) -> Iterator[Any]:
        """Yield the batches of the epoch that are still to come; of what has no position, the first are left out."""
        if isinstance(data, POSITIONED):
            if self.batches < len(data):
                yield from data
            return
        for number, batch in enumerate(data):
            if number >= self.batches:
                yield batch

    def state_dict(self) -> dict[str, Any]:
        """Return the state; reading it waits for the device."""
        numbers = {name: getattr(self, name) for name in ("batches", "seconds", "lost", "saved")}
        return {"measures": self.measures.state_dict(), **numbers}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a state that `state_dict` returned."""
        self.measures.load_state_dict(state["measures"])
        self.batches, self.seconds = state["batches"], state["seconds"]
        self.lost, self.saved = state["lost"], state["saved"]


class Run(Protocol):
    """What is saved of a Trainer."""

    model: Module
    optimizer: Any
    metrics: dict[str, Any]
    average: Average | None
    updates: Updates
    callbacks: list[Any]
    history: History
    epoch: int
    stop: bool
    interrupted: bool
    global_step: int
    fit_began: int
    epoch_state: Running | None
    train_data: Any


def state_of(run: Run) -> dict[str, Any]:
    """Return the state of a run, to be taken up by `restore`; the weights are those that are trained."""
    average, shown = run.average, run.average is not None and run.average.shown
    if average is not None:
        shown = average.take(run.model) and shown
    try:
        return {
            "format": FORMAT,
            "model": run.model.state_dict(),
            "trained": [name for name, p in run.model.named_parameters() if p.requires_grad],
            "optimizers": {
                name: {"class": type(o).__name__, "state": o.state_dict()} for name, o in by_name(run.optimizer).items()
            },
            "average": average and {"class": type(average).__name__, "shown": shown, "state": average.state_dict()},
            "updates": run.updates.state_dict(run.model),
            "callbacks": [{"class": type(c).__name__, "state": c.state_dict()} for c in run.callbacks],
            "streams": random.get_state(),
            "generators": {name: generator.state_dict() for name, generator in generators(run.model).items()},
            "data": run.train_data.state_dict() if isinstance(run.train_data, POSITIONED) else None,
            "history": run.history,
            "stopped": run.stop and not run.interrupted,
            "epoch": run.epoch,
            "steps": run.global_step,
            "began": run.fit_began,
            "running": run.epoch_state.state_dict() if run.epoch_state else None,
        }
    finally:
        if average is not None and shown:
            average.put(run.model)


def by_name(optimizer: Any) -> dict[str, Any]:
    """Return the optimisers of a run: one under the name "", several under their own, none if there is none."""
    return optimizer if isinstance(optimizer, dict) else {} if optimizer is None else {"": optimizer}


def weights_of(run: Run) -> dict[str, Any]:
    """Return copies of weights, averages and the optimisers' states, to be gone back to."""
    return {
        "model": run.model.state_dict(),
        "optimizers": {name: o.state_dict()["state"] for name, o in by_name(run.optimizer).items()},
        "average": run.average and run.average.state_dict(),
    }


def go_back(run: Run, saved: dict[str, Any]) -> None:
    """Take over what `weights_of` returned; settings, such as rates, stay what they are."""
    run.model.load_state_dict(saved["model"])
    for name, optimizer in by_name(run.optimizer).items():
        groups = optimizer.state_dict()["param_groups"]
        optimizer.load_state_dict({"state": saved["optimizers"][name], "param_groups": groups})
    if run.average is not None:
        run.average.load_state_dict(saved["average"])


def check(run: Run, state: Any) -> None:
    """Raise ValueError, naming what differs, unless a state is one of this model, optimiser and callbacks."""
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        found = state.get("format") if isinstance(state, dict) else type(state).__name__
        raise ValueError(f"Trainer: the state must be of a run, in format {FORMAT}, got {found!r}")
    theirs = {name: saved["class"] for name, saved in state["optimizers"].items()}
    mine = {name: type(o).__name__ for name, o in by_name(run.optimizer).items()}
    if theirs != mine:
        raise ValueError(f"Trainer: the state is of the optimizer {_listed(theirs)}, this trainer has {_listed(mine)}")
    their, my = (state["average"] or {}).get("class"), type(run.average).__name__ if run.average else None
    if their != my:
        raise ValueError(f"Trainer: the state is of average={their}, this trainer has {my}")
    _partners(run, state)
    own, saved = generators(run.model).keys(), state["generators"].keys()
    if own != saved:
        raise ValueError(f"Trainer: the state has the random streams {sorted(saved)}, the model {sorted(own)}")


def _listed(classes: Mapping[str, str]) -> str:
    """Return the classes of optimisers in words."""
    return ", ".join(f"{name}: {kind}" if name else kind for name, kind in classes.items()) or "none"


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
    optimizers = by_name(run.optimizer)
    shown = run.average is not None and run.average.take(run.model)
    before = run.model.state_dict(), {name: o.state_dict() for name, o in optimizers.items()}
    try:
        run.model.load_state_dict(state["model"])
        for name, optimizer in optimizers.items():
            optimizer.load_state_dict(state["optimizers"][name]["state"])
        if state["data"] is not None and isinstance(run.train_data, POSITIONED):
            run.train_data.load_state_dict(state["data"])
    except ValueError:
        run.model.load_state_dict(before[0])
        for name, optimizer in optimizers.items():
            optimizer.load_state_dict(before[1][name])
        if run.average is not None and shown:
            run.average.put(run.model)
        raise
    if run.average is not None:
        run.average.load_state_dict(state["average"]["state"])
    trained = set(state["trained"])
    for name, parameter in run.model.named_parameters():
        parameter.requires_grad = name in trained
    run.updates.load_state_dict(state["updates"], run.model)
    random.set_state(state["streams"])
    for name, generator in generators(run.model).items():
        generator.load_state_dict(state["generators"][name])
    run.history[:] = state["history"]
    run.epoch, run.global_step, run.fit_began = state["epoch"], state["steps"], state["began"]
    run.epoch_state = None
    if state["running"] is not None:
        run.epoch_state = Running(run.metrics)
        run.epoch_state.load_state_dict(state["running"])


def restore_callbacks(run: Run, state: dict[str, Any]) -> None:
    """Give each callback what was saved of it: after `on_fit_begin`, where they begin anew."""
    for callback, saved in _partners(run, state):
        callback.load_state_dict(saved)
