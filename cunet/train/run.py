"""A run of a Trainer from its first epoch to its last, and the files in which it is kept."""

from __future__ import annotations

import os
from typing import Any

from ..record import Report as Recording
from ..system import trees
from .loop import Loop
from .progress import Progress
from .state import restore, restore_callbacks, state_of


class Run(Loop):
    """Begin a run, end it, and save it; the part of a `Trainer` that is the same for whatever is trained."""

    def __getstate__(self) -> dict[str, Any]:
        """Copy and pickle without the data."""
        return {**vars(self), "train_data": None, "valid_data": None, "weighting": None}

    def _fit(self, train: Any, valid: Any, last: int, display: Progress, state: Any, evaluate_first: bool) -> None:
        """Go through the epochs up to the number `last`, in a run that may go on from a state."""
        error: BaseException | None = None
        if self.report is not None:
            self.report.begin()
        try:
            self._call("on_fit_begin")
            if state is not None:
                restore_callbacks(self, state)
            if evaluate_first:
                self._measure_first(valid, display)
            self._run_epochs(train, valid, last, display)
            self._show_average(train)
        except BaseException as problem:
            error = problem
            self.interrupted |= isinstance(error, KeyboardInterrupt)
            raise
        finally:
            display.end()
            try:
                self._call_all("on_fit_end")
            finally:
                if self.report is not None:
                    self.report.end(self, error)
        if self._recorded.mode is True:
            display.say(self._recorded.summary())
        if self.recorder is not None:
            display.say(str(self.recorder.findings()))
        if self.stop:
            display.say(f"stopped {'by Ctrl-C ' if self.interrupted else ''}in epoch {self.epoch} of {last}")

    def save(self, path: str | os.PathLike[str], metadata: dict[str, str] | None = None) -> None:
        """Write the whole state of the run to one safetensors file, for `load` or ``fit(resume=path)``."""
        trees.save_tree(path, state_of(self), metadata)

    def load(self, path: str | os.PathLike[str]) -> None:
        """Take over the state in a file of `save`, between two calls of `fit`; in one epoch, ``fit(resume=path)`` does.

        Raises:
            ValueError: the file is damaged, or of another model, optimiser or other callbacks; nothing is changed then.
        """
        state = trees.load_tree(path)
        restore(self, state)
        restore_callbacks(self, state)
        if self.average is not None and state["average"]["shown"]:
            self.average.put(self.model)

    def reports(self) -> dict[str, Recording]:
        """Return how calls were recorded and replayed, and why some were not, by the method that made them."""
        return self._recorded.reports()
