"""summary: what a model is made of, layer by layer, and what a batch costs."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, NamedTuple

import numpy as np

from ..autograd.tape import no_grad
from ..autograd.tensor import Tensor
from ..device import is_array, like
from ..kernels import listening
from ..kernels.spec import Definition
from ..ops.conv.primitives import convolve, convolve_input_gradient
from ..ops.einsum import contract
from ..ops.linalg import product
from ..ops.recurrent.loop import recur
from ..system.messages import shown
from ..system.table import count, html_table, memory, text_table
from .inputs import dtype_of
from .module import Module
from .observe import observing
from .report import unchanged


class LayerSummary(NamedTuple):
    """One row of a `Summary`: a call of a layer.

    Attributes:
        name: the layer's place in the model.
        kind: its class, or a function's name.
        shape: of its output, of the first array if there are several; None for a layer that was not called.
        parameters: how many numbers it trains, or could; 0 where an earlier row has them.
        flops: floating-point operations of its products.
        memory: bytes of its output; 0 if that is a view of another.
    """

    name: str
    kind: str
    shape: tuple[int, ...] | None
    parameters: int
    flops: int
    memory: int


class Summary(list[LayerSummary]):
    """The rows of a summary, in order of computation; `str` and `repr` give a table of 80 columns, notebooks HTML.

    Attributes:
        parameters: how many numbers the model has that are trained, or could be.
        trainable: those that are not frozen.
        flops: floating-point operations of all products for the batch, forward.
        memory: bytes of all layers' outputs for the batch: what training keeps for the way back, roughly.
    """

    def __init__(self, rows: list[LayerSummary], parameters: int, trainable: int) -> None:
        super().__init__(rows)
        self.parameters, self.trainable = parameters, trainable
        self.flops = sum(row.flops for row in rows)
        self.memory = sum(row.memory for row in rows)

    def _cells(self) -> list[tuple[str, ...]]:
        rows: list[tuple[str, ...]] = [("layer", "kind", "output", "parameters", "FLOPs", "memory")]
        for r in self:
            shape = "-" if r.shape is None else "x".join(map(str, r.shape)) or "scalar"
            rows.append((r.name, r.kind, shape, f"{r.parameters:,}", count(r.flops), memory(r.memory)))
        return rows

    def _total(self) -> str:
        frozen = f" ({self.parameters - self.trainable:,} frozen)" if self.trainable < self.parameters else ""
        return (
            f"{self.parameters:,} parameters{frozen}, {count(self.flops)} FLOPs, {memory(self.memory)} of activations"
        )

    def __str__(self) -> str:
        """Return the table, and the sums below it."""
        return f"{text_table(self._cells(), left=2)}\n{self._total()}"

    __repr__ = __str__

    def _repr_html_(self) -> str:
        """Return the table for a notebook."""
        return html_table(self._cells(), left=2, caption=self._total())


def summary(model: Module, input_shape: Any) -> Summary:
    """Apply a model once, and return its layers with shapes, parameters, FLOPs and memory of activations.

    FLOPs are those of matrix products, `einsum`, convolutions and recurrences, two for each multiplication with its
    addition, counted as they are called (padding of a convolution too); what is done element by element, and what
    `cunet.linalg` solves and decomposes, is left out. The model runs in evaluation mode and is as before afterwards,
    but that lazy layers have their shape.

    Args:
        model: the model.
        input_shape: shape of a batch, first axis included; or an array, where the model wants integers; or a tuple of
            these for a model of several inputs.

    Raises:
        TypeError: `input_shape` is none of these.

    Example:
        >>> model = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 26 * 26, 10))
        >>> found = cunet.summary(model, (1, 1, 28, 28))
        >>> found.parameters, found.flops
        (54170, 205504)
        >>> [(layer.name, layer.shape) for layer in found]
        [('0', (1, 8, 26, 26)), ('1', (1, 8, 26, 26)), ('2', (1, 5408)), ('3', (1, 10))]
    """
    inputs = [_batch(one, model) for one in _listed(input_shape)]
    seen = _Seen(model)
    with unchanged(model), model.evaluating(), no_grad(), observing(seen.observe), listening(seen.listen):
        model(*inputs)
        return seen.summary()  # lazy layers have their shapes here


def _listed(shape: Any) -> tuple[Any, ...]:
    """Return what each input is made of."""
    if isinstance(shape, (tuple, list)) and not all(isinstance(n, (int, np.integer)) for n in shape):
        return tuple(shape)
    return (shape,)


def _batch(shape: Any, model: Module) -> Any:
    """Return an input: zeros of a shape in the model's dtype, where the model is, or what was given."""
    if isinstance(shape, (tuple, list)) and all(isinstance(n, (int, np.integer)) for n in shape):
        shape = np.zeros(tuple(shape), dtype_of(model) or np.float32)
    elif not isinstance(shape, Tensor) and not is_array(shape):
        raise TypeError(f"summary: input_shape must be a shape, an array, or a tuple of these, got {shown(shape)}")
    first = next(model.parameters(), None)
    return shape if first is None or isinstance(shape, Tensor) else like(shape, first.data)


class _Seen:
    """Notes the calls of a model's layers, and what their products cost."""

    def __init__(self, model: Module) -> None:
        self.model = model
        self.names = {id(module): name for name, module in model.named_modules()}
        self.rows: list[LayerSummary] = []
        self.owners: list[Module | None] = []  # of the rows' parameters
        self.flops: dict[int, int] = {}  # of modules that run, by id: of their products since the last row
        self.outputs: dict[int, Any] = {}  # memory that was counted; held, so that no id comes again
        self.within = False  # a product, which may be made of others

    def listen(self, kernel: Definition, args: tuple[Any, ...], options: dict[str, Any], proceed: Any) -> Any:
        """Count a product for the innermost layer that runs."""
        cost = _COSTS.get(kernel)
        if cost is None or self.within:
            return proceed()
        self.within = True
        try:
            result = proceed()
        finally:
            self.within = False
        layer = id(_running())
        self.flops[layer] = self.flops.get(layer, 0) + cost(result, *args)
        return result

    def observe(self, layer: Any, out: Any, owner: Module | None, key: str) -> Any:
        """Note a call of a layer that has none below it, or makes products itself."""
        is_module = isinstance(layer, Module)
        flops = self.flops.pop(id(layer if is_module else owner), 0)
        whole = not is_module or next(layer.children(), None) is None
        if whole or flops:
            name = self.names.get(id(layer), "") if is_module else f"{self.names.get(id(owner), '')}.{key}".lstrip(".")
            kind = type(layer).__name__ if is_module else getattr(layer, "__name__", type(layer).__name__)
            tensors = list(_tensors(out))
            shape = tensors[0].shape if tensors else None
            n_bytes = sum(map(self._fresh, tensors)) if whole else 0
            self.rows.append(LayerSummary(name, kind, shape, 0, flops, n_bytes))
            self.owners.append(layer if is_module else None)
        return out

    def _fresh(self, tensor: Tensor) -> int:
        """Return the bytes of a result that are no view of what was there."""
        base = tensor.data
        while getattr(base, "base", None) is not None:
            base = base.base
        if id(base) in self.outputs:
            return 0
        self.outputs[id(base)] = base
        return tensor.data.nbytes

    def summary(self) -> Summary:
        """Return the rows with parameters: each in the first row of the module that holds it."""
        held: dict[str, int] = {}
        parameters = list(self.model.named_parameters())
        modules = {name: module for name, module in self.model.named_modules()}
        for path, parameter in parameters:
            name = path
            while name not in modules:
                name = name.rpartition(".")[0]
            held[name] = held.get(name, 0) + parameter.size
        rows = []
        for row, owner in zip(self.rows, self.owners, strict=True):
            rows.append(row if owner is None else row._replace(parameters=held.pop(self.names.get(id(owner), ""), 0)))
        for name, size in held.items():
            rows.append(LayerSummary(name, type(modules[name]).__name__, None, size, 0, 0))
        trainable = sum(p.size for _, p in parameters if p.requires_grad)
        return Summary(rows, sum(p.size for _, p in parameters), trainable)


def _running() -> Module | None:
    """Return the innermost layer that runs."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code is not Module.__call__.__code__:
        frame = frame.f_back
    return None if frame is None else frame.f_locals["self"]


def _tensors(out: Any) -> Iterator[Tensor]:
    """Yield the Tensors of a result, entering tuples, lists and dicts."""
    if isinstance(out, Tensor):
        yield out
    elif isinstance(out, (tuple, list, dict)):
        for item in out.values() if isinstance(out, dict) else out:
            yield from _tensors(item)


def _of_product(y: Any, x: Any, *_: Any) -> int:
    return 2 * y.size * x.shape[-1]


def _of_convolution(y: Any, x: Any, weight: Any, *_: Any) -> int:
    return 2 * y.size * math.prod(weight.shape[1:])


def _of_input_gradient(gx: Any, gy: Any, weight: Any, *_: Any) -> int:
    return 2 * gy.size * math.prod(weight.shape[1:])


def _of_recurrence(_: None, x: Any, w: Any, y: Any, step: Any, sizes: Any, *others: Any) -> int:
    return 2 * sum(sizes) * w.size


def _of_contraction(_: Any, subscripts: str, *operands: Any) -> int:
    """Count the products of two operands each, in the order in which they are made."""
    left, output = subscripts.split("->")
    parts = left.split(",")
    sizes: dict[str, int] = {}
    for letters, x in zip(parts, operands, strict=True):
        for letter, n in zip(letters, x.shape, strict=True):
            sizes[letter] = n if sizes.get(letter, 1) == 1 else sizes[letter]
    found, empty = 0, [np.broadcast_to(np.float32(0), x.shape) for x in operands]
    for step in np.einsum_path(subscripts, *empty, optimize=True)[0][1:]:
        taken = [parts[k] for k in step]
        parts = [letters for k, letters in enumerate(parts) if k not in step]
        known = dict.fromkeys("".join(taken))
        kept = [letter for letter in known if letter in output or any(letter in other for other in parts)]
        parts.append("".join(kept))
        work = math.prod(sizes[letter] for letter in known)
        found += work * (len(taken) - 1 + (len(kept) < len(known))) if len(taken) > 1 else 0
    return found


#: Operations of what multiplies, from its result and its arguments.
_COSTS: dict[Any, Callable[..., int]] = {
    product: _of_product,
    contract: _of_contraction,
    convolve: _of_convolution,
    convolve_input_gradient: _of_input_gradient,
    recur: _of_recurrence,
}
