"""The kernels of a norm with an activation behind it: forward ``f(norm(x))`` in one, backward without ``norm(x)``.

They are made of the texts of `normalize` and its relatives and of the activation's own two kernels, when somebody first
asks for that activation. Nothing is kept but the norm's input: what the activation saw is computed again from it.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ...device import Array, is_gpu_array
from ...kernels import Elementwise, Reduction, elementwise, reduction
from ...kernels.backends import native
from ...kernels.rowwise import Rowwise, rowwise
from ..activation import gated, rectifier
from ..activation import squashing as plain
from ..math import tanh, tanh_backward, tanh_forward
from . import kernels


class NormKernels(NamedTuple):
    """The kernels that a norm is made of; those with an activation take its two parameters, and what it needs."""

    normalize: Elementwise
    rows: Rowwise
    rms_rows: Rowwise
    sums: Reduction
    backward: Elementwise
    rows_backward: Rowwise


PLAIN = NormKernels(
    kernels.normalize, kernels.norm_rows, kernels.rms_rows,
    kernels.normalize_sums, kernels.normalize_backward, kernels.norm_rows_backward,
)  # fmt: skip


class Fused(NamedTuple):
    """A norm with an activation: kernels, and the activation's parameters; see `fused`.

    Attributes:
        kernels: as those of `PLAIN`; forward they take `parameters` after all else, backward the bias first.
        gradient: the gradient of ``norm(x)`` from that of ``f(norm(x))``, for what `PLAIN` can do from there.
        cheap: whether the derivative costs a processor next to nothing, and may be found in each pass over the data.
        parameters: two numbers.
        alone: the activation by itself, of arrays: returns y and its vjp.
    """

    kernels: NormKernels
    gradient: Elementwise | None = None
    cheap: bool = False
    parameters: tuple[float, ...] = ()
    alone: Any = None

    def apart(self, x: Array) -> bool:
        """Tell whether the activation is better left to itself: NumPy has no passes to save, but must compute again."""
        return self.alone is not None and x.dtype.char in "fd" and not (is_gpu_array(x) or native.enabled())


NONE = Fused(PLAIN)

#: By name: the function, and from its options its kernels and their parameters.
FUSABLE: dict[str, tuple[Callable[..., Any], Callable[..., tuple[Any, ...]]]] = {
    "celu": (rectifier.celu, lambda alpha=1.0: (rectifier.celu_forward, rectifier.celu_backward, alpha)),
    "elu": (rectifier.elu, lambda alpha=1.0: (rectifier.elu_forward, rectifier.elu_backward, alpha)),
    "gelu": (
        gated.gelu,
        lambda approximate="none": (
            (gated.gelu_forward, gated.gelu_backward)
            if approximate == "none"
            else (gated.gelu_tanh_forward, gated.gelu_tanh_backward)
        ),
    ),
    "hard_sigmoid": (
        plain.hard_sigmoid,
        lambda slope=1 / 6: (plain.hard_sigmoid_forward, plain.hard_sigmoid_backward, slope, 0.5 / slope),
    ),
    "hard_swish": (gated.hard_swish, lambda: (gated.hard_swish_forward, gated.hard_swish_backward)),
    "hard_tanh": (
        plain.hard_tanh,
        lambda min_val=-1.0, max_val=1.0: (plain.hard_tanh_forward, plain.hard_tanh_backward, min_val, max_val),
    ),
    "leaky_relu": (
        rectifier.leaky_relu,
        lambda negative_slope=0.01: (rectifier.leaky_relu_forward, rectifier.leaky_relu_backward, negative_slope),
    ),
    "logsigmoid": (plain.logsigmoid, lambda: (plain.logsigmoid_forward, plain.logsigmoid_backward)),
    "mish": (gated.mish, lambda: (gated.mish_forward, gated.mish_backward)),
    "relu": (rectifier.relu, lambda: (rectifier.relu_forward, rectifier.relu_backward)),
    "relu6": (plain.relu6, lambda: (plain.hard_tanh_forward, plain.hard_tanh_backward, 0, 6)),
    "selu": (rectifier.selu, lambda: (rectifier.selu_forward, rectifier.selu_backward)),
    "sigmoid": (plain.sigmoid, lambda: (plain.sigmoid_forward, plain.sigmoid_backward)),
    "silu": (gated.silu, lambda: (gated.silu_forward, gated.silu_backward)),
    "softplus": (plain.softplus, lambda beta=1.0: (plain.softplus_forward, plain.softplus_backward, beta)),
    "softsign": (plain.softsign, lambda: (plain.softsign_forward, plain.softsign_backward)),
    "tanh": (tanh, lambda: (tanh_forward, tanh_backward)),
    "threshold_relu": (
        rectifier.threshold_relu,
        lambda theta=1.0: (rectifier.threshold_relu_forward, rectifier.threshold_relu_backward, theta),
    ),
}


def as_function(who: str, activation: Any) -> Callable[..., Any] | None:
    """Return an activation as one of the functions that `fused` knows, or such a function in a `functools.partial`.

    Args:
        who: complains.
        activation: None; the name of a function of `cunet.functional`; the function; a partial of it with options.

    Raises:
        ValueError: it is none of these, or its options are not the function's.
    """
    if activation is None:
        return None
    options = activation.keywords if isinstance(activation, functools.partial) and not activation.args else {}
    function = activation.func if options else activation
    name = function if isinstance(function, str) else getattr(function, "__name__", "")
    if name in FUSABLE and function in (name, FUSABLE[name][0]):
        known = FUSABLE[name][0]
        known(np.zeros(0, np.float16), **options)  # which complains of its options, and compiles nothing
        return functools.partial(known, **options) if options else known
    raise ValueError(
        f"{who}: activation must be None, one of {', '.join(FUSABLE)}, or that function of cunet.functional "
        f"(with options: in a functools.partial), got {activation!r}"
    )


@functools.lru_cache(256)
def fused(who: str, activation: Any) -> Fused:
    """Return the kernels of a norm with an activation behind it; for None those of the norm alone.

    Raises:
        ValueError: see `as_function`.
    """
    function = as_function(who, activation)
    if function is None:
        return NONE
    options = getattr(function, "keywords", {})
    known: Any = getattr(function, "func", function)
    forward, backward, *given = FUSABLE[known.__name__][1](**options)
    alone = functools.partial(known.__wrapped__, **options)
    return Fused(*_kernels(forward, backward), (*map(float, given), 0.0, 0.0)[:2], alone)


def _texts(forward: Elementwise, backward: Elementwise) -> tuple[str, str]:
    """Return an activation, and its way back, as functions of CUDA; `f0` and `f1` are its parameters."""

    def names(kernel: Elementwise) -> str:
        given = [p.name for p in kernel.ins if p.type == "A"]
        return " ".join(f"const A {name} = {p};" for name, p in zip(given, ("f0", "f1"), strict=False))

    there = f"""{forward.preamble}
__device__ inline A activation(A x, A f0, A f1) {{
  {names(forward)} A y;
  {forward.operation};
  return y;
}}
"""
    back = f"""{backward.preamble}
__device__ inline A activation_back(A gy, A x, A f0, A f1) {{
  {names(backward)} {"const A y = activation(x, f0, f1); " * _from_y(backward)}A gx;
  {backward.operation};
  return gx;
}}
"""
    return there, there + back if _from_y(backward) else back


_SCALED_CUDA = "__device__ inline pair_state scaled_pair(A g, A x) { return pair_state(g, g * x); }\n"


@functools.cache
def _kernels(forward: Elementwise, backward: Elementwise) -> tuple[NormKernels, Elementwise, bool]:
    """Make the kernels of norms with an activation: the first three attributes of `Fused`."""
    name = forward.name.removesuffix("_forward")
    there, way_back = _texts(forward, backward)
    pair = kernels.PAIR_CUDA
    affine = "(x - mean) * rstd * weight + bias"
    back = f"activation_back(gy, {affine}, f0, f1)"

    def named(stem: str, body: Callable[..., Any]) -> Callable[..., Any]:
        body.__name__ = stem.format(name)
        body.__module__ = f"{__name__}.{name}"  # those of one activation are compiled together
        return body

    def values(x, mean, rstd, weight, bias, *f):
        z = kernels.normalize.body(x, mean, rstd, weight, bias)
        return forward.body(z, *f[: len(forward.ins) - 1])

    def gradients(gy, x, mean, rstd, weight, bias, *f):
        z = kernels.normalize.body(x, mean, rstd, weight, bias)
        if _from_y(backward):
            z = forward.body(z, *f[: len(forward.ins) - 1])
        return backward.body(gy, z, *f[: len(backward.ins) - 2])

    def sums(gy, x, mean, rstd, factor, weight, bias, *f, axis, keepdims):
        gz = gradients(gy, x, mean, rstd, weight, bias, *f)
        return kernels.normalize_sums.body(gz, x, mean, rstd, factor, axis=axis, keepdims=keepdims)

    def backwards(gy, x, mean, rstd, weight, total, dot, scale, bias, *f):
        gz = gradients(gy, x, mean, rstd, weight, bias, *f)
        return kernels.normalize_backward.body(gz, x, mean, rstd, weight, total, dot, scale)

    def rows_backward(gy, x, mean, rstd, weight, centred, bias, *f, axes=1):
        gz = gradients(gy, x, mean, rstd, weight, bias, *f)
        return kernels.norm_rows_backward.body(gz, x, mean, rstd, weight, centred, axes=axes)

    normalize = elementwise(
        "T x, A mean, A rstd, A weight, A bias, A f0, A f1",
        "T y",
        f"y = activation({affine}, f0, f1)",
        preamble=there,
        along="weight bias",
    )(named("normalize_{}", values))
    made = NormKernels(
        normalize,
        rowwise(
            "T x, col A weight, col A bias, A eps, A f0, A f1",
            "T y, row A mean, row A var, row A rstd",
            kernels.norm_rows.operation.replace(affine, f"activation({affine}, f0, f1)"),
            preamble=pair + there,
        )(named("norm_{}_rows", functools.partial(kernels.norm_rows.body, apply=normalize))),
        rowwise(
            "T x, col A weight, A eps, A f0, A f1",
            "T y, row A rstd",
            kernels.rms_rows.operation.replace("x * rstd * weight", "activation(x * rstd * weight, f0, f1)"),
            preamble=there,
        )(named("rms_{}_rows", functools.partial(kernels.rms_rows.body, apply=normalize))),
        reduction(
            "T in_gy, T in_x, A in_mean, A in_rstd, A in_factor, A in_weight, A in_bias, A in_f0, A in_f1",
            "A out_sum, A out_dot",
            map="scaled_pair(activation_back((A)in_gy, ((A)in_x - in_mean) * in_rstd * in_weight + in_bias, in_f0, "
            "in_f1) * in_factor, ((A)in_x - in_mean) * in_rstd)",
            reduce=kernels.normalize_sums.reduce,
            post=kernels.normalize_sums.post,
            identity=kernels.normalize_sums.identity,
            reduce_type=kernels.normalize_sums.reduce_type,
            preamble=pair + way_back + _SCALED_CUDA,
            along="in_factor in_weight in_bias",
        )(named("normalize_{}_sums", sums)),
        elementwise(
            "T gy, T x, A mean, A rstd, A weight, A sum, A dot, A scale, A bias, A f0, A f1",
            "T gx",
            kernels.normalize_backward.operation.replace("gy", back),
            preamble=way_back,
            along="weight bias",
        )(named("normalize_{}_backward", backwards)),
        rowwise(
            "T gy, T x, row A mean, row A rstd, col A weight, A centred, col A bias, A f0, A f1",
            "T gx",
            kernels.norm_rows_backward.operation.replace("gy", back),
            preamble=pair + way_back,
        )(named("norm_{}_rows_backward", rows_backward)),
    )
    gradient = elementwise(
        "T gy, T x, A mean, A rstd, A weight, A bias, A f0, A f1",
        "T gz",
        f"gz = {back}",
        preamble=way_back,
        along="weight bias",
    )(named("normalize_{}_gradient", gradients))
    cheap = not re.search(r"exp|normcdf|/", backward.operation)
    made.sums.native = made.backward.native = cheap
    return made, gradient, cheap


def _from_y(backward: Elementwise) -> bool:
    """Tell whether an activation's way back starts from what it returned, not from what it was given."""
    return backward.ins[1].name == "y"
