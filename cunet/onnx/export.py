"""`export`: a model as an ONNX file, from what it does to one example."""

from __future__ import annotations

import inspect
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..autograd.tape import no_grad
from ..autograd.tensor import Tensor, as_array
from ..device import Array, array_module, is_array, is_floating, like
from ..nn.inputs import dtype_of
from ..nn.module import Module
from ..system.files import write_whole
from .sizes import Batch
from .trace import Trace, Traced


def export(
    model: Module, example: Any, path: str | os.PathLike[str], *, batch_axis: int | None = 0, name: str = "model"
) -> None:
    """Write a model to an ONNX file, which other runtimes run.

    The model is called twice in evaluation mode, with the example and with a batch of another length, and the ops that
    it calls are written down; lengths that differ follow the batch in the file too. So Python's own part is what it was
    for this example: branches, loops, numbers. Lengths of all other axes are fixed. Weights keep their names; inputs
    have those of the arguments of `forward`, outputs are called ``output``, or ``output_0`` and so on.

    Args:
        model: a `Module`; any of its layers, and users' own.
        example: what it is called with: an array, or a tuple of several. Two samples or more: among them is looked for
            values that were computed outside of ops, which cannot be exported.
        path: the file.
        batch_axis: axis of the inputs whose length is left open; None: none.
        name: of the graph.

    Raises:
        ImportError: the package onnx is not installed.
        ValueError: an op has no form in ONNX, or depends on the batch in Python; the message names it and its layer.
        TypeError: `model` is no Module.

    Example:
        >>> model = nn.Sequential(nn.Linear(4, 3), nn.ReLU())
        >>> cunet.onnx.export(model, np.zeros((2, 4), np.float32), "model.onnx")
        >>> list(cunet.onnx.load("model.onnx").state_dict())  # weights keep their names
        ['0.weight', '0.bias']
    """
    if not isinstance(model, Module):
        raise TypeError(f"onnx.export: model must be a Module, got {type(model).__name__}")
    from .assembly import assembled  # here, because it imports a writer for each op

    inputs = _inputs(model, example)
    batch, others = _second(inputs, batch_axis)
    with model.evaluating():
        with no_grad():
            model(*map(Tensor, inputs))  # layers that wait for their first input take their shape from it
        state = _state(model)
        calls = [_traced(model, list(state.values()), arrays) for arrays in (inputs, others)]
    made = assembled(name, batch, batch_axis, _input_names(model, len(inputs)), list(state), calls)
    write_whole(path, made.SerializeToString())


def _state(model: Module) -> dict[str, Array]:
    """Return parameters and buffers, what has several names under the first."""
    seen: set[int] = set()
    found = {}
    for name, tensor in model._tensors(state=True):
        if id(tensor.data) not in seen:
            seen.add(id(tensor.data))
            found[name] = tensor.data
    return found


def _inputs(model: Module, example: Any) -> list[Array]:
    """Return the example as arrays of the model's dtype and device."""
    parameter = next(iter(model.parameters()), None)
    dtype = dtype_of(model)
    found = []
    for x in example if isinstance(example, tuple) else (example,):
        array = x.data if isinstance(x, Tensor) else as_array(x)
        if parameter is not None:
            array = like(array, parameter.data)
        if dtype is not None and is_floating(array.dtype):
            array = array.astype(dtype, copy=False)
        found.append(array.copy())  # that of a tuple (x, x) is two inputs
    if not found:
        raise ValueError("onnx.export: example must hold an input, got an empty tuple")
    return found


def _second(inputs: Sequence[Array], axis: int | None) -> tuple[Batch, list[Array]]:
    """Return the lengths of two batches, and the second: the samples in another order, and one more."""
    if axis is None:
        return Batch(0, 1), [x.copy() for x in inputs]
    lengths = {x.shape[axis] for x in inputs if -x.ndim <= axis < x.ndim}
    if len(lengths) != 1 or not min(lengths):
        shapes = ", ".join(str(x.shape) for x in inputs)
        raise ValueError(
            f"onnx.export: inputs must have one length, above 0, along batch_axis = {axis}, got shapes {shapes}; "
            "batch_axis=None fixes all lengths"
        )
    (count,) = lengths
    order = np.arange(1, count + 2) % count
    others = []
    for x in inputs:
        if not -x.ndim <= axis < x.ndim:
            others.append(x.copy())
            continue
        more = x.take(array_module(x).asarray(order), axis=axis)
        if count == 1 and x.ndim > 1:  # samples that are equal would hide what depends on them
            more = array_module(x).roll(more, 1, axis=-1 if axis % x.ndim != x.ndim - 1 else 0)
        others.append(more)
    return Batch(count, count + 1), others


def _traced(model: Module, state: Sequence[Array], inputs: Sequence[Array]) -> Traced:
    """Return what the model does."""
    trace = Trace([*inputs, *state])
    try:
        found = trace.run(model, [Tensor(x) for x in inputs])
    except Exception as error:
        error.add_note(f"onnx.export: while the model was called with inputs of shapes {[x.shape for x in inputs]}")
        raise
    outputs: dict[str, Array] = {}
    _flatten("output", found, outputs)
    return Traced(trace, {name: trace.number(a) for name, a in outputs.items()})


def _flatten(name: str, found: Any, outputs: dict[str, Array]) -> None:
    """Collect the arrays of nested tuples, lists and dicts, by names that say where they stood."""
    if isinstance(found, (tuple, list)):
        for k, part in enumerate(found):
            _flatten(f"{name}_{k}", part, outputs)
    elif isinstance(found, dict):
        for key, part in found.items():
            _flatten(f"{name}_{key}", part, outputs)
    elif isinstance(found, Tensor) or is_array(found):
        outputs[name] = found.data if isinstance(found, Tensor) else found
    elif found is not None:
        raise ValueError(f"onnx.export: the model must return arrays, got {type(found).__name__}")


def _input_names(model: Module, count: int) -> list[str]:
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    known = [p.name for p in inspect.signature(model.forward).parameters.values() if p.kind in kinds]
    return [*known, *(f"input_{k}" for k in range(len(known), count))][:count]
