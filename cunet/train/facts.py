"""What a training run is, in pairs of words: for its page, and for notebooks."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..data import Loader
from .loop import Loop
from .progress import is_number, number
from .state import by_name
from .supply import underlying

#: What of an optimiser's settings is worth a word.
_SETTINGS = ("lr", "momentum", "betas", "weight_decay")


def facts(run: Loop) -> list[tuple[str, str]]:
    """Return what a run is: of a Trainer model, loss, optimiser, data and how far it has come."""
    parameters = list(run.model.parameters())
    dtypes = sorted({p.dtype.name for p in parameters})
    found = [
        ("model", type(run.model).__name__),
        ("parameters", f"{sum(p.size for p in parameters):,} of {', '.join(dtypes) or 'no dtype'}"),
        ("loss", name_of(run.loss)),
    ]
    found += [(f"optimizer {name}".rstrip(), _optimizer(o)) for name, o in by_name(run.optimizer).items()]
    found += [("device", {"cpu": "CPU", "gpu": "GPU"}[run.device])]
    data = underlying(run.train_data)
    if isinstance(data, Loader):
        found.append(("training data", f"{data.n_samples:,} {run.unit} in batches of {data.batch_size}"))
    if isinstance(run.valid_data, Loader):
        found.append(("validation data", f"{run.valid_data.n_samples:,} {run.unit}"))
    found.append(("epochs", f"{run.epoch}, {run.global_step:,} steps"))
    return found


def name_of(function: Any) -> str:
    """Return what a function or module is called."""
    return getattr(function, "__name__", None) or type(function).__name__


def _optimizer(optimizer: Any) -> str:
    group = getattr(optimizer, "param_groups", [{}])[0]
    settings = [f"{name}={_shown(group[name])}" for name in _SETTINGS if group.get(name)]
    return f"{type(optimizer).__name__}({', '.join(settings)})"


def _shown(value: Any) -> str:
    if isinstance(value, (tuple, list)):
        return f"({', '.join(map(_shown, value))})"
    return f"{float(value):.6g}" if is_number(value) or isinstance(value, np.ndarray) else str(value)


def last_numbers(run: Loop) -> list[tuple[str, str]]:
    """Return the numbers of the last epoch."""
    left_out = ("epoch", "complete", "skipped", "samples_per_second")
    last = run.history[-1] if run.history else {}
    return [(k.replace("_", " "), number(v)) for k, v in last.items() if is_number(v) and k not in left_out]
