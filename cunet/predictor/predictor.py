"""`save_predictor` and `load_predictor`: a model in one file, and what answers with it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..autograd.tape import no_grad
from ..autograd.tensor import Tensor, as_array
from ..device import Array, Device, asnumpy, is_floating, to_device
from ..nn.inputs import dtype_of
from ..nn.module import Module
from ..record.compiled import CompiledStep
from ..system import files
from .architecture import Builder, Description, Unsaved

_FORMAT = "cunet.predictor"
_VERSION = 1


def save_predictor(model: Module, path: str | os.PathLike[str], metadata: Mapping[str, str] | None = None) -> None:
    """Write a model to one safetensors file: its weights, and as JSON beside them the layers that hold them.

    Weights have the names of `state_dict`, so the file is one of weights for any other program. Nothing is pickled:
    a file names layers of `cunet.nn`, functions of cunet, and what `register_layer` was given.

    Args:
        model: a `Module`. What only draws (first values, masks of dropout) is not kept.
        path: the file.
        metadata: strings to keep beside, such as the names of classes.

    Raises:
        ValueError: a layer is not registered, or an attribute has no form in a file; the message names it.
        TypeError: `model` is no Module.

    Example:
        >>> model = nn.Sequential(nn.Linear(4, 3), nn.Softmax(dim=1))
        >>> cunet.save_predictor(model, "iris.safetensors", {"classes": "setosa versicolor virginica"})
        >>> cunet.load_predictor("iris.safetensors").metadata["classes"].split()
        ['setosa', 'versicolor', 'virginica']
    """
    if not isinstance(model, Module):
        raise TypeError(f"save_predictor: model must be a Module, got {type(model).__name__}")
    import json  # here and below, so that importing cunet does not load it

    try:
        made = Description(model)
    except Unsaved as error:
        raise ValueError(f"save_predictor: {error}") from None
    text = json.dumps({"version": _VERSION, "model": made.root}, allow_nan=False)
    files.save_arrays(path, made.arrays, metadata={**(metadata or {}), _FORMAT: text})


def load_predictor(path: str | os.PathLike[str], device: Device = "cpu") -> Predictor:
    """Return what answers with the model of a file of `save_predictor`.

    Args:
        path: the file.
        device: where to compute: "cpu", "gpu", "auto".

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is damaged, has weights alone, is of a later version, or names a layer that is not known here:
            one of yours is registered by `register_layer` before.

    Example:
        >>> cunet.save_predictor(nn.Sequential(nn.Linear(4, 3), nn.ReLU()), "small.safetensors")
        >>> predict = cunet.load_predictor("small.safetensors")
        >>> predict([[5.1, 3.5, 1.4, 0.2]]).shape
        (1, 3)
    """
    import json

    arrays, metadata = files.load_file(path)
    who = f"load_predictor: {path}"
    if _FORMAT not in metadata:
        raise ValueError(f"{who} has weights and no layers: make the model and call its load(path)")
    try:
        found = json.loads(metadata[_FORMAT])
        if found["version"] > _VERSION:
            raise ValueError(f"its version is {found['version']}, of a later cunet")
        model = Builder(arrays).model(found["model"])
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ValueError(f"{who}: {type(error).__name__ if isinstance(error, KeyError) else ''}{error}") from error
    return Predictor(model.to(device), {k: v for k, v in metadata.items() if not k.startswith("cunet.")})


class Predictor:
    """Answers with a model, in evaluation mode and without recording gradients.

    On the CPU calls with one sample are recorded, and from the fifth one on replayed by one call (`cunet.compile`).

    Args:
        model: which is switched to evaluation.
        metadata: strings that were kept with it.

    Attributes:
        model, metadata: these.

    Example:
        >>> predict = cunet.Predictor(nn.Sequential(nn.Dropout(0.5), nn.Flatten()))
        >>> predict([[[1.0, 2.0]], [[3.0, 4.0]]])  # nothing is dropped, and no Tensor comes back
        array([[1., 2.],
               [3., 4.]], dtype=float32)
    """

    def __init__(self, model: Module, metadata: Mapping[str, str] | None = None) -> None:
        self.model, self.metadata = model.eval(), dict(metadata or {})
        self._dtype = dtype_of(model)
        parameter = next((tensor for _, tensor in model._tensors()), None)
        self._device = "cpu" if parameter is None else parameter.device
        self._recorded = CompiledStep(self._run, "Predictor")

    def __call__(self, *inputs: Any) -> Any:
        """Return what the model returns, as NumPy arrays.

        Args:
            inputs: arrays, or nested lists, with the axis of samples in front; floats take the dtype of the weights.
        """
        arrays = [self._fitted(x) for x in inputs]
        one = self._device == "cpu" and all(x.ndim and len(x) == 1 for x in arrays)
        with no_grad():
            return _plain((self._recorded if one else self._run)(*arrays))

    def _run(self, *arrays: Array) -> Any:
        return self.model(*arrays)

    def _fitted(self, x: Any) -> Array:
        array = x.data if isinstance(x, Tensor) else as_array(x)
        if self._dtype is not None and array.dtype != self._dtype and is_floating(array.dtype):
            array = array.astype(self._dtype)
        return array if self._device == "cpu" and type(array) is np.ndarray else to_device(array, self._device)

    def __repr__(self) -> str:
        """Show the model."""
        return f"Predictor({self.model!r})"


def _plain(found: Any) -> Any:
    """Return results as NumPy arrays."""
    if isinstance(found, tuple):
        return tuple(map(_plain, found))
    if isinstance(found, (list, dict)):
        return [*map(_plain, found)] if isinstance(found, list) else {k: _plain(v) for k, v in found.items()}
    return asnumpy(found.data if isinstance(found, Tensor) else found) if found is not None else None
