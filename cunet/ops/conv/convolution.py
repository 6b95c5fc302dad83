"""Convolution and transposed convolution over 1, 2 or 3 spatial axes: products with columns made of windows.

Samples are taken in parts, so that the columns of a part stay in the processor's cache (on a GPU: within
128 MiB) whatever the batch; nothing but the input and the weight is kept for the way back. A kernel of one
element is a plain matrix product. On the CPU compiled code does without columns: `native.convolution`.
"""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

import numpy as np

from ...autograd.op import Result, op
from ...autograd.tensor import Tensor
from ...device import Array, accumulator, array_module, is_gpu_array
from ...kernels import sum_to
from ...kernels.backends.native import convolution as compiled
from ...system.cpu import cores, helpers, one_blas_thread
from ..windows import Windows, check_fit, check_input, described, from_planes, per_axis, three, to_planes
from . import flat, im2col

_CPU_BYTES, _GPU_BYTES = 1 << 20, 1 << 27  # of the columns of one part; a part is at least one sample
_SHARES = 4  # of a batch, over threads
_LONG = 10_000_000  # multiplications that are worth waking a thread for


def _route(x: Array, windows: Windows) -> ModuleType:
    return flat if type(x) is np.ndarray and windows.stride == (1, 1, 1) else im2col


def _parts(x: Array, samples: int, channels: int, windows: Windows) -> list[slice]:
    """Cut the samples so that the columns of a part are small."""
    length = flat.row_length(windows) if _route(x, windows) is flat else windows.total
    budget = _GPU_BYTES if is_gpu_array(x) else _CPU_BYTES
    step = max(1, budget // max(1, channels * windows.taps * length * x.itemsize))
    return [slice(k, min(k + step, samples)) for k in range(0, samples, step)]


def _share(
    work: Callable[[Sequence[slice], int, flat.Buffers], None], parts: Sequence[slice], x: Array, products: int
) -> None:
    """Call ``work(some parts, k, buffers)`` for shares k of the parts, on several threads where that pays.

    The shares do not depend on the number of threads, and so neither does the order of any sum.
    """
    size = -(-len(parts) // _SHARES) if products >= _LONG and type(x) is np.ndarray else max(1, len(parts))
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


def convolve(x: Array, weight: Array, bias: Array | None, windows: Windows, groups: int) -> Array:
    """Return the convolution of `x` (N, C, D, H, W) with `weight` (O, C/groups, ...)."""
    y = compiled.convolve(x, weight, bias, windows, groups)
    if y is not None:
        return y
    xp = array_module(x)
    n, channels = x.shape[:2]
    w = weight.reshape(groups, weight.shape[0] // groups, channels // groups * windows.taps)
    if _is_pointwise(windows):
        y = (w @ x.reshape(n, groups, channels // groups, windows.total)).reshape(n, weight.shape[0], *windows.out)
        if bias is not None:
            y += bias[:, None, None, None]
        return y
    y = xp.empty((n, weight.shape[0], *windows.out), x.dtype)
    route = _route(x, windows)

    def work(parts: Sequence[slice], k: int, buffers: flat.Buffers) -> None:
        for part in parts:
            route.forward(x[part], w, bias, windows, y[part], buffers)

    _share(work, _parts(x, n, channels, windows), x, w.size * windows.total * n)
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


def convolve_input_gradient(gy: Array, weight: Array, windows: Windows, groups: int) -> Array:
    """Return the gradient of the input (N, C, D, H, W) of `convolve`: itself the transposed convolution of `gy`."""
    gx = compiled.input_gradient(gy, weight, windows, groups)
    if gx is not None:
        return gx
    n, channels = gy.shape[0], weight.shape[1] * groups
    mirrored = _mirrored(windows) if groups == channels == weight.shape[0] else None
    if mirrored is not None:
        return convolve(gy, weight[:, :, ::-1, ::-1, ::-1], None, mirrored, groups)
    w = weight.reshape(groups, weight.shape[0] // groups, weight.shape[1] * windows.taps)
    if _is_pointwise(windows):
        gx = w.swapaxes(1, 2) @ gy.reshape(n, groups, weight.shape[0] // groups, windows.total)
        return gx.reshape(n, channels, *windows.sizes)
    gx = array_module(gy).empty((n, channels, *windows.sizes), gy.dtype)
    route = _route(gy, windows)

    def work(parts: Sequence[slice], k: int, buffers: flat.Buffers) -> None:
        for part in parts:
            route.input_gradient(gy[part], w, windows, gx[part], buffers)

    _share(work, _parts(gy, n, channels, windows), gy, w.size * windows.total * n)
    return gx


def convolve_weight_gradient(
    x: Array, gy: Array, windows: Windows, groups: int, more: dict[str, Array] | None = None
) -> Array:
    """Return the gradient of the weight of `convolve`: shape (O, C/groups, taps).

    That of the bias is put into `more` as "bias" where it is found on the way.
    """
    sums = np.empty(gy.shape[1], gy.dtype) if more is not None and type(gy) is np.ndarray else None
    gw = compiled.weight_gradient(x, gy, windows, groups, sums)
    if gw is not None:
        if more is not None and sums is not None:
            more["bias"] = sums
        return gw
    n, channels = x.shape[:2]
    shape = (groups, channels // groups * windows.taps, gy.shape[1] // groups)
    route = _route(x, windows)
    totals: list[Any] = [None] * _SHARES

    def work(parts: Sequence[slice], k: int, buffers: flat.Buffers) -> None:
        totals[k] = array_module(x).zeros(shape, accumulator(x.dtype))
        for part in parts:
            route.weight_gradient(x[part], gy[part], windows, totals[k], buffers)

    _share(work, _parts(x, n, channels, windows), x, math.prod(shape) * windows.total * n)
    total = functools.reduce(operator.iadd, [t for t in totals if t is not None])
    return total.swapaxes(1, 2).reshape(gy.shape[1], channels // groups, windows.taps)


def _channel_sums(gy: Array) -> Array:
    planes = sum_to.total(gy.reshape(*gy.shape[:2], math.prod(gy.shape[2:])), (2,), keepdims=False)
    return sum_to.total(planes, (0,), keepdims=False)


def _widened(*arrays: Any) -> tuple[np.dtype, list[Any]]:
    """Return the dtype of the result, and the arrays in that of the arithmetic: NumPy has no products of halves."""
    xp = array_module(*arrays)
    dtype = xp.result_type(*[a.dtype for a in arrays if a is not None])
    wide = dtype if xp is not np else accumulator(dtype)
    return dtype, [None if a is None else a.astype(wide, copy=False) for a in arrays]


def _check_weight(
    who: str, x: Array, weight: Array, bias: Array | None, groups: int, last: bool, transposed: bool
) -> None:
    """Check channels, groups and bias; `transposed` for the weight of a transposed convolution (C, O/groups, ...)."""
    channels = x.shape[-1] if last else x.shape[1]
    layout = "(in_channels, out_channels / groups" if transposed else "(out_channels, in_channels / groups"
    if weight.ndim != x.ndim:
        raise ValueError(f"{who}: weight must have {x.ndim} axes {layout}, *kernel), got shape {weight.shape}")
    if not isinstance(groups, (int, np.integer)) or groups < 1 or channels % groups or weight.shape[0] % groups:
        raise ValueError(
            f"{who}: groups must divide the {channels} channels of x and weight.shape[0] = {weight.shape[0]}, "
            f"got {groups}"
        )
    expected = channels if transposed else channels // groups
    if weight.shape[0 if transposed else 1] != expected:
        raise ValueError(
            f"{who}: weight must have shape {layout}, *kernel) with {expected} for in_channels"
            f"{'' if transposed else ' / groups'}, because x has {channels} channels, got {weight.shape}"
        )
    out = weight.shape[1] * groups if transposed else weight.shape[0]
    if bias is not None and bias.shape != (out,):
        raise ValueError(f"{who}: bias must have shape ({out},), got {bias.shape}")


def same_padding(reach: tuple[int, ...]) -> list[tuple[int, int]]:
    """Return (before, after) per axis so that the output is as long as the input; the odd one goes behind."""
    return [((r - 1) // 2, r - 1 - (r - 1) // 2) for r in reach]


def paddings(who: str, padding: Any, stride: tuple[int, ...], reach: tuple[int, ...]) -> list[tuple[int, int]]:
    """Return (before, after) per axis of what the user gave."""
    if padding == "valid":
        return [(0, 0)] * len(reach)
    if padding == "same":
        if any(s != 1 for s in stride):
            raise ValueError(f'{who}: padding="same" needs stride 1, got stride {stride}')
        return same_padding(reach)
    if isinstance(padding, str):
        raise ValueError(f'{who}: padding must be numbers, "same" or "valid", got {padding!r}')
    return [(p, p) for p in per_axis(who, "padding", padding, len(reach), 0)]


@op
def _convolution(x, weight, bias=None, *, who, ndim, stride, padding, dilation, groups, channels_last) -> Result:
    sizes = check_input(who, x, ndim, channels_last)
    _check_weight(who, x, weight, bias, groups, channels_last, False)
    kernel = weight.shape[2:]
    stride, dilation = per_axis(who, "stride", stride, ndim), per_axis(who, "dilation", dilation, ndim)
    reach = tuple((k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True))
    pads = paddings(who, padding, stride, reach)
    check_fit(who, sizes, reach, [sum(p) for p in pads])
    out = [(n + sum(p) - r) // s + 1 for n, p, r, s in zip(sizes, pads, reach, stride, strict=True)]
    windows = Windows(
        three(sizes, 1),
        three(out, 1),
        three(kernel, 1),
        three(stride, 1),
        three([before for before, _ in pads], 0),
        three(dilation, 1),
    )
    dtype, (x, weight, bias) = _widened(to_planes(x, channels_last), weight, bias)
    shape = weight.shape
    weight = weight.reshape(*shape[:2], *windows.kernel)
    y = convolve(x, weight, bias, windows, groups).astype(dtype, copy=False)

    def vjp(gy):
        g = to_planes(gy, channels_last).astype(x.dtype, copy=False)
        found: dict[str, Array] = {}
        return (
            lambda: from_planes(convolve_input_gradient(g, weight, windows, groups), ndim, channels_last),
            lambda: convolve_weight_gradient(x, g, windows, groups, found).reshape(shape),
            lambda: found.pop("bias") if found else _channel_sums(g),
        )

    return from_planes(y, ndim, channels_last), vjp


@op
def _transposed_convolution(
    x, weight, bias=None, *, who, ndim, stride, padding, output_padding, groups, dilation, channels_last
) -> Result:
    sizes = check_input(who, x, ndim, channels_last)
    _check_weight(who, x, weight, bias, groups, channels_last, True)
    kernel = weight.shape[2:]
    stride, dilation = per_axis(who, "stride", stride, ndim), per_axis(who, "dilation", dilation, ndim)
    padding = per_axis(who, "padding", padding, ndim, 0)
    extra = per_axis(who, "output_padding", output_padding, ndim, 0)
    if any(e >= max(s, d) for e, s, d in zip(extra, stride, dilation, strict=True)):
        raise ValueError(f"{who}: output_padding must be less than stride or dilation, got {extra} at stride {stride}")
    out = [
        (n - 1) * s - 2 * p + (k - 1) * d + e + 1
        for n, s, p, k, d, e in zip(sizes, stride, padding, kernel, dilation, extra, strict=True)
    ]
    if min(out) < 1:
        raise ValueError(f"{who}: padding {padding} leaves nothing of the output, whose shape would be {tuple(out)}")
    windows = Windows(
        three(out, 1), three(sizes, 1), three(kernel, 1), three(stride, 1), three(padding, 0), three(dilation, 1)
    )
    dtype, (x, weight, bias) = _widened(to_planes(x, channels_last), weight, bias)
    shape = weight.shape
    weight = weight.reshape(*shape[:2], *windows.kernel)
    y = convolve_input_gradient(x, weight, windows, groups)
    if bias is not None:
        y += bias[:, None, None, None]

    def vjp(gy):
        g = to_planes(gy, channels_last).astype(x.dtype, copy=False)
        return (
            lambda: from_planes(convolve(g, weight, None, windows, groups), ndim, channels_last),
            lambda: convolve_weight_gradient(g, x, windows, groups).reshape(shape),
            lambda: _channel_sums(g),
        )

    return from_planes(y.astype(dtype, copy=False), ndim, channels_last), vjp


_DOC = """Convolve over {ndim} spatial ax{es}: ``y[n, o, t] = bias[o] + sum w[o, c, k] x[n, c, t stride + k dilation]``.

    The sum is over c and k, `x` padded with zeros. As usual the kernel is not flipped: strictly, a correlation.

    Args:
        x: shape (N, C, {axes}).
        weight: shape (O, C / groups, {kernel}), PyTorch's layout, also if `channels_last`.
        bias: shape (O,) or None.
        stride: a number, or one per axis.
        padding: a number, one per axis, "valid" (none) or "same" (output as long as the input; stride 1 only;
            the odd element goes behind).
        dilation: distance between the taps of a kernel; a number, or one per axis.
        groups: output channels see the input channels of their own group only; C for a depthwise convolution.
        channels_last: `x` and the result are (N, {axes}, C).

    Returns:
        Shape (N, O, ...) with ``floor((length + 2 padding - dilation (k - 1) - 1) / stride) + 1`` along each axis.

    Raises:
        ValueError: shapes do not fit together, or the kernel is larger than the padded input.
    """

_TRANSPOSED_DOC = """Apply the transpose of `conv{ndim}d` (its gradient with respect to the input), which upsamples.

    Args:
        x: shape (N, C, {axes}).
        weight: shape (C, O / groups, {kernel}), PyTorch's layout, also if `channels_last`.
        bias: shape (O,) or None.
        stride: a number, or one per axis.
        padding: how much is cut off both ends of each axis; a number, or one per axis.
        output_padding: how much longer the output is at the end, less than stride or dilation: of all lengths that
            `conv{ndim}d` maps to that of `x` it chooses one.
        groups, dilation, channels_last: see `conv{ndim}d`.

    Returns:
        Shape (N, O, ...) with ``(length - 1) stride - 2 padding + dilation (k - 1) + output_padding + 1`` along
        each axis.

    Raises:
        ValueError: shapes do not fit together, or nothing is left of the output.
    """


def _conv(ndim: int) -> Callable[..., Tensor]:
    who = f"conv{ndim}d"

    def conv(
        x: Any,
        weight: Any,
        bias: Any = None,
        stride: int | tuple[int, ...] = 1,
        padding: int | tuple[int, ...] | str = 0,
        dilation: int | tuple[int, ...] = 1,
        groups: int = 1,
        channels_last: bool = False,
    ) -> Tensor:
        options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
        return _convolution(x, weight, bias, who=who, ndim=ndim, channels_last=channels_last, **options)

    return described(conv, who, _DOC, ndim)


def _conv_transpose(ndim: int) -> Callable[..., Tensor]:
    who = f"conv_transpose{ndim}d"

    def conv_transpose(
        x: Any,
        weight: Any,
        bias: Any = None,
        stride: int | tuple[int, ...] = 1,
        padding: int | tuple[int, ...] = 0,
        output_padding: int | tuple[int, ...] = 0,
        groups: int = 1,
        dilation: int | tuple[int, ...] = 1,
        channels_last: bool = False,
    ) -> Tensor:
        options = {"stride": stride, "padding": padding, "output_padding": output_padding, "dilation": dilation}
        return _transposed_convolution(
            x, weight, bias, who=who, ndim=ndim, groups=groups, channels_last=channels_last, **options
        )

    return described(conv_transpose, who, _TRANSPOSED_DOC, ndim)


conv1d, conv2d, conv3d = (_conv(ndim) for ndim in (1, 2, 3))
conv_transpose1d, conv_transpose2d, conv_transpose3d = (_conv_transpose(ndim) for ndim in (1, 2, 3))
