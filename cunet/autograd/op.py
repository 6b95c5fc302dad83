"""The decorator `op`: it lifts a function of arrays to a differentiable function of Tensors."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Sequence
from typing import Any, ParamSpec, Protocol, overload

import numpy as np

from ..device import NUMBERS, Array, clearer_error, is_array, is_floating, is_gpu_array, not_numbers
from ..kernels.capture import capturing
from ..system.messages import named_error, shown
from ..system.quiet import IGNORED, errors
from .pytorch import refuse_words
from .tape import Node, Watcher, recording
from .tensor import Tensor, as_array, beside, wrap

P = ParamSpec("P")
Vjp = Callable[[Any], Sequence[Any]]
# For type checkers: a function with one result, and one with several. (They see CuPy's arrays as NumPy's.)
Result = tuple[np.ndarray, Vjp]
Results = tuple[tuple[np.ndarray, ...], Vjp]


#: Types that a function of arrays takes as they are.
FIT = frozenset({np.ndarray, float, int, bool, str, type(None)})
#: Types of static arguments that need no look.
STATIC = FIT | {tuple, type}
#: Who needs a gradient of an argument, before that is known.
_NOBODY: list[Any] = [None]
#: How an option is annotated that is an integer.
_INTEGERS = (int, "int", "int | None")


class Lift(Protocol):
    """What ``op(arrays=...)`` returns: a decorator."""

    @overload
    def __call__(self, fn: Callable[P, Results], /) -> Callable[P, tuple[Tensor, ...]]: ...
    @overload
    def __call__(self, fn: Callable[P, Result], /) -> Callable[P, Tensor]: ...


@overload
def op(fn: Callable[P, Results], /) -> Callable[P, tuple[Tensor, ...]]: ...
@overload
def op(fn: Callable[P, Result], /) -> Callable[P, Tensor]: ...
@overload
def op(*, arrays: int) -> Lift: ...
def op(fn: Callable[..., Any] | None = None, /, *, arrays: int | None = None) -> Any:
    """Lift ``fn(*arrays, **static) -> (y, vjp)`` to a differentiable function of Tensors.

    Positional parameters of `fn` are arrays (or Python scalars, or None where it has such a default);
    keyword-only ones are static. With ``@op(arrays=1)`` the first parameter alone is an array and all others are
    static. The lifted function also takes plain arrays and nested lists, arrays by name, and static arguments by
    position after the arrays (``reshape(x, (2, 3))``).

    `fn` returns the result, an array or a tuple of arrays, and ``vjp(gy)``, which returns one entry per
    array argument: the gradient array, None, or a function of no arguments that computes it, called
    only if that input needs it. For a tuple of results `gy` is a tuple, None where no gradient came.
    Gradients may have any shape that broadcasting made of the input's: the engine sums them back.
    vjp must not write into `gy` or into arrays it saved. NumPy's warnings about overflow and invalid values are off
    in both.

    Raises:
        TypeError: (when it is called) `fn` or `vjp` returned something else, such as a number or a Tensor.

    Example:
        >>> @cunet.op
        ... def softsign(x):
        ...     scale = 1 + abs(x)
        ...     return x / scale, lambda gy: (gy / scale**2,)
        >>> cunet.value_and_grad(lambda x: softsign(x).sum())(np.array([0.0, 1.0]))
        (array(0.5), array([1.  , 0.25]))
    """
    return functools.partial(_lift, arrays=arrays) if fn is None else _lift(fn, arrays)


def is_op(f: object) -> bool:
    """Tell whether `op` made this function."""
    return "static" in getattr(f, "__dict__", ())


def static_parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    """Return the parameters of an op that are no arrays: its options."""
    names = vars(function)["static"]
    return [p for p in inspect.signature(function).parameters.values() if p.name in names]


def _lift(fn: Callable[..., Any], arrays: int | None) -> Callable[..., Any]:
    name, parameters = fn.__name__, _Parameters(fn, arrays)
    full, count, named = parameters.count, parameters.most, frozenset(parameters.arrays)

    @functools.wraps(fn)
    def apply(*args: Any, **static: Any) -> Any:
        if len(args) > count or (static and not named.isdisjoint(static)):
            args, static = parameters.bind(args, static)
        if static and not STATIC.issuperset(map(type, static.values())):
            static = _fit_static(name, static, args)
        inputs, parents, needed, loose = list(args), _NOBODY * len(args), False, False
        for k, a in enumerate(args):
            if isinstance(a, Tensor):
                inputs[k] = a._data
                if a._requires_grad:
                    parents[k], needed = a._node or a, True  # the node that made it, or a leaf
            else:
                loose |= a.dtype.kind not in NUMBERS if type(a) is np.ndarray else type(a) not in FIT or len(args) == 1
        if loose:
            if (other := next((a for a in args if hasattr(a, "run_op")), None)) is not None:
                return other.run_op(apply, args, static)  # complex numbers, which are no Tensors
            inputs = _fit(name, inputs)
        token = errors.set(IGNORED)
        try:
            made = fn(*inputs, **static) if (who := capturing.get()) is None else who.call(fn, inputs, static, args)
        except Exception as error:
            parameters.explain(error, inputs, static)
            raise
        finally:
            errors.reset(token)
        if type(made) is Tensor:  # by who captures ops
            return made
        sound = type(made) is tuple and len(made) == 2 and callable(made[1])
        y, vjp = made if sound and (type(made[0]) is np.ndarray or is_gpu_array(made[0])) else _made(name, made, inputs)
        if needed and (mode := recording.get()):
            return _recorded(y, Node(name, parents + [None] * (full - len(args)), vjp, y), mode, inputs)
        return tuple([wrap(part) for part in y]) if type(y) is tuple else wrap(y)

    vars(apply)["static"] = parameters.static
    return apply


def _fit(name: str, inputs: list[Any]) -> list[Any]:
    """Make arrays of lists, of tuples and of a lone number; of NumPy's scalars beside floating arrays plain numbers.

    Raises:
        TypeError: an array holds no numbers.
    """
    if len(inputs) == 1 and not is_array(inputs[0]):
        return [_listed(name, inputs[0], ())]
    floating = any(is_array(a) and is_floating(a.dtype) for a in inputs)
    fit = []
    for a in inputs:
        if (is_array(a) or isinstance(a, np.generic)) and (wrong := not_numbers(a)):
            raise TypeError(f"{name.lstrip('_')}: expected an array of numbers, got {wrong}")
        if isinstance(a, (list, tuple)):
            a = _listed(name, a, inputs)
        elif floating and isinstance(a, np.generic) and a.dtype.kind in "fiu":
            a = a.item()  # a Python number has no dtype of its own
        fit.append(a)
    return fit


def _listed(name: str, a: Any, others: Sequence[Any]) -> Array:
    try:
        return beside(a, *others)
    except TypeError as error:
        raise TypeError(f"{name.lstrip('_')}: {error}") from None


def _made(name: str, made: Any, inputs: list[Any]) -> tuple[Any, Vjp]:
    """Return what an op returned, with numbers of NumPy's as arrays; of numbers alone a number may be made.

    Raises:
        TypeError: it is something else than a result and its vjp.
    """
    if type(made) is tuple and len(made) == 2 and callable(made[1]):
        if type(made[0]) is tuple and {np.ndarray}.issuperset(map(type, made[0])):
            return made
        parts: Sequence[Any] = made[0] if type(made[0]) is tuple else made[:1]
        if not any(map(is_array, inputs)):
            parts = [as_array(part) if isinstance(part, (int, float)) else part for part in parts]
        arrays = tuple([np.asarray(part) if isinstance(part, np.generic) else part for part in parts])
        if all(map(is_array, arrays)):
            return arrays if type(made[0]) is tuple else arrays[0], made[1]
    raise TypeError(
        f"{name}: an op must return (result, vjp), result an array or a tuple of arrays, got {_kinds(made)}"
    )


def _kinds(value: Any) -> str:
    """Return the kind of a value; of a tuple those of its parts."""
    return f"({', '.join(map(_kinds, value))})" if type(value) is tuple else type(value).__name__


def _fit_static(name: str, static: dict[str, Any], args: Sequence[Any]) -> dict[str, Any]:
    """Make Python numbers of NumPy's; refuse a Tensor that would get no gradient, and what no argument can see to."""
    for key, value in static.items():
        if hasattr(value, "run_op") and not any(hasattr(a, "run_op") for a in args):
            raise TypeError(f"{name.lstrip('_')}: {key} must be the same for all samples of a vmap, got {value!r}")
        if isinstance(value, Tensor) and value._requires_grad and recording.get():
            raise TypeError(f"{name}: {key} gets no gradient, but a Tensor that requires one came; pass {key}.detach()")
    return {
        key: value.item() if isinstance(value, (np.floating, np.integer)) else value for key, value in static.items()
    }


class _Parameters:
    """The parameters of a function of arrays, and which of them are the arrays."""

    def __init__(self, fn: Callable[..., Any], arrays: int | None) -> None:
        code = fn.__code__
        names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
        positional = names[: code.co_argcount]
        count = code.co_argcount if arrays is None else arrays
        defaults = fn.__defaults__ or ()
        self.name = fn.__name__
        self.ours = fn.__module__.partition(".")[0] == __name__.partition(".")[0]
        self.arrays, self.static = names[:count], names[count:]
        self.defaults = dict(zip(positional[len(positional) - len(defaults) :], defaults, strict=True))
        self.defaults |= fn.__kwdefaults__ or {}
        self.kinds = fn.__annotations__
        self.count = count
        self.most = sys.maxsize if code.co_flags & inspect.CO_VARARGS else count  # arrays that can be given

    def bind(self, args: tuple[Any, ...], static: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Give arrays that came by name their positions, and static arguments that came by position their names."""
        extra = args[self.most :]
        if len(extra) > len(self.static):
            few = len(extra) - len(self.static)
            raise TypeError(f"{self.name}() takes {few} positional arguments fewer than were given")
        named = dict(zip(self.static, extra, strict=False))
        twice = static.keys() & {*self.arrays[: len(args)], *named}
        if twice:
            raise TypeError(f"{self.name}() got multiple values for argument {', '.join(map(repr, sorted(twice)))}")
        bound = [*args[: self.most]]
        for key in self.arrays[len(args) :]:
            if key not in static and key not in self.defaults:
                raise TypeError(f"{self.name}() missing required argument {key!r}")
            bound.append(static.pop(key) if key in static else self.defaults[key])
        return tuple(bound), named | static

    def explain(self, error: Exception, inputs: list[Any], static: dict[str, Any]) -> None:
        """Raise what says more than an error from inside: what the device lacks, or which argument is wrong."""
        who = self.name.lstrip("_")
        clearer = clearer_error(who, error, inputs)
        if clearer is not None:
            raise clearer from error
        refuse_words(who, static, self.static)
        if isinstance(error, AttributeError):  # an attribute that arrays have was asked of what is none
            for k, a in enumerate(inputs):
                if a is error.obj and not is_array(a):
                    which = self.arrays[k] if k < len(self.arrays) else f"argument {k}"
                    raise TypeError(f"{who}: {which} must be an array, got {shown(a)}") from error
        said = str(error).partition(":")[0]  # by whom, where it is ours
        if isinstance(error, TypeError) and not (said and who.startswith(said)):
            for key, value in static.items():
                if isinstance(value, str) and not isinstance(self.defaults.get(key, ""), str):
                    raise TypeError(f"{who}: {key} must be no string, got {value!r}") from error
                if isinstance(self.defaults.get(key), (int, float)) and not isinstance(value, (int, float)):
                    raise TypeError(f"{who}: {key} must be a number, got {value!r}") from error
                if self.kinds.get(key) in _INTEGERS and isinstance(value, float):
                    raise TypeError(f"{who}: {key} must be an integer, got {value!r}") from error
        if self.ours or said.startswith("expected an array"):  # by `as_array`, which does not know for whom
            named = named_error(who, error, inputs)
            if named is not None:
                raise named from error


def _recorded(y: Any, node: Node, mode: bool | Watcher = True, inputs: Sequence[Any] = ()) -> Any:
    if not isinstance(mode, bool):
        watched = mode.watched(node.name, inputs, y, node.vjp)
        node.vjp = node.vjp.seen_by(watched) if hasattr(node.vjp, "seen_by") else watched
    if type(y) is tuple:
        parts = []
        for i, part in enumerate(y):
            leaf = Node(node.name, (node,), len(y), part)
            leaf.index = i
            parts.append(_recorded(part, leaf))
        return tuple(parts)
    if y.dtype.kind == "f" or is_floating(y.dtype):
        return wrap(y, node)
    if y.dtype.kind == "c":
        raise TypeError(
            f"{node.name}: the result is complex and would lose its gradient, which only real numbers have here; "
            "cunet.Complex(real, imag) is a pair of real Tensors"
        )
    return wrap(y)
