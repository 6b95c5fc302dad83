"""Trial: the values that are tried, and what is told of them; Pruning: a Trainer tells it after every epoch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ..system.extras import extra
from ..train import Callback, Trainer

if TYPE_CHECKING:
    import optuna


class Trial(Mapping[str, Any]):
    """The values of a space that are to be tried, by name: ``trial["lr"]``, ``net(**trial)``.

    Attributes:
        number: of the trial in its search, from 0.
        seed: its own, the same where it is tried again; `cunet.manual_seed` has it when `build` is called.

    Example:
        >>> from cunet.search import Int, search
        >>> def build(trial):
        ...     model = nn.Linear(trial["width"], 1)  # drawn from the trial's own seed
        ...     return model.weight.size
        >>> found = search(build, {"width": Int(2, 4)}, method="grid", mode="max", storage=None)
        >>> found.best.params
        {'width': 4}
    """

    def __init__(self, values: dict[str, Any], seed: int, trial: optuna.Trial) -> None:
        self._values, self.seed, self.number, self._trial = values, seed, trial.number, trial

    def __getitem__(self, name: str) -> Any:
        """Return the value of a parameter."""
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        """Go through the names."""
        return iter(self._values)

    def __len__(self) -> int:
        """Return the number of parameters."""
        return len(self._values)

    def __repr__(self) -> str:
        """Show number and values."""
        return f"Trial({self.number}, {self._values})"

    def report(self, value: float, step: int) -> None:
        """Tell a value on the way, of the kind that `build` returns; ends `build` if others were better there.

        Args:
            value: such as the validation loss.
            step: such as the epoch; each once.

        Raises:
            optuna.TrialPruned: the pruner of the search gives the trial up. `search` takes it.
        """
        self._trial.report(float(value), step)
        if self._trial.should_prune():
            raise extra("optuna", "search", "Trial.report").TrialPruned


class Pruning(Callback):
    """End the training of a trial after an epoch in which others were better.

    Args:
        trial: what `build` was given.
        monitor: entry of the logs that is compared: the one whose last value `build` returns.

    Example:
        >>> from cunet.search import Pruning, search
        >>> x, y = np.ones((8, 2), np.float32), np.ones((8, 1), np.float32)
        >>> def build(trial):
        ...     model = nn.Linear(2, 1)
        ...     optimizer = optim.SGD(model.parameters(), lr=trial["lr"])
        ...     trainer = cunet.Trainer(model, "mse_loss", optimizer, callbacks=Pruning(trial), progress=False)
        ...     return trainer.fit((x, y), (x, y), epochs=3)[-1]["valid_loss"]
        >>> search(build, {"lr": [0.0, 0.1]}, method="grid", storage=None).best.params
        {'lr': 0.1}
    """

    def __init__(self, trial: Trial, monitor: str = "valid_loss") -> None:
        self.trial, self.monitor = trial, monitor

    def on_epoch_end(self, trainer: Trainer, logs: dict[str, Any]) -> None:
        """Tell the epoch's value."""
        if self.monitor not in logs:
            raise ValueError(f"Pruning: no {self.monitor!r} in the logs; there are {', '.join(logs)}")
        self.trial.report(logs[self.monitor], trainer.epoch)
