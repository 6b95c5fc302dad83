"""What ops ask while a step is recorded: kernels in place of NumPy's arithmetic, with the same bits.

Arithmetic on a few numbers is faster in NumPy than a kernel's call; but a recorder hears of kernels only. So where an
op does such arithmetic itself, it calls one of these functions: NumPy's own, and the kernel while `capturing`.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import Any, Protocol

import numpy as np

from ..device import Array, array_module, is_gpu_array
from .kinds import elementwise


class Capture(Protocol):
    """Who records a step, as ops see it."""

    def counter(self, holder: Any) -> None:
        """Count up the 0-d integers in ``holder.data``, here and in each replay."""

    def host(self, function: Callable[..., Any], args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        """Return ``function(*args, **options)``, arrays of its own making, here and in each replay."""

    def op(
        self, function: Callable[..., Any], inputs: list[Any], options: dict[str, Any], given: Sequence[Any]
    ) -> tuple[Any, Any]:
        """Return ``function(*inputs, **options)``, the result of an op and its way back; `given`: before Tensors were
        taken apart.
        """  # noqa: D205

    def call(
        self, function: Callable[..., Any], inputs: list[Any], options: dict[str, Any], given: Sequence[Any]
    ) -> Any:
        """Return what `op` does, to an op that is called by itself; or its result as a Tensor, already recorded."""

    def check(self, test: Callable[..., bool], array: Array, *rest: Any) -> bool:
        """Return ``test(array, *rest)``, which each replay asks of its own array first."""


capturing: ContextVar[Capture | None] = ContextVar("cunet_capturing", default=None)


def captured(
    function: Callable[..., Any], inputs: list[Any], options: dict[str, Any], given: Sequence[Any]
) -> tuple[Any, Any]:
    """Return ``function(*inputs, **options)``, the result of an op and its way back, of a step that is recorded."""
    capture = capturing.get()
    return function(*inputs, **options) if capture is None else capture.op(function, inputs, options, given)


def done(function: Callable[..., Any], *args: Any, **options: Any) -> Any:
    """Return what a function makes of arrays by NumPy: the replay of a recorded step calls it too.

    Its result depends on its arguments alone, and shares no memory with them.
    """
    capture = capturing.get()
    return function(*args, **options) if capture is None else capture.host(function, args, options)


@elementwise("T x, A y", "T z", "z = x / y")
def divide_elements(x, y):
    return x / y


@elementwise("T x, A y", "T z", "z = x * y")
def multiply_elements(x, y):
    return x * y


@elementwise("T x, A y", "T z", "z = x + y")
def add_elements(x, y):
    return x + y


@elementwise("T x", "T y", "y = x")
def copy_elements(x):
    return x.copy()


@elementwise("T x, A eps", "T y", "y = 1 / sqrt(x + eps)")
def reciprocal_roots(x, eps):
    return 1 / np.sqrt(x + eps)


def reciprocal_root(x: Any, eps: float) -> Any:
    """Return ``1 / sqrt(x + eps)``."""
    return 1 / array_module(x).sqrt(x + eps) if capturing.get() is None else reciprocal_roots(x, eps)


def copied(x: Any) -> Any:
    """Return a copy of an array, in the order of C."""
    return x.copy() if capturing.get() is None else copy_elements(x)


def owned(x: Any) -> Any:
    """Return an array that a step leaves behind: `x`; of a step that is recorded a copy, which is no part of one."""
    return x if capturing.get() is None else copy_elements(x)


def _noted(kernel: Callable[..., Any], function: Callable[..., Any], *args: Any) -> Any:
    """Return what NumPy's function does, in the same order of memory, on which the order of later sums depends.

    A kernel's result is in the order of C; NumPy's in that of its arguments.
    """
    plain = all([a.flags.c_contiguous for a in args if type(a) is np.ndarray])
    return kernel(*args) if plain else done(function, *args)


@elementwise("T x", "T y", "y = -x")
def negate_elements(x):
    return -x


def negated(x: Any) -> Any:
    """Return ``-x``."""
    return -x if capturing.get() is None else _noted(negate_elements, operator.neg, x)


def quotient(x: Any, y: Any) -> Any:
    """Return ``x / y`` of arrays that kernels have; see `divided`."""
    return x / y if capturing.get() is None else _noted(divide_elements, operator.truediv, x, y)


def scaled(x: Any, y: Any) -> Any:
    """Return ``x * y`` of arrays that kernels have; see `multiplied`."""
    return x * y if capturing.get() is None else _noted(multiply_elements, operator.mul, x, y)


def total(x: Any, y: Any) -> Any:
    """Return ``x + y`` of arrays that kernels have; see `added`."""
    return x + y if capturing.get() is None else _noted(add_elements, operator.add, x, y)


def recordable(*arrays: Any) -> bool:
    """Tell whether a step is recorded, in which these are arrays of one dtype that compiled kernels have."""
    if capturing.get() is None or not all([type(a) is np.ndarray for a in arrays]):
        return False
    return all([a.dtype == arrays[0].dtype and a.dtype.char in "fd" for a in arrays])


def _either(function: Callable[[Any, Any], Any], kernel: Callable[[Any, Any], Any], x: Any, y: Any) -> Any:
    """Return what a symmetrical function of NumPy's, or the kernel, makes of what an op was given."""
    if recordable(x) and type(y) is float or recordable(x, y):
        return kernel(x, y)
    return kernel(y, x) if type(x) is float and recordable(y) else function(x, y)


def added(x: Any, y: Any) -> Any:
    """Return ``x + y`` of whatever an op was given."""
    return _either(operator.add, total, x, y)


def multiplied(x: Any, y: Any) -> Any:
    """Return ``x * y`` of whatever an op was given."""
    return _either(operator.mul, scaled, x, y)


def divided(x: Any, y: float) -> Any:
    """Return ``x / y`` of whatever an op was given."""
    return quotient(x, y) if recordable(x) else x / y


def count_up(holder: Any) -> None:
    """Add 1 to the 0-d integers in ``holder.data``: on a GPU where they lie, else a new array."""
    capture = capturing.get()
    if capture is None and is_gpu_array(holder.data):
        holder.data += 1
    elif capture is None:
        holder.data = np.asarray(holder.data + 1)  # of 0-d integers NumPy makes a scalar
    else:
        capture.counter(holder)


def holds(test: Callable[..., bool], array: Array, *rest: Any) -> bool:
    """Return what a test says of the values of an array: one of the inputs, if a step is recorded."""
    capture = capturing.get()
    return test(array, *rest) if capture is None else capture.check(test, array, *rest)
