"""A graph of ONNX that grows: nodes, constants, and the one length that is not known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..device import Array, asnumpy
from ..system.extras import extra
from .sizes import Size

#: The set of operators that is written, and the format that goes with it: what runtimes of the last two years read.
OPSET, IR_VERSION = 20, 9


class NotExportable(ValueError):
    """An op, or an option of one, has no form in ONNX."""


class Value:
    """An array in the graph.

    Attributes:
        name: in the graph.
        dtype, shape: of the array; a length may be a `Size`.
        array: its elements, where they are known: those of weights and constants; else None.
    """

    def __init__(self, name: str, dtype: np.dtype, shape: tuple[int | Size, ...], array: Array | None = None) -> None:
        self.name, self.dtype, self.shape, self.array = name, dtype, shape, array

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    def length(self, axis: int) -> int:
        """Return a length that must be known.

        Raises:
            NotExportable: it follows the batch.
        """
        found = self.shape[axis]
        if isinstance(found, Size):
            raise NotExportable(f"axis {axis} of its input follows the batch, and its length would have to be fixed")
        return found

    def lengths(self, axes: Sequence[int]) -> list[int]:
        """Return lengths that must be known; see `length`."""
        return [self.length(axis) for axis in axes]


#: What a node is given: a value or its name, a number or an array, a vector of sizes, or None where it may lack.
Given = Value | str | float | np.ndarray | Sequence[Any] | None


class Graph:
    """Nodes in the order in which they run; calling it adds one.

    Attributes:
        dtype: in which numbers are written that have none of their own.
        scope: what names of nodes begin with: the layer.
    """

    def __init__(self) -> None:
        self._onnx = extra("onnx", "onnx", "onnx.export")
        self.nodes: list[Any] = []
        self.constants: dict[str, Array] = {}
        self._known: dict[Any, str] = {}
        self._names: set[str] = set()
        self.dtype = np.dtype(np.float32)
        self.scope = ""
        self.batch: tuple[str, int] | None = None  # an input, and its axis that has the length of the batch

    def fresh(self, name: str) -> str:
        """Return a name that is not taken, like this one."""
        found, k = name, 1
        while found in self._names:
            k += 1
            found = f"{name}_{k}"
        self._names.add(found)
        return found

    def __call__(self, kind: str, *given: Given, **attributes: Any) -> str:
        """Add a node of one result; return that result's name."""
        return self.node(kind, given, 1, **attributes)[0]

    def node(self, kind: str, given: Sequence[Given], results: int, **attributes: Any) -> list[str]:
        """Add a node; return the names of its results.

        Args:
            kind: its type, such as "Relu".
            given: inputs; numbers become constants of `dtype`, lists and tuples vectors of int64.
            results: how many there are.
            attributes: of the node; those that are None are left out.
        """
        inputs = [self.name_of(x) for x in given]
        while inputs and not inputs[-1]:
            inputs.pop()
        stem = f"{self.scope}/{kind}" if self.scope else kind
        outputs = [self.fresh(stem) for _ in range(results)]
        known = {key: value for key, value in attributes.items() if value is not None}
        self.nodes.append(self._onnx.helper.make_node(kind, inputs, outputs, name=outputs[0], **known))
        return outputs

    def renamed(self, x: str, name: str) -> Any:
        """Return a node that gives an array another name."""
        return self._onnx.helper.make_node("Identity", [x], [name], name=name)

    def name_of(self, x: Given) -> str:
        """Return the name of what a node is given; that of None is empty."""
        if x is None:
            return ""
        if isinstance(x, Value):
            return x.name
        if isinstance(x, str):
            return x
        if isinstance(x, (list, tuple)):
            return self.vector(x)
        return self.constant(np.asarray(x, None if isinstance(x, (np.ndarray, np.generic)) else self.dtype))

    def constant(self, array: Array, name: str = "constant") -> str:
        """Return the name of an array that is part of the graph; equal ones are one."""
        array = np.asarray(asnumpy(array), order="C")
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._known:
            self._known[key] = found = self.fresh(name)
            self.constants[found] = array
        return self._known[key]

    def state(self, name: str, array: Array) -> str:
        """Return the name of a weight, which stays one of its own whatever it is equal to."""
        found = self.fresh(name)
        self.constants[found] = asnumpy(array)
        return found

    def vector(self, sizes: Sequence[int | Size]) -> str:
        """Return the name of a vector of int64, in which lengths may follow the batch."""
        if not any(isinstance(n, Size) for n in sizes):
            return self.constant(np.asarray(sizes, np.int64).reshape(len(sizes)))
        return self("Concat", *(self._size(n) for n in sizes), axis=0)

    def _size(self, n: int | Size) -> str | np.ndarray:
        if not isinstance(n, Size):
            return np.asarray([n], np.int64)
        assert self.batch is not None
        name, axis = self.batch
        found = self("Shape", name, start=axis, end=axis + 1)
        found = found if n.factor == 1 else self("Mul", found, np.asarray([n.factor], np.int64))
        return self("Add", found, np.asarray([n.offset], np.int64)) if n.offset else found

    def cast(self, x: Given, dtype: Any) -> str:
        """Return the name of an array in another dtype; its own where it has that one already."""
        if isinstance(x, Value) and x.dtype == dtype:
            return x.name
        return self("Cast", x, to=self.type_of(dtype))

    def type_of(self, dtype: Any) -> int:
        """Return the number of a dtype in ONNX."""
        return self._onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))

    def shaped(self, x: Given, shape: Sequence[int | Size]) -> str:
        """Return the name of an array in another shape."""
        followers = sum(isinstance(n, Size) for n in shape)
        if followers == 1 and 0 not in shape:  # -1 needs no arithmetic
            shape = [-1 if isinstance(n, Size) else n for n in shape]
        return self("Reshape", x, list(shape), allowzero=1 if 0 in shape else None)

    def model(self, name: str, inputs: Sequence[Value], outputs: Sequence[Value], axis_name: str) -> Any:
        """Return the whole as a ModelProto, checked.

        Args:
            name: of the graph.
            inputs, outputs: values of it.
            axis_name: what the length of the batch is called.
        """
        helper, numpy_helper = self._onnx.helper, self._onnx.numpy_helper

        def described(value: Value) -> Any:
            shape = [(axis_name if n == Size(1, 0) else None) if isinstance(n, Size) else int(n) for n in value.shape]
            return helper.make_tensor_value_info(value.name, self.type_of(value.dtype), shape)

        used = {name for node in self.nodes for name in node.input}
        graph = helper.make_graph(
            self.nodes,
            name,
            [described(value) for value in inputs],
            [described(value) for value in outputs],
            [numpy_helper.from_array(a, name=n) for n, a in self.constants.items() if n in used],
        )
        opsets = [helper.make_opsetid("", OPSET)]
        made = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="cunet")
        self._onnx.checker.check_model(made, full_check=True)
        return made
