"""`load`: an ONNX file as a Module."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..autograd.tensor import Tensor
from ..device import array_module, is_floating, is_gpu_array, like
from ..nn.module import Module
from ..nn.parameter import Parameter
from ..system.extras import extra
from ..system.quiet import quiet
from .reading import SETTINGS, Unknown, bound


def load(path: str | os.PathLike[str]) -> OnnxModel:
    """Return the model of an ONNX file as a `Module`, which runs here and can be trained on.

    Floating weights are parameters under their names in the file, statistics of batch norms buffers; it computes as in
    evaluation in both modes. Each node is done by cunet's ops, so gradients go through all that has one.

    Args:
        path: the file. Weights that it keeps beside itself are read from its own folder alone.

    Returns:
        A Module whose `forward` takes the inputs of the file in their order, and returns its output, or a tuple.

    Raises:
        ImportError: the package onnx is not installed.
        FileNotFoundError: there is no such file.
        ValueError: it is no ONNX file or a broken one, names files outside of its folder, or has nodes that cunet does
            not know, which are listed.

    Example:
        >>> model = nn.Sequential(nn.Linear(4, 3), nn.ReLU())
        >>> cunet.onnx.export(model, np.zeros((2, 4), np.float32), "model.onnx")
        >>> loaded, x = cunet.onnx.load("model.onnx"), np.ones((5, 4), np.float32)
        >>> loaded(x).shape, np.allclose(loaded(x).numpy(), model(x).numpy(), atol=1e-6)
        ((5, 3), True)
    """
    onnx = extra("onnx", "onnx", "onnx.load")
    from . import readers as readers  # what does the nodes is imported when it is needed

    path = Path(path).expanduser()
    who = f"onnx.load: {path}"
    model = onnx.ModelProto()
    try:
        model.ParseFromString(path.read_bytes())
        onnx.checker.check_model(_without_data(onnx, model))
    except (OSError, MemoryError):
        raise
    except Exception as error:  # protobuf's and the checker's are of many kinds
        raise ValueError(f"{who} is no ONNX file, or a broken one: {_first_line(error)}") from error
    weights = {tensor.name: _array(onnx, who, path.parent, tensor) for tensor in model.graph.initializer}
    if model.graph.sparse_initializer:
        raise ValueError(f"{who} has sparse weights, which are not read")
    return OnnxModel(who, weights, *_parts(onnx, who, path.parent, model))


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]


def _without_data(onnx: Any, model: Any) -> Any:
    """Return a model whose weights are in the file, as far as a checker sees: it would look for them anywhere."""
    outside = [t for t in model.graph.initializer if t.data_location == onnx.TensorProto.EXTERNAL]
    if not outside:
        return model
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    for tensor in copy.graph.initializer:
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            tensor.CopyFrom(onnx.helper.make_tensor(tensor.name, tensor.data_type, [0], []))
    return copy


def _array(onnx: Any, who: str, folder: Path, tensor: Any) -> np.ndarray:
    """Return the elements of a tensor of a file.

    Raises:
        ValueError: they are not there, are not as many as its shape says, or lie outside of the file's folder.
    """
    if tensor.data_location == onnx.TensorProto.EXTERNAL:
        _fill(who, folder, tensor)
    try:
        return np.array(onnx.numpy_helper.to_array(tensor))
    except Exception as error:
        raise ValueError(f"{who}: the weight {tensor.name!r} is broken: {_first_line(error)}") from error


def _fill(who: str, folder: Path, tensor: Any) -> None:
    """Read the elements of a tensor from a file of its own."""
    entries = {entry.key: entry.value for entry in tensor.external_data}
    place = (folder / entries.get("location", "")).resolve()
    if not place.is_relative_to(folder.resolve()) or not place.is_file():
        raise ValueError(
            f"{who}: the weight {tensor.name!r} is said to lie in {entries.get('location')!r}, which is no file in the "
            "model's folder"
        )
    try:
        first, length = int(entries.get("offset", 0)), int(entries.get("length", -1))
    except ValueError:
        first, length = -1, -1
    size = place.stat().st_size
    length = size - first if length < 0 else length
    if not 0 <= first <= first + length <= size:
        raise ValueError(f"{who}: the weight {tensor.name!r} is said to lie beyond the end of {place.name}")
    with open(place, "rb") as file:
        file.seek(first)
        tensor.raw_data = file.read(length)
    tensor.data_location = 0
    del tensor.external_data[:]


class Node(NamedTuple):
    """A node of a graph.

    Attributes:
        kind, name: its type and name.
        function: of its inputs.
        inputs, outputs: names of arrays; "" for one that is not given or not wanted.
        settings: places of inputs that say how, not what.
    """

    kind: str
    name: str
    function: Any
    inputs: Sequence[str]
    outputs: Sequence[str]
    settings: frozenset[int]


def _parts(onnx: Any, who: str, folder: Path, model: Any) -> tuple[list[Node], list[str], list[str]]:
    """Return the nodes of a model, and the names of its inputs and outputs."""
    opsets = {entry.domain: entry.version for entry in model.opset_import}
    opset = opsets.get("", opsets.get("ai.onnx", 1))
    nodes, unknown = [], []
    for node in model.graph.node:
        kind = node.op_type if node.domain in ("", "ai.onnx") else f"{node.domain}.{node.op_type}"
        attributes = {a.name: _attribute(onnx, who, folder, a) for a in node.attribute}
        try:
            function = bound(kind, attributes, opset, len(node.output))
        except Unknown as error:
            unknown.append(str(error))
            continue
        settings = SETTINGS[kind]
        nodes.append(Node(kind, node.name or kind, function, list(node.input), list(node.output), settings))
    if unknown:
        raise ValueError(f"{who} has nodes that cunet does not know: {', '.join(sorted(set(unknown)))}")
    known = {tensor.name for tensor in model.graph.initializer}
    inputs = [value.name for value in model.graph.input if value.name not in known]
    return nodes, inputs, [value.name for value in model.graph.output]


def _attribute(onnx: Any, who: str, folder: Path, attribute: Any) -> Any:
    value = onnx.helper.get_attribute_value(attribute)
    if isinstance(value, onnx.TensorProto):
        return _array(onnx, who, folder, value)
    return value.decode() if isinstance(value, bytes) else value


class OnnxModel(Module):
    """The model of an ONNX file; `load` makes it.

    Attributes:
        input_names, output_names: of the file.

    Example:
        >>> cunet.onnx.export(nn.Linear(4, 3), np.zeros((2, 4), np.float32), "linear.onnx")
        >>> model = cunet.onnx.load("linear.onnx")
        >>> model
        OnnxModel(x -> output, 2 nodes)
        >>> model(np.ones((5, 4), np.float32)).shape, [w.shape for w in model.parameters()]
        ((5, 3), [(3, 4), (3,)])
    """

    def __init__(
        self, who: str, weights: dict[str, np.ndarray], nodes: list[Node], inputs: list[str], outputs: list[str]
    ) -> None:
        self.input_names, self.output_names = inputs, outputs
        self._who, self._nodes = who, nodes
        data, fixed = _roles(nodes)
        self._weights: dict[str, Tensor] = {}
        self._constants: dict[str, np.ndarray] = {}
        for name, array in weights.items():
            if is_floating(array.dtype) and name in data | fixed and (array.ndim or name in fixed):
                self._weights[name] = Tensor(array) if name in fixed else Parameter(array)
            else:
                self._constants[name] = array

    def members(self) -> Iterator[tuple[str, Any]]:
        """Yield the weights under their names in the file, then what was added as attributes."""
        yield from self._weights.items()
        for name, value in vars(self).items():
            if name not in ("_weights", "_constants", "_nodes"):
                yield name, value

    def forward(self, *inputs: Any) -> Any:
        """Return the output of the file for its inputs, or a tuple of several.

        Raises:
            ValueError: another number of inputs, or a node cannot do what it is asked; the message names it.
        """
        if len(inputs) != len(self.input_names):
            raise ValueError(
                f"{type(self).__name__}: {len(self.input_names)} inputs are needed, {', '.join(self.input_names)}; "
                f"got {len(inputs)}"
            )
        values: dict[str, Any] = {name: Tensor(array) for name, array in self._constants.items()}
        values |= self._weights
        dtype = next((w.dtype for w in self._weights.values() if is_floating(w.dtype)), None)
        for name, x in zip(self.input_names, inputs, strict=True):
            values[name] = _tensor(x, dtype)
        with quiet():
            for node in self._nodes:
                self._run(node, values)
        found = tuple(values[name] for name in self.output_names)
        return found[0] if len(found) == 1 else found

    def _run(self, node: Node, values: dict[str, Any]) -> None:
        given = [values[name] if name else None for name in node.inputs]
        data = [x for k, x in enumerate(given) if x is not None and k not in node.settings]
        if any(is_gpu_array(x.data) for x in data):  # numbers of the file lie on the CPU
            device = next(x.data for x in data if is_gpu_array(x.data))
            given = [
                x if x is None or k in node.settings or is_gpu_array(x.data) else Tensor(like(x.data, device))
                for k, x in enumerate(given)
            ]
        try:
            made = node.function(*given)
        except (TypeError, ValueError, IndexError, AttributeError) as error:
            shapes = ", ".join("none" if x is None else str(x.shape) for x in given)
            raise ValueError(f"{self._who}: {node.kind} {node.name!r} of inputs {shapes}: {error}") from error
        for name, y in zip(node.outputs, made if isinstance(made, (tuple, list)) else (made,), strict=False):
            if name:
                values[name] = y if isinstance(y, Tensor) else Tensor(array_module(y).asarray(y))

    def extra_repr(self) -> str:
        """Show the names of inputs and outputs, and the number of nodes."""
        return f"{', '.join(self.input_names)} -> {', '.join(self.output_names)}, {len(self._nodes)} nodes"


def _roles(nodes: Sequence[Node]) -> tuple[set[str], set[str]]:
    """Return the names of arrays that are data for some node, and of those that are statistics."""
    data: set[str] = set()
    fixed: set[str] = set()
    for node in nodes:
        for place, name in enumerate(node.inputs):
            if node.kind == "BatchNormalization" and place > 2:
                fixed.add(name)
            elif place not in node.settings:
                data.add(name)
    return data, fixed


def _tensor(x: Any, dtype: np.dtype | None) -> Tensor:
    """Return an input as a Tensor; plain floating arrays take the dtype of the weights."""
    if isinstance(x, Tensor):
        return x
    array = Tensor(x)
    return array.astype(dtype) if dtype is not None and is_floating(array.dtype) else array
