"""Elements that are picked, by where they are."""

from __future__ import annotations

from ...autograd.rules import composite
from ...autograd.tracing import plain
from ...device import array_module
from .. import embedding, selection
from ..array import reshape, transpose
from ..indexing import getitem
from ..pool.pooling import _max_pool
from ..sorting import take_along_axis


@composite(_max_pool)
def _(x, *, who, ndim, plan, channels_last, return_indices):
    options = {"who": who, "ndim": ndim, "plan": plan, "channels_last": channels_last}
    _, where = _max_pool(x.data, **options, return_indices=True)
    places = where.data
    if channels_last:
        forth, back = (0, x.ndim - 1, *range(1, x.ndim - 1)), (0, *range(2, x.ndim), 1)
        x, places = transpose(x, forth), places.transpose(forth)
    flat = reshape(x, (*x.shape[:2], -1))
    y = reshape(take_along_axis(flat, places.reshape(*places.shape[:2], -1), 2), places.shape)
    y = transpose(y, back) if channels_last else y
    return (y, where) if return_indices else y


@composite(embedding.embedding)
def _(input, weight, padding_idx=None):
    places = plain(input)
    if padding_idx is not None:
        rows = array_module(places).arange(weight.shape[0])[:, None]
        weight = selection.where(rows == padding_idx % weight.shape[0], weight.data, weight)
    return getitem(weight, places)
