"""The loop of a Trainer: epochs, their batches, and who is called between them."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from ..data import Loader
from ..device import Array
from ..system.messages import warn
from .average import Average
from .batches import augmented, n_samples
from .evaluator import Evaluator
from .history import History
from .interrupt import Interrupt
from .losses import Losses, total_of
from .progress import Progress, is_number, number
from .state import Running, go_back, weights_of
from .steps import Steps
from .supply import underlying
from .updates import NotFinite, Updates
from .weighting import Weighting

if TYPE_CHECKING:
    from ..diagnose import Recorder

Logs = dict[str, Any]
#: What is done where a loss or a gradient is not finite, in words.
SAID = {
    "stop": "training stops before it",
    "skip": "such batches are left out",
    "restore": "back to the weights that the epoch began with, and on with the next batch",
}


class Watching(Protocol):
    """What looks at a run when a `fit` begins, when an epoch is over and its state whole, and when all is over."""

    def begin(self) -> None:
        """Get ready."""

    def update(self, run: Any, /) -> None:
        """Look at a run that goes on."""

    def end(self, run: Any, error: BaseException | None, /) -> None:
        """Look at a run that is over, or was ended by an error."""


class Loop(Evaluator):
    """Go through epochs and batches; the half of a `Trainer` that makes steps."""

    optimizer: Any
    callbacks: list[Any]
    history: History
    epoch: int
    fit_began: int  # the epoch before the first one of the last `fit`
    global_step: int
    epoch_state: Running | None
    train_data: Any  # what the last `fit` trains on
    valid_data: Any  # and what it validates on
    report: Watching | None
    stop: bool
    interrupted: bool
    augment: Callable[..., Any] | None
    average: Average | None
    weighting: Weighting | None  # of the last `fit`
    weighs_samples: bool  # whether its batches end with weights
    updates: Updates
    recorder: Recorder | None
    _nan_said: bool

    def _run_epochs(self, train: Any, valid: Any, last: int, display: Progress) -> None:
        with Interrupt() as interrupt:
            while (self.epoch < last or self.epoch_state) and not self.stop:
                display.row(self._run_epoch(train, valid, last, display, interrupt), last)
                if interrupt.requested:
                    self.stop = self.interrupted = True

    def _run_epoch(self, train: Any, valid: Any, last: int, display: Progress, interrupt: Interrupt) -> Logs:
        """Train one epoch, validate, and append its logs."""
        if self.epoch_state is None:
            self.epoch += 1
            self.epoch_state = Running(self.metrics)
            self.updates.forget()
            self._call("on_epoch_begin")
            if self.updates.policy == "restore":
                self.epoch_state.saved = weights_of(self)
        running = self.epoch_state
        means, begin = running.measures.means, time.perf_counter() - running.seconds
        display.begin(f"epoch {self.epoch}/{last}", n_samples(train))
        self._train(running, begin, train, display, interrupt)
        if not means.count:
            self._refuse_nothing(running)
        measured = running.measures.read()  # which waits for the device: then the time is whole
        logs: Logs = {"epoch": self.epoch, **measured}
        seconds = time.perf_counter() - begin
        display.end()
        complete, self.epoch_state = not self.stop, None
        logs |= {"seconds": seconds, "samples_per_second": means.count / seconds, "complete": False}
        self.history.append(logs)  # now, so that an error in the validation does not lose it
        if running.lost:
            logs["skipped"] = running.lost
        if math.isnan(logs["loss"]):
            self._warn_of_nan(running)
        if self.interrupted:
            return logs
        if self.average is not None:
            self.average.after_epoch(self.model, (self.epoch - self.fit_began) / (last - self.fit_began))
        with self._averaged(train):
            if valid is not None:
                logs |= self._validated(valid, display, f"valid {self.epoch}/{last}")
            logs["complete"] = complete
            self._call("on_epoch_end", logs)
        self._call("on_checkpoint")
        if self.report is not None:
            self.report.update(self)
        return logs

    def _validated(self, valid: Any, display: Progress, label: str) -> Logs:
        return {f"valid_{name}": value for name, value in self._evaluate(valid, display, label).items()}

    def _measure_first(self, valid: Any, display: Progress) -> None:
        """Evaluate before the first epoch, as one more entry of `history`."""
        begin = time.perf_counter()
        logs: Logs = {"epoch": self.epoch, **self._validated(valid, display, "before training")}
        logs |= {"seconds": time.perf_counter() - begin, "complete": True}
        self.history.append(logs)
        told = {name: value for name, value in logs.items() if name.startswith("valid_")}
        display.say("before training: " + ", ".join(f"{name} {number(v)}" for name, v in told.items() if is_number(v)))

    @contextmanager
    def _averaged(self, train: Any) -> Iterator[None]:
        """Have the average of weights in the model, if there is one, within a ``with`` block."""
        if self.average is None:
            yield
            return
        self._show_average(train)
        try:
            yield
        finally:
            self.average.take(self.model)

    def _show_average(self, train: Any) -> None:
        """Put the average of weights into the model, if there is one."""
        if self.average is not None:
            self.average.completed(self.model, self._again(train), lambda _, batch: self.compute(*batch))
            self.average.put(self.model)

    def _again(self, train: Any) -> Iterator[Any]:
        """Yield the batches of the training data, but for their weights and those of one sample, in the data's order.

        No draw is made, and no epoch's position changes.
        """
        data = underlying(train)
        for batch in self._batches(data.in_order() if isinstance(data, Loader) else data):
            if len(batch[-1]) > 1:
                yield batch[:-1] if self.weighs_samples else batch

    def _train(self, running: Running, begin: float, train: Any, display: Progress, interrupt: Interrupt) -> None:
        """Make the steps of an epoch that are still to be made; it began at `begin`."""
        for batch in self._batches(running.remaining(train)):
            self._learn(running, batch)
            display.advance(len(batch[-1]), running.measures.means.read)
            self.global_step += 1
            running.batches += 1
            running.seconds = time.perf_counter() - begin
            self._call("on_batch_end")
            self.interrupted |= interrupt.requested
            self.stop |= self.interrupted
            self._call("on_checkpoint")
            if self.stop:
                return
        with self._not_finite(running, batch=running.batches):
            if self.updates.flush(self) or self.updates.overflowed:
                self._take_in(running)

    def _take_in(self, running: Running) -> None:
        """Let the average of weights know of an update, or the epoch of one that was left out."""
        if self.updates.overflowed:
            self.updates.overflowed = False
            running.lost += 1
        elif self.average is not None and not self.updates.pending:
            self.average.after_update(self.model)

    def _learn(self, running: Running, batch: tuple[Array, ...]) -> None:
        """Make a step of a batch, and measure it."""
        loss = self.loss
        if self.weighting is not None:
            if self.weighs_samples:
                *rest, self.weighting.sample_weight = batch
                batch = tuple(rest)
            self.loss = self.weighting
        try:
            if self.augment is not None:
                batch = augmented(self.augment, batch)
            with self._not_finite(running):
                losses, prediction = self._observed(batch, loss)
                self.loss = loss
                self._measure(running.measures, losses, prediction, batch[-1], self.weighting)
                self._take_in(running)
        except ValueError as error:
            if len(batch[-1]) == 1:
                error.add_note(
                    "Trainer: the batch is of one sample; take another batch_size, or Loader(drop_last=True)"
                )
            raise
        finally:
            self.loss = loss

    def _observed(self, batch: tuple[Array, ...], loss: Any) -> tuple[Losses, Any]:
        """Make a step, and show it to the recorder, if there is one."""
        if self.recorder is None or self.recorder.passes():
            return self._stepped(batch)
        with self.recorder.step(*batch[:-1]):
            losses, prediction = self._stepped(batch)
            if type(self).step is Steps.step:  # losses of others may rise, as those of a generator
                plain = type(self).compute is Steps.compute and self.weighting is None
                self.recorder.tell(total_of(losses), prediction, batch[-1], loss if plain else None)
        return losses, prediction

    def _stepped(self, batch: tuple[Array, ...]) -> tuple[Losses, Any]:
        """Make a step; if it is not that of this class, look at what it returned."""
        other, updates = type(self).step is not Steps.step, self.updates
        alone = other and updates.used is False and self.weighting is None  # the last one did not ask `updates`
        updates.used = False if other else updates.used
        losses, prediction = (self.part("step") if self.careful is None or alone else self.step)(*batch)
        if other and not updates.used:
            if self.weighting is not None:
                self._recorded.left["weights of samples or labels in a step that does not call super().step"] += 1
            if updates.changes_gradients:
                raise ValueError(
                    "Trainer: accumulate, clip_norm, clip_value and loss_scale are done by Trainer.step: call"
                    f" super().step(), or do them in {type(self).__name__}.step"
                )
            updates.check("the loss", total_of(losses), self.loss, batch[-1])
        return losses, prediction

    @contextmanager
    def _not_finite(self, running: Running, batch: int | None = None) -> Iterator[None]:
        """Do with a step whose loss or gradient is not finite what `on_nan` says; it is that of the next batch."""
        try:
            yield
        except NotFinite as problem:
            batch, policy = batch or running.batches + 1, self.updates.policy
            step = self.global_step - running.batches + batch
            text = f"Trainer: {problem} in step {step} (batch {batch} of epoch {self.epoch})"
            if policy == "raise":
                raise FloatingPointError(
                    f"{text}; nothing was learnt from it; cunet.detect_anomaly() names the op and the line"
                ) from None
            running.lost += 1
            if policy == "stop":
                self.stop = True
            elif policy == "restore":
                go_back(self, running.saved or {})
                self.updates.forget()  # gradients of other weights
            if not self._nan_said:
                self._nan_said = True
                warn(f"{text}; {SAID[policy or 'skip']}")

    def _refuse_nothing(self, running: Running) -> None:
        """Raise an error for an epoch without anything that was measured, unless it was to be stopped."""
        if not running.lost:
            raise ValueError(
                f"Trainer.fit: the training data yields no batch in epoch {self.epoch}"
                " (a generator can be gone through only once)"
            )
        if self.updates.policy != "stop":
            raise FloatingPointError(f"Trainer: no batch of epoch {self.epoch} had a finite loss and finite gradients")
        running.measures.means.add(0, {"loss": math.nan})

    def _warn_of_nan(self, running: Running) -> None:
        batch = running.measures.means.first_nan()  # None if all labels were ignored, of which the mean is NaN
        if batch is not None and not self._nan_said:
            self._nan_said = True
            step = self.global_step - running.batches + batch
            warn(f"Trainer: the loss is NaN from batch {batch} of epoch {self.epoch} on (step {step}); training goes on"
                 " (see on_nan)")  # fmt: skip

    def _call(self, hook: str, *args: Any) -> None:
        for callback in self.callbacks:
            getattr(callback, hook)(self, *args)

    def _call_all(self, hook: str) -> None:
        """Call a hook of every callback, also where one fails; then raise the first error, with notes on the others."""
        errors = []
        for callback in self.callbacks:
            try:
                getattr(callback, hook)(self)
            except BaseException as error:  # Ctrl-C too is raised when all had their turn
                errors.append(error)
                if len(errors) > 1:
                    errors[0].add_note(f"{type(callback).__name__}.{hook} failed too: {error!r}")
        if errors:
            raise errors[0]
