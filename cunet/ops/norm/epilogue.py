"""Norms with an activation behind them: forward ``f(norm(x))`` in one kernel, backward without ``norm(x)``.

The kernels are made of those of the norm and of the activation's own two, when somebody first asks for that activation.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

from ...kernels import Kernel
from ...kernels.backends.native.text import cost
from ...kernels.epilogue import Epilogue, epilogue_of, fused, starts_from_result
from ...kernels.grammar import parse
from ...kernels.spec import ElementwiseSpec
from ..activation import registry
from . import kernels


class NormKernels(NamedTuple):
    """The kernels that a norm is made of; with an activation they take its two numbers, and backward the bias, last.

    Attributes:
        gradient: the gradient of ``norm(x)`` from that of ``f(norm(x))``; None without an activation.
    """

    normalize: Kernel
    rows: Kernel
    rms_rows: Kernel
    sums: Kernel
    backward: Kernel
    rows_backward: Kernel
    gradient: Kernel | None = None


PLAIN = NormKernels(
    kernels.normalize,
    kernels.norm_rows,
    kernels.rms_rows,
    kernels.normalize_sums,
    kernels.normalize_backward,
    kernels.norm_rows_backward,
)


class Activated(NamedTuple):
    """What follows a norm.

    Attributes:
        kernels: of the norm with it.
        numbers: its two numbers, behind all else that the kernels take; none without an activation.
        forward, backward: the activation's own two kernels, and the numbers that they take.
    """

    kernels: NormKernels
    numbers: tuple[float, ...] = ()
    forward: Kernel | None = None
    backward: Kernel | None = None
    own: tuple[float, ...] = ()

    def apply(self, z: Any) -> Any:
        """Return ``f(z)`` by the activation's own kernel."""
        return z if self.forward is None else self.forward(z, *self.own)

    def kept(self, z: Any, y: Any) -> Any:
        """Return what `way_back` starts from: what the activation was given, or what it returned."""
        return y if self.backward is None or starts_from_result(self.backward.spec) else z

    def way_back(self, gy: Any, kept: Any) -> Any:
        """Return the gradient of what the activation was given, by its own kernel."""
        return gy if self.backward is None else self.backward(gy, kept, *self.own)


NONE = Activated(PLAIN)


def activated(who: str, activation: Any) -> Activated:
    """Return the kernels of a norm with an activation behind it; for None those of the norm alone.

    Raises:
        ValueError, TypeError: see `registry.find`.
    """
    entry, options = registry.find(who, activation)
    if entry is None:
        return NONE
    return _activated(*entry.numbers(**options))


def foreseen(activation: Any) -> list[Kernel]:
    """Return the kernels that a norm with an activation behind it will run."""
    after = activated("a norm", activation)
    cheap = after.backward is None or is_cheap(after.backward)
    own, back = after.kernels, after.kernels if cheap else PLAIN
    return [own.normalize, back.sums, back.backward, *([] if cheap or own.gradient is None else [own.gradient])]


@functools.lru_cache(256)
def _activated(forward: Kernel, backward: Kernel, numbers: tuple[float, ...]) -> Activated:
    return Activated(_kernels(forward, backward), (*numbers, 0.0, 0.0)[:2], forward, backward, numbers)


@functools.cache
def _kernels(forward: Kernel, backward: Kernel) -> NormKernels:
    """Make the kernels of norms with an activation."""
    name, made = forward.name.removesuffix("_forward"), epilogue_of(forward.spec, backward.spec)
    bodies = _bodies(forward, backward)

    def join(stem: str, kernel: Kernel, body: Callable[..., Any], more: str = "") -> Kernel:
        body.__name__ = stem.format(name)
        body.__module__ = f"{__name__}.{name}"  # those of one activation are compiled together
        return fused(kernel.template, made, body, more)

    normalize = join("normalize_{}", kernels.normalize, bodies.values)
    rows = functools.partial(kernels.norm_rows.body, apply=normalize)
    rms_rows = functools.partial(kernels.rms_rows.body, apply=normalize)
    sums = join("normalize_{}_sums", kernels.normalize_sums, bodies.sums, "col A in_weight, col A in_bias")
    back = join("normalize_{}_backward", kernels.normalize_backward, bodies.backward, "col A bias")
    if not is_cheap(backward):
        sums.native(None)
        back.native(None)
    return NormKernels(
        normalize,
        join("norm_{}_rows", kernels.norm_rows, rows),
        join("rms_{}_rows", kernels.rms_rows, rms_rows),
        sums,
        back,
        join("norm_{}_rows_backward", kernels.norm_rows_backward, bodies.rows_backward, "col A bias"),
        _gradient(name, made, bodies.gradient),
    )


def is_cheap(backward: Kernel) -> bool:
    """Tell whether a derivative costs a processor next to nothing, and may be found in each pass over the data."""
    spec = backward.spec
    return cost(spec, *spec.texts()) <= len(spec.params) // 2


def _gradient(name: str, epilogue: Epilogue, body: Callable[..., Any]) -> Kernel:
    body.__name__, body.__module__ = f"normalize_{name}_gradient", f"{__name__}.{name}"
    ins = parse("T gy, T x, row A mean, row A rstd, col A weight, col A bias")
    operation = f"gz = epilogue_backward(gy, {kernels.Z})"
    return fused(ElementwiseSpec(body, ins, parse("T gz"), "", operation), epilogue, body)


class _Bodies(NamedTuple):
    values: Callable[..., Any]
    gradient: Callable[..., Any]
    sums: Callable[..., Any]
    backward: Callable[..., Any]
    rows_backward: Callable[..., Any]


def _bodies(forward: Kernel, backward: Kernel) -> _Bodies:
    """Return the NumPy bodies: the norm's and the activation's, one after the other."""

    def values(x, mean, rstd, weight, bias, *f):
        z = kernels.normalize.body(x, mean, rstd, weight, bias)
        return forward.body(z, *f[: len(forward.spec.ins) - 1])

    def gradient(gy, x, mean, rstd, weight, bias, *f):
        z = kernels.normalize.body(x, mean, rstd, weight, bias)
        if starts_from_result(backward.spec):
            z = forward.body(z, *f[: len(forward.spec.ins) - 1])
        return backward.body(gy, z, *f[: len(backward.spec.ins) - 2])

    def sums(gy, x, mean, rstd, factor, weight, bias, *f, axis, keepdims):
        gz = gradient(gy, x, mean, rstd, weight, bias, *f)
        return kernels.normalize_sums.body(gz, x, mean, rstd, factor, axis=axis, keepdims=keepdims)

    def backwards(gy, x, mean, rstd, weight, total, dot, scale, bias, *f):
        gz = gradient(gy, x, mean, rstd, weight, bias, *f)
        return kernels.normalize_backward.body(gz, x, mean, rstd, weight, total, dot, scale)

    def rows_backward(gy, x, mean, rstd, weight, centred, bias, *f, axes=1):
        gz = gradient(gy, x, mean, rstd, weight, bias, *f)
        return kernels.norm_rows_backward.body(gz, x, mean, rstd, weight, centred, axes=axes)

    return _Bodies(values, gradient, sums, backwards, rows_backward)
