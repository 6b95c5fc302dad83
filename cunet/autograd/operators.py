"""The operators of Tensor, each a call of one op.

The tape stays below the ops: `ops` is empty until `cunet/ops/__init__.py` fills it, name by name. What users
decorate with `op` is never put there.
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, Generic, TypeVar, cast

import numpy as np

from ..device import Array

TensorT = TypeVar("TensorT")

#: The library's own ops, as operators and methods call them.
ops = SimpleNamespace()


def bind(**own: Callable[..., Any]) -> None:
    """Say which ops the operators and methods of Tensor run."""
    vars(ops).update(own)


def plain(x: Any) -> Any:
    """Return the array of a Tensor; anything else as it is, such as what is mapped."""
    return x._data if isinstance(x, Operators) and not hasattr(x, "run_op") else x


class Operators(Generic[TensorT]):
    """Arithmetic gives a `TensorT`, which is Tensor; comparisons give plain arrays of bools."""

    __slots__ = ()
    __hash__ = object.__hash__  # by identity: tensors are keys of optimiser state
    _data: Array

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        """Run the op of that name for ``np.exp(x)`` and ``array + x``; see `cunet.ops.numpy_functions`."""
        return ops.array_ufunc(ufunc, method, inputs, kwargs)

    def __array_function__(self, function: Callable[..., Any], types: Any, args: Any, kwargs: Any) -> Any:
        """Run the op of that name for ``np.sum(x)``; see `cunet.ops.numpy_functions`."""
        return ops.array_function(function, args, kwargs)

    def __add__(self, other: Any) -> TensorT:
        """See `cunet.add`."""
        return ops.add(self, other)

    def __radd__(self, other: Any) -> TensorT:
        """See `cunet.add`."""
        return ops.add(other, self)

    def __sub__(self, other: Any) -> TensorT:
        """See `cunet.subtract`."""
        return ops.subtract(self, other)

    def __rsub__(self, other: Any) -> TensorT:
        """See `cunet.subtract`."""
        return ops.subtract(other, self)

    def __mul__(self, other: Any) -> TensorT:
        """See `cunet.multiply`."""
        return ops.multiply(self, other)

    def __rmul__(self, other: Any) -> TensorT:
        """See `cunet.multiply`."""
        return ops.multiply(other, self)

    def __truediv__(self, other: Any) -> TensorT:
        """See `cunet.divide`."""
        return ops.divide(self, other)

    def __rtruediv__(self, other: Any) -> TensorT:
        """See `cunet.divide`."""
        return ops.divide(other, self)

    def __floordiv__(self, other: Any) -> TensorT:
        """See `cunet.floor_divide`."""
        return ops.floor_divide(self, other)

    def __rfloordiv__(self, other: Any) -> TensorT:
        """See `cunet.floor_divide`."""
        return ops.floor_divide(other, self)

    def __mod__(self, other: Any) -> TensorT:
        """See `cunet.remainder`."""
        return ops.remainder(self, other)

    def __rmod__(self, other: Any) -> TensorT:
        """See `cunet.remainder`."""
        return ops.remainder(other, self)

    def __divmod__(self, other: Any) -> tuple[TensorT, TensorT]:
        """See `cunet.divmod`."""
        return ops.divmod(self, other)

    def __rdivmod__(self, other: Any) -> tuple[TensorT, TensorT]:
        """See `cunet.divmod`."""
        return ops.divmod(other, self)

    def __pow__(self, other: Any) -> TensorT:
        """See `cunet.power`."""
        return ops.power(self, other)

    def __rpow__(self, other: Any) -> TensorT:
        """See `cunet.power`."""
        return ops.power(other, self)

    def __matmul__(self, other: Any) -> TensorT:
        """See `cunet.matmul`."""
        return ops.matmul(self, other)

    def __rmatmul__(self, other: Any) -> TensorT:
        """See `cunet.matmul`."""
        return ops.matmul(other, self)

    def __neg__(self) -> TensorT:
        """See `cunet.negative`."""
        return ops.negative(self)

    def __pos__(self) -> TensorT:
        """Return the Tensor: no op writes into it."""
        return cast(TensorT, self)

    def __abs__(self) -> TensorT:
        """See `cunet.abs`."""
        return ops.abs(self)

    def __lt__(self, other: Any) -> Array:
        """Compare element by element."""
        return self._data < plain(other)

    def __le__(self, other: Any) -> Array:
        """Compare element by element."""
        return self._data <= plain(other)

    def __gt__(self, other: Any) -> Array:
        """Compare element by element."""
        return self._data > plain(other)

    def __ge__(self, other: Any) -> Array:
        """Compare element by element."""
        return self._data >= plain(other)

    def __eq__(self, other: object) -> Array:
        """Compare element by element."""
        return self._data == plain(other)

    def __ne__(self, other: object) -> Array:
        """Compare element by element."""
        return self._data != plain(other)
