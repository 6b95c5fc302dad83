"""That all libraries compute the same, before anything is timed."""

from __future__ import annotations

from typing import Any

import numpy as np

from .jobs import Function, Job, Prediction, Step, Training
from .library import Library

STEPS = 10  # training steps whose losses must follow each other
LOSS_TOLERANCE = 2e-3  # relative, after STEPS steps in float32, where rounding differences have grown
TOLERANCE = 1e-4  # of the largest element, for values and gradients of single layers
SIGMAS = 6  # by how much the share of kept elements may miss its probability


class Differs(Exception):
    """A library, by name, does not compute what the first does."""

    def __init__(self, library: str, text: str) -> None:
        super().__init__(text)
        self.library = library


def inputs(job: Job) -> tuple[Any, ...]:
    """Return the arrays of a job that is no training: those that `calls` hands to the library."""
    rng = np.random.default_rng(1)
    if isinstance(job, Step):
        return tuple(rng.standard_normal((2, job.count), np.float32))
    assert isinstance(job, Function)
    x = rng.standard_normal(job.shape, np.float32)
    if job.labels:
        return x, None, rng.integers(0, job.labels, job.shape[0])
    return x, rng.standard_normal(job.out or job.shape, np.float32), None


def initial_state(job: Job) -> dict[str, np.ndarray]:
    """Return weights that every library starts from: those that cunet draws."""
    import cunet

    cunet.manual_seed(0)
    if isinstance(job, (Training, Prediction)):
        return job.build(cunet.nn, True).state_dict()
    return job.build(cunet.nn).state_dict() if isinstance(job, Function) and job.weights else {}


def call(library: Library, job: Job, state: Any, arrays: tuple[Any, ...], drop: bool = True) -> Any:
    """Return the job's call for a library."""
    if isinstance(job, Training):
        return library.training(job, state, drop)
    if isinstance(job, Prediction):
        return library.prediction(job, state)
    return library.function(job, state, *arrays) if isinstance(job, Function) else library.adam(job, *arrays)


def outcome(library: Library, job: Job, state: Any, arrays: tuple[Any, ...]) -> list[np.ndarray]:
    """Return what is compared: the losses of `STEPS` steps, or results and gradients."""
    run = call(library, job, state, arrays, drop=False)
    if isinstance(job, Training):
        return [np.array([float(library.host(run())) for _ in range(STEPS)])]
    if isinstance(job, Prediction):
        return [library.host([run() for _ in range(STEPS)][-1]).copy()]
    if isinstance(job, Step):
        run(), run()
    return [library.host(result).copy() for result in run()]


def agree(libraries: list[Library], job: Job, state: Any, arrays: tuple[Any, ...]) -> dict[str, float]:
    """Return how far each library is from the first, or what a dropout kept.

    Raises:
        Differs: a library computes something else.
    """
    if job.key == "dropout":
        return {library.name: check_dropout(library, job, arrays) for library in libraries}
    first, *others = [outcome(library, job, state, arrays) for library in libraries]
    limit = LOSS_TOLERANCE if isinstance(job, Training) else TOLERANCE
    found = {}
    for library, results in zip(libraries[1:], others, strict=True):
        gaps = [float(np.abs(a - b).max() / np.abs(a).max()) for a, b in zip(first, results, strict=True)]
        found[library.name] = max(gaps)
        if not max(gaps) <= limit:  # a NaN differs
            text = f"{library.name} is {max(gaps):.1e} from {libraries[0].name}, at most {limit:.0e} allowed"
            raise Differs(library.name, text)
    return found


def check_dropout(library: Library, job: Job, arrays: tuple[Any, ...]) -> float:
    """Return the share that a dropout of one half kept; its values and gradients must belong to one mask."""
    x, gy, _ = arrays
    y, gx = (library.host(result) for result in call(library, job, None, arrays)())
    kept = y != 0
    if not (np.allclose(y, kept * x * 2) and np.allclose(gx, kept * gy * 2)):
        raise Differs(library.name, f"{library.name}: values and gradients of dropout do not fit one mask")
    if abs(kept.mean() - 0.5) > SIGMAS * 0.5 / kept.size**0.5:
        raise Differs(library.name, f"{library.name}: dropout kept {kept.mean():.4f} of the elements")
    return float(kept.mean())
