"""`vmap`: a function of one sample becomes one of many."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..device import is_array
from .mapped import Level, Mapped, mapping, stretched
from .tensor import Tensor, as_array
from .transforms import _map_arrays

#: A position, None, or such in nested tuples, lists and dicts.
Axes = Any


def vmap(f: Callable[..., Any], in_axes: Axes = 0, out_axes: Axes = 0) -> Callable[..., Any]:
    """Make of a function of one sample the function of many, which does all of them at once.

    Each op of `f` runs once, on all samples, by a rule of its own; no loop is run. Transforms go within it and around
    it: ``vmap(grad(f))`` gives the gradient of each sample. `f` sees the shapes of one sample, and no values: what
    differs by sample is chosen by `cunet.where`. An op that draws random numbers draws others for each sample, if what
    it is given is mapped.

    Args:
        f: takes arrays, or nested tuples, lists and dicts of arrays; computes with cunet's ops.
        in_axes: where the samples lie in the positional arguments: one axis for all, or a tuple with one for each; None
            where an argument is the same for all samples. In place of an axis there may be a structure of them as the
            argument has. Arguments by name are the same for all samples.
        out_axes: where the samples shall lie in the results; None for one that is the same for all.

    Returns:
        A function with the arguments of `f`, whose results have the axis of samples: Tensors where `f` gives Tensors,
        arrays where it gives what `grad` returned.

    Raises:
        TypeError: (when it is called) an op of `f` has no rule, or `f` asked for the values of a sample.
        ValueError: the arguments have different numbers of samples, or none of them has samples.
        IndexError: an argument has no such axis.

    Source: Bradbury et al. 2018, "JAX: composable transformations of Python+NumPy programs".

    Example:
        >>> w, x = np.array([1.0, 2.0, 3.0]), np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 1.0]])
        >>> cunet.vmap(lambda x: cunet.square(w @ x))(x)
        Tensor([ 1., 25.], dtype=float64)
        >>> cunet.vmap(cunet.grad(lambda w, x: cunet.square(w @ x)), in_axes=(None, 0))(w, x)  # one for each sample
        array([[ 2.,  0.,  0.],
               [ 0., 10., 10.]])
    """

    @functools.wraps(f)
    def evaluate(*args: Any, **kwargs: Any) -> Any:
        axes = in_axes if isinstance(in_axes, (tuple, list)) else (in_axes,) * len(args)
        if len(axes) != len(args):
            raise ValueError(f"vmap: in_axes must have an axis for each of {len(args)} arguments, got {in_axes!r}")
        sizes: dict[int, str] = {}
        for k, (a, axis) in enumerate(zip(args, axes, strict=True)):
            _each(functools.partial(_count, sizes, k), a, axis, "in_axes")
        if len(sizes) != 1:
            got = " and ".join(f"{n} of {where}" for n, where in sizes.items()) or "none"
            raise ValueError(f"vmap: the mapped axes of all arguments must have one length, got {got}")
        with mapping(next(iter(sizes))) as level:
            enter = functools.partial(_enter, level)
            out = f(*[_each(enter, a, axis, "in_axes") for a, axis in zip(args, axes, strict=True)], **kwargs)
            return _each(functools.partial(_leave, level), out, out_axes, "out_axes")

    return evaluate


def _each(visit: Callable[[Any, Any], Any], tree: Any, axes: Axes, who: str) -> Any:
    """Visit every array of a tree with its axis."""
    if axes is None or (isinstance(axes, (int, np.integer)) and not isinstance(axes, bool)):
        return _map_arrays(lambda x: visit(x, axes), tree)
    if isinstance(axes, Mapping) and isinstance(tree, Mapping) and axes.keys() == tree.keys():
        return {key: _each(visit, value, axes[key], who) for key, value in tree.items()}
    if isinstance(axes, (tuple, list)) and isinstance(tree, (tuple, list)) and len(axes) == len(tree):
        parts = [_each(visit, value, axis, who) for value, axis in zip(tree, axes, strict=True)]
        return type(tree)._make(parts) if hasattr(tree, "_make") else type(tree)(parts)
    raise ValueError(
        f"vmap: {who} must be an integer or None, or nested as what it is for, got {axes!r} for {type(tree).__name__}"
    )


def _count(sizes: dict[int, str], k: int, x: Any, axis: int | None) -> None:
    """Note how many samples an array has, where it is mapped."""
    if axis is None:
        return
    shape = np.shape(x) if isinstance(x, (list, int, float)) else getattr(x, "shape", None)
    if shape is None:
        raise TypeError(f"vmap: argument {k} must be arrays, got {type(x).__name__}")
    if not -len(shape) <= axis < len(shape):
        raise IndexError(f"vmap: in_axes: argument {k} has no axis {axis}, its shape is {shape}")
    sizes.setdefault(shape[axis], f"argument {k}")


def _enter(level: Level, x: Any, axis: int | None) -> Any:
    if axis is None:
        return x
    x = x if isinstance(x, (Tensor, Mapped)) else Tensor(as_array(x))
    return Mapped(level, np.moveaxis(x, axis, 0) if axis else x)


def _leave(level: Level, y: Any, axis: int | None) -> Any:
    mapped = isinstance(y, Mapped) and y.level is level
    if not (mapped or isinstance(y, (Tensor, Mapped)) or is_array(y)):
        raise TypeError(f"vmap: the function must return Tensors, got {type(y).__name__}")
    if axis is None and mapped:
        raise ValueError("vmap: out_axes is None for a result that differs by sample")
    if axis is None:
        return y
    full = y.value if mapped else stretched(y, level.size)
    if not -full.ndim <= axis < full.ndim:
        raise IndexError(f"vmap: out_axes: a result of shape {y.shape} in a sample has no place {axis} for samples")
    return np.moveaxis(full, 0, axis) if axis else full
