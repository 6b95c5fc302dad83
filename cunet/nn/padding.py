"""Border layers: classes of `cunet.functional.pad` for 1, 2 and 3 spatial axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..autograd.tensor import Tensor
from ..ops.resize import pad
from ..system.checks import check_counts
from .inputs import as_input
from .module import Module


class _Pad(Module):
    """Border of the spatial axes; see `cunet.functional.pad`.

    Args:
        padding: one width for all sides, or (before, after) of the last axis, then of the one before it.
        channels_last: the input is (N, *spatial, C).
    """

    mode: str
    ndim: int

    def __init__(self, padding: int | Sequence[int], channels_last: bool = False) -> None:
        widths: Any = padding if isinstance(padding, (tuple, list)) else (padding,) * (2 * self.ndim)
        self.padding: tuple[int, ...] = tuple(widths)
        for width in self.padding:
            check_counts(type(self).__name__, 0, padding=width)
        if len(self.padding) != 2 * self.ndim:
            raise ValueError(f"{type(self).__name__}: padding must be 1 or {2 * self.ndim} numbers, got {padding!r}")
        self.channels_last = channels_last

    def forward(self, x: Any) -> Tensor:
        """Return `x` with its border."""
        return pad(as_input(self, x, None), self.padding, self.mode, channels_last=self.channels_last)

    def extra_repr(self) -> str:
        """Show the widths."""
        return f"{self.padding}"


class ZeroPad1d(_Pad):
    """Put zeros around (N, C, L); see `cunet.functional.pad`.

    Args:
        padding: one width for both ends, or (before, after).
        channels_last: the input is (N, L, C).

    Example:
        >>> nn.ZeroPad1d((1, 2))([[[1.0, 2.0, 3.0]]])
        Tensor([[[0., 1., 2., 3., 0., 0.]]])
    """

    mode, ndim = "constant", 1


class ZeroPad2d(_Pad):
    """Put zeros around (N, C, H, W); see `cunet.functional.pad`.

    Args:
        padding: one width for all sides, or (left, right, top, bottom).
        channels_last: the input is (N, H, W, C).

    Example:
        >>> nn.ZeroPad2d((1, 2, 0, 0))(np.ones((1, 1, 4, 4))).shape  # left and right first
        (1, 1, 4, 7)
    """

    mode, ndim = "constant", 2


class ZeroPad3d(_Pad):
    """Put zeros around (N, C, D, H, W); see `cunet.functional.pad`.

    Args:
        padding: one width for all sides, or (left, right, top, bottom, front, back).
        channels_last: the input is (N, D, H, W, C).

    Example:
        >>> nn.ZeroPad3d((0, 0, 0, 0, 1, 1))(np.ones((1, 1, 4, 4, 4))).shape
        (1, 1, 6, 4, 4)
    """

    mode, ndim = "constant", 3


class ReflectionPad1d(_Pad):
    """Mirror (N, C, L) at its ends, whose own values come once; see `cunet.functional.pad`.

    Args:
        padding: one width for both ends, or (before, after).
        channels_last: the input is (N, L, C).

    Example:
        >>> nn.ReflectionPad1d(2)([[[1.0, 2.0, 3.0]]])
        Tensor([[[3., 2., 1., 2., 3., 2., 1.]]])
    """

    mode, ndim = "reflect", 1


class ReflectionPad2d(_Pad):
    """Mirror (N, C, H, W) at its ends, whose own values come once; see `cunet.functional.pad`.

    Args:
        padding: one width for all sides, or (left, right, top, bottom).
        channels_last: the input is (N, H, W, C).

    Example:
        >>> nn.ReflectionPad2d((1, 1, 0, 1))([[[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]]])[0, 0]
        Tensor([[2., 1., 2., 3., 2.],
                [5., 4., 5., 6., 5.],
                [2., 1., 2., 3., 2.]])
    """

    mode, ndim = "reflect", 2


class ReflectionPad3d(_Pad):
    """Mirror (N, C, D, H, W) at its ends, whose own values come once; see `cunet.functional.pad`.

    Args:
        padding: one width for all sides, or (left, right, top, bottom, front, back).
        channels_last: the input is (N, D, H, W, C).

    Example:
        >>> nn.ReflectionPad3d(1)(np.ones((1, 1, 2, 3, 4))).shape
        (1, 1, 4, 5, 6)
    """

    mode, ndim = "reflect", 3


class ReplicationPad1d(_Pad):
    """Repeat the ends of (N, C, L); see `cunet.functional.pad`.

    Args:
        padding: one width for both ends, or (before, after).
        channels_last: the input is (N, L, C).

    Example:
        >>> nn.ReplicationPad1d(2)([[[1.0, 2.0, 3.0]]])
        Tensor([[[1., 1., 1., 2., 3., 3., 3.]]])
    """

    mode, ndim = "replicate", 1


class ReplicationPad2d(_Pad):
    """Repeat the ends of (N, C, H, W); see `cunet.functional.pad`.

    Args:
        padding: one width for all sides, or (left, right, top, bottom).
        channels_last: the input is (N, H, W, C).

    Example:
        >>> nn.ReplicationPad2d((1, 1, 0, 1))([[[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]]])[0, 0]
        Tensor([[1., 1., 2., 3., 3.],
                [4., 4., 5., 6., 6.],
                [4., 4., 5., 6., 6.]])
    """

    mode, ndim = "replicate", 2


class ReplicationPad3d(_Pad):
    """Repeat the ends of (N, C, D, H, W); see `cunet.functional.pad`.

    Args:
        padding: one width for all sides, or (left, right, top, bottom, front, back).
        channels_last: the input is (N, D, H, W, C).

    Example:
        >>> nn.ReplicationPad3d(2)(np.ones((1, 1, 1, 1, 4))).shape
        (1, 1, 5, 5, 8)
    """

    mode, ndim = "replicate", 3


class CircularPad1d(_Pad):
    """Go on at the ends of (N, C, L) as if it were a ring; see `cunet.functional.pad`.

    Args:
        padding: one width for both ends, or (before, after).
        channels_last: the input is (N, L, C).

    Example:
        >>> nn.CircularPad1d(2)([[[1.0, 2.0, 3.0]]])
        Tensor([[[2., 3., 1., 2., 3., 1., 2.]]])
    """

    mode, ndim = "circular", 1


class CircularPad2d(_Pad):
    """Go on at the ends of (N, C, H, W) as if it were a ring; see `cunet.functional.pad`.

    Args:
        padding: one width for all sides, or (left, right, top, bottom).
        channels_last: the input is (N, H, W, C).

    Example:
        >>> nn.CircularPad2d((1, 1, 0, 1))([[[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]]])[0, 0]
        Tensor([[3., 1., 2., 3., 1.],
                [6., 4., 5., 6., 4.],
                [3., 1., 2., 3., 1.]])
    """

    mode, ndim = "circular", 2


class CircularPad3d(_Pad):
    """Go on at the ends of (N, C, D, H, W) as if it were a ring; see `cunet.functional.pad`.

    Args:
        padding: one width for all sides, or (left, right, top, bottom, front, back).
        channels_last: the input is (N, D, H, W, C).

    Example:
        >>> nn.CircularPad3d(1)(np.ones((1, 1, 2, 3, 4))).shape
        (1, 1, 4, 5, 6)
    """

    mode, ndim = "circular", 3
