"""Gradients of plain functions: `grad` and `value_and_grad` for code that has no Tensors of its own."""

from __future__ import annotations

import copy
import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..device import Array, array_module
from .mapped import Mapped
from .nesting import Nesting
from .pulling import gradients_at
from .tape import backpropagate, grad_enabled, is_recording, owned
from .tensor import Tensor
from .tracing import nested, variable, within

#: An argument by its position or its name.
Argument = int | str


def value_and_grad(
    f: Callable[..., Any], argnums: Argument | Sequence[Argument] = 0, *, create_graph: bool = False
) -> Callable[..., tuple[Any, Any]]:
    """Make of ``f(*arrays) -> scalar Tensor`` a function that returns its value and its gradient.

    Args:
        f: takes arrays, or nested lists, tuples and dicts of arrays; computes with cunet's ops.
        argnums: position or name of the argument to differentiate by, or several of them.
        create_graph: return Tensors, which can be differentiated by all that `f` used: a gradient penalty's by the
            parameters of a model. Within a function that is being differentiated, as in ``grad(grad(f))``, that is so
            without a word.

    Returns:
        A function with the arguments of `f` that returns ``(value, gradient)``: plain arrays, the
        gradient with the structure of the argument (a tuple of such for several `argnums`). Gradients in
        `grad` of other tensors are not touched.

    Raises:
        TypeError: `f` did not return a Tensor, or an argument is not of floating dtype or was not given.
        ValueError: the Tensor has more than one element; `argnums` names an argument twice.

    Example:
        >>> def loss(params, x):
        ...     return ((x @ params["w"] + params["b"]) ** 2).mean()
        >>> params = {"w": np.array([1.0, -1.0]), "b": np.array(1.0)}
        >>> cunet.value_and_grad(loss)(params, np.array([[1.0, 1.0], [3.0, 2.0]]))
        (array(2.5), {'w': array([7., 5.]), 'b': array(3.)})
    """
    single = isinstance(argnums, (int, str, np.integer))
    which, names = _arguments([argnums] if single else argnums), _positional(f)

    @functools.wraps(f)
    def evaluate(*args: Any, **kwargs: Any) -> tuple[Any, Any]:
        leaves: list[Tensor] = []
        order = max(nested.get(), int(create_graph)) if is_recording() else 0  # that of the results
        nesting = Nesting()

        def lift(x: Any) -> Any:
            x = nesting.full(x)
            data = x.data if isinstance(x, Tensor) else x
            leaves.append(variable(x) if order and isinstance(x, Tensor) else Tensor(data, requires_grad=True))
            return nesting.seen(leaves[-1])

        places = [_place(f, names, argument, args, kwargs) for argument in which]
        if len(set(places)) < len(places):
            raise ValueError(f"grad: argnums must be different arguments, got {which}")
        lifted: dict[Argument, Any] = dict(enumerate(args))
        lifted.update(kwargs)
        for place in places:
            lifted[place] = _map_arrays(lift, lifted[place])
        with grad_enabled(), within(order + 1):
            out = f(*[lifted[k] for k in range(len(args))], **{name: lifted[name] for name in kwargs})
        _check_scalar(_name(f), out)
        out = nesting.full(out)
        seed = one_of(out) if out.requires_grad else None
        found = _gradients(out, seed, leaves) if not order else _tensors(out, seed, leaves, order)
        gradients = map(nesting.seen, found)
        result = tuple(_map_arrays(lambda _: next(gradients), lifted[place]) for place in places)
        return nesting.seen(out if order else out.data), result[0] if single else result

    return evaluate


def _name(f: Callable[..., Any]) -> str:
    return getattr(f, "__name__", "f")


def _arguments(argnums: Any) -> tuple[Argument, ...]:
    """Return the positions and names that `argnums` lists."""
    which = tuple(argnums) if isinstance(argnums, (list, tuple)) else (argnums,)
    for argument in which:
        if not isinstance(argument, (int, str, np.integer)) or isinstance(argument, bool):
            raise TypeError(f"grad: argnums must be positions or names of arguments, got {argument!r}")
    return which


def _place(
    f: Callable[..., Any], names: list[str], argument: Argument, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Argument:
    """Return where an argument is in a call: its position in `args`, or its name in `kwargs`.

    Raises:
        TypeError: it was not given.
    """
    if isinstance(argument, str):
        if argument in kwargs:
            return argument
        position = names.index(argument) if argument in names else len(args)
    else:
        position = argument + len(args) if argument < 0 else int(argument)
        if position >= len(args) and position < len(names) and names[position] in kwargs:
            return names[position]
    if not 0 <= position < len(args):
        given = [*(names[k] if k < len(names) else str(k) for k in range(len(args))), *kwargs]
        raise TypeError(f"grad: {_name(f)} was not given the argument {argument!r} of argnums; given: {given}")
    return position


def _positional(f: Callable[..., Any]) -> list[str]:
    """Return the names of the arguments that can be given by position, where they can be known."""
    try:
        parameters = inspect.signature(f).parameters.values()
    except (TypeError, ValueError):
        return []
    return [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]


def _check_scalar(name: str, out: Any) -> None:
    if not isinstance(out, (Tensor, Mapped)):
        raise TypeError(f"grad: {name} must return a Tensor, got {type(out).__name__}")
    if out.size != 1:
        raise ValueError(f"grad: {name} must return one element, got shape {out.shape}")


def one_of(out: Tensor) -> Array:
    """Return the seed of the only element, or of that of each sample."""
    return out._seed(None) if out.size == 1 else array_module(out.data).ones(out.shape, out.dtype)


def _gradients(out: Tensor, seed: Any, leaves: Sequence[Tensor]) -> list[Array]:
    """Return the gradient of `out` by each leaf; 0 for those that it does not depend on."""
    found = backpropagate(out._node, seed, False) if out._node is not None else {}
    if out.requires_grad and out._node is None:
        found[id(out)] = (out, seed)
    taken: set[int] = set()
    return [
        owned(found[id(x)][1], taken) if id(x) in found else array_module(x.data).zeros_like(x.data) for x in leaves
    ]


def _tensors(out: Tensor, seed: Any, leaves: Sequence[Tensor], order: int) -> list[Tensor]:
    """Return the gradients of `_gradients` as Tensors that can be differentiated `order` times."""
    found = gradients_at([(out, seed)], leaves, order) if out.requires_grad else [None] * len(leaves)
    gradients = []
    for x, g in zip(leaves, found, strict=True):
        g = array_module(x.data).zeros_like(x.data) if g is None else g
        gradients.append(g if isinstance(g, Tensor) else Tensor(g))
    return gradients


def grad(
    f: Callable[..., Any], argnums: Argument | Sequence[Argument] = 0, *, create_graph: bool = False
) -> Callable[..., Any]:
    """Make of ``f(*arrays) -> scalar Tensor`` a function that returns its gradient; see `value_and_grad`.

    Example:
        >>> cunet.grad(lambda x: (x**2).sum())(np.array([1.0, 3.0]))
        array([2., 6.])
        >>> cunet.grad(cunet.grad(lambda x: x**3))(np.array(2.0))
        array(12.)
    """
    both = value_and_grad(f, argnums, create_graph=create_graph)

    @functools.wraps(f)
    def evaluate(*args: Any, **kwargs: Any) -> Any:
        return both(*args, **kwargs)[1]

    return evaluate


def _map_arrays(f: Callable[[Any], Any], tree: Any) -> Any:
    """Apply `f` to every array of nested tuples, dicts and lists, which keep their kinds; only numbers: an array."""
    if isinstance(tree, dict):
        mapped = copy.copy(tree)  # of its own kind: ordered, or with a default
        for key, value in tree.items():
            mapped[key] = _map_arrays(f, value)
        return mapped
    if isinstance(tree, tuple) or (isinstance(tree, list) and not _is_array_like(tree)):
        parts = [_map_arrays(f, value) for value in tree]
        return type(tree)._make(parts) if hasattr(tree, "_make") else type(tree)(parts)
    return f(tree)


def _is_array_like(tree: list[Any]) -> bool:
    """Tell whether a list, however nested, holds numbers alone."""
    return all(
        _is_array_like(value) if isinstance(value, list) else isinstance(value, (int, float, np.generic))
        for value in tree
    )
