"""Logs of a run as files for other programs: CSV, and JSON lines."""

from __future__ import annotations

import csv
import io
import math
import os
from typing import Any

import numpy as np

from ..device import asnumpy, is_array
from ..system.files import check_target, write_whole
from .loop import Logs
from .trainer import Callback, Trainer

_TIMES = ("seconds", "samples_per_second")


class LogFile(Callback):
    """Base of logs: a file with a row for each epoch of `Trainer.history`, and for nothing else.

    It is begun anew by each `fit` and holds all that the history does: after ``fit(resume=...)`` it is, to the byte,
    what it would be without the stop, whatever a killed run left there. What is made of an epoch's logs by callbacks
    that come later is in it.

    Args:
        path: the file; its folder has to be there.
        times: whether "seconds" and "samples_per_second" are noted too, which differ from run to run.

    Raises:
        FileNotFoundError, IsADirectoryError: by `fit`, before it trains: no file can be there.
    """

    def __init__(self, path: str | os.PathLike[str], times: bool = False) -> None:
        self.path, self.times = path, times
        self._rows = 0  # of the history that are in the file
        self._columns: list[str] = []

    def on_fit_begin(self, trainer: Trainer) -> None:
        """Write what the history holds already."""
        self._rewrite(trainer.history)

    def on_checkpoint(self, trainer: Trainer) -> None:
        """Add an epoch when all callbacks had their turn."""
        if trainer.epoch_state is None:
            self._extend(trainer.history)

    def on_fit_end(self, trainer: Trainer) -> None:
        """Add an epoch that was cut short."""
        self._extend(trainer.history)

    def _extend(self, history: list[Logs]) -> None:
        """Add the rows that are not in the file yet."""
        rows = [self._row(logs) for logs in history[self._rows :]]
        if self._rows > len(history) or self._wanted(rows) != self._columns or not os.path.exists(self.path):
            self._rewrite(history)
        elif rows:
            with open(check_target(self.path), "a", encoding="utf-8", newline="") as file:
                file.write(self._text(rows))
            self._rows = len(history)

    def _rewrite(self, history: list[Logs]) -> None:
        rows, self._columns = [self._row(logs) for logs in history], []
        self._columns, self._rows = self._wanted(rows), len(rows)
        write_whole(self.path, (self._head() + self._text(rows)).encode())

    def _row(self, logs: Logs) -> Logs:
        """Return an epoch's entries that the file has."""
        return {name: value for name, value in logs.items() if self.times or name not in _TIMES}

    def _wanted(self, rows: list[Logs]) -> list[str]:
        """Return the columns that there are, and those that rows need besides."""
        return []

    def _head(self) -> str:
        """Return what stands before the rows."""
        return ""

    def _text(self, rows: list[Logs]) -> str:
        """Return rows as they stand in the file."""
        raise NotImplementedError


class CSVLog(LogFile):
    """Write the numbers of each epoch to a CSV file.

    It is begun anew by each `fit` and holds all that the history does: after ``fit(resume=...)`` it is, to the byte,
    what it would be without the stop. Columns are all entries that are numbers, flags or strings; where an epoch has
    none the cell is empty. A column that comes later is put into the whole file.

    Args:
        path: the file; its folder has to be there.
        times: whether "seconds" and "samples_per_second" are noted too, which differ from run to run.

    Example:
        >>> from pathlib import Path
        >>> from cunet.train import CSVLog, Trainer
        >>> x = y = np.zeros((8, 1), np.float32)
        >>> log = CSVLog("log.csv")
        >>> trainer = Trainer(nn.Linear(1, 1, bias=False), "mse_loss", "sgd", callbacks=log, progress=False)
        >>> history = trainer.fit((x, y), (x, y), epochs=2)
        >>> print(Path("log.csv").read_text())
        epoch,loss,complete,valid_loss
        1,0.0,True,0.0
        2,0.0,True,0.0
    """

    def _row(self, logs: Logs) -> Logs:
        row = {name: _plain(value) for name, value in super()._row(logs).items()}
        return {name: value for name, value in row.items() if isinstance(value, (str, int, float))}

    def _wanted(self, rows: list[Logs]) -> list[str]:
        return list(dict.fromkeys([*self._columns, *(name for row in rows for name in row)]))

    def _head(self) -> str:
        return _lines([self._columns]) if self._columns else ""

    def _text(self, rows: list[Logs]) -> str:
        return _lines([[row.get(name, "") for name in self._columns] for row in rows])


class JSONLog(LogFile):
    """Write each epoch as a line of JSON; arrays are nested lists, what is not finite is null.

    It is begun anew by each `fit` and holds all that the history does: after ``fit(resume=...)`` it is, to the byte,
    what it would be without the stop.

    Args:
        path: the file; its folder has to be there.
        times: whether "seconds" and "samples_per_second" are noted too, which differ from run to run.

    Example:
        >>> from pathlib import Path
        >>> from cunet.train import JSONLog, Trainer
        >>> x = y = np.zeros((8, 1), np.float32)
        >>> log = JSONLog("log.jsonl")
        >>> trainer = Trainer(nn.Linear(1, 1, bias=False), "mse_loss", "sgd", callbacks=log, progress=False)
        >>> history = trainer.fit((x, y), epochs=2)
        >>> print(Path("log.jsonl").read_text())
        {"epoch": 1, "loss": 0.0, "complete": true}
        {"epoch": 2, "loss": 0.0, "complete": true}
    """

    def _text(self, rows: list[Logs]) -> str:
        import json

        return "".join(json.dumps(_strict(row), allow_nan=False) + "\n" for row in rows)


def _lines(rows: list[list[Any]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _plain(value: Any) -> Any:
    """Return a number or an array as Python's own numbers; all else as it is."""
    if is_array(value):
        return asnumpy(value).tolist()
    return value.item() if isinstance(value, np.generic) else value


def _strict(value: Any) -> Any:
    """Return a value as JSON has it, which knows no NaN and no infinity; what it has no word for as a string."""
    value = _plain(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): _strict(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_strict(item) for item in value]
    return value if value is None or isinstance(value, (str, int)) else str(value)
