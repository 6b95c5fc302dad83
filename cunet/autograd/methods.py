"""The array face of Tensor: operators and NumPy-named methods, each a call of the op of that name.

Ops register themselves in `OPS` when they are defined (see `cunet.tensor.op`), so this file names them
without importing them, and the tape stays below the ops.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..device import Device, asnumpy, device_of

if TYPE_CHECKING:
    from .tensor import Tensor

#: Every op by name, as users call it.
OPS: dict[str, Callable[..., Any]] = {}

Axis = int | tuple[int, ...] | None


def _binary(name: str) -> Any:
    def method(self: Any, other: Any) -> Any:
        return OPS[name](self, other)

    method.__doc__ = f"See `cunet.{name}`."
    return method


def _reflected(name: str) -> Any:
    def method(self: Any, other: Any) -> Any:
        return OPS[name](other, self)

    method.__doc__ = f"See `cunet.{name}`."
    return method


def _unary(name: str) -> Any:
    def method(self: Any) -> Any:
        return OPS[name](self)

    method.__name__ = name
    method.__doc__ = f"See `cunet.{name}`."
    return method


def _compare(name: str) -> Any:
    def method(self: Any, other: Any) -> Any:
        return getattr(self.data, name)(other.data if isinstance(other, ArrayMethods) else other)

    method.__doc__ = "Compare element by element; return a plain array of bools."
    return method


class ArrayMethods:
    """Operators and methods of `Tensor`, named as in NumPy."""

    __slots__ = ()
    __array_ufunc__ = None  # NumPy and CuPy then leave `array + tensor` to us
    __array_priority__ = 1000
    data: Any
    requires_grad: bool

    __add__, __radd__ = _binary("add"), _reflected("add")
    __sub__, __rsub__ = _binary("subtract"), _reflected("subtract")
    __mul__, __rmul__ = _binary("multiply"), _reflected("multiply")
    __truediv__, __rtruediv__ = _binary("divide"), _reflected("divide")
    __pow__, __rpow__ = _binary("power"), _reflected("power")
    __matmul__, __rmatmul__ = _binary("matmul"), _reflected("matmul")
    __neg__, __abs__ = _unary("negative"), _unary("abs")
    __lt__, __le__, __gt__, __ge__ = _compare("__lt__"), _compare("__le__"), _compare("__gt__"), _compare("__ge__")
    __eq__, __ne__ = _compare("__eq__"), _compare("__ne__")
    __hash__ = object.__hash__  # by identity: tensors are keys of optimiser state

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of the axes."""
        return self.data.shape

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return self.data.ndim

    @property
    def size(self) -> int:
        """Number of elements."""
        return self.data.size

    @property
    def dtype(self) -> np.dtype:
        """Type of the elements."""
        return self.data.dtype

    @property
    def device(self) -> str:
        """Where the data is: "cpu" or "gpu"."""
        return device_of(self.data)

    @property
    def T(self) -> Tensor:  # noqa: N802 (NumPy's name)
        """The tensor with its axes reversed."""
        return OPS["transpose"](self)

    def __len__(self) -> int:
        """Return the length of the first axis."""
        if not self.data.ndim:
            raise TypeError("len() of a 0-d tensor")
        return self.data.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        """Go over the first axis."""
        if not self.data.ndim:
            raise TypeError("iteration over a 0-d tensor")
        return (self[i] for i in range(self.data.shape[0]))

    def __bool__(self) -> bool:
        """Return the truth of the only element."""
        return bool(self.data)

    def __float__(self) -> float:
        """Return the only element as a float."""
        return float(self.item())

    def __int__(self) -> int:
        """Return the only element as an int."""
        return int(self.item())

    def __format__(self, spec: str) -> str:
        """Format the only element as a number: ``f"{loss:.4f}"``; without a format give what `str` gives."""
        return format(self.item(), spec) if spec else str(self)

    def __getitem__(self, index: Any) -> Tensor:
        """Select as NumPy does: slices, integers, integer arrays, boolean arrays, None, Ellipsis."""
        return OPS["getitem"](self, index=index)

    def __setitem__(self, index: Any, value: Any) -> None:
        """Refuse: an assignment would change values that recorded ops still need."""
        raise TypeError(
            "a Tensor does not support item assignment; build a new one with cunet.where or cunet.concatenate, "
            "or assign a new array to .data"
        )

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """Let NumPy read a tensor on the CPU; one on the GPU must be fetched with `numpy()`."""
        if self.device != "cpu":
            raise TypeError("a Tensor on the GPU is not converted silently; use .numpy()")
        return np.array(self.data, dtype=dtype, copy=copy)

    def __repr__(self) -> str:
        """Show values, dtype where it is not float32, device and whether gradients are wanted."""
        text = np.array2string(asnumpy(self.data), separator=", ", prefix="Tensor(", threshold=200)
        notes = [f"shape={self.shape}"] if self.size == 0 or self.size > 200 else []
        notes += [] if self.dtype == np.float32 else [f"dtype={self.dtype}"]
        notes += [] if self.device == "cpu" else [f"device={self.device!r}"]
        notes += ["requires_grad=True"] if self.requires_grad else []
        return f"{type(self).__name__}({', '.join([text, *notes])})"

    def item(self) -> Any:
        """Return the only element as a Python number; waits for the GPU."""
        return self.data.item()

    def numpy(self) -> np.ndarray:
        """Return the values as a NumPy array: `data` itself on the CPU, a copy from the GPU."""
        return asnumpy(self.data)

    def astype(self, dtype: Any) -> Tensor:
        """Return the tensor converted to `dtype`."""
        return OPS["astype"](self, dtype=dtype)

    def to(self, device: Device) -> Tensor:
        """Return the tensor on `device` ("cpu", "gpu", "auto")."""
        return OPS["to_device"](self, device=device)

    def sum(self, axis: Axis = None, keepdims: bool = False) -> Tensor:
        """See `cunet.sum`."""
        return OPS["sum"](self, axis=axis, keepdims=keepdims)

    def mean(self, axis: Axis = None, keepdims: bool = False) -> Tensor:
        """See `cunet.mean`."""
        return OPS["mean"](self, axis=axis, keepdims=keepdims)

    def var(self, axis: Axis = None, ddof: int = 0, keepdims: bool = False) -> Tensor:
        """See `cunet.var`."""
        return OPS["var"](self, axis=axis, ddof=ddof, keepdims=keepdims)

    def std(self, axis: Axis = None, ddof: int = 0, keepdims: bool = False) -> Tensor:
        """See `cunet.std`."""
        return OPS["std"](self, axis=axis, ddof=ddof, keepdims=keepdims)

    def max(self, axis: Axis = None, keepdims: bool = False) -> Tensor:
        """See `cunet.max`."""
        return OPS["max"](self, axis=axis, keepdims=keepdims)

    def min(self, axis: Axis = None, keepdims: bool = False) -> Tensor:
        """See `cunet.min`."""
        return OPS["min"](self, axis=axis, keepdims=keepdims)

    def prod(self, axis: Axis = None, keepdims: bool = False) -> Tensor:
        """See `cunet.prod`."""
        return OPS["prod"](self, axis=axis, keepdims=keepdims)

    def cumsum(self, axis: int | None = None) -> Tensor:
        """See `cunet.cumsum`."""
        return OPS["cumsum"](self, axis=axis)

    def logsumexp(self, axis: Axis = None, keepdims: bool = False) -> Tensor:
        """See `cunet.logsumexp`."""
        return OPS["logsumexp"](self, axis=axis, keepdims=keepdims)

    def argmax(self, axis: int | None = None) -> Any:
        """Return the index of the largest element along `axis`, as a plain array."""
        return self.data.argmax(axis=axis)

    def argmin(self, axis: int | None = None) -> Any:
        """Return the index of the smallest element along `axis`, as a plain array."""
        return self.data.argmin(axis=axis)

    def clip(self, low: Any = None, high: Any = None) -> Tensor:
        """See `cunet.clip`."""
        return OPS["clip"](self, low, high)

    def reshape(self, *shape: Any) -> Tensor:
        """Return the elements in another shape; one length may be -1."""
        return OPS["reshape"](self, shape=shape[0] if len(shape) == 1 and not isinstance(shape[0], int) else shape)

    def flatten(self) -> Tensor:
        """Return the elements along one axis."""
        return OPS["reshape"](self, shape=(-1,))

    def transpose(self, *axes: Any) -> Tensor:
        """Permute the axes; reverse them if none are given."""
        return OPS["transpose"](
            self, axes=(axes[0] if len(axes) == 1 and not isinstance(axes[0], int) else axes) or None
        )

    def swapaxes(self, axis1: int, axis2: int) -> Tensor:
        """Swap two axes."""
        return OPS["swapaxes"](self, axis1=axis1, axis2=axis2)

    def squeeze(self, axis: int | Sequence[int] | None = None) -> Tensor:
        """Drop axes of length 1."""
        return OPS["squeeze"](self, axis=axis)

    def repeat(self, repeats: Any, axis: int | None = None) -> Tensor:
        """See `cunet.repeat`."""
        return OPS["repeat"](self, repeats=repeats, axis=axis)

    exp, log, sqrt, tanh, abs = _unary("exp"), _unary("log"), _unary("sqrt"), _unary("tanh"), _unary("abs")
    sin, cos, square = _unary("sin"), _unary("cos"), _unary("square")
