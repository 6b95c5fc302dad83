"""Pooling over 1, 2 or 3 spatial axes: largest and mean element of sliding, or adaptive, windows."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

from ...autograd.op import Result, op
from ...autograd.tensor import Tensor
from ...device import Array, array_module
from ..windows import (
    Windows,
    check_fit,
    check_input,
    described,
    from_planes,
    over_samples,
    per_axis,
    three,
    to_planes,
    useful,
)
from . import docstrings
from . import kernels as kernels

Axes = int | tuple[int, ...]
WindowsOf = Callable[[tuple[int, ...]], Windows]  # what windows there are over spatial axes of these lengths


def _sliding(
    sizes: tuple[int, ...], *, who: str, kernel: Any, stride: Any, padding: Any, dilation: Any = 1, ceil_mode: bool
) -> Windows:
    """Return the windows of a pool over axes of these `sizes`."""
    ndim = len(sizes)
    kernel = per_axis(who, "kernel_size", kernel, ndim)
    stride = kernel if stride is None else per_axis(who, "stride", stride, ndim)
    padding, dilation = per_axis(who, "padding", padding, ndim, 0), per_axis(who, "dilation", dilation, ndim)
    return _fitting(who, sizes, kernel, stride, padding, dilation, bool(ceil_mode))


@functools.lru_cache(4096)
def _fitting(
    who: str,
    sizes: tuple[int, ...],
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    padding: tuple[int, ...],
    dilation: tuple[int, ...],
    ceil_mode: bool,
) -> Windows:
    """Return these windows, of which all numbers are given for each axis."""
    reach = tuple((k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True))
    if any(2 * p > r for p, r in zip(padding, reach, strict=True)):
        raise ValueError(
            f"{who}: padding must be at most half the kernel, got padding {padding} for a reach of {reach}"
        )
    out = []
    for n, r, s, p in zip(sizes, reach, stride, padding, strict=True):
        count = (n + 2 * p - r + (s - 1 if ceil_mode else 0)) // s + 1
        # A window that would begin behind the data is no window.
        out.append(count - 1 if ceil_mode and (count - 1) * s >= n + p else count)
    if min(out) < 1:
        check_fit(who, sizes, reach, [2 * p for p in padding])
    steps = useful(stride, sizes, out)
    return Windows(
        three(sizes, 1), three(out, 1), three(kernel, 1), three(steps, 1), three(padding, 0), three(dilation, 1)
    )


def _adaptive(sizes: tuple[int, ...], *, who: str, output_size: Any) -> Windows:
    """Return windows that cut each axis into `output_size` parts of about equal length."""
    ndim = len(sizes)
    wanted = output_size if isinstance(output_size, (tuple, list)) else (output_size,) * ndim
    if len(wanted) == ndim:
        wanted = tuple(n if o is None else o for n, o in zip(sizes, wanted, strict=True))
    wanted = per_axis(who, "output_size", wanted, ndim)
    if min(sizes) < 1:
        raise ValueError(f"{who}: spatial axes must not be empty, got {sizes}")
    # Parts of equal length are ordinary windows, which are faster.
    even = [n % o == 0 for n, o in zip(sizes, wanted, strict=True)]
    kernel = [-(-n // o) + (not e) for n, o, e in zip(sizes, wanted, even, strict=True)]
    stride = [n // o if e else 0 for n, o, e in zip(sizes, wanted, even, strict=True)]
    return Windows(three(sizes, 1), three(wanted, 1), three(kernel, 1), three(stride, 1), (0, 0, 0), (1, 1, 1))


def _planes(x: Array, channels_last: bool) -> Array:
    """Return ``(N, C, *spatial)`` as contiguous ``(N * C, D, H, W)``."""
    x = to_planes(x, channels_last)
    return array_module(x).ascontiguousarray(x.reshape(x.shape[0] * x.shape[1], *x.shape[2:]))


@op
def _max_pool(x, *, who, ndim, plan, channels_last, return_indices) -> Any:
    windows = plan(check_input(who, x, ndim, channels_last))
    planes = _planes(x, channels_last)
    shape = (len(planes), *windows.out)
    lead = (x.shape[0], x.shape[-1 if channels_last else 1])
    best = kernels.max_pool_forward(planes, *windows.numbers(), shape=shape)

    def vjp(gy):
        g = _planes(gy[0] if return_indices else gy, channels_last)
        gx = kernels.max_pool_backward(g, planes, best, *windows.numbers(), shape=planes.shape)
        return (from_planes(gx.reshape(*lead, *windows.sizes), ndim, channels_last),)

    y = from_planes(best.reshape(*lead, *windows.out), ndim, channels_last)
    if not return_indices:
        return y, vjp
    where = kernels.max_pool_indices(planes, *windows.numbers(), shape=shape).reshape(*lead, *windows.out)
    return (y, from_planes(where, ndim, channels_last)), vjp


@op
def _avg_pool(x, *, who, ndim, plan, channels_last, count_include_pad=False, divisor=0.0) -> Result:
    windows = plan(check_input(who, x, ndim, channels_last))
    numbers = (int(count_include_pad), divisor, *windows.numbers())
    lead = (x.shape[0], x.shape[-1 if channels_last else 1])
    shape = (math.prod(lead), *windows.sizes)
    y = kernels.avg_pool_forward(_planes(x, channels_last), *numbers, shape=(shape[0], *windows.out))

    def vjp(gy):
        gx = kernels.avg_pool_backward(_planes(gy, channels_last), *numbers, shape=shape)
        return (from_planes(gx.reshape(*lead, *windows.sizes), ndim, channels_last),)

    return from_planes(y.reshape(*lead, *windows.out), ndim, channels_last), vjp


def _max(ndim: int) -> Callable[..., Any]:
    who = f"max_pool{ndim}d"

    def max_pool(
        input: Any,
        kernel_size: Axes,
        stride: Axes | None = None,
        padding: Axes = 0,
        dilation: Axes = 1,
        ceil_mode: bool = False,
        return_indices: bool = False,
        channels_last: bool = False,
    ) -> Any:
        options: dict[str, Any] = {"kernel": kernel_size, "stride": stride, "padding": padding, "dilation": dilation}
        plan = functools.partial(_sliding, who=who, ceil_mode=ceil_mode, **options)
        return over_samples(
            _max_pool, input, who=who, ndim=ndim, plan=plan, channels_last=channels_last, return_indices=return_indices
        )

    return described(max_pool, who, docstrings.MAX, ndim, example=docstrings.EXAMPLES[who])


def _avg(ndim: int) -> Callable[..., Tensor]:
    who = f"avg_pool{ndim}d"

    def avg_pool(
        input: Any,
        kernel_size: Axes,
        stride: Axes | None = None,
        padding: Axes = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: float | None = None,
        channels_last: bool = False,
    ) -> Tensor:
        if divisor_override is not None and not divisor_override:
            raise ValueError(f"{who}: divisor_override must not be 0")
        plan = functools.partial(
            _sliding, who=who, kernel=kernel_size, stride=stride, padding=padding, ceil_mode=ceil_mode
        )
        options = {"count_include_pad": count_include_pad, "divisor": float(divisor_override or 0)}
        return over_samples(_avg_pool, input, who=who, ndim=ndim, plan=plan, channels_last=channels_last, **options)

    return described(avg_pool, who, docstrings.AVG, ndim, example=docstrings.EXAMPLES[who])


def _adaptive_avg(ndim: int) -> Callable[..., Tensor]:
    who = f"adaptive_avg_pool{ndim}d"

    def adaptive_avg_pool(input: Any, output_size: Any, channels_last: bool = False) -> Tensor:
        plan = functools.partial(_adaptive, who=who, output_size=output_size)
        return over_samples(_avg_pool, input, who=who, ndim=ndim, plan=plan, channels_last=channels_last)

    words = {"what": "mean", "more": "", "indices": "", "returns": "", "example": docstrings.EXAMPLES[who]}
    return described(adaptive_avg_pool, who, docstrings.ADAPTIVE, ndim, **words)


def _adaptive_max(ndim: int) -> Callable[..., Any]:
    who = f"adaptive_max_pool{ndim}d"

    def adaptive_max_pool(
        input: Any, output_size: Any, return_indices: bool = False, channels_last: bool = False
    ) -> Any:
        plan = functools.partial(_adaptive, who=who, output_size=output_size)
        return over_samples(
            _max_pool, input, who=who, ndim=ndim, plan=plan, channels_last=channels_last, return_indices=return_indices
        )

    return described(
        adaptive_max_pool,
        who,
        docstrings.ADAPTIVE,
        ndim,
        what="largest",
        more=f" Ties as in `max_pool{ndim}d`.",
        indices=f"\n        return_indices: see `max_pool{ndim}d`.",
        returns=", and the indices if asked for",
        example=docstrings.EXAMPLES[who],
    )


max_pool1d, max_pool2d, max_pool3d = (_max(ndim) for ndim in (1, 2, 3))
avg_pool1d, avg_pool2d, avg_pool3d = (_avg(ndim) for ndim in (1, 2, 3))
adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d = (_adaptive_avg(ndim) for ndim in (1, 2, 3))
adaptive_max_pool1d, adaptive_max_pool2d, adaptive_max_pool3d = (_adaptive_max(ndim) for ndim in (1, 2, 3))
