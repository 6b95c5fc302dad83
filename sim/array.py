"""The array of the simulated device: NumPy's memory behind a type that refuses what CuPy's refuses.

`numpy.asarray(x)`, ``x + numpy_array`` and ``x[...] = numpy_array`` raise as they do on a GPU; ``x.get()``,
``float(x)``, ``if x:`` and printing work and are counted as synchronisations.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from .graph import do, poisoned
from .state import stats

SCALARS = (bool, int, float, complex, np.generic)  # what CuPy takes for a scalar


class Flags(NamedTuple):
    """The flags that CuPy's arrays have."""

    c_contiguous: bool
    f_contiguous: bool
    owndata: bool

    @property
    def fnc(self) -> bool:
        """Whether columns, and not rows, lie one after the other."""
        return self.f_contiguous and not self.c_contiguous

    @property
    def forc(self) -> bool:
        """Whether either do."""
        return self.f_contiguous or self.c_contiguous


class ndarray:  # noqa: N801 (CuPy's name)
    """An array on the simulated device; made by the functions of the namespace, as in CuPy."""

    __slots__ = ("_a", "_base", "__weakref__")
    __array_priority__ = 100
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, shape: Any, dtype: Any = float, order: str = "C") -> None:
        self._a, self._base = poisoned(shape, dtype, order), None

    # -- to the host: each of these waits for the device

    def get(self, stream: Any = None, order: str = "C", out: Any = None, blocking: bool = True) -> np.ndarray:
        """Return a NumPy copy."""
        stats.sync("get()")
        if out is not None:
            out[...] = self._a
            return out
        return self._a.copy(order="K" if order == "A" else order)  # type: ignore[arg-type]

    def item(self, *args: int) -> Any:
        """Return one element as a Python scalar."""
        stats.sync("item()")
        return self._a.item(*args)

    def tolist(self) -> Any:
        """Return nested Python lists."""
        stats.sync("tolist()")
        return self._a.tolist()

    def tobytes(self, order: Any = "C") -> bytes:
        """Return the bytes."""
        stats.sync("tobytes()")
        return self._a.tobytes(order)

    def __float__(self) -> float:
        stats.sync("float()")
        return float(self._a.item())

    def __int__(self) -> int:
        stats.sync("int()")
        return int(self._a.item())

    def __index__(self) -> int:
        stats.sync("index()")
        return self._a.__index__()

    def __complex__(self) -> complex:
        stats.sync("complex()")
        return complex(self._a.item())

    def __bool__(self) -> bool:
        stats.sync("bool()")
        return bool(self._a)

    def __repr__(self) -> str:
        stats.sync("repr()")
        return repr(self._a)

    def __str__(self) -> str:
        stats.sync("str()")
        return str(self._a)

    def __format__(self, spec: str) -> str:
        stats.sync("format()")
        return format(self._a.item() if self._a.ndim == 0 else self._a, spec)

    def __reduce__(self) -> Any:
        return upload, (self.get(),)

    # -- from the host

    def set(self, values: np.ndarray, stream: Any = None) -> None:
        """Copy a NumPy array of the same shape and dtype into this one."""
        if not isinstance(values, np.ndarray):
            raise TypeError("Only numpy.ndarray can be set to cupy.ndarray")
        if values.dtype != self._a.dtype or values.shape != self._a.shape:
            raise ValueError("Shape or dtype mismatch")
        stats.upload("set()")
        self._a[...] = values

    # -- NumPy meets the device

    def __array__(self, *args: Any, **kwargs: Any) -> np.ndarray:
        raise TypeError(
            "Implicit conversion to a NumPy array is not allowed. "
            "Please use `.get()` to construct a NumPy array explicitly."
        )

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        from . import namespace

        try:
            function: Any = getattr(namespace, ufunc.__name__)
            function = function if method == "__call__" else getattr(function, method)
        except AttributeError:
            return NotImplemented
        if "out" in kwargs:
            (kwargs["out"],) = kwargs["out"]
        if not all(isinstance(x, (ndarray, np.ndarray, *SCALARS)) for x in (*inputs, kwargs.get("out", 0))):
            return NotImplemented
        if ufunc in _COMPARISONS:
            inputs = tuple(x.item() if isinstance(x, np.ndarray) and x.ndim == 0 else x for x in inputs)
        return function(*inputs, **kwargs)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        from . import namespace

        try:
            own: Any = namespace
            for part in (*function.__module__.split(".")[1:], function.__name__):
                own = getattr(own, part)
        except AttributeError:
            return NotImplemented
        if own is function or not all(issubclass(t, (ndarray, np.ndarray)) for t in types):
            return NotImplemented
        return own(*args, **kwargs)

    # -- shape and memory

    @property
    def shape(self) -> tuple[int, ...]:
        """The lengths of the axes."""
        return self._a.shape

    @shape.setter
    def shape(self, value: Any) -> None:
        self._a = self._a.reshape(value)

    @property
    def dtype(self) -> np.dtype:
        """The data type."""
        return self._a.dtype

    @property
    def base(self) -> ndarray | None:
        """The array whose memory this is a view of."""
        return self._base

    @property
    def flags(self) -> Flags:
        """How the array lies, and whether its memory is its own."""
        flags = self._a.flags
        return Flags(flags.c_contiguous, flags.f_contiguous, self._base is None)

    @property
    def data(self) -> Any:
        """The memory; its ``ptr`` is the address."""
        from .cuda import MemoryPointer

        return MemoryPointer(self._a)

    @property
    def device(self) -> Any:
        """The device that holds the array."""
        from .cuda import Device

        return Device(0)

    def __len__(self) -> int:
        return len(self._a)

    def __iter__(self) -> Iterator[ndarray]:
        if self._a.ndim == 0:
            raise TypeError("iteration over a 0-d array")
        return (self[i] for i in range(len(self._a)))

    def __copy__(self) -> ndarray:
        return self.copy()  # type: ignore[attr-defined]

    def __deepcopy__(self, memo: Any) -> ndarray:
        return self.copy()  # type: ignore[attr-defined]

    # -- elements

    def __getitem__(self, index: Any) -> ndarray:
        index, fancy = _index(index)
        stats.ops += fancy
        if fancy:
            return wrap(do(operator.getitem, self._a, index))
        parts = index if isinstance(index, tuple) else (index,)
        whole = any(part is Ellipsis for part in parts)
        return wrap(self._a[parts if whole else (*parts, ...)], self)  # of one element too a view

    def __setitem__(self, index: Any, value: Any) -> None:
        index, fancy = _index(index)
        if fancy and not isinstance(value, ndarray):
            stats.upload("a host value assigned to array indices")
        elif isinstance(value, np.ndarray) and value.ndim:
            raise ValueError("non-scalar numpy.ndarray cannot be used for fill")
        elif not isinstance(value, (ndarray, np.ndarray, *SCALARS)):
            raise TypeError(f"Unsupported type {type(value)}")
        stats.ops += 1
        do(operator.setitem, self._a, index, value._a if isinstance(value, ndarray) else value)

    def fill(self, value: Any) -> None:
        """Set all elements to a scalar."""
        self[...] = value


_COMPARISONS = {np.less, np.less_equal, np.greater, np.greater_equal, np.equal, np.not_equal}


def _index(index: Any) -> tuple[Any, bool]:
    """Return the index for NumPy, and whether arrays in it make a copy; count what that costs on a GPU."""
    parts = index if isinstance(index, tuple) else (index,)
    fancy, plain = False, []
    for part in parts:
        if isinstance(part, (np.ndarray, list, tuple)):
            stats.upload("a host array used as an index")
        if isinstance(part, (ndarray, np.ndarray, list, tuple)):
            fancy = True
            part = np.asarray(unwrap(part))
            if part.dtype == bool and part.ndim:
                stats.sync("a boolean index")  # the number of hits decides the shape
            elif not part.size:
                part = part.astype(np.intp)
        plain.append(part)
    return (tuple(plain) if isinstance(index, tuple) else plain[0]), fancy


# -- between the two worlds


def wrap(result: Any, seen: ndarray | None = None) -> Any:
    """Return what NumPy returned as the device would: arrays wrapped, scalars as 0-d arrays, also inside lists.

    Args:
        result: of NumPy.
        seen: the array whose memory it is a view of, if it is.
    """
    if isinstance(result, (np.ndarray, np.generic)):
        made = ndarray.__new__(ndarray)
        made._a, made._base = np.asarray(result), _owner(seen)
        return made
    if isinstance(result, (tuple, list)):
        return [wrap(r, seen) for r in result] if isinstance(result, list) else tuple(wrap(r, seen) for r in result)
    return result


def _owner(seen: ndarray | None) -> ndarray | None:
    return seen if seen is None or seen._base is None else seen._base


def unwrap(x: Any) -> Any:
    """Return the memory of device arrays, also inside tuples and lists."""
    if isinstance(x, ndarray):
        return x._a
    return type(x)(unwrap(v) for v in x) if type(x) in (tuple, list) else x


def upload(x: np.ndarray) -> ndarray:
    """Copy a NumPy array to the device."""
    stats.upload("an upload")
    return wrap(np.array(x))
