"""Linear, Bilinear, Embedding, Flatten, Identity."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import init as initialisers
from ..autograd.tensor import Tensor, as_array
from ..device import Array
from ..ops.array import reshape
from ..ops.einsum import einsum
from ..ops.embedding import check_limit, embedding
from ..ops.linalg import linear
from ..ops.math import add
from ..ops.softmax import check_floating
from ..random import Generator
from ..system.checks import check_counts
from .inputs import as_input
from .module import Module
from .parameter import FirstValues, Parameter, check_sizes, fill, make_parameter, uniform_by_fan_in


class Linear(Module):
    """Affine map ``y = x @ weight.T + bias``.

    Args:
        in_features: length of the last axis of the input (..., in_features). None: that of the first input. The
            parameters are then drawn at the first call, unless a state is loaded before; they are the same objects
            before and after, so that an optimiser or a tied layer made before the first call keeps them.
        out_features: length of the last axis of the output (..., out_features).
        bias: whether to add a bias. Before a batch norm it can be left out: its gradient there is 0.
        init: initialiser of the weight (see `cunet.init.get`); by default PyTorch's,
            U(-1/sqrt(in_features), 1/sqrt(in_features)). For deep ReLU nets "kaiming_normal" keeps the variance.
        bias_init: initialiser of the bias; by default the same distribution as PyTorch's.
        generator: where the values are drawn from.
        dtype: floating dtype of the parameters.

    Attributes:
        weight: shape (out_features, in_features); (out_features, 0) before a first call that tells it.
        bias: shape (out_features,), or None.

    Example:
        >>> layer = nn.Linear(784, 10)
        >>> layer.weight.shape, layer(np.ones((5, 784))).shape
        ((10, 784), (5, 10))
        >>> layer = nn.Linear(None, 10)  # takes what comes
        >>> layer(np.ones((5, 20))).shape, layer.weight.shape
        ((5, 10), (10, 20))
    """

    weight: Parameter
    bias: Parameter | None

    def __init__(
        self,
        in_features: int | None,
        out_features: int,
        bias: bool = True,
        *,
        init: Any = None,
        bias_init: Any = None,
        generator: Generator | None = None,
        dtype: Any = np.float32,
    ) -> None:
        check_sizes("Linear", in_features=1 if in_features is None else in_features, out_features=out_features)
        self.in_features, self.out_features = in_features, out_features
        values = FirstValues(init, bias_init, generator, bias)
        if in_features is None:
            self._first = values
            self.weight, self.bias = values.to_come((out_features, 0), out_features, dtype)
        else:
            self.weight, self.bias = self._drawn(in_features, values, dtype)

    def _drawn(self, in_features: int, values: FirstValues, dtype: Any) -> tuple[Parameter, Parameter | None]:
        return values.drawn((self.out_features, in_features), self.out_features, uniform_by_fan_in(in_features), dtype)

    def settle(self, x: Tensor | Array) -> None:
        """Take over in_features from the first input, and draw the parameters, unless a state brought them."""
        in_features = self.weight.shape[1] or (x.shape[-1] if x.ndim else 0)
        check_sizes("Linear", in_features=in_features)
        if not self.weight.size:
            fill((self.weight, self.bias), self._drawn(in_features, self._first, self.weight.dtype))
        self.in_features = in_features

    def forward(self, x: Any) -> Tensor:
        """Return the map of `x` (..., in_features)."""
        x = as_input(self, x, self.weight)
        if self.in_features is None:
            self.settle(x)
        return linear(x, self.weight, self.bias)

    def extra_repr(self) -> str:
        """Show the sizes."""
        return f"{self.in_features}, {self.out_features}" + ("" if self.bias is not None else ", bias=False")


class Bilinear(Module):
    """Bilinear map ``y[o] = x1 @ weight[o] @ x2 + bias[o]``.

    Args:
        in1_features, in2_features: lengths of the last axes of the two inputs; their other axes are equal.
        out_features: length of the last axis of the output.
        bias: whether to add a bias.
        init, bias_init, generator, dtype: see `Linear`; here ``fan_in = in1_features``, as PyTorch has it.

    Attributes:
        weight: shape (out_features, in1_features, in2_features).
        bias: shape (out_features,), or None.

    Example:
        >>> nn.Bilinear(2, 3, 4)(np.ones((5, 2)), np.ones((5, 3))).shape
        (5, 4)
        >>> nn.Bilinear(2, 2, 1, bias=False, init=1.0)([[1.0, 2.0]], [[3.0, 4.0]])  # (1 + 2) * (3 + 4)
        Tensor([[21.]], requires_grad=True)
    """

    def __init__(
        self,
        in1_features: int,
        in2_features: int,
        out_features: int,
        bias: bool = True,
        *,
        init: Any = None,
        bias_init: Any = None,
        generator: Generator | None = None,
        dtype: Any = np.float32,
    ) -> None:
        check_sizes("Bilinear", in1_features=in1_features, in2_features=in2_features, out_features=out_features)
        self.in1_features, self.in2_features, self.out_features = in1_features, in2_features, out_features
        distribution = uniform_by_fan_in(in1_features)
        self.weight = make_parameter((out_features, in1_features, in2_features), init, distribution, generator, dtype)
        self.bias = make_parameter((out_features,), bias_init, distribution, generator, dtype) if bias else None

    def forward(self, x1: Any, x2: Any) -> Tensor:
        """Return the map of `x1` (..., in1_features) and `x2` (..., in2_features)."""
        x1, x2 = as_input(self, x1, self.weight, "x1"), as_input(self, x2, self.weight, "x2")
        lengths = (*x1.shape[-1:], *x2.shape[-1:])
        if x1.shape[:-1] != x2.shape[:-1] or lengths != (self.in1_features, self.in2_features):
            raise ValueError(
                f"Bilinear: inputs must have shapes (..., {self.in1_features}) and (..., {self.in2_features}) with"
                f" equal other axes, got {x1.shape} and {x2.shape}"
            )
        y = einsum("...i,oij,...j->...o", x1, self.weight, x2)
        return y if self.bias is None else add(y, self.bias)

    def extra_repr(self) -> str:
        """Show the sizes."""
        return f"{self.in1_features}, {self.in2_features}, {self.out_features}" + ", bias=False" * (self.bias is None)


class Embedding(Module):
    """Table of vectors, looked up by index.

    Args:
        num_embeddings: number of vectors; indices are 0 to num_embeddings - 1.
        embedding_dim: length of each vector.
        padding_idx: index whose vector starts at 0 and gets no gradient.
        max_norm: vectors that are looked up and whose norm is larger are first shortened to it, in the table itself.
        norm_type: order of that norm.
        init: initialiser of the table; by default N(0, 1), as PyTorch's.
        generator: where the values are drawn from.
        dtype: floating dtype of the table.

    Attributes:
        weight: shape (num_embeddings, embedding_dim).

    Example:
        >>> layer = nn.Embedding(1000, 4, padding_idx=0)
        >>> layer([[7, 3, 0], [5, 0, 0]]).shape
        (2, 3, 4)
        >>> layer([0])
        Tensor([[0., 0., 0., 0.]], requires_grad=True)
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        *,
        init: Any = None,
        generator: Generator | None = None,
        dtype: Any = np.float32,
    ) -> None:
        self._set_up(num_embeddings, embedding_dim, padding_idx, max_norm, norm_type)
        self.weight = make_parameter((num_embeddings, embedding_dim), init, initialisers.normal(), generator, dtype)
        if self.padding_idx is not None:
            self.weight.data[self.padding_idx] = 0

    def _set_up(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None,
        max_norm: float | None,
        norm_type: float,
    ) -> None:
        check_sizes("Embedding", num_embeddings=num_embeddings, embedding_dim=embedding_dim)
        if padding_idx is not None and not -num_embeddings <= padding_idx < num_embeddings:
            raise ValueError(f"Embedding: padding_idx must be within {num_embeddings} embeddings, got {padding_idx}")
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.padding_idx = None if padding_idx is None else padding_idx % num_embeddings
        check_limit("Embedding", 1.0 if max_norm is None else max_norm, norm_type)
        self.max_norm, self.norm_type = max_norm, norm_type

    @classmethod
    def from_pretrained(
        cls,
        embeddings: Any,
        freeze: bool = True,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
    ) -> Embedding:
        """Return a layer with a given table.

        Args:
            embeddings: (num_embeddings, embedding_dim), floating; an array is kept, not copied.
            freeze: whether the table is left as it is in training.
            padding_idx, max_norm, norm_type: see `Embedding`; here the vector of `padding_idx` is what it is.

        Raises:
            ValueError: the table has another number of axes, or an argument is out of range.
            TypeError: the table is not of floating dtype.
        """
        table = embeddings.data if isinstance(embeddings, Tensor) else as_array(embeddings)
        check_floating("Embedding.from_pretrained", table, "embeddings")
        if table.ndim != 2:
            raise ValueError(
                "Embedding.from_pretrained: embeddings must have shape (num_embeddings, embedding_dim), "
                f"got {table.shape}"
            )
        rows, width = table.shape
        layer = cls.__new__(cls)
        layer._set_up(rows, width, padding_idx, max_norm, norm_type)
        layer.weight = Parameter(table, not freeze)
        return layer

    def forward(self, indices: Any) -> Tensor:
        """Return the vectors of integer `indices` of any shape: shape (*indices.shape, embedding_dim)."""
        return embedding(indices, self.weight, self.padding_idx, self.max_norm, self.norm_type)

    def extra_repr(self) -> str:
        """Show the sizes."""
        shown = [f"{self.num_embeddings}, {self.embedding_dim}"]
        shown += [f"{k}={v}" for k in ("padding_idx", "max_norm") if (v := getattr(self, k)) is not None]
        return ", ".join(shown + ([f"norm_type={self.norm_type}"] if self.norm_type != 2 else []))


class Flatten(Module):
    """Join the axes `start_dim` to `end_dim` (inclusive) into one; by default all but the first.

    Example:
        >>> x = np.zeros((5, 3, 8, 8))
        >>> nn.Flatten()(x).shape, nn.Flatten(0, 1)(x).shape
        ((5, 192), (15, 8, 8))
    """

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        check_counts("Flatten", -math.inf, start_dim=start_dim, end_dim=end_dim)
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, x: Any) -> Tensor:
        """Return `x` with these axes joined."""
        x = as_input(self, x, None)
        first, last = (axis + x.ndim if axis < 0 else axis for axis in (self.start_dim, self.end_dim))
        if not 0 <= first <= last < x.ndim:
            raise ValueError(
                f"Flatten: start_dim {self.start_dim} to end_dim {self.end_dim} is no range of axes of shape {x.shape}"
            )
        joined = math.prod(x.shape[first : last + 1])  # not -1: the batch may be empty
        return reshape(x, shape=(*x.shape[:first], joined, *x.shape[last + 1 :]))

    def extra_repr(self) -> str:
        """Show the range of axes."""
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Identity(Module):
    """Return the input; takes and ignores any arguments, as PyTorch's.

    Example:
        >>> model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
        >>> model[-1] = nn.Identity()  # what the last layer would be given
        >>> model(np.ones((2, 4))).shape
        (2, 8)
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def forward(self, x: Any) -> Any:
        """Return `x`."""
        return x
