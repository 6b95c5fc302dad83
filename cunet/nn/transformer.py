"""The encoder of the transformer, with the norms behind what they serve, or in front."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np

from ..autograd.tensor import Tensor
from ..ops.activation.gated import gelu
from ..ops.activation.rectifier import relu
from ..ops.math import add
from ..random import Generator
from ..system.checks import check_numbers
from .attention import MultiheadAttention
from .container import ModuleList
from .dropout import Dropout
from .inputs import as_input
from .linear import Linear
from .module import Module
from .norm import LayerNorm
from .parameter import check_sizes

_ACTIVATIONS: dict[str, Callable[..., Any]] = {"relu": relu, "gelu": gelu}


class TransformerEncoderLayer(Module):
    """Self-attention and a feed-forward net, each with a layer norm and a way around it.

    As in the paper, and in PyTorch by default: ``x = norm1(x + attention(x))`` and
    ``x = norm2(x + linear2(activation(linear1(x))))``. With `norm_first` ``x = x + attention(norm1(x))`` and so on:
    gradients then reach all layers at any depth without a warm-up (Xiong et al. 2020).

    Args:
        d_model: length of the last axis of inputs and outputs.
        nhead: number of heads; divides d_model.
        dim_feedforward: number of hidden units.
        dropout: probability to drop: attention weights, hidden units, and what either branch adds.
        activation: "relu", "gelu" or a function.
        layer_norm_eps: added to the variances.
        batch_first: whether inputs are (N, L, d_model), not (L, N, d_model).
        norm_first: whether each norm comes before its branch.
        bias: whether linear layers and norms have biases.
        generator: where the weights are drawn from.
        dtype: floating dtype of the parameters.

    Attributes:
        self_attn, linear1, linear2, norm1, norm2: as in PyTorch, whose state dict fits.

    Source: Vaswani et al. 2017, arXiv:1706.03762, section 3.1; norms first: Xiong et al. 2020, arXiv:2002.04745.

    Example:
        >>> layer = nn.TransformerEncoderLayer(16, nhead=4, dim_feedforward=32, batch_first=True)
        >>> padding = np.array([[False] * 5, [False] * 3 + [True] * 2])
        >>> layer(np.zeros((2, 5, 16)), src_key_padding_mask=padding).shape
        (2, 5, 16)
    """

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: str | Callable[..., Any] = "relu",
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        *,
        generator: Generator | None = None,
        dtype: Any = np.float32,
    ) -> None:
        check_sizes("TransformerEncoderLayer", d_model=d_model, nhead=nhead, dim_feedforward=dim_feedforward)
        check_numbers("TransformerEncoderLayer", layer_norm_eps=layer_norm_eps)
        if isinstance(activation, str) and activation not in _ACTIVATIONS:
            raise ValueError(
                f'TransformerEncoderLayer: activation must be "relu", "gelu" or a function, got {activation!r}'
            )
        options: dict[str, Any] = {"generator": generator, "dtype": dtype}
        self.self_attn = MultiheadAttention(d_model, nhead, dropout, bias, batch_first=batch_first, **options)
        self.linear1 = Linear(d_model, dim_feedforward, bias, **options)
        self.dropout = Dropout(dropout)
        self.linear2 = Linear(dim_feedforward, d_model, bias, **options)
        self.norm1 = LayerNorm(d_model, layer_norm_eps, bias=bias, dtype=dtype)
        self.norm2 = LayerNorm(d_model, layer_norm_eps, bias=bias, dtype=dtype)
        self.dropout1, self.dropout2 = Dropout(dropout), Dropout(dropout)
        self.activation = _ACTIVATIONS[activation] if isinstance(activation, str) else activation
        self.norm_first = norm_first

    def forward(
        self, src: Any, src_mask: Any = None, src_key_padding_mask: Any = None, is_causal: bool = False
    ) -> Tensor:
        """Return the encoding of `src`, of its shape.

        Args:
            src: shape (L, N, d_model), or (N, L, d_model) with batch_first, or (L, d_model).
            src_mask, src_key_padding_mask, is_causal: attn_mask, key_padding_mask and is_causal of
                `MultiheadAttention.forward`: bools are True where something is left out.
        """
        src = as_input(self, src, self.linear1.weight, "src")

        def attend(x: Any) -> Tensor:
            y, _ = self.self_attn(x, x, x, src_key_padding_mask, False, src_mask, is_causal=is_causal)
            return self.dropout1(y)

        def feed(x: Any) -> Tensor:
            return self.dropout2(self.linear2(self.dropout(self.activation(self.linear1(x)))))

        if self.norm_first:
            x = add(src, attend(self.norm1(src)))
            return add(x, feed(self.norm2(x)))
        x = self.norm1(add(src, attend(src)))
        return self.norm2(add(x, feed(x)))

    def extra_repr(self) -> str:
        """Show the order."""
        return f"norm_first={self.norm_first}"


class TransformerEncoder(Module):
    """A stack of encoder layers, and a norm at the end if one is given (layers with norms first want one).

    Args:
        encoder_layer: a layer, copied `num_layers` times: all layers then begin with the same weights, as in
            PyTorch. Or a function without arguments that makes a layer, called for each: ``lambda:
            nn.TransformerEncoderLayer(64, 4)``.
        num_layers: number of layers.
        norm: module for the last output, or None.
        enable_nested_tensor, mask_check: taken for PyTorch's sake, whose fast path they are about, and ignored.

    Attributes:
        layers: `ModuleList` of the layers.
        norm: the last norm.

    Example:
        >>> encoder = nn.TransformerEncoder(lambda: nn.TransformerEncoderLayer(16, 4, 32), num_layers=2)
        >>> encoder(np.zeros((5, 3, 16)), is_causal=True).shape  # (L, N, d_model)
        (5, 3, 16)
    """

    def __init__(
        self,
        encoder_layer: Module | Callable[[], Module],
        num_layers: int,
        norm: Module | None = None,
        enable_nested_tensor: bool = True,
        mask_check: bool = True,
    ) -> None:
        check_sizes("TransformerEncoder", num_layers=num_layers)

        def make() -> Module:
            return copy.deepcopy(encoder_layer) if isinstance(encoder_layer, Module) else encoder_layer()

        self.layers = ModuleList([make() for _ in range(num_layers)])
        self.norm = norm

    def forward(self, src: Any, mask: Any = None, src_key_padding_mask: Any = None, is_causal: bool = False) -> Tensor:
        """Return the encoding of `src`; see `TransformerEncoderLayer.forward` for the arguments."""
        x = src
        for layer in self.layers:
            x = layer(x, mask, src_key_padding_mask, is_causal)
        return x if self.norm is None else self.norm(x)
