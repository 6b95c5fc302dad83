"""One sample of many, to who looks at it: what it is asked element by element, and what it cannot be asked."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any, Never

import numpy as np

from ..device import Array
from .methods import ArrayMethods
from .operators import ops

#: Functions of NumPy that run on arrays, and have no gradient.
COMPARISONS = {
    np.less, np.less_equal, np.greater, np.greater_equal, np.equal, np.not_equal, np.isnan, np.isinf, np.isfinite,
    np.logical_and, np.logical_or, np.logical_not, np.logical_xor, np.bitwise_and, np.bitwise_or, np.invert,
}  # fmt: skip


class Sample(ArrayMethods["Sample"]):
    """The methods of a Tensor, but for those that look at values."""

    __slots__ = ()
    value: Any  # all samples
    __hash__ = object.__hash__

    def run_op(self, op: Any, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        """Run an op on all samples."""
        raise NotImplementedError

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        """Run the op of that name; comparisons give bools, which are mapped too."""
        if method == "__call__" and ufunc in COMPARISONS and not kwargs:
            return self.run_op(ufunc, inputs, {})
        return ops.array_ufunc(ufunc, method, inputs, kwargs)

    def _refused(self, *args: Any, **options: Any) -> Never:
        """Refuse what needs the values of one sample."""
        frame = sys._getframe(1)
        who = (frame.f_back or frame if frame.f_code.co_filename == __file__ else frame).f_code.co_name
        raise TypeError(
            f"vmap: {who} asks for the values of a sample (by `if`, .data, .item(), float() or numpy()), which stands "
            "for all samples here; choose with cunet.where"
        )

    @property
    def data(self) -> Array:
        """Refused: there is no array of one sample."""
        self._refused()

    @property
    def _data(self) -> Array:
        self._refused()

    __array__ = __bool__ = __float__ = __int__ = __index__ = item = numpy = _refused

    def backward(self, *args: Any, **options: Any) -> None:
        """Refuse: leaves have no gradient for each sample."""
        raise TypeError("vmap: backward() leaves no gradient for each sample; use cunet.grad")

    def __len__(self) -> int:
        """Return the length of the first axis of a sample."""
        if not self.ndim:
            raise TypeError("len() of a 0-d tensor")
        return self.shape[0]

    def __iter__(self) -> Iterator[Any]:
        """Go over the first axis of a sample."""
        return (self[k] for k in range(len(self)))

    def __lt__(self, other: Any) -> Any:
        """Compare element by element."""
        return self.run_op(np.less, (self, other), {})

    def __le__(self, other: Any) -> Any:
        """Compare element by element."""
        return self.run_op(np.less_equal, (self, other), {})

    def __gt__(self, other: Any) -> Any:
        """Compare element by element."""
        return self.run_op(np.greater, (self, other), {})

    def __ge__(self, other: Any) -> Any:
        """Compare element by element."""
        return self.run_op(np.greater_equal, (self, other), {})

    def __eq__(self, other: object) -> Any:
        """Compare element by element."""
        return self.run_op(np.equal, (self, other), {})

    def __ne__(self, other: object) -> Any:
        """Compare element by element."""
        return self.run_op(np.not_equal, (self, other), {})

    def __and__(self, other: Any) -> Any:
        """Tell of bools whether both hold."""
        return self.run_op(np.bitwise_and, (self, other), {})

    def __or__(self, other: Any) -> Any:
        """Tell of bools whether one holds."""
        return self.run_op(np.bitwise_or, (self, other), {})

    def __invert__(self) -> Any:
        """Tell of bools whether they do not hold."""
        return self.run_op(np.invert, (self,), {})

    __rand__, __ror__ = __and__, __or__
