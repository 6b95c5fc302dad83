"""The one place that picks: every call of a kernel or primitive passes here, and is seen here by who listens."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

import numpy as np

from ..system.context import bound
from .backends import cuda, numpy
from .backends.native import native
from .spec import Definition, KernelSpec

#: In the order in which they are asked.
BACKENDS = (native, cuda.backend, numpy.backend)
_NOT_NATIVE = BACKENDS[1:]
TILING = (native, numpy.backend)  # those that can run calls together

#: ``listener(kernel, args, options, proceed)`` returns what ``proceed()`` returns: the call's result.
Listener = Callable[[Definition, tuple[Any, ...], dict[str, Any], Callable[[], Any]], Any]
_listeners: ContextVar[tuple[Listener, ...]] = ContextVar("cunet_listeners", default=())


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Let a function see every call of a kernel, product or hand-written function in this thread or async task.

    Args:
        listener: called with the kernel (its `spec` says what it is), its arguments, its options by name, and a
            function that goes on with the call; returns what that returns. A primitive's body may call kernels, which
            are seen too, inside. Kernels that run tile by tile (`cunet.kernels.tiled`) are seen as one call.
    """
    with bound(heard_by(listener)):
        yield


def heard_by(listener: Listener) -> tuple[ContextVar[tuple[Listener, ...]], tuple[Listener, ...]]:
    """Return what `system.context.bound` takes, where a function sees every call besides those that do already."""
    return _listeners, (*_listeners.get(), listener)


def is_listened() -> bool:
    """Tell whether anybody listens here."""
    return bool(_listeners.get())


def observed(kernel: Definition, args: tuple[Any, ...], options: dict[str, Any], proceed: Callable[[], Any]) -> Any:
    """Go on with a call, through all who listen."""
    for listener in _listeners.get():
        proceed = functools.partial(listener, kernel, args, options, proceed)
    return proceed()


def pick(kernel: Definition, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """Run a call on the first backend that can."""
    for backend in BACKENDS if type(args[kernel.lead]) is np.ndarray else _NOT_NATIVE:
        result = backend.run(kernel, args, options)
        if result is not NotImplemented:
            return result
    return kernel.spec.body(*args, **options)


class Deferred(NamedTuple):
    """A call that waits for others, to be run with them tile by tile.

    Attributes:
        kernel, args, options: the call.
        backend: that will run it.
        prepared: what that backend made of it.
        outs: its outputs, yet to be filled.
    """

    kernel: Definition
    args: tuple[Any, ...]
    options: dict[str, Any]
    backend: Any
    prepared: Any
    outs: list[Any]


def defer(kernel: Definition, args: tuple[Any, ...], options: dict[str, Any]) -> Deferred | None:
    """Prepare a call on the first backend that can; None where it has to be run at once."""
    for backend in TILING:
        prepared = backend.deferred(kernel, args, options)
        if prepared is not NotImplemented:
            return prepared and Deferred(kernel, args, options, backend, prepared, prepared[1])
    return None


def run_deferred(calls: Sequence[Deferred], lead: Any) -> None:
    """Fill the outputs of calls of one backend: tile by tile, or one after the other if that cannot be."""
    if calls[0].backend.run_tiled([call.prepared for call in calls], lead):
        return
    for call in calls:
        results = pick(call.kernel, call.args, call.options)
        for out, result in zip(call.outs, results if isinstance(results, tuple) else (results,), strict=True):
            out[...] = result


class Kernel(Definition):
    """A spec that can be called, on arrays of any device.

    Attributes:
        template: the spec with the places for an epilogue in its texts; see `cunet.kernels.epilogue`.
    """

    def __init__(self, spec: KernelSpec, template: KernelSpec | None = None) -> None:
        super().__init__(spec)
        self.template = template or spec
        self.body = spec.body
        self.__name__ = spec.name
        self.__doc__ = spec.body.__doc__
        self.__module__ = spec.module

    def __call__(self, *args: Any, **options: Any) -> Any:
        """Return the outputs: NumPy arrays for NumPy arrays, CuPy's for CuPy's."""
        if _listeners.get():
            return observed(self, args, options, functools.partial(pick, self, args, options))
        return pick(self, args, options)

    def __repr__(self) -> str:
        """Name the kernel as its function."""
        return f"<{self.spec.kind} kernel {self.name}>"

    def native(self, implementation: Any) -> Any:
        """Attach what compiled code does instead: a function with the body's arguments that may return NotImplemented,
        another text (`TwoPass`, `Warps`), or None: nothing.
        """  # noqa: D205
        return self._attach("native", implementation)

    def cuda(self, implementation: Callable[..., Any]) -> Callable[..., Any]:
        """Attach a function that runs instead where arrays are on a GPU; it may return NotImplemented."""
        return self._attach("cuda", implementation)

    def numpy(self, implementation: Callable[..., Any]) -> Callable[..., Any]:
        """Attach a function that runs instead of the body on NumPy arrays; it may return NotImplemented."""
        return self._attach("numpy", implementation)

    def tensors(self, implementation: Callable[..., Any]) -> Callable[..., Any]:
        """Attach a function of Tensors that runs instead where a gradient that uses this kernel is differentiated."""
        return self._attach("tensors", implementation)

    def _attach(self, backend: str, implementation: Any) -> Any:
        self.attached[backend] = implementation
        self.prepared.clear()
        return implementation
