"""The methods of Tensor, named as in NumPy, each a call of the op of that name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Never, cast

import numpy as np

from ..device import Device, asnumpy, device_of
from .operators import Operators, TensorT, ops
from .pytorch import TENSOR, Missing, Size
from .tape import is_recording

Axis = int | tuple[int, ...] | None


class ArrayMethods(Operators[TensorT]):
    """Properties and methods of `Tensor`.

    Methods with an axis take `other` keywords only to say which of NumPy's names PyTorch's stands for.
    """

    __slots__ = ()
    requires_grad: bool

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of the axes."""
        return self._data.shape

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return self._data.ndim

    @property
    def size(self) -> int:
        """Number of elements."""
        return Size(self._data.size)

    @property
    def dtype(self) -> np.dtype:
        """Type of the elements."""
        return self._data.dtype

    @property
    def device(self) -> str:
        """Where the data is: "cpu" or "gpu"."""
        return device_of(self._data)

    @property
    def T(self) -> TensorT:  # noqa: N802 (NumPy's name)
        """The tensor with its axes reversed."""
        return ops.transpose(self)

    def __len__(self) -> int:
        """Return the length of the first axis."""
        if not self._data.ndim:
            raise TypeError("len() of a 0-d tensor")
        return self._data.shape[0]

    def __iter__(self) -> Iterator[TensorT]:
        """Go over the first axis."""
        if not self._data.ndim:
            raise TypeError("iteration over a 0-d tensor")
        return (self[i] for i in range(self._data.shape[0]))

    def __bool__(self) -> bool:
        """Return the truth of the only element."""
        return bool(self._data)

    def __float__(self) -> float:
        """Return the only element as a float."""
        return float(self.item())

    def __int__(self) -> int:
        """Return the only element as an int."""
        return int(self.item())

    def __format__(self, spec: str) -> str:
        """Format the only element as a number: ``f"{loss:.4f}"``; without a format give what `str` gives."""
        return format(self.item(), spec) if spec else str(self)

    def __getitem__(self, index: Any) -> TensorT:
        """Select as NumPy does: slices, integers, integer arrays, boolean arrays, None, Ellipsis."""
        return ops.getitem(self, index=index)

    def __setitem__(self, index: Any, value: Any) -> None:
        """Refuse: an assignment would change values that recorded ops still need."""
        raise TypeError(
            "a Tensor does not support item assignment; build a new one with cunet.where or cunet.concatenate, "
            "or assign a new array to .data"
        )

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """Let NumPy read a tensor on the CPU, unless its gradient would be lost."""
        if self.device != "cpu":
            raise TypeError("a Tensor on the GPU is not converted silently; use .numpy()")
        if self.requires_grad and is_recording():
            raise TypeError(
                "a NumPy array of this Tensor would lose its gradient; join Tensors with cunet.stack, "
                "cunet.concatenate or np.array(..., like=x); where values alone are meant use .detach() or .numpy()"
            )
        return np.array(self._data, dtype=dtype, copy=copy)

    def __dir__(self) -> list[str]:
        """List the attributes, without PyTorch's words, which only say what to write instead."""
        return [name for name in super().__dir__() if name not in TENSOR]

    def __repr__(self) -> str:
        """Show values, dtype where it is not float32, device and whether gradients are wanted."""
        text = np.array2string(asnumpy(self._data), separator=", ", prefix="Tensor(", threshold=200)
        notes = [f"shape={self.shape}"] if self.size == 0 or self.size > 200 else []
        notes += [] if self.dtype == np.float32 else [f"dtype={self.dtype}"]
        notes += [] if self.device == "cpu" else [f"device={self.device!r}"]
        notes += ["requires_grad=True"] if self.requires_grad else []
        return f"{type(self).__name__}({', '.join([text, *notes])})"

    def item(self) -> Any:
        """Return the only element as a Python number; waits for the GPU."""
        return self._data.item()

    def numpy(self) -> np.ndarray:
        """Return the values as a NumPy array: `data` itself on the CPU, a copy from the GPU."""
        return asnumpy(self._data)

    def astype(self, dtype: Any, *, copy: bool = True) -> TensorT:
        """Return the tensor converted to `dtype`; itself if nothing is to be converted and no copy is wanted."""
        return cast(TensorT, self) if not copy and self.dtype == dtype else ops.astype(self, dtype=dtype)

    def to(self, device: Device) -> TensorT:
        """Return the tensor on `device` ("cpu", "gpu", "auto")."""
        return ops.to_device(self, device=device)

    def sum(self, axis: Axis = None, keepdims: bool = False, dtype: Any = None, **other: Never) -> TensorT:
        """See `cunet.sum`."""
        return ops.sum(self, axis=axis, keepdims=keepdims, dtype=dtype, **other)

    def mean(self, axis: Axis = None, keepdims: bool = False, dtype: Any = None, **other: Never) -> TensorT:
        """See `cunet.mean`."""
        return ops.mean(self, axis=axis, keepdims=keepdims, dtype=dtype, **other)

    def var(
        self, axis: Axis = None, ddof: int = 0, keepdims: bool = False, dtype: Any = None, **other: Never
    ) -> TensorT:
        """See `cunet.var`."""
        return ops.var(self, axis=axis, ddof=ddof, keepdims=keepdims, dtype=dtype, **other)

    def std(
        self, axis: Axis = None, ddof: int = 0, keepdims: bool = False, dtype: Any = None, **other: Never
    ) -> TensorT:
        """See `cunet.std`."""
        return ops.std(self, axis=axis, ddof=ddof, keepdims=keepdims, dtype=dtype, **other)

    def max(self, axis: Axis = None, keepdims: bool = False, **other: Never) -> TensorT:
        """See `cunet.max`."""
        return ops.max(self, axis=axis, keepdims=keepdims, **other)

    def min(self, axis: Axis = None, keepdims: bool = False, **other: Never) -> TensorT:
        """See `cunet.min`."""
        return ops.min(self, axis=axis, keepdims=keepdims, **other)

    def prod(self, axis: Axis = None, keepdims: bool = False, dtype: Any = None, **other: Never) -> TensorT:
        """See `cunet.prod`."""
        return ops.prod(self, axis=axis, keepdims=keepdims, dtype=dtype, **other)

    def cumsum(self, axis: int | None = None, dtype: Any = None, **other: Never) -> TensorT:
        """See `cunet.cumsum`."""
        return ops.cumsum(self, axis=axis, dtype=dtype, **other)

    def logsumexp(self, axis: Axis = None, keepdims: bool = False, **other: Never) -> TensorT:
        """See `cunet.logsumexp`."""
        return ops.logsumexp(self, axis=axis, keepdims=keepdims, **other)

    def cumprod(self, axis: int | None = None, dtype: Any = None, **other: Never) -> TensorT:
        """See `cunet.cumprod`."""
        return ops.cumprod(self, axis=axis, dtype=dtype, **other)

    def argmax(self, axis: int | None = None, keepdims: bool = False, **other: Never) -> Any:
        """See `cunet.argmax`."""
        return ops.argmax(self, axis=axis, keepdims=keepdims, **other)

    def argmin(self, axis: int | None = None, keepdims: bool = False, **other: Never) -> Any:
        """See `cunet.argmin`."""
        return ops.argmin(self, axis=axis, keepdims=keepdims, **other)

    def argsort(self, axis: int | None = -1, **other: Never) -> Any:
        """See `cunet.argsort`."""
        return ops.argsort(self, axis=axis, **other)

    def all(self, axis: Axis = None, keepdims: bool = False, **other: Never) -> Any:
        """See `cunet.all`."""
        return ops.all(self, axis=axis, keepdims=keepdims, **other)

    def any(self, axis: Axis = None, keepdims: bool = False, **other: Never) -> Any:
        """See `cunet.any`."""
        return ops.any(self, axis=axis, keepdims=keepdims, **other)

    def clip(self, min: Any = None, max: Any = None) -> TensorT:
        """See `cunet.clip`."""
        return ops.clip(self, min, max)

    def round(self, decimals: int = 0) -> TensorT:
        """See `cunet.round`."""
        return ops.round(self, decimals=decimals)

    def diagonal(self, offset: int = 0, axis1: int = 0, axis2: int = 1) -> TensorT:
        """See `cunet.diagonal`."""
        return ops.diagonal(self, offset=offset, axis1=axis1, axis2=axis2)

    def trace(self, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: Any = None) -> TensorT:
        """See `cunet.trace`."""
        return ops.trace(self, offset=offset, axis1=axis1, axis2=axis2, dtype=dtype)

    def reshape(self, *shape: Any) -> TensorT:
        """Return the elements in another shape; one length may be -1."""
        return ops.reshape(self, shape=shape[0] if len(shape) == 1 and not isinstance(shape[0], int) else shape)

    def flatten(self) -> TensorT:
        """Return the elements along one axis."""
        return ops.reshape(self, shape=(-1,))

    def ravel(self) -> TensorT:
        """Return the elements along one axis."""
        return ops.reshape(self, shape=(-1,))

    def transpose(self, *axes: Any) -> TensorT:
        """Permute the axes; reverse them if none are given."""
        return ops.transpose(self, axes=(axes[0] if len(axes) == 1 and not isinstance(axes[0], int) else axes) or None)

    def swapaxes(self, axis1: int, axis2: int) -> TensorT:
        """Swap two axes."""
        return ops.swapaxes(self, axis1=axis1, axis2=axis2)

    def squeeze(self, axis: int | Sequence[int] | None = None, **other: Never) -> TensorT:
        """Drop axes of length 1."""
        return ops.squeeze(self, axis=axis, **other)

    def repeat(self, repeats: Any, axis: int | None = None, **other: Never) -> TensorT:
        """See `cunet.repeat`."""
        return ops.repeat(self, repeats=repeats, axis=axis, **other)

    def exp(self) -> TensorT:
        """See `cunet.exp`."""
        return ops.exp(self)

    def log(self) -> TensorT:
        """See `cunet.log`."""
        return ops.log(self)

    def sqrt(self) -> TensorT:
        """See `cunet.sqrt`."""
        return ops.sqrt(self)

    def tanh(self) -> TensorT:
        """See `cunet.tanh`."""
        return ops.tanh(self)

    def abs(self) -> TensorT:
        """See `cunet.abs`."""
        return ops.abs(self)

    def sin(self) -> TensorT:
        """See `cunet.sin`."""
        return ops.sin(self)

    def cos(self) -> TensorT:
        """See `cunet.cos`."""
        return ops.cos(self)

    def dot(self, other: Any) -> TensorT:
        """See `cunet.dot`."""
        return ops.dot(self, other)

    def square(self) -> TensorT:
        """See `cunet.square`."""
        return ops.square(self)


for _name, _instead in TENSOR.items():
    setattr(ArrayMethods, _name, Missing(_name, _instead))
