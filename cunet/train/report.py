"""Report: what `Trainer(report="run.html")` writes, while it trains and when it is done."""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from .. import plot
from ..autograd.tape import no_grad
from ..autograd.tensor import Tensor
from ..data import Loader
from ..device import asnumpy
from ..nn.report import unchanged
from ..nn.summary import Summary, summary
from ..plot.curves import curve, curves_of
from ..plot.histograms import histogram, weights_of
from ..plot.images import as_pictures, first_weight
from ..system.extras import extra, headless, new_axes
from ..system.files import check_target, write_whole
from ..system.messages import warn
from ..system.table import html_table
from . import page
from .facts import facts, last_numbers
from .loop import Loop
from .supply import underlying

_SHARE = 0.05  # of the time that a run takes, for drawing while it runs
_SAMPLES = 10_000  # of the validation that are looked at
_CLASSES, _LAYERS = 50, 12


class Report:
    """A page of a run; see `Trainer`.

    Args:
        path: the HTML file; its folder has to be there.

    Raises:
        ImportError: matplotlib is not installed: ``pip install "cunet[plot]"``.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        extra("matplotlib.figure", "plot", "Trainer(report=)")
        self.path = path
        self._began = self._next = 0.0

    def begin(self) -> None:
        """Note the time; find out whether there can be such a file.

        Raises:
            FileNotFoundError, IsADirectoryError: there cannot.
        """
        check_target(self.path)
        self._began, self._next = time.time(), 0.0

    def update(self, run: Loop) -> None:
        """Write the page of a run that goes on, if drawing has not taken too much of its time."""
        begin = time.monotonic()
        if begin >= self._next:
            self._write(run, "running", live=True, whole=False)
            end = time.monotonic()
            self._next = end + (end - begin) / _SHARE

    def end(self, run: Loop, error: BaseException | None) -> None:
        """Write the page of a run that is over, with what takes a look at all of the validation."""
        if error is not None:
            status = f"ended by {type(error).__name__}: {error}".removesuffix(": ")
        elif run.stop:
            status = "stopped by Ctrl-C" if run.interrupted else "stopped early"
        else:
            status = "done"
        self._write(run, status, live=False, whole=error is None and not run.interrupted)

    def _write(self, run: Loop, status: str, live: bool, whole: bool) -> None:
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(self._began))
        took = _duration(time.time() - self._began)
        name = type(run.model).__name__
        try:
            with headless():
                text = page.document(name, f"{status} · began {when} · {took}", _sections(run, whole), live)
            write_whole(self.path, text.encode())
        except Exception as error:  # whatever it is, it shall cost no run
            said = f"{type(error).__name__}: {error}"
            warn(f"Trainer: the report {os.fspath(self.path)} could not be written: {said}")


def _sections(run: Loop, whole: bool) -> Iterator[str]:
    """Yield the parts of the page; those that take long only when the run is over."""
    numbers = last_numbers(run)
    if numbers:
        yield page.section(f"Epoch {run.history[-1]['epoch']}", page.tiles(numbers))
    found = [(f"{f.cause}: {f.where}", f"{f.seen}; {f.advice}") for f in _findings(run)]
    if found:
        yield page.section("Findings", page.pairs(found))
    curves = [page.drawn(_curve(run, name), f"{name} over the epochs") for name in curves_of(run.history)]
    if curves:
        yield page.section("Curves", page.figures(curves))
    if whole:
        looks = list(_looks(run))
        if looks:
            yield page.section("What it takes for what", page.figures(looks))
        yield page.section("Weights", page.figures(_weights(run)))
    yield page.section("The run", page.pairs([*facts(run), *_machine()]))
    if run.history:
        rows = run.history.rows()
        yield page.section("Epochs", page.table(html_table(rows, left=0), len(rows), f"{len(rows) - 1} epochs"))
    if whole:
        layers = _layers(run)
        if layers is not None:
            yield page.section("Layers", page.table(layers._repr_html_(), len(layers), f"{len(layers)} layers"))


def _findings(run: Loop) -> Iterator[Any]:
    """Yield what those found that look for what is wrong: `cunet.diagnose.Finding` of a recorder or a callback."""
    for source in (getattr(run, "recorder", None), *run.callbacks):
        if hasattr(source, "findings"):
            yield from source.findings()


def _curve(run: Loop, name: str) -> Any:
    return curve(run.history, name, new_axes("Trainer(report=)", 4.4, 3.2))


def _weights(run: Loop) -> Iterator[page.Figure]:
    """Yield the filters of the first layer, if they are pictures, and a histogram of each layer."""
    if first_weight(run.model) is not None:
        yield page.drawn(plot.filters(run.model), "weights of the first layer as pictures")
    for name, values in list(weights_of(run.model).items())[:_LAYERS]:
        ax = new_axes("Trainer(report=)", 4.4, 2.6)
        histogram(name, values, ax)
        yield page.drawn(ax, f"histogram of {name}")


def _looks(run: Loop) -> Iterator[page.Figure]:
    """Yield the confusion matrix and the gallery of mistakes, where a classifier was validated."""
    logs: dict[str, Any] = run.history[-1] if run.history else {}
    matrix = logs.get("valid_confusion_matrix")
    seen = _validated(run)
    if seen is not None:
        images, scores, labels = seen
        matrix = _confusions(scores, labels) if matrix is None else matrix
        pictures = as_pictures(images)
        if pictures is not None and (scores.argmax(axis=1) != labels).any():
            yield page.drawn(plot.mistakes(images, scores, labels), "validation images that the model is wrong about")
    if matrix is not None and 0 < len(matrix) <= _CLASSES:
        ax = plot.confusion_matrix(matrix, ax=new_axes("Trainer(report=)", 4.8, 4.3))
        yield page.drawn(ax, "confusion matrix of the validation")


def _confusions(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    classes = scores.shape[1]
    known = (labels >= 0) & (labels < classes)
    pairs = labels[known].astype(np.int64) * classes + scores[known].argmax(axis=1)
    return np.bincount(pairs, minlength=classes**2).reshape(classes, classes)


@no_grad()
def _validated(run: Loop) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Return inputs, scores and labels of the validation's first samples; None if they are of no classifier."""
    data, parts, count = run.valid_data, [], 0
    if not isinstance(data, Loader):
        return None
    with unchanged(run.model), run.model.evaluating():
        for batch in run._batches(data.in_order()):
            *inputs, target = batch
            scores = run.compute(*batch)[1]
            if len(inputs) != 1 or not isinstance(scores, Tensor) or scores.ndim != 2 or scores.shape[1] < 2:
                return None
            if target.shape != scores.shape[:1] or target.dtype.kind not in "iu":
                return None
            parts.append([asnumpy(a) for a in (inputs[0], scores.data, target)])
            count += len(target)
            if count >= _SAMPLES:
                break
    return tuple(map(np.concatenate, zip(*parts, strict=True)))  # type: ignore[return-value]


def _layers(run: Loop) -> Summary | None:
    """Return the summary of the model for one sample; None where batches are not what the model is called with."""
    data = underlying(run.train_data)
    if not isinstance(data, Loader):
        return None
    batch = next(iter(run._batches(data.in_order())))
    inputs = batch[: -2 if run.weighs_samples else -1]
    try:
        return summary(run.model, tuple(x[:1] for x in inputs))
    except Exception:  # a `step` or `compute` of the user's own calls it in another way
        return None


def _machine() -> list[tuple[str, str]]:
    version = getattr(sys.modules.get("cunet"), "__version__", "")
    software = f"cunet {version}, NumPy {np.__version__}, Python {platform.python_version()}"
    return [("software", software), ("machine", f"{platform.system()} on {platform.machine()}")]


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s" if minutes else f"{rest} s"
