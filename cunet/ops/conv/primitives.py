"""Convolution as products, and its two gradients: what each backend does in a way of its own.

Samples are taken in parts, so that the columns of a part stay in the processor's cache (on a GPU: within
128 MiB) whatever the batch; nothing but the input and the weight is kept for the way back. A kernel of one
element is a plain matrix product. Compiled code does without columns: `cunet.kernels.backends.native.convolution`.
"""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from ...device import Array, accumulator, array_module
from ...kernels import primitive
from ...kernels.backends.cuda import tuning as on_gpu
from ...kernels.backends.native import convolution as compiled
from ...kernels.backends.numpy import tuning as on_cpu
from ...kernels.capture import holds
from ...system.cpu import cores, helpers, one_blas_thread
from ..linalg import product
from ..windows import Windows, three
from . import flat, im2col


class Route(NamedTuple):
    """How a convolution is made of products.

    Attributes:
        module: `im2col` or `flat`, which have `forward`, `input_gradient` and `weight_gradient`.
        budget: bytes of the columns of one part.
    """

    module: ModuleType
    budget: int

    def parts(self, x: Array, channels: int, windows: Windows) -> list[slice]:
        """Cut the samples so that the columns of a part are small."""
        length = flat.row_length(windows) if self.module is flat else windows.total
        step = max(1, self.budget // max(1, channels * windows.taps * length * x.itemsize))
        return [slice(k, min(k + step, len(x))) for k in range(0, len(x), step)]


def _on_cpu(windows: Windows, factor: Array | None = None) -> Route:
    """Return the way for a CPU; `flat` multiplies `factor` by zeros of its own making too."""
    plain = windows.stride == (1, 1, 1) and (factor is None or _is_finite(factor))
    return Route(flat if plain else im2col, on_cpu.tuning.columns)


def _is_finite(a: Array) -> bool:
    """Tell whether 0 times any element is 0."""
    return bool(np.isfinite(a).all())


def _on_gpu() -> Route:
    return Route(im2col, on_gpu.tuning.columns)


def _share(
    work: Callable[[Sequence[slice], int, flat.Buffers], None], parts: Sequence[slice], x: Array, products: int
) -> None:
    """Call ``work(some parts, k, buffers)`` for shares k of the parts, on several threads where that pays.

    The shares do not depend on the number of threads, and so neither does the order of any sum.
    """
    limits, size = on_cpu.tuning, max(1, len(parts))
    if products >= limits.worth_sharing and type(x) is np.ndarray:
        size = -(-len(parts) // limits.shares)
    shares = [parts[k : k + size] for k in range(0, len(parts), size)] or [[]]
    free: list[flat.Buffers] = []  # as many as there are threads

    def run(k: int) -> None:
        buffers = free.pop() if free else flat.Buffers()
        work(shares[k], k, buffers)
        free.append(buffers)

    if len(shares) > 1 and cores() > 1:
        with one_blas_thread() as ours:
            if ours:
                helpers.run(run, len(shares))
                return
    for k in range(len(shares)):
        run(k)


def _is_pointwise(windows: Windows) -> bool:
    return windows.taps == 1 and windows.stride == (1, 1, 1) and windows.sizes == windows.out


@primitive
def convolve(x: Array, weight: Array, bias: Array | None, windows: Windows, groups: int) -> Array:
    """Return the convolution of `x` (N, C, D, H, W) with `weight` (O, C/groups, ...)."""
    return _convolve(x, weight, bias, windows, groups, _on_gpu())


@convolve.numpy
def _(x: Array, weight: Array, bias: Array | None, windows: Windows, groups: int) -> Array:
    return _convolve(x, weight, bias, windows, groups, _on_cpu(windows))


convolve.native(compiled.convolve)


def _convolve(x: Array, weight: Array, bias: Array | None, windows: Windows, groups: int, route: Route) -> Array:
    n, channels = x.shape[:2]
    if not x.size or not weight.size or 0 in windows.out:
        y = array_module(x).zeros((n, weight.shape[0], *windows.out), x.dtype)
        return y if bias is None else y + bias[:, None, None, None]
    w = weight.reshape(groups, weight.shape[0] // groups, channels // groups * windows.taps)
    if _is_pointwise(windows):
        y = product(w, x.reshape(n, groups, channels // groups, windows.total))
        y = y.reshape(n, weight.shape[0], *windows.out)
        if bias is not None:
            y += bias[:, None, None, None]
        return y
    y = array_module(x).empty((n, weight.shape[0], *windows.out), x.dtype)

    def work(parts: Sequence[slice], k: int, buffers: flat.Buffers) -> None:
        for part in parts:
            route.module.forward(x[part], w, bias, windows, y[part], buffers)

    _share(work, route.parts(x, channels, windows), x, w.size * windows.total * n)
    return y


def _mirrored(windows: Windows) -> Windows | None:
    """Return the windows with which a mirrored kernel takes the gradient back, at stride 1; None if there are none.

    For a depthwise convolution that is several times as fast as columns: products with one row are slow.
    """
    reach = [(k - 1) * d for k, d in zip(windows.kernel, windows.dilation, strict=True)]
    padding = three([r - p for r, p in zip(reach, windows.padding, strict=True)], 0)
    if windows.stride != (1, 1, 1) or min(padding) < 0:
        return None
    return windows._replace(sizes=windows.out, out=windows.sizes, padding=padding)


@primitive
def convolve_input_gradient(gy: Array, weight: Array, windows: Windows, groups: int) -> Array:
    """Return the gradient of the input (N, C, D, H, W) of `convolve`: itself the transposed convolution of `gy`."""
    return _input_gradient(gy, weight, windows, groups, _on_gpu())


@convolve_input_gradient.numpy
def _(gy: Array, weight: Array, windows: Windows, groups: int) -> Array:
    return _input_gradient(gy, weight, windows, groups, _on_cpu(windows, weight))


@convolve_input_gradient.native
def _(gy: Array, weight: Array, windows: Windows, groups: int) -> Any:
    """Leave a weight that is not finite to NumPy: it is multiplied by zeros between and around gy."""
    finite = type(weight) is np.ndarray and holds(_is_finite, weight)
    return compiled.input_gradient(gy, weight, windows, groups) if finite else NotImplemented


def _input_gradient(gy: Array, weight: Array, windows: Windows, groups: int, route: Route) -> Array:
    n, channels = gy.shape[0], weight.shape[1] * groups
    if not gy.size or not weight.size or 0 in windows.sizes:
        return array_module(gy).zeros((n, channels, *windows.sizes), gy.dtype)
    mirrored = _mirrored(windows) if groups == channels == weight.shape[0] else None
    if mirrored is not None:
        return convolve(gy, weight[:, :, ::-1, ::-1, ::-1], None, mirrored, groups)
    w = weight.reshape(groups, weight.shape[0] // groups, weight.shape[1] * windows.taps)
    if _is_pointwise(windows):
        gx = product(w.swapaxes(1, 2), gy.reshape(n, groups, weight.shape[0] // groups, windows.total))
        return gx.reshape(n, channels, *windows.sizes)
    gx = array_module(gy).empty((n, channels, *windows.sizes), gy.dtype)

    def work(parts: Sequence[slice], k: int, buffers: flat.Buffers) -> None:
        for part in parts:
            route.module.input_gradient(gy[part], w, windows, gx[part], buffers)

    _share(work, route.parts(gy, channels, windows), gy, w.size * windows.total * n)
    return gx


@primitive
def convolve_weight_gradient(
    x: Array, gy: Array, windows: Windows, groups: int, with_bias: bool = False
) -> tuple[Array, Array | None]:
    """Return the gradient of the weight of `convolve`, shape (O, C/groups, taps), and of the bias, if that is found
    on the way, else None.
    """  # noqa: D205
    return _weight_gradient(x, gy, windows, groups, _on_gpu()), None


@convolve_weight_gradient.numpy
def _(x: Array, gy: Array, windows: Windows, groups: int, with_bias: bool = False) -> tuple[Array, Array | None]:
    with one_blas_thread():  # several cut the long sums of these products, as many as they are
        return _weight_gradient(x, gy, windows, groups, _on_cpu(windows, x)), None


@convolve_weight_gradient.native
def _(x: Array, gy: Array, windows: Windows, groups: int, with_bias: bool = False) -> Any:
    sums = np.empty(gy.shape[1], gy.dtype) if with_bias else None
    gw = compiled.weight_gradient(x, gy, windows, groups, sums)
    return gw if gw is NotImplemented else (gw, sums)


def _weight_gradient(x: Array, gy: Array, windows: Windows, groups: int, route: Route) -> Array:
    n, channels = x.shape[:2]
    shape = (groups, channels // groups * windows.taps, gy.shape[1] // groups)
    if not x.size or not gy.size:
        return array_module(x).zeros((gy.shape[1], channels // groups, windows.taps), accumulator(x.dtype))
    totals: list[Any] = [None] * on_cpu.tuning.shares

    def work(parts: Sequence[slice], k: int, buffers: flat.Buffers) -> None:
        totals[k] = array_module(x).zeros(shape, accumulator(x.dtype))
        for part in parts:
            route.module.weight_gradient(x[part], gy[part], windows, totals[k], buffers)

    _share(work, route.parts(x, channels, windows), x, math.prod(shape) * windows.total * n)
    total = functools.reduce(operator.iadd, [t for t in totals if t is not None])
    return total.swapaxes(1, 2).reshape(gy.shape[1], channels // groups, windows.taps)
