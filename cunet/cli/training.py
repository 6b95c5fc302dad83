"""``cunet train`` and ``cunet resume``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ..train import Checkpoint
from ..train.report import Report
from .output import numbers, show
from .recipes import Job
from .runs import RUN, WEIGHTS, Run
from .settings import settings_of

#: Exit status of a run that Ctrl-C or SIGTERM ended, as shells give it.
INTERRUPTED = 130
_MINUTES = 5  # between two saves within an epoch


def train(options: argparse.Namespace) -> int:
    """Begin a run in a new folder; return the exit status.

    Raises:
        FileExistsError: the folder holds a run.
    """
    folder = Path(options.out or f"runs/{options.recipe.replace(':', '.')}").expanduser()
    if (folder / RUN).exists():
        raise FileExistsError(
            f"{folder} holds a run: cunet resume {folder} goes on with it, --out names another folder"
        )
    given = settings_of(options)
    seed, epochs = given.get("seed", options.seed), given.get("epochs", options.epochs)
    run = Run(folder, options.recipe, given, seed if isinstance(seed, int) else 0, epochs)
    job = run.job()
    run.picture = job.picture
    folder.mkdir(parents=True, exist_ok=True)
    run.write()
    return _go_on(run, job, options)


def resume(options: argparse.Namespace) -> int:
    """Go on with a run; return the exit status."""
    run = Run.read(options.run)
    return _go_on(run, run.job(), options)


def _go_on(run: Run, job: Job, options: argparse.Namespace) -> int:
    """Train up to the run's end, or Ctrl-C; keep what came of it."""
    trainer, as_json = job.trainer, options.json
    if options.report is not None:
        trainer.report = Report(options.report)
    if as_json:
        trainer.progress = False
    if all(callback.folder is None for callback in trainer.callbacks):
        monitor = "loss" if job.valid is None else "valid_loss"
        trainer.callbacks.append(Checkpoint(run.folder, monitor=monitor, every_minutes=_MINUTES))
    if not as_json:
        print(f"{trainer.model}\n{run.recipe} on the {trainer.device}, in {run.folder}", flush=True)
    trainer.fit(job.train, job.valid, epochs=run.epochs, resume="auto")
    path = run.folder / WEIGHTS
    trainer.model.save(path)
    last: dict[str, Any] = trainer.history[-1] if trainer.history else {}
    told = {
        name: value for name, value in last.items() if name in ("loss", *trainer.metrics) or name.startswith("valid_")
    }
    text = f"{numbers(told)}\nweights written to {path}"
    if trainer.interrupted:
        text += f"\nstopped in epoch {trainer.epoch} of {run.epochs}; cunet resume {run.folder} goes on"
    data = {"run": str(run.folder), "weights": str(path), "interrupted": trainer.interrupted, "epoch": trainer.epoch}
    show(as_json, text, {**data, "epochs": run.epochs, "history": trainer.history})
    return INTERRUPTED if trainer.interrupted else 0
