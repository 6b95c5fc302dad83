"""What stands for one sample of many within `vmap`: all of them, with their axis hidden.

A `Mapped` has the shape of one sample, and holds all. An op that is given one is run by its rule (`mapped_by`), which
says how the op does all samples at once: by ops of what the `Mapped` holds, Tensors, so that whoever records these
records as ever. Within a `vmap` in a `vmap` it holds those of the outer one.
"""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Never, TypeVar, cast

import numpy as np

from ..device import array_module, device_of, is_array
from .operators import ops
from .sample import COMPARISONS, Sample
from .tensor import Tensor, array_of, beside

Function = TypeVar("Function", bound=Callable[..., Any])


class Level:
    """One call of `vmap`.

    Attributes:
        size: how many samples it has.
        depth: how many others it is in.
        running: whether it still is.
    """

    def __init__(self, size: int, depth: int) -> None:
        self.size, self.depth, self.running = size, depth, True


#: The calls of `vmap` that the code is in, from the outermost to the innermost.
levels: ContextVar[tuple[Level, ...]] = ContextVar("cunet_levels", default=())


@contextmanager
def mapping(size: int) -> Iterator[Level]:
    """Run a function on all samples at once."""
    outer = levels.get()
    level = Level(size, len(outer))
    token = levels.set((*outer, level))
    try:
        yield level
    finally:
        level.running = False
        levels.reset(token)


class Mapped(Sample):
    """One sample, to who looks at it; all of them, to ops.

    Attributes:
        level: whose samples they are.
        value: a Tensor, an array or a `Mapped` of an outer level, with the samples along axis 0.
    """

    __slots__ = ("level", "value")
    __hash__ = object.__hash__

    def __init__(self, level: Level, value: Any) -> None:
        self.level, self.value = level, value

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of the axes of a sample."""
        return self.value.shape[1:]

    @property
    def ndim(self) -> int:
        """Number of axes of a sample."""
        return self.value.ndim - 1

    @property
    def size(self) -> int:
        """Number of elements of a sample."""
        return math.prod(self.shape)

    @property
    def dtype(self) -> np.dtype:
        """Type of the elements."""
        return self.value.dtype

    @property
    def device(self) -> str:
        """Where the data is: "cpu" or "gpu"."""
        return device_of(self.value) if is_array(self.value) else self.value.device

    @property
    def requires_grad(self) -> bool:  # type: ignore[override]
        """Whether ops on the samples are recorded."""
        return getattr(self.value, "requires_grad", False)

    def __array_function__(self, function: Function, types: Any, args: Any, kwargs: Any) -> Any:
        """Run the op of that name; what asks for shape and dtype alone is told those of a sample."""
        if function in (np.zeros_like, np.ones_like) and len(args) == 1 and isinstance(args[0], Mapped):
            make = getattr(array_module(array_of(self)), function.__name__[:-5])
            return make(kwargs.get("shape") or self.shape, kwargs.get("dtype") or self.dtype)
        if function is np.result_type:
            return np.result_type(*[a.dtype if isinstance(a, (Tensor, Mapped)) else a for a in args])
        return super().__array_function__(function, types, args, kwargs)

    def detach(self) -> Mapped:
        """Return the same without history."""
        return Mapped(self.level, self.value if is_array(self.value) else self.value.detach())

    def run_op(self, op: Callable[..., Any], args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        """Run an op, some of whose arguments are mapped, by its rule."""
        return run(op, args, options)

    def __repr__(self) -> str:
        """Say what it looks like, and how many samples it stands for."""
        return f"Mapped(shape={self.shape}, dtype={self.dtype}, samples={self.level.size})"


class Call:
    """One call of an op, some of whose arguments are mapped.

    Attributes:
        op: what is called.
        name: its name.
        level: the innermost of the levels of its arguments.
        given: its arguments as they came.
        args: the same, of mapped ones what they hold.
        mapped: which these are.
        options: its static arguments.
    """

    def __init__(self, op: Callable[..., Any], args: Sequence[Any], options: dict[str, Any]) -> None:
        self.op, self.name, self.options = op, name_of(op), options
        self.given = [beside(a, *args) if isinstance(a, (list, tuple)) else a for a in args]
        static = [p for value in options.values() for p in (value if isinstance(value, tuple) else (value,))]
        found = [a.level for a in (*self.given, *static) if isinstance(a, Mapped)]
        self.level = max(found, key=lambda level: level.depth)
        self.mapped = [isinstance(a, Mapped) and a.level is self.level for a in self.given]
        self.args = [a.value if m else a for a, m in zip(self.given, self.mapped, strict=True)]

    @property
    def size(self) -> int:
        """Number of samples."""
        return self.level.size

    @property
    def xp(self) -> Any:
        """The namespace of the arrays."""
        return array_module(*map(array_of, (*self.args, *self.options.values())))

    def ndim(self, k: int = 0) -> int:
        """Return the number of axes that an argument has in a sample."""
        return getattr(self.args[k], "ndim", 0) - self.mapped[k]

    def shape(self, k: int = 0) -> tuple[int, ...]:
        """Return the shape of an argument in a sample."""
        return getattr(self.args[k], "shape", ())[int(self.mapped[k]) :]

    def full(self, k: int = 0) -> Any:
        """Return an argument with the axis of samples, one that is the same in all of them stretched."""
        return self.args[k] if self.mapped[k] or self.args[k] is None else stretched(self.args[k], self.size)

    def aligned(self, ndim: int = 0) -> list[Any]:
        """Return the arguments so that they broadcast as those of a sample do: with axes of length 1 added."""
        most = max([ndim, *map(self.ndim, range(len(self.args)))])
        return [self.padded(k, most) for k in range(len(self.args))]

    def padded(self, k: int, ndim: int) -> Any:
        """Return an argument with axes of length 1 added in front of those of a sample, where it is mapped."""
        missing = ndim - self.ndim(k)
        if not self.mapped[k] or missing <= 0:
            return self.args[k]
        return ops.reshape(self.args[k], shape=(self.size, *(1,) * missing, *self.shape(k)))

    def refuse(self, why: str) -> Never:
        """Raise what says what the rule does not reach."""
        raise TypeError(f"vmap: {self.name}: {why}")


#: Returns the results of a call, with the samples along axis 0.
MappedRule = Callable[[Call], Any]
_OF_UFUNCS: dict[Any, MappedRule] = {}
_OF_OPTIONS: set[MappedRule] = set()


def mapped_by(*functions: Any, options: bool = False) -> Callable[[MappedRule], MappedRule]:
    """Say how ops, or functions of arrays, do all samples at once; `options`: even if a static argument is mapped."""

    def decorate(rule: MappedRule) -> MappedRule:
        for function in functions:
            if isinstance(function, np.ufunc):
                _OF_UFUNCS[function] = rule
            else:
                function.mapped = rule
        _OF_OPTIONS.update([rule] if options else [])
        return rule

    return decorate


def rule_of(function: Any) -> MappedRule | None:
    """Return how a function does all samples at once, None if nobody said."""
    return _OF_UFUNCS.get(function) if isinstance(function, np.ufunc) else getattr(function, "mapped", None)


def mappable(function: Function) -> Function:
    """Let a function that is no op, whose first argument is an array, be run by a rule where that is mapped."""

    @functools.wraps(function)
    def call(x: Any, *args: Any, **options: Any) -> Any:
        if not isinstance(x, Mapped):
            return function(x, *args, **options)
        first, *rest = inspect.signature(function).bind(x, *args, **options).arguments.items()
        return run(call, [first[1]], dict(rest))

    return cast(Function, call)


def elementwise(call: Call) -> Any:
    """Align the axes."""
    return call.op(*call.aligned(), **call.options)


@mapped_by(*COMPARISONS)
def _(call: Call) -> Any:
    return call.op(*[a.data if isinstance(a, Tensor) else a for a in call.aligned()])


def name_of(op: Callable[..., Any]) -> str:
    """Return the name of an op as users know it."""
    return op.__name__.lstrip("_")


def run(op: Callable[..., Any], args: Sequence[Any], options: dict[str, Any]) -> Any:
    """Return what an op, or a function of arrays, makes of arguments that are mapped."""
    rule = rule_of(op)
    if rule is None:
        raise TypeError(
            f"vmap: {name_of(op)} has no rule for a mapped axis; call it outside of vmap, or on the whole batch"
        )
    call = Call(op, args, options)
    if rule not in _OF_OPTIONS:
        refuse_options(call.name, options)
    if not call.level.running:
        raise RuntimeError(f"vmap: {call.name} was given a sample of a vmap that is over; return it from the function")
    try:
        return _wrapped(rule(call), call.level)
    except Exception as error:
        if call.level is levels.get()[0]:
            error.add_note(f"(within vmap: shapes may have the mapped axis of length {call.size} in front)")
        raise


def refuse_options(name: str, options: dict[str, Any]) -> None:
    """Raise unless static arguments are the same for all samples."""
    for key, value in options.items():
        if isinstance(value, Mapped):
            raise TypeError(f"vmap: {name.lstrip('_')}: {key} must be the same for all samples, got a mapped one")


def _wrapped(made: Any, level: Level) -> Any:
    if isinstance(made, tuple):
        return tuple([_wrapped(part, level) for part in made])
    if made is None or (isinstance(made, Mapped) and made.level is level):
        return made
    assert made.shape[:1] == (level.size,), f"a rule forgot the axis of {level.size} samples: {made.shape}"
    return Mapped(level, made)


def stretched(x: Any, size: int) -> Any:
    """Return `x` with an axis of samples in front, along which it is the same."""
    if isinstance(x, (Tensor, Mapped)):
        return ops.broadcast_to(x, shape=(size, *x.shape))
    x = x if is_array(x) else np.asarray(x)
    return array_module(x).broadcast_to(x, (size, *x.shape))
