"""Layers: the samples of a `vmap` join those of the batch, and where weights are mapped the groups of channels."""

from __future__ import annotations

from typing import Any

from ....autograd.mapped import Call, Mapped, mapped_by, stretched
from ....autograd.rules import Composite
from ....autograd.tangents import several
from ....kernels.axes import one_axis
from ... import dropout, math, resize
from ...activation.rectifier import prelu
from ...array import broadcast_to, reshape, transpose
from ...attention import _attention
from ...conv.convolution import _convolution, _transposed_convolution
from ...indexing import getitem
from ...norm.batch_norm import batch_norm_inference, batch_norm_training
from ...norm.group_norm import _group_norm, _instance_norm
from ...norm.layer_norm import _layer_norm, _rms_norm
from ...pool.pooling import _avg_pool, _max_pool
from ...recurrent.layers import gru_layer, lstm_layer, rnn_layer
from ...selection import where
from ..norms import _followed
from .axes import shifted


def folded(x: Any) -> Any:
    """Return samples, each a batch, as one batch."""
    return reshape(x, (x.shape[0] * x.shape[1], *x.shape[2:]))


def unfolded(y: Any, size: int) -> Any:
    """Undo `folded`."""
    if isinstance(y, tuple):
        return tuple(unfolded(part, size) for part in y)
    return y.reshape((size, y.shape[0] // size if size else 0, *y.shape[1:]))


@mapped_by(_avg_pool, _max_pool, resize._interpolate)
def in_batch(call: Call) -> Any:
    """Let the samples join the batch."""
    if not call.size:
        return _of_none(call)
    return unfolded(call.op(folded(call.args[0]), *call.args[1:], **call.options), call.size)


def _of_none(call: Call) -> Any:
    """Return what is there of no samples: of one of zeros its first none."""
    shapes = [call.shape(k) for k in range(len(call.args))]
    args = [a if not m else call.xp.zeros(s, a.dtype) for a, m, s in zip(call.args, call.mapped, shapes, strict=True)]
    y = call.op(*args, **call.options)
    parts = [getitem(broadcast_to(p, (1, *p.shape)), slice(0)) for p in several(y)]
    return tuple(parts) if isinstance(y, tuple) else parts[0]


@mapped_by(dropout._channel_dropout)
def _(call: Call) -> Any:
    axis = call.options["axis"]
    if not axis:  # one draw for all of a sample, or for each channel of it
        return call.op(call.args[0], **call.options | {"axis": 0 if axis is None else 1})
    return in_batch(call)


@mapped_by(_convolution, _transposed_convolution)
def _(call: Call) -> Any:
    x, weight, bias, *_ = (*call.args, None)
    mapped, options, size, n = (*call.mapped, False), call.options, call.size, call.ndim()
    last = options["channels_last"]
    channels = n - 1 if last else 1
    if not size:
        return _of_none(call)
    if not mapped[1]:
        y = call.op(folded(x) if mapped[0] else x, weight, None if mapped[2] else bias, **options)
        y = unfolded(y, size) if mapped[0] else y
        return y if not mapped[2] else math.add(y, _of_channels(bias, n, channels))
    x = call.full()
    x = transpose(x, (1, 0, n, *range(2, n))) if last else transpose(x, (1, 0, *range(2, n + 1)))
    x = reshape(x, (x.shape[0], size * x.shape[2], *x.shape[3:]))
    y = call.op(x, folded(weight), None, **options | {"groups": size * options["groups"], "channels_last": False})
    y = reshape(y, (y.shape[0], size, y.shape[1] // size, *y.shape[2:]))
    y = transpose(y, (1, 0, *range(3, n + 1), 2)) if last else transpose(y, (1, 0, *range(2, n + 1)))
    return y if bias is None else math.add(y, _of_channels(bias, n, channels))


def _of_channels(a: Any, ndim: int, axis: int) -> Any:
    """Return one number a channel, of each sample or of all, so that it broadcasts against samples of so many axes."""
    return reshape(a, (a.shape[0] if a.ndim > 1 else 1, *[a.shape[-1] if k == axis else 1 for k in range(ndim)]))


@mapped_by(_layer_norm, _rms_norm)
def _(call: Call) -> Any:
    if not any(call.mapped[1:]):
        return call.op(*call.args, **call.options)
    y = call.op(call.args[0], **call.options | {"activation": None})
    for k, join in enumerate((math.multiply, math.add), start=1):
        if k < len(call.args) and call.args[k] is not None:
            y = join(y, call.padded(k, call.ndim()))
    return _followed(y, call.options["activation"])


@mapped_by(_group_norm, _instance_norm)
def _(call: Call) -> Any:
    return in_batch(call) if not any(call.mapped[1:]) else by_parts(call)


@mapped_by(batch_norm_training, batch_norm_inference)
def by_parts(call: Call) -> Any:
    """Run what the op is in terms of others."""
    rule = vars(call.op.__wrapped__)["rule"]  # type: ignore[attr-defined]
    assert isinstance(rule, Composite)
    made = rule.function(*call.given, **call.options)
    parts = [p if isinstance(p, Mapped) else stretched(p, call.size) for p in several(made)]
    return tuple(parts) if isinstance(made, tuple) else parts[0]


@mapped_by(_attention)
def _(call: Call) -> Any:
    y, used = call.op(*call.aligned(), **call.options)
    return y, used if any(m for k, m in enumerate(call.mapped) if k != 2) else stretched(used, call.size)


@mapped_by(prelu)
def _(call: Call) -> Any:
    x, weight = call.args
    if not call.mapped[1] and call.ndim():
        return call.op(x, weight, **shifted(call, default=1))
    if call.shape(1) != (1,):
        axis = one_axis(call.ndim(), call.options.get("axis", 1))
        if call.shape(1) != call.shape()[axis : axis + 1]:
            call.refuse(f"weight must have shape (1,) or ({call.shape()[axis]},) in a sample, got {call.shape(1)}")
        weight = _of_channels(weight, call.ndim(), axis)
    else:
        weight = reshape(weight, (-1, *(1,) * call.ndim()))
    return where(x > 0, x, math.multiply(x, weight))


@mapped_by(rnn_layer, lstm_layer, gru_layer)
def _(call: Call) -> Any:
    count = 2 if call.op is lstm_layer else 1
    mask = 5 + count  # the place of the dropout of the states
    if any(m for k, m in enumerate(call.mapped) if k > count and k != mask):
        return _step_by_step(call, count)
    if not call.size:
        return _of_none(call)
    args, options = list(call.args), dict(call.options)
    for k in (0, *range(1, 1 + count), *([mask] if mask < len(args) else [])):
        if args[k] is not None:
            args[k] = _beside_batch(call.full(k), 1 if k else 2)
    if options.get("sizes") is not None:
        options["sizes"] = tuple(n * call.size for n in options["sizes"])
    y, *states = call.op(*args, **options)
    return _apart(y, 1, call.size), *(_apart(s, 0, call.size) for s in states)


def _step_by_step(call: Call, count: int) -> Any:
    """Run a recurrent layer whose weights are mapped in terms of other ops."""
    w_hh, w_hr = call.shape(2 + count), call.shape(8) if len(call.args) > 8 else ()
    widths = [w_hh[-1], w_hr[-1] if w_hr else w_hh[-1]]
    for k in range(count):
        if call.given[1 + k] is None:
            call.given[1 + k] = call.xp.zeros((call.shape()[1], widths[k]), call.args[0].dtype)
    return by_parts(call)


def _beside_batch(x: Any, axis: int) -> Any:
    """Return the samples of a `vmap` side by side with each sample of the batch, which is the axis `axis`."""
    order = [*range(1, axis + 1), 0, *range(axis + 1, x.ndim)]
    x = transpose(x, order)
    return reshape(x, (*x.shape[: axis - 1], x.shape[axis - 1] * x.shape[axis], *x.shape[axis + 1 :]))


def _apart(y: Any, axis: int, size: int) -> Any:
    """Undo `_beside_batch`."""
    y = reshape(y, (*y.shape[:axis], y.shape[axis] // size, size, *y.shape[axis + 1 :]))
    return transpose(y, [axis + 1, *[k for k in range(y.ndim) if k != axis + 1]])
