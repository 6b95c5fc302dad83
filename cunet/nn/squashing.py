"""Layer classes of the activations that squash into a range, softmax among them, or shrink towards 0."""

from __future__ import annotations

from typing import Any

from ..ops import softmax
from ..ops.activation import clipping, shrink, squashing
from ..ops.math import tanh
from .function_layer import Unary


class Hardsigmoid(Unary):
    """Layer that applies `cunet.functional.hardsigmoid`; same options.

    Example:
        >>> nn.Hardsigmoid()([-3.0, 0.0, 1.5]).round(4)
        Tensor([0.  , 0.5 , 0.75])
        >>> nn.Hardsigmoid(slope=0.2)([-3.0, 0.0, 1.5]).round(4)  # that of Keras 2
        Tensor([0. , 0.5, 0.8])
    """

    function = staticmethod(clipping.hardsigmoid)
    inplace: bool = False
    slope: float = 1 / 6


class Hardtanh(Unary):
    """Layer that applies `cunet.functional.hardtanh`; same options.

    Example:
        >>> nn.Hardtanh(max_val=2.0)([-3.0, 0.5, 3.0])
        Tensor([-1. ,  0.5,  2. ])
    """

    function = staticmethod(clipping.hardtanh)
    min_val: float = -1.0
    max_val: float = 1.0
    inplace: bool = False


class LogSigmoid(Unary):
    """Layer that applies `cunet.functional.logsigmoid`; same options.

    Example:
        >>> nn.LogSigmoid()([-200.0, 0.0]).round(4)  # the log of a sigmoid would be -inf
        Tensor([-200.    ,   -0.6931])
    """

    function = staticmethod(squashing.logsigmoid)


class LogSoftmax(Unary):
    """Layer that applies `cunet.functional.log_softmax`; same options.

    Example:
        >>> nn.LogSoftmax(dim=1)([[1.0, 1.0], [0.0, 200.0]]).round(4)
        Tensor([[  -0.6931,   -0.6931],
                [-200.    ,    0.    ]])
    """

    function = staticmethod(softmax.log_softmax)
    dim: int | None = None
    dtype: Any = None
    axis: int | None = None


class ReLU6(Unary):
    """Layer that applies `cunet.functional.relu6`; same options.

    Example:
        >>> nn.ReLU6()([-2.0, 3.0, 8.0])
        Tensor([0., 3., 6.])
    """

    function = staticmethod(clipping.relu6)
    inplace: bool = False


class Sigmoid(Unary):
    """Layer that applies `cunet.functional.sigmoid`; same options.

    Example:
        >>> nn.Sigmoid()([-2.0, 0.0, 2.0]).round(4)
        Tensor([0.1192, 0.5   , 0.8808])
    """

    function = staticmethod(squashing.sigmoid)


class Softmax(Unary):
    """Layer that applies `cunet.functional.softmax`; same options.

    Example:
        >>> nn.Softmax(dim=1)([[1.0, 2.0], [0.0, 1000.0]]).round(4)
        Tensor([[0.2689, 0.7311],
                [0.    , 1.    ]])
    """

    function = staticmethod(softmax.softmax)
    dim: int | None = None
    dtype: Any = None
    axis: int | None = None


class Softmin(Unary):
    """Layer that applies `cunet.functional.softmin`; same options.

    Example:
        >>> nn.Softmin(dim=1)([[1.0, 2.0]]).round(4)  # the smaller one gets more
        Tensor([[0.7311, 0.2689]])
    """

    function = staticmethod(softmax.softmin)
    dim: int | None = None
    dtype: Any = None


class Softplus(Unary):
    """Layer that applies `cunet.functional.softplus`; same options.

    Example:
        >>> nn.Softplus()([-2.0, 0.0, 100.0]).round(4)
        Tensor([  0.1269,   0.6931, 100.    ])
    """

    function = staticmethod(squashing.softplus)
    beta: float = 1.0
    threshold: float = 20.0


class Softsign(Unary):
    """Layer that applies `cunet.functional.softsign`; same options.

    Example:
        >>> nn.Softsign()([-1.0, 0.0, 3.0])
        Tensor([-0.5 ,  0.  ,  0.75])
    """

    function = staticmethod(squashing.softsign)


class Tanh(Unary):
    """Layer that applies `cunet.functional.tanh`; same options.

    Example:
        >>> nn.Tanh()([-1.0, 0.0, 1.0]).round(4)
        Tensor([-0.7616,  0.    ,  0.7616])
    """

    function = staticmethod(tanh)


class Softshrink(Unary):
    """Layer that applies `cunet.functional.softshrink`; same options.

    Example:
        >>> nn.Softshrink()([-2.0, 0.25, 2.0])
        Tensor([-1.5,  0. ,  1.5])
    """

    function = staticmethod(shrink.softshrink)
    lambd: float = 0.5


class Hardshrink(Unary):
    """Layer that applies `cunet.functional.hardshrink`; same options.

    Example:
        >>> nn.Hardshrink()([-2.0, 0.25, 2.0])
        Tensor([-2.,  0.,  2.])
    """

    function = staticmethod(shrink.hardshrink)
    lambd: float = 0.5


class Tanhshrink(Unary):
    """Layer that applies `cunet.functional.tanhshrink`; same options.

    Example:
        >>> nn.Tanhshrink()([-1.0, 0.0, 1.0]).round(4)
        Tensor([-0.2384,  0.    ,  0.2384])
    """

    function = staticmethod(shrink.tanhshrink)
