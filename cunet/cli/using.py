"""What is done with a run that was trained: evaluate, predict, export, summary, report."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from .. import functional, onnx
from ..autograd.tape import no_grad
from ..device import asnumpy, like
from ..nn.summary import summary as summarised
from ..train.files import newest_state
from ..train.history import History
from .output import numbers, show
from .pictures import read
from .recipes import RECIPES, Picture
from .runs import Run

_SIDE = 28  # of MNIST's images


def evaluate(options: argparse.Namespace) -> int:
    """Measure a run on the data that it validates on.

    Raises:
        ValueError: it has none.
    """
    run = Run.read(options.run)
    job = run.job()
    if job.valid is None:
        raise ValueError(f"{run.recipe} gives no data to validate on, so there is nothing to evaluate on")
    run.load(job.trainer.model)
    job.trainer.progress = False
    found = job.trainer.evaluate(job.valid)
    show(options.json, numbers(found), found)
    return 0


def predict(options: argparse.Namespace) -> int:
    """Tell the classes of images.

    Raises:
        ValueError: the run's inputs are no images.
    """
    run = Run.read(options.run)
    if run.picture is None:
        raise ValueError(
            f"{run.recipe} does not say how images become inputs: it must return a cunet.cli.Job that does"
        )
    x = read(options.images, run.picture)
    model, _ = run.loaded()
    with model.evaluating(), no_grad():
        p = asnumpy(functional.softmax(model(like(x, next(model.parameters()).data))).data)
    each = list(zip(options.images, p, strict=True))
    found = [{"image": path, "class": int(row.argmax()), "probabilities": row} for path, row in each]
    show(options.json, "\n".join(_told(path, row) for path, row in each), found)
    return 0


def _told(path: str, row: np.ndarray) -> str:
    best = row.argsort()[::-1][:3]
    return f"{path}: {best[0]} ({row[best[0]]:.1%}), then " + ", ".join(f"{k} ({row[k]:.1%})" for k in best[1:])


def export(options: argparse.Namespace) -> int:
    """Write a run's model to a file for others: its weights, or all of it as ONNX.

    Raises:
        ValueError: the file's name does not say in which form.
    """
    run, path = Run.read(options.run), Path(options.file).expanduser()
    if path.suffix not in (".safetensors", ".onnx"):
        raise ValueError(f"the file must end in .safetensors or .onnx, got {options.file!r}")
    model, inputs = run.loaded()
    if path.suffix == ".onnx":
        onnx.export(model, inputs, path)
    else:
        model.save(path)
    show(options.json, f"written to {path}", {"file": str(path), "bytes": path.stat().st_size})
    return 0


def summary(options: argparse.Namespace) -> int:
    """Show the model of a run, or of a recipe."""
    if options.what in RECIPES:
        model, inputs = Run(Path(), options.what, {}, 0, 0, Picture(_SIDE, 0, 1, RECIPES[options.what].flat)).built()
    elif ":" in options.what:
        model, inputs = Run(Path(), options.what, {}, 0, 0).built()
    else:
        model, inputs = Run.read(options.what).built()
    found = summarised(model, tuple(x[:1] for x in inputs))
    layers = [layer._asdict() for layer in found]
    show(options.json, str(found), {"parameters": found.parameters, "flops": found.flops, "layers": layers})
    return 0


def report(options: argparse.Namespace) -> int:
    """Tell the epochs of a run.

    Raises:
        FileNotFoundError: it has saved nothing yet.
    """
    run = Run.read(options.run)
    state = newest_state(run.folder)
    if state is None:
        raise FileNotFoundError(f"nothing to report: {run.folder} holds no checkpoint yet")
    if options.json:
        show(True, "", {"recipe": run.recipe, "settings": run.settings, "history": state["history"]})
        return 0
    print(History(state["history"]))
    return 0
