"""Elements that are picked by where they are."""

from __future__ import annotations

from typing import Any

import numpy as np

from ....autograd.mapped import Call, Mapped, mapped_by, run, stretched
from ....autograd.tensor import Tensor
from ....autograd.tracing import plain
from ....device import is_array
from ...array import transpose
from ...embedding import _check_range, embedding, one_hot
from ...indexing import _getitem, getitem
from ...selection import where
from ...sorting import _taken, sort, topk
from .axes import flat, shifted


@mapped_by(_getitem, options=True)
def _(call: Call) -> Any:
    index = call.options["index"]
    given = [k for k, part in enumerate(index) if _is_list(part) or isinstance(part, (int, np.integer))]
    lists = [k for k in given if _is_list(index[k])]
    if not lists:
        return call.op(call.args[0], index=(slice(None), *index))
    apart = given[-1] - given[0] >= len(given)  # then NumPy puts their axes first
    ndim = max(_ndim_of(index[k]) for k in lists)
    before = 0 if apart else _axes_before(index, given[0], call.ndim())
    own = [_of_samples(call, part, ndim) if k in lists else part for k, part in enumerate(index)]
    if all(a is b for a, b in zip(own, index, strict=True)):
        y = getitem(call.args[0], (slice(None), *own))
        return _to_front(y, ndim) if apart else y
    if not call.mapped[0]:
        return _to_front(getitem(call.args[0], tuple(own)), before)
    samples = call.xp.arange(call.size).reshape((call.size,) + (1,) * ndim)
    y = getitem(call.args[0], (samples, *own))
    first = 1 + ndim  # where the axes are that lie before those of the lists
    order = (0, *range(first, first + before), *range(1, first), *range(first + before, y.ndim))
    return transpose(y, order) if before else y


def _is_list(part: Any) -> bool:
    return is_array(part) or isinstance(part, Mapped)


def _ndim_of(part: Any) -> int:
    """Return how many axes an index of integers or bools makes."""
    return 1 if part.dtype.kind == "b" else part.ndim


def _axes_before(index: tuple[Any, ...], first: int, ndim: int) -> int:
    """Return how many axes of the result lie before those of the lists."""
    used = sum(part.ndim if _is_list(part) and part.dtype.kind == "b" else 1 for part in index if part is not None)
    rest = ndim - used + 1  # axes that an Ellipsis stands for
    return sum(rest if part is Ellipsis else 1 for part in index[:first])


def _of_samples(call: Call, part: Any, ndim: int) -> Any:
    """Return a list of places with the axis of samples in front, if it is mapped."""
    if not (isinstance(part, Mapped) and part.level is call.level):
        return part
    if part.dtype.kind == "b":
        call.refuse("a mask picks another number of elements in each sample; use cunet.where")
    places = plain(part.value)
    return places.reshape((call.size, *(1,) * (ndim - part.ndim), *part.shape))


def _to_front(y: Any, axis: int) -> Any:
    return transpose(y, (axis, *[k for k in range(y.ndim) if k != axis])) if axis else y


@mapped_by(_taken, options=True)
def _(call: Call) -> Any:
    places, axis = call.options["places"], call.options["axis"] + 1
    ours = isinstance(places, Mapped) and places.level is call.level
    places = plain(places.value) if ours else stretched(places, 1)
    options = {"places": places, "axis": axis, "distinct": call.options["distinct"] and ours}
    return run(_taken, [call.full()], options) if isinstance(places, Mapped) else _taken(call.full(), **options)


@mapped_by(sort)
def _(call: Call) -> Any:
    if call.options.get("axis", -1) is None:
        return sort(flat(call), axis=1)
    return sort(call.args[0], **shifted(call, default=-1))


@mapped_by(topk)
def _(call: Call) -> Any:
    return topk(call.args[0], **shifted(call, default=-1))


@mapped_by(one_hot)
def _(call: Call) -> Any:
    return one_hot(call.args[0], **call.options)


@mapped_by(embedding)
def _(call: Call) -> Any:
    if not call.mapped[1]:
        return embedding(*call.args, **call.options)
    if call.options.get("max_norm") is not None:
        call.refuse("a table that is mapped cannot be shortened to max_norm")
    places, table, xp = plain(call.args[0]), call.args[1], call.xp
    rows = table.shape[1]
    if is_array(places):
        _check_range("embedding", places, rows)
    if (padding := call.options.get("padding_idx")) is not None:
        still = table.detach() if isinstance(table, (Tensor, Mapped)) else table
        table = where((xp.arange(rows) == padding % rows)[:, None], still, table)
    if not call.mapped[0]:
        return getitem(table, (slice(None), places))
    samples = xp.arange(call.size).reshape((call.size,) + (1,) * call.ndim())
    return getitem(table, (samples, places))
