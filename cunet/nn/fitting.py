"""What a state holds, as an array that fits the model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from ..autograd.tensor import Tensor
from ..device import Array, is_array, like, not_numbers
from .parameter import UninitializedParameter


class LoadReport(NamedTuple):
    """What a state lacked, and what it had beyond the model."""

    missing: list[str]
    unexpected: list[str]


def fitting(
    who: str, own: Mapping[str, Tensor], state: Mapping[str, Any], strict: bool
) -> tuple[dict[str, Array], LoadReport]:
    """Return new arrays, by name, of what a state holds for the tensors of a model, and the names that do not match.

    Raises:
        TypeError, ValueError: see `cunet.nn.Module.load_state_dict`; `who` complains of all that is wrong at once.
    """
    if not isinstance(state, Mapping):
        raise TypeError(f"{who}: state must be a dict of arrays by name, got {state!r:.80}; load() takes a path")
    stored = {id(tensor) for name, tensor in own.items() if name in state}  # a tied weight has one name in some files
    missing = [name for name, tensor in own.items() if id(tensor) not in stored]
    unexpected = [name for name in state if name not in own]
    problems = [f"missing: {', '.join(missing)}"] if strict and missing else []
    problems += [f"unexpected: {', '.join(map(str, unexpected))}"] if strict and unexpected else []
    arrays = {}
    for name, tensor in own.items():
        if name in state:
            try:
                arrays[name] = fitted(state[name], tensor.data, isinstance(tensor, UninitializedParameter))
            except (TypeError, ValueError) as error:
                problems.append(f"{name}: {error}")
    if problems:
        listing = "\n  ".join(problems)
        raise ValueError(f"{who}: the state does not fit the model:\n  {listing}")
    return arrays, LoadReport(missing, unexpected)


def fitted(value: Any, own: Array, open_ended: bool = False) -> Array:
    """Return a new array of what a state holds, with the dtype and device of `own`; raise if it does not fit.

    A foreign tensor (PyTorch's) is read through NumPy's protocol. With `open_ended` an axis of length 0 of `own` takes
    any length.
    """
    value = value.data if isinstance(value, Tensor) else value
    array = value if is_array(value) else np.asarray(_readable(value))
    if wrong := not_numbers(array):
        raise TypeError(f"values must be real numbers, got {wrong}")
    if array.dtype.kind == "c":
        raise TypeError(f"values must be real numbers, got dtype {array.dtype}")
    wanted = own.shape
    if open_ended and array.ndim == own.ndim:
        wanted = tuple(n or m for n, m in zip(own.shape, array.shape, strict=True))
    if array.shape != wanted:
        raise ValueError(f"shape must be {own.shape}, got {tuple(array.shape)}")
    # A new array, not a write into the old one: what a recorded graph saved stays as it was.
    return like(array, own).astype(own.dtype, order="C", copy=True)


def _readable(value: Any) -> Any:
    """Return a foreign tensor as one that NumPy reads: without history, on the CPU, bfloat16 as float32."""
    if hasattr(value, "detach") and hasattr(value, "cpu"):
        value = value.detach().cpu()
        if str(value.dtype).endswith("bfloat16"):
            value = value.float()
    return value
