"""DropBlock: squares of a feature map are dropped, for single positions say what their neighbours say."""

from __future__ import annotations

from typing import Any

from ..autograd.tape import no_grad
from ..autograd.tensor import Tensor
from ..device import accumulator, array_module
from ..kernels.capture import done
from ..ops.array import pad
from ..ops.dropout import dropout
from ..ops.dropout_mask import threshold_of
from ..ops.operands import lifted
from ..ops.pool.pooling import max_pool2d
from ..ops.rounding import sign
from ..ops.selection import maximum
from ..random import Generator
from .inputs import as_input
from .module import Module
from .parameter import check_sizes


class DropBlock2d(Module):
    """Drop squares of `block_size` positions in each channel of (N, C, H, W); in evaluation return the input.

    Squares lie within the map; each of the ``(H - b + 1) * (W - b + 1)`` places gets one with probability
    ``p / b**2 * H * W / ((H - b + 1) * (W - b + 1))``, in steps of 1/65536, so that a little less than `p` is dropped,
    since squares overlap. What is left is divided by its share of all positions.

    Args:
        p: part to drop, 0 to 1.
        block_size: length b of a side, at most H and W.
        generator: where masks are drawn from; by default the stream "dropout" of `cunet.manual_seed`.

    Source: Ghiasi, Lin and Le 2018, arXiv:1810.12890, algorithm 1 and equation 1; a mask for each channel.

    Example:
        >>> y = nn.DropBlock2d(0.2, block_size=2)(np.ones((1, 1, 5, 5)))
        >>> y[0, 0].round(4)
        Tensor([[1.4706, 1.4706, 1.4706, 1.4706, 1.4706],
                [1.4706, 1.4706, 0.    , 0.    , 1.4706],
                [1.4706, 1.4706, 0.    , 0.    , 1.4706],
                [1.4706, 1.4706, 0.    , 0.    , 1.4706],
                [1.4706, 1.4706, 0.    , 0.    , 1.4706]], dtype=float64)
    """

    def __init__(self, p: float, block_size: int, *, generator: Generator | None = None) -> None:
        threshold_of("DropBlock2d", p)
        check_sizes("DropBlock2d", block_size=block_size)
        self.p, self.block_size, self.generator = p, block_size, generator

    def forward(self, x: Any) -> Any:
        """Return `x` with fresh squares dropped in training, `x` itself in evaluation."""
        x = lifted(as_input(self, x, None))
        if len(x.shape) != 4:
            raise ValueError(f"DropBlock2d: x must have 4 axes, (N, C, H, W), got shape {x.shape}")
        if not self.training or self.p == 0:
            return x
        b, (height, width) = self.block_size, x.shape[2:]
        if x.data.size and b > min(height, width):
            raise ValueError(f"DropBlock2d: x must have at least block_size = {b} rows and columns, got {x.shape}")
        return x * self._factors(x) if x.data.size else x

    def _factors(self, x: Tensor) -> Tensor:
        """Return for each element what it is multiplied by."""
        b, (n, c, height, width) = self.block_size, x.shape
        rows, columns = height - b + 1, width - b + 1
        p = min(1.0, self.p / b**2 * height * width / (rows * columns))
        ones = done(array_module(x.data).ones, (n, c, rows, columns), accumulator(x.data.dtype))
        with no_grad():
            corners = -dropout(ones, p, generator=self.generator)  # 0 where a square begins, else below
            border = ((0, 0), (0, 0), (b - 1, b - 1), (b - 1, b - 1))
            mask = abs(sign(max_pool2d(pad(corners, border, value=-1.0), b, 1)))
            return (mask / maximum(mask.mean(), 1 / x.data.size)).astype(x.data.dtype)

    def extra_repr(self) -> str:
        """Show part and side."""
        return f"p={self.p}, block_size={self.block_size}"
