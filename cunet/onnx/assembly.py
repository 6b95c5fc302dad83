"""Two traces become one graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..device import Array, asnumpy
from . import writers as writers
from .formulas import computed
from .graph import Given, Graph, NotExportable, Value
from .sizes import Batch, Differs, Size
from .trace import Call, Inner, Ref, Trace, Traced
from .writers.losses import BY_ELEMENTS, reduced
from .writing import write, writer_of


def assembled(
    name: str, batch: Batch, axis: int | None, inputs: Sequence[str], state: Sequence[str], calls: Sequence[Traced]
) -> Any:
    """Return a ModelProto of two traces of one model.

    Args:
        name: of the graph.
        batch, axis: lengths of the batch in the two, and the axis of inputs that has them.
        inputs, state: names of the inputs and of the weights, whose arrays are the first ones of each trace.
        calls: the two traces.

    Raises:
        ValueError: an op has no form in ONNX, or the traces differ in more than sizes.
    """
    (first, outputs), (second, others) = calls
    made = _Assembly(batch, first, second)
    values = [made.declare(k, n, False) for k, n in enumerate(inputs)]
    for k, n in enumerate(state, start=len(inputs)):
        made.declare(k, n, True)
    follows = [v for v in values if axis is not None and -v.ndim <= axis < v.ndim]
    made.graph.batch = (follows[0].name, axis % follows[0].ndim) if axis is not None and follows else None
    if len(first.calls) != len(second.calls):
        raise ValueError(
            f"onnx.export: the model called {len(first.calls)} ops for a batch of {batch.first}, and "
            f"{len(second.calls)} for one of {batch.second}: it loops over the batch; export it with batch_axis=None"
        )
    for a, b in zip(first.calls, second.calls, strict=True):
        try:
            made.add(a, b)
        except (NotExportable, Differs) as error:
            raise ValueError(f"onnx.export: {a.function.__name__.lstrip('_')}{a.place}: {error}") from None
    if outputs != others:
        raise ValueError("onnx.export: the model returned other things for another batch")
    try:
        ends = [made.output(n, ref) for n, ref in outputs.items()]
    except Differs as error:
        raise ValueError(f"onnx.export: an output of the model: {error}") from None
    return made.graph.model(name, values, ends, "batch")


class _Assembly:
    """The graph of a model, as far as it is written."""

    def __init__(self, batch: Batch, first: Trace, second: Trace) -> None:
        self.graph, self._batch, self._first, self._second = Graph(), batch, first, second
        self._values: dict[int, Value] = {}

    def declare(self, number: int, name: str, is_state: bool) -> Value:
        """Return the value of an input, or of a weight, under its name."""
        a, b = self._arrays(number)
        if is_state:
            value = Value(self.graph.state(name, a), a.dtype, a.shape, a)
        else:
            value = Value(self.graph.fresh(name), a.dtype, self._batch.shape(a.shape, b.shape))
        return self._values.setdefault(number, value)

    def output(self, name: str, ref: Ref) -> Value:
        """Return the value of an output under its name."""
        value = self._value(ref)
        made = self.graph.fresh(name)
        self.graph.nodes.append(self.graph.renamed(value.name, made))
        return Value(made, value.dtype, value.shape)

    def add(self, a: Call, b: Call) -> None:
        """Add the nodes of an op.

        Raises:
            NotExportable: it has no form in ONNX.
            Differs: the two calls differ in more than sizes.
        """
        if a.function is not b.function or (a.results, len(a.args)) != (b.results, len(b.args)):
            raise Differs(f"for another batch the model called {b.function.__name__.lstrip('_')} in its place")
        options = {key: self._batch.joined(a.options[key], b.options.get(key)) for key in a.options}
        args = [self._joined(p, q) for p, q in zip(a.args, b.args, strict=True)]
        self.graph.scope, self.graph.dtype = a.place.module, self._arrays(a.results[0].number)[0].dtype
        writer = writer_of(a.function)
        if writer is None:
            names = self._by_kernels(a, b, args, options)
        else:
            names = write(self.graph, a.function, writer, args, options)
        for ref, name in zip(a.results, names, strict=True):
            if ref.number not in self._values:
                one, other = self._arrays(ref.number)
                self._values[ref.number] = Value(name, one.dtype, self._batch.shape(one.shape, other.shape))

    def _arrays(self, number: int) -> tuple[Array, Array]:
        return self._first.arrays[number], self._second.arrays[number]

    def _joined(self, a: Any, b: Any) -> Given:
        """Return an argument: the value of an array, a number, or None."""
        if isinstance(a, Ref) and a == b:
            return self._value(a)
        if isinstance(a, Ref) or isinstance(b, Ref) or self._batch.joined(a, b) != a:
            raise Differs("for another batch it was given something else")
        return a

    def _value(self, ref: Ref) -> Value:
        """Return the value of an array; one that is not there yet is a constant."""
        if ref.number not in self._values:
            a, b = self._arrays(ref.number)
            self._values[ref.number] = self._constant(asnumpy(a), asnumpy(b))
        return self._values[ref.number]

    def _constant(self, a: np.ndarray, b: np.ndarray) -> Value:
        shape = self._batch.shape(a.shape, b.shape)
        longer = tuple(k for k, n in enumerate(shape) if isinstance(n, Size))
        if not longer and np.array_equal(a, b, equal_nan=a.dtype.kind == "f"):
            return Value(self.graph.constant(a), a.dtype, shape, a)
        one = a[tuple(slice(0, 1) if k in longer else slice(None) for k in range(a.ndim))]
        if not longer or not ((a == one).all() and (b == one).all()):
            raise Differs(
                f"an array of shape {a.shape} was computed from the input outside of cunet's ops (by NumPy, or by a "
                "comparison of Tensors); it would be that of the example in every call"
            )
        return Value(self.graph("Expand", np.ascontiguousarray(one), list(shape)), a.dtype, shape)

    def _by_kernels(self, a: Call, b: Call, args: Sequence[Given], options: dict[str, Any]) -> list[str]:
        """Return the names of what an op without a writer makes: what the texts of its elementwise kernels say."""
        made: dict[Inner, str] = {}

        def given(p: Any, q: Any) -> Given:
            if not isinstance(p, Inner):
                return self._joined(p, q)
            if p.kernel < 0 or p != q:
                raise NotExportable("it has no form in ONNX")
            if p not in made:
                one, other = a.kernels[p.kernel], b.kernels[p.kernel]
                arrays = [given(r, s) for r, s in zip(one.args, other.args, strict=True)]
                for k, name in enumerate(computed(self.graph, one.kernel, arrays)):
                    made[Inner(p.kernel, k)] = name
            return made[p]

        if a.function in BY_ELEMENTS:
            loss = Inner(len(a.kernels) - 1, 0)
            assert isinstance(args[0], Value)
            name = self.graph.name_of(given(loss, loss))
            return [reduced(self.graph, name, options.get("reduction", "mean"), args[0])]
        return [self.graph.name_of(given(p, q)) for p, q in zip(a.made_by, b.made_by, strict=True)]
