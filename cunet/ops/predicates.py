"""Questions about elements: their answers are plain arrays of bools, as those of comparisons are, without gradient."""

from __future__ import annotations

from typing import Any

from ..autograd.mapped import mappable
from ..autograd.methods import Axis
from ..autograd.pytorch import numpy_words
from ..autograd.tensor import Tensor, as_array
from ..device import Array, array_module


@mappable
def isnan(x: Any) -> Array:
    """Tell of each element whether it is NaN.

    Example:
        >>> cunet.isnan([1.0, np.nan, np.inf])
        array([False,  True, False])
    """
    x = _array(x)
    return array_module(x).isnan(x)


@mappable
def isinf(x: Any) -> Array:
    """Tell of each element whether it is infinite.

    Example:
        >>> cunet.isinf([1.0, np.nan, -np.inf])
        array([False, False,  True])
    """
    x = _array(x)
    return array_module(x).isinf(x)


@mappable
def isfinite(x: Any) -> Array:
    """Tell of each element whether it is neither infinite nor NaN.

    Example:
        >>> cunet.isfinite([1.0, np.nan, np.inf])
        array([ True, False, False])
    """
    x = _array(x)
    return array_module(x).isfinite(x)


@mappable
@numpy_words
def all(x: Any, axis: Axis = None, keepdims: bool = False) -> Array:
    """Tell whether no element over `axis` is 0; NaN is none.

    Example:
        >>> cunet.all([[1.0, 0.0], [2.0, 3.0]], axis=1)
        array([False,  True])
    """
    return (_array(x) != 0).all(axis=axis, keepdims=keepdims)


@mappable
@numpy_words
def any(x: Any, axis: Axis = None, keepdims: bool = False) -> Array:
    """Tell whether some element over `axis` is not 0, such as NaN.

    Example:
        >>> cunet.any([[0.0, 0.0], [0.0, 3.0]], axis=1)
        array([False,  True])
    """
    return (_array(x) != 0).any(axis=axis, keepdims=keepdims)


def _array(x: Any) -> Array:
    return x.data if isinstance(x, Tensor) else as_array(x)
