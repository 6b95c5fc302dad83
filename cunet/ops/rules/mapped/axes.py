"""Element by element, and along axes, which lie one place further where all samples are."""

from __future__ import annotations

import math as numbers
from typing import Any

from ....autograd.mapped import Call, elementwise, mapped_by
from ....kernels.axes import folded_axes, one_axis
from ... import cumulative, distance, dropout, logsumexp, math, predicates, reduce, rounding, sorting
from ...activation import gated, squashing
from ...array import astype, broadcast_to, flip, reshape, to_device
from ...fourier import _irfft, _rfft
from ...fourier_axes import _transform
from ...gaussian_dropout import _gaussian_dropout
from ...matrix.norms import _power_norm
from ...rearrange import roll
from ...sampling import _add_gumbel_noise
from ...selection import _clip
from ...softmax import log_softmax, softmax, softmin

# What draws by the number of an element draws for each sample.
mapped_by(
    astype, to_device, math.add, math.divide, math.multiply, math.negative, math.subtract, rounding.floor_divide,
    rounding.remainder, squashing.identity, dropout._dropout, _gaussian_dropout, _add_gumbel_noise,
    predicates.isnan, predicates.isinf, predicates.isfinite,
)(elementwise)  # fmt: skip


@mapped_by(_clip)
def _(call: Call) -> Any:
    limits = [call.options[name] for name in ("min", "max")]
    return call.op(call.padded(0, max(getattr(a, "ndim", 0) for a in limits)), **call.options)


def shifted(call: Call, name: str = "axis", default: Any = None) -> dict[str, Any]:
    """Return the options with an axis, or several, where it lies behind that of samples."""
    given = call.options.get(name, default)
    if given is None:
        return call.options
    if isinstance(given, (tuple, list)):
        return call.options | {name: tuple(k + 1 for k in folded_axes(call.ndim(), tuple(given)))}
    return call.options | {name: one_axis(call.ndim(), given) + 1}


def flat(call: Call) -> Any:
    """Return the argument with one axis behind that of samples."""
    return reshape(call.args[0], (call.size, numbers.prod(call.shape())))


@mapped_by(
    logsumexp.logsumexp, predicates.all, predicates.any, reduce.max, reduce.mean, reduce.min, reduce.prod, reduce.std,
    reduce.sum, reduce.var, sorting.argmax, sorting.argmin, sorting.median, _power_norm,
)  # fmt: skip
def _(call: Call) -> Any:
    if call.options.get("axis") is not None and call.ndim():
        return call.op(call.args[0], **shifted(call))
    folded_axes(call.ndim(), call.options.get("axis"))
    y = call.op(flat(call), **call.options | {"axis": 1, "keepdims": False})
    return y.reshape((call.size, *(1,) * call.ndim())) if call.options.get("keepdims") else y


@mapped_by(cumulative.cumsum, cumulative.cumprod)
def _(call: Call) -> Any:
    if call.options.get("axis") is None or not call.ndim():
        return call.op(flat(call), **call.options | {"axis": 1})
    return call.op(call.args[0], **shifted(call))


@mapped_by(sorting.argsort, _rfft)
def _(call: Call) -> Any:
    if call.options.get("axis", -1) is None:
        return call.op(flat(call), **call.options | {"axis": 1})
    return call.op(call.args[0], **shifted(call, default=-1))


@mapped_by(_irfft)
def _(call: Call) -> Any:
    return call.op(call.full(0), call.full(1), **shifted(call, default=-1))


@mapped_by(flip, roll)
def _(call: Call) -> Any:
    if call.options.get("axis") is not None:
        return call.op(call.args[0], **shifted(call))
    y = call.op(flat(call), **call.options | {"axis": 1})
    return reshape(y, (call.size, *call.shape()))


@mapped_by(softmax, log_softmax, softmin, gated.glu)
def _(call: Call) -> Any:
    name = "dim" if call.options.get("axis") is None else "axis"
    default = -1 if name == "dim" else None
    return call.op(call.args[0], **shifted(call, name, default) if call.options.get(name) is not None else call.options)


@mapped_by(distance.normalize)
def _(call: Call) -> Any:
    return call.op(call.args[0], **shifted(call, "dim", 1))


@mapped_by(distance.cosine_similarity)
def _(call: Call) -> Any:
    ndim = max(call.ndim(0), call.ndim(1))
    dim = one_axis(ndim, call.options.get("dim", 1)) + 1
    x, y = (a if m else broadcast_to(a, (1, *a.shape)) for a, m in zip(call.aligned(), call.mapped, strict=True))
    return call.op(x, y, **call.options | {"dim": dim})


@mapped_by(distance.pairwise_distance)
def _(call: Call) -> Any:
    if not call.ndim(0) or not call.ndim(1):
        call.refuse("x1 and x2 must have at least 1 axis in a sample")
    return call.op(*call.aligned(), **call.options)


@mapped_by(_transform)
def _(call: Call) -> Any:
    imag = None if call.args[1] is None else call.full(1)
    return call.op(call.full(0), imag, **shifted(call, "axes"))
