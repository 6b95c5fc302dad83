"""Multi-head attention, and sinusoidal positions."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import init as initialisers
from ..autograd.methods import ArrayMethods
from ..autograd.tensor import Tensor, array_of, as_array
from ..device import array_module, device_of, is_floating, like
from ..ops.array import reshape, split, transpose
from ..ops.attention import attention, sinusoidal_positions
from ..ops.dropout import dropout
from ..ops.dropout_mask import threshold_of
from ..ops.linalg import linear
from ..ops.math import add
from ..ops.operands import lifted
from ..ops.reduce import mean
from ..ops.selection import where
from ..random import Generator
from .inputs import as_input
from .linear import Linear
from .module import Module
from .parameter import check_sizes, make_parameter


class MultiheadAttention(Module):
    """Attention of several heads, each with projections of its own to a part of the features.

    Args:
        embed_dim: length E of queries and outputs; a multiple of num_heads.
        num_heads: number of heads.
        dropout: probability to drop an attention weight.
        bias: whether the projections have biases.
        add_bias_kv, add_zero_attn: False; PyTorch's learned key and value, and a key and value of 0, are not offered.
        kdim, vdim: lengths of keys and values; by default E.
        batch_first: whether inputs and outputs are (N, L, E), not (L, N, E).
        generator: where the weights are drawn from: `xavier_uniform` for the input projections.
        mask_generator: where dropout masks are drawn from; by default the stream "dropout" of `cunet.manual_seed`.
        dtype: floating dtype of the parameters.

    Attributes:
        in_proj_weight: shape (3E, E), for query, key and value; with other lengths of keys or values
            q_proj_weight, k_proj_weight and v_proj_weight instead.
        in_proj_bias: shape (3E,), or None.
        out_proj: `Linear` of the joined heads.

    Source: Vaswani et al. 2017, arXiv:1706.03762, section 3.2.2.

    Example:
        >>> layer, x = nn.MultiheadAttention(8, num_heads=2, batch_first=True), np.zeros((1, 3, 8))
        >>> y, weights = layer(x, x, x, key_padding_mask=[[False, False, True]])  # True: left out
        >>> y.shape, weights.data[0, 0]
        ((1, 3, 8), array([0.5, 0.5, 0. ], dtype=float32))
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        add_bias_kv: bool = False,
        add_zero_attn: bool = False,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = False,
        *,
        generator: Generator | None = None,
        mask_generator: Generator | None = None,
        dtype: Any = np.float32,
    ) -> None:
        check_sizes("MultiheadAttention", embed_dim=embed_dim, num_heads=num_heads)
        if embed_dim % num_heads:
            raise ValueError(f"MultiheadAttention: num_heads must divide embed_dim = {embed_dim}, got {num_heads}")
        threshold_of("MultiheadAttention", dropout, "dropout")
        if add_bias_kv or add_zero_attn:
            raise ValueError("MultiheadAttention: add_bias_kv and add_zero_attn must be False; put such a key in front")
        self.embed_dim, self.num_heads, self.dropout, self.batch_first = embed_dim, num_heads, dropout, batch_first
        self.kdim, self.vdim, self.mask_generator = kdim or embed_dim, vdim or embed_dim, mask_generator
        distribution = initialisers.xavier_uniform()
        self.in_proj_weight = None
        if {kdim, vdim} <= {None, embed_dim}:
            self.in_proj_weight = make_parameter((3 * embed_dim, embed_dim), None, distribution, generator, dtype)
        else:
            self.q_proj_weight = make_parameter((embed_dim, embed_dim), None, distribution, generator, dtype)
            self.k_proj_weight = make_parameter((embed_dim, kdim or embed_dim), None, distribution, generator, dtype)
            self.v_proj_weight = make_parameter((embed_dim, vdim or embed_dim), None, distribution, generator, dtype)
        zeros = initialisers.zeros()
        self.in_proj_bias = make_parameter((3 * embed_dim,), None, zeros, generator, dtype) if bias else None
        self.out_proj = Linear(embed_dim, embed_dim, bias, bias_init=zeros, generator=generator, dtype=dtype)

    def forward(
        self,
        query: Any,
        key: Any,
        value: Any,
        key_padding_mask: Any = None,
        need_weights: bool = True,
        attn_mask: Any = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """Attend from queries to keys.

        Bool masks say, as PyTorch's do here, what is left out: the contrary of `F.scaled_dot_product_attention`.
        A query that may attend to nothing gets the bias of `out_proj`; PyTorch gives NaN.

        Args:
            query: shape (L, N, E), or (N, L, E) with batch_first, or (L, E).
            key, value: shapes (S, N, kdim) and (S, N, vdim), or as the query.
            key_padding_mask: shape (N, S), or (S,): bool, True where a key is padding, which is then not looked at, be
                it NaN (unless it is the query too: queries are); or floating, added.
            attn_mask: shape (L, S) or (N * num_heads, L, S): True where a query may not attend; or floating, added.
            need_weights, average_attn_weights: whether to return the attention weights, and their mean over the heads.
            is_causal: whether query i may attend to keys 0 to i only, besides all masks.

        Returns:
            ``(output, weights)``: output like the query; weights (N, L, S), or (N, num_heads, L, S), or None.

        Raises:
            ValueError: shapes do not fit together.
            TypeError: an input is no array, or a mask neither bool nor floating.
        """
        query, key, value = self._inputs(query=query, key=key, value=value)
        if key is not query:
            key, value = self._without_padding(key, value, key_padding_mask)
        q, k, v, single = self._projected(query, key, value)
        mask = self._mask(attn_mask, key_padding_mask, q, k)
        y, weights = attention(
            q, k, v, mask, self.dropout, is_causal, training=self.training, generator=self.mask_generator
        )
        out = self.out_proj(self._merged(y, single))
        if not need_weights:
            return out, None
        weights = mean(weights, axis=1) if average_attn_weights else weights
        return out, reshape(weights, shape=weights.shape[1:]) if single else weights

    def _inputs(self, **given: Any) -> list[Tensor]:
        """Return query, key and value as Tensors whose shapes fit; what was given twice is one Tensor."""
        weight = next(iter(self.parameters()))
        found: dict[int, Tensor] = {}
        for name, x in given.items():
            if id(x) not in found:
                found[id(x)] = lifted(as_input(self, x, weight, name))
        query, key, value = tensors = [found[id(x)] for x in given.values()]
        shapes = query.shape, key.shape, value.shape
        lengths = [shape[-1:] for shape in shapes] == [(self.embed_dim,), (self.kdim,), (self.vdim,)]
        batches = (
            query.ndim == 2 or len({shape[0 if self.batch_first else 1] for shape in shapes if len(shape) == 3}) == 1
        )
        if (
            query.ndim not in (2, 3)
            or key.ndim != query.ndim
            or key.shape[:-1] != value.shape[:-1]
            or not (lengths and batches)
        ):
            wanted = [f"({'N, L' if self.batch_first else 'L, N'}, {self.embed_dim})"]
            wanted += [f"({'N, S' if self.batch_first else 'S, N'}, {n})" for n in (self.kdim, self.vdim)]
            raise ValueError(
                f"MultiheadAttention: query, key and value must have shapes {', '.join(wanted)}, or all no axis N, "
                f"got {', '.join(map(str, shapes))}"
            )
        return tensors

    def _projected(self, query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor, Tensor, bool]:
        """Return queries, keys and values of all heads, (N, heads, L, E / heads), and whether there was no batch."""
        same = key is query and value is query
        single = query.ndim == 2
        q, k, v = (self._heads(x, single) for x in self._project(query, key, value, same))
        return q, k, v, single

    def _without_padding(self, key: Any, value: Any, padding: Any) -> tuple[Any, Any]:
        """Return keys and values, 0 where they are padding: in the gradient of a weight 0 times NaN would be NaN."""
        mask = None if padding is None else _data(padding)
        if mask is None or mask.dtype.kind != "b":
            return key, value
        kept = ~(mask if self.batch_first or mask.ndim == 1 else mask.T)[..., None]
        arrays = [_data(x) for x in (key, value)]
        if any(a.shape[:-1] != kept.shape[:-1] for a in arrays):
            return key, value  # which is an error that `_mask` names
        key, value = (where(like(kept, a), x, 0.0) for x, a in zip((key, value), arrays, strict=True))
        return key, value

    def _project(self, query: Tensor, key: Tensor, value: Tensor, same: bool) -> Any:
        """Return queries, keys and values as the heads want them, (..., E) each; one product if they are the same."""
        if self.in_proj_weight is None:
            weights: Any = (self.q_proj_weight, self.k_proj_weight, self.v_proj_weight)
        elif same:
            return split(linear(query, self.in_proj_weight, self.in_proj_bias), sections=3, axis=-1)
        else:
            weights = split(self.in_proj_weight, sections=3, axis=0)
        biases = (None,) * 3 if self.in_proj_bias is None else split(self.in_proj_bias, sections=3, axis=0)
        return [linear(x, w, b) for x, w, b in zip((query, key, value), weights, biases, strict=True)]

    def _heads(self, x: Tensor, single: bool) -> Tensor:
        """Return (L, N, E) in the module's layout as (N, heads, L, E / heads)."""
        outer = (1, *x.shape[:1]) if single else x.shape[:2]
        parts = reshape(x, shape=(*outer, self.num_heads, self.embed_dim // self.num_heads))
        return transpose(parts, axes=(0, 2, 1, 3) if self.batch_first or single else (1, 2, 0, 3))

    def _merged(self, y: Tensor, single: bool) -> Tensor:
        """Return (N, heads, L, E / heads) as (L, N, E) in the module's layout: the inverse of `_heads`."""
        batch, _, length, _ = y.shape
        y = transpose(y, axes=(0, 2, 1, 3) if self.batch_first or single else (2, 0, 1, 3))
        outer = (length,) if single else (batch, length) if self.batch_first else (length, batch)
        return reshape(y, shape=(*outer, self.embed_dim))

    def _mask(self, attn_mask: Any, key_padding_mask: Any, q: Tensor, k: Tensor) -> Any:
        """Return one mask for `attention` from both of the module's, or None."""
        batch, heads, length, keys = *q.shape[:3], k.shape[2]
        parts = []
        for name, given, shapes in (
            (
                "attn_mask",
                attn_mask,
                {(length, keys): (length, keys), (batch * heads, length, keys): (batch, heads, length, keys)},
            ),
            ("key_padding_mask", key_padding_mask, {(batch, keys): (batch, 1, 1, keys), (keys,): (1, 1, 1, keys)}),
        ):
            if given is None:
                continue
            mask = given if isinstance(given, ArrayMethods) else Tensor(like(as_array(given), array_of(q)))
            if mask.dtype.kind != "b" and not is_floating(mask.dtype):
                raise TypeError(f"MultiheadAttention: {name} must be of bool or floating dtype, got {mask.dtype}")
            if mask.shape not in shapes:
                raise ValueError(f"MultiheadAttention: {name} must have a shape of {list(shapes)}, got {mask.shape}")
            parts.append(reshape(mask, shape=shapes[mask.shape]))
        if not parts:
            return None
        if all(m.dtype.kind == "b" for m in parts):
            left_out = parts[0].data if len(parts) == 1 else parts[0].data | parts[1].data
            return ~left_out
        added = [_added(m, q) for m in parts]
        return added[0] if len(added) == 1 else add(*added)

    def extra_repr(self) -> str:
        """Show sizes."""
        dropout = f", dropout={self.dropout}" if self.dropout else ""
        return f"{self.embed_dim}, {self.num_heads}{dropout}" + (", batch_first=True" if self.batch_first else "")


def _data(x: Any) -> Any:
    return x.data if isinstance(x, Tensor) else as_array(x)


def _added(mask: Tensor, like: Tensor) -> Any:
    """Return a mask as what is added to the scores: -inf where a mask of bools says to leave out."""
    if mask.dtype.kind != "b":
        return mask
    xp = array_module(mask.data)
    bias = xp.zeros(mask.shape, like.dtype)
    bias[mask.data] = -np.inf
    return bias


class PositionalEncoding(Module):
    """Add sinusoids that tell positions, then drop.

    Args:
        d_model: length of the last axis.
        dropout: probability to drop an element of the sum.
        batch_first: whether inputs are (N, T, d_model), not (T, N, d_model).

    There is no greatest length: the table grows when it is needed. It is no part of the state.

    Source: Vaswani et al. 2017, arXiv:1706.03762, section 3.5.

    Example:
        >>> nn.PositionalEncoding(4, dropout=0.0)(np.zeros((3, 4))).round(3)
        Tensor([[ 0.   ,  1.   ,  0.   ,  1.   ],
                [ 0.841,  0.54 ,  0.01 ,  1.   ],
                [ 0.909, -0.416,  0.02 ,  1.   ]], dtype=float64)
    """

    def __init__(self, d_model: int, dropout: float = 0.1, batch_first: bool = False) -> None:
        check_sizes("PositionalEncoding", d_model=d_model)
        threshold_of("PositionalEncoding", dropout, "dropout")
        self.d_model, self.dropout, self.batch_first = d_model, dropout, batch_first
        self._table = Tensor(sinusoidal_positions(0, d_model))

    def forward(self, x: Any) -> Tensor:
        """Return `x` (T, N, d_model) with its positions."""
        x = as_input(self, x, None)
        if x.ndim not in (2, 3) or x.shape[-1] != self.d_model:
            raise ValueError(f"PositionalEncoding: x must have shape (T, N, {self.d_model}), got {x.shape}")
        array = array_of(x)
        time = 1 if self.batch_first and x.ndim == 3 else 0
        length, table = x.shape[time], self._table.data
        if len(table) < length or table.dtype != x.dtype or device_of(table) != device_of(array):
            table = like(sinusoidal_positions(max(length, len(table)), self.d_model, x.dtype), array)
            self._table.data = table
        rows = table[:length] if time or x.ndim == 2 else table[:length, None]
        return dropout(add(x, rows), self.dropout, self.training)

    def extra_repr(self) -> str:
        """Show length and rate."""
        return f"{self.d_model}, dropout={self.dropout}" + (", batch_first=True" if self.batch_first else "")
