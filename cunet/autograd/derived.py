"""Ops of kernels: their gradients are derived from the kernels' texts, or found by running their bodies on Tensors."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np

from ..device import Array, array_module, is_array
from ..kernels import Kernel
from ..kernels.axes import folded_axes, reduced_shape
from ..kernels.calculus.kernels import differentiable_inputs, formulas, gradient_kernel, summed
from ..kernels.spec import Definition, ReductionSpec
from ..kernels.sum_to import sum_over
from .mapped import Call, mapped_by, stretched
from .op import op


def lifted(kernel: Definition, args: Sequence[Any], options: dict[str, Any]) -> Any:
    """Return what a kernel makes of Tensors: by what is attached for these, by its text, or by its body.

    Raises:
        TypeError: it has none of these.
    """
    own = kernel.attached.get("tensors")
    if own is not None:
        return own(*args, **options)
    kind = kernel.spec.kind
    if kind in ("elementwise", "reduction"):
        return op_of(kernel)(*args, **options)
    if kind in ("primitive", "rowwise"):
        return kernel.spec.body(*args, **options)
    raise TypeError(f"{kernel.name}: a gradient that uses this {kind} kernel cannot be differentiated")


def op_of(kernel: Definition) -> Callable[..., Any]:
    """Return the op of a kernel whose gradient is derived from its text, made once.

    Raises:
        TypeError: the text is outside of the grammar.
    """
    found = kernel.prepared.get("op")
    if found is None:
        make = _reduced if isinstance(kernel.spec, ReductionSpec) else _elementwise
        found = kernel.prepared["op"] = make(cast(Kernel, kernel))
    return found


def _elementwise(kernel: Kernel) -> Callable[..., Any]:
    formulas(kernel)
    places = differentiable_inputs(kernel)

    def run(*arrays: Any) -> Any:
        y = kernel(*arrays)

        def vjp(gy: Any) -> tuple[Any, ...]:
            arriving = _all(gy, y)
            return tuple(
                functools.partial(_gradient, kernel, k, arrays, arriving) if k in places and is_array(a) else None
                for k, a in enumerate(arrays)
            )

        return y, vjp

    run.__name__ = kernel.name
    made = op(run)
    mapped_by(made)(_of_elements)
    return made


def _of_elements(call: Call) -> Any:
    """Stretch what is the same for all samples: bodies write into what they make of their first arguments."""
    most = max(map(call.ndim, range(len(call.args))))
    return call.op(
        *[
            a if m or not getattr(a, "ndim", 0) else stretched(a.reshape((1,) * (most - a.ndim) + a.shape), call.size)
            for a, m in zip(call.aligned(), call.mapped, strict=True)
        ]
    )


def _all(gy: Any, y: Any) -> list[Array]:
    """Return what arrives for each output, 0 where nothing does."""
    pairs = zip(gy, y, strict=True) if isinstance(y, tuple) else ((gy, y),)
    return [array_module(part).zeros_like(part) if g is None else g for g, part in pairs]


def _gradient(kernel: Definition, place: int, arrays: Sequence[Any], arriving: Sequence[Array]) -> Array:
    derived = gradient_kernel(kernel, place)
    return array_module(arrays[place]).zeros_like(arrays[place]) if derived is None else derived(*arrays, *arriving)


def _reduced(kernel: Kernel) -> Callable[..., Any]:
    parts = summed(kernel)
    within = [k for k in range(len(kernel.spec.ins)) if k not in parts.after]
    places = differentiable_inputs(parts.map)

    def run(*arrays: Any, axis: Any = None, keepdims: bool = False) -> Any:
        y = kernel(*arrays, axis=axis, keepdims=keepdims)
        inputs = [arrays[k] for k in within]

        def vjp(gy: Any) -> tuple[Any, ...]:
            shape = np.broadcast_shapes(*[a.shape for a in arrays if is_array(a)])
            arriving = [g.reshape(reduced_shape(shape, axis, True)) for g in _all(gy, y)]
            if not parts.plain:
                total = sum_over(parts.map(*inputs), folded_axes(len(shape), axis))
                arriving = [_gradient(parts.post, 0, (total, *(arrays[k] for k in parts.after)), arriving)]
            found: list[Any] = [None] * len(arrays)
            for place, k in enumerate(within):
                if place in places and is_array(arrays[k]):
                    found[k] = functools.partial(_gradient, parts.map, place, inputs, arriving)
            return tuple(found)

        return y, vjp

    run.__name__ = kernel.name
    made = op(run)
    mapped_by(made)(_over_axes)
    return made


def _over_axes(call: Call) -> Any:
    """Fold the axes of each sample."""
    ndim = max(map(call.ndim, range(len(call.args))))
    axes = tuple(k + 1 for k in folded_axes(ndim, call.options.get("axis"))) if ndim else (1,)
    y = call.op(*call.aligned(1), axis=axes, keepdims=call.options.get("keepdims", False))
    return y if ndim or not call.options.get("keepdims") else y.reshape((call.size,))
