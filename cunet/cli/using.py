"""What is done with a run that was trained: evaluate, predict, export, summary, report."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

from .. import functional, onnx
from ..nn.module import Module
from ..nn.summary import summary as summarised
from ..predictor.predictor import Predictor, load_predictor, save_predictor
from ..train.files import newest_state
from ..train.history import History
from .output import numbers, show
from .pictures import read
from .recipes import RECIPES, Picture
from .runs import Run

_SIDE = 28  # of MNIST's images
_PICTURE = "picture"  # under this name a file says how images become inputs


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
    """Tell the classes of images, by a run or by a file that `export` wrote.

    Raises:
        ValueError: the inputs of the net are no images.
    """
    predictor, picture = _predictor(options.run)
    if picture is None:
        raise ValueError(
            f"{options.run} does not say how images become inputs: its recipe must return a cunet.cli.Job that does"
        )
    p = functional.softmax(predictor(read(options.images, picture))).numpy()
    each = list(zip(options.images, p, strict=True))
    found = [{"image": path, "class": int(row.argmax()), "probabilities": row} for path, row in each]
    show(options.json, "\n".join(_told(path, row) for path, row in each), found)
    return 0


def _predictor(place: str) -> tuple[Predictor, Picture | None]:
    """Return what answers, and how images become its inputs."""
    import json

    if Path(place).suffix != ".safetensors":
        run = Run.read(place)
        return Predictor(run.loaded()[0]), run.picture
    predictor = load_predictor(place)
    kept = predictor.metadata.get(_PICTURE)
    return predictor, None if kept is None else Picture(**json.loads(kept))


def _told(path: str, row: np.ndarray) -> str:
    best = row.argsort()[::-1][:3]
    return f"{path}: {best[0]} ({row[best[0]]:.1%}), then " + ", ".join(f"{k} ({row[k]:.1%})" for k in best[1:])


def export(options: argparse.Namespace) -> int:
    """Write a run's model to a file for others, as weights with their layers beside them, or as ONNX.

    Of a model with layers that are not registered (`cunet.register_layer`) the weights are written alone.

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
        _save(model, run.picture, path)
    show(options.json, f"written to {path}", {"file": str(path), "bytes": path.stat().st_size})
    return 0


def _save(model: Module, picture: Picture | None, path: Path) -> None:
    import json

    try:
        save_predictor(model, path, {} if picture is None else {_PICTURE: json.dumps(picture._asdict())})
    except ValueError as error:
        print(f"cunet export: weights alone, without their layers: {error}", file=sys.stderr)
        model.save(path)


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
