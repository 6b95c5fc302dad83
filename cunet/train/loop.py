"""The loop of a Trainer: epochs, their batches, and who is called between them."""

from __future__ import annotations

import math
import time
from contextlib import ExitStack
from typing import Any

from ..system.messages import warn
from .batches import n_samples
from .evaluator import Evaluator
from .interrupt import Interrupt
from .progress import Progress
from .state import Running

Logs = dict[str, Any]


class Loop(Evaluator):
    """Go through epochs and batches; the half of a `Trainer` that makes steps."""

    callbacks: list[Any]
    history: list[Logs]
    epoch: int
    global_step: int
    epoch_state: Running | None
    train_data: Any  # what the last `fit` trains on
    stop: bool
    interrupted: bool
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
            self.epoch_state = Running()
            self._call("on_epoch_begin")
        means, begin = self.epoch_state.means, time.perf_counter() - self.epoch_state.seconds
        display.begin(f"epoch {self.epoch}/{last}", n_samples(train))
        self._train(self.epoch_state, begin, train, display, interrupt)
        if not means.count:
            raise ValueError(
                f"Trainer.fit: the training data yields no batch in epoch {self.epoch}"
                " (a generator can be gone through only once)"
            )
        logs: Logs = {"epoch": self.epoch, **means.read()}  # reading waits for the device: then the time is whole
        seconds = time.perf_counter() - begin
        display.end()
        complete, self.epoch_state = not self.stop, None
        logs |= {"seconds": seconds, "samples_per_second": means.count / seconds, "complete": False}
        self.history.append(logs)  # now, so that an error in the validation does not lose it
        if math.isnan(logs["loss"]):
            self._warn_of_nan(means.first_nan())  # None if all labels were ignored, of which the mean is NaN
        if self.interrupted:
            return logs
        if valid is not None:
            measured = self._evaluate(valid, display, f"valid {self.epoch}/{last}")
            logs |= {f"valid_{name}": value for name, value in measured.items()}
        logs["complete"] = complete
        self._call("on_epoch_end", logs)
        self._call("on_checkpoint")
        return logs

    def _train(self, running: Running, begin: float, train: Any, display: Progress, interrupt: Interrupt) -> None:
        """Make the steps of an epoch that are still to be made; it began at `begin`."""
        for batch in self._batches(running.remaining(train)):
            loss, prediction = self._recorded.method(self, "step")(*batch)
            self._measure(running.means, loss, prediction, batch[-1])
            display.advance(len(batch[-1]), running.means.read)
            self.global_step += 1
            running.batches += 1
            running.seconds = time.perf_counter() - begin
            self._call("on_batch_end")
            self.interrupted |= interrupt.requested
            self.stop |= self.interrupted
            self._call("on_checkpoint")
            if self.stop:
                break

    def _warn_of_nan(self, batch: int | None) -> None:
        if batch is not None and not self._nan_said:
            self._nan_said = True
            warn(f"Trainer: the loss is NaN from batch {batch} of epoch {self.epoch} on; training goes on")

    def _call(self, hook: str, *args: Any) -> None:
        for callback in self.callbacks:
            getattr(callback, hook)(self, *args)

    def _call_all(self, hook: str) -> None:
        """Call a hook of every callback, also where one fails; then raise the first error."""
        with ExitStack() as stack:
            for callback in reversed(self.callbacks):
                stack.callback(getattr(callback, hook), self)
