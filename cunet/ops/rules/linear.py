"""Ops that are linear, of which no more need be said."""

from __future__ import annotations

from ...autograd.rules import linear
from .. import array, cumulative, dropout, fourier, fourier_axes, resize, sampling, sorting
from ..array import _concatenate, _stack
from ..conv.convolution import _convolution, _transposed_convolution
from ..einsum import _einsum
from ..gaussian_dropout import _gaussian_dropout
from ..indexing import _getitem
from ..pool.pooling import _avg_pool
from ..rearrange import diagonal
from ..recurrent.layers import reorder

linear(
    array.repeat, array.to_device, array.flip, cumulative.cumsum, fourier._rfft, resize._interpolate,
    _gaussian_dropout, resize._pad_border, sorting._taken, _getitem, _avg_pool, diagonal, reorder,
)  # fmt: skip
linear(array.pad, dropout._dropout, dropout._channel_dropout, sampling._add_gumbel_noise, affine=True)
linear(_convolution, _transposed_convolution, terms=((0, 1), (2,)))
linear(fourier._irfft, fourier_axes._transform, terms=((0,), (1,)))
linear(_einsum, terms=())
linear(_concatenate, _stack, each=True)
