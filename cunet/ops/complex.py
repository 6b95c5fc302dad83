"""Complex numbers, as a pair of Tensors: no Tensor is complex, and no kernel. So they have derivatives of every order.

What arrives at a complex number on the way back is ``dL/dreal + i dL/dimag``, which is PyTorch's convention, and the
direction in which L grows fastest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from ..autograd.tensor import Tensor
from ..autograd.tracing import plain
from ..device import Array, array_module, is_array
from . import array, linalg, math, pairwise, reduce, selection, trigonometry

Function = Callable[..., Any]


class Complex(NamedTuple):
    """Complex numbers: two Tensors of one shape, with ``+ - * @``, division by real numbers, and ``abs``.

    It unpacks as the pair that it is. It takes part in arithmetic with Tensors, arrays and numbers, real or complex, in
    NumPy's ``exp``, ``sum``, ``where``, ``real``, ``imag``, ``abs``, ``angle``, ``conj``, ``reshape``, ``matmul`` and
    ``np.fft``, and in cunet's functions of these names. All others raise TypeError.

    Attributes:
        real, imag: the parts.

    Example:
        >>> phase = cunet.tensor([0.0, np.pi / 2], requires_grad=True)
        >>> z = np.exp(cunet.Complex(0 * phase, phase)) * (1 + 1j)
        >>> z.numpy().round(6)
        array([ 1.+1.j, -1.+1.j], dtype=complex64)
        >>> (z.real**2).sum().backward()
        >>> phase.grad.round(4)
        array([-2.,  2.], dtype=float32)
    """

    real: Tensor
    imag: Tensor

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of the axes."""
        return self.real.shape

    @property
    def data(self) -> Array:
        """The numbers as a complex array, without history."""
        return joined(plain(self.real), plain(self.imag))

    def numpy(self) -> np.ndarray:
        """Return the numbers as a complex array of NumPy's."""
        return joined(self.real.numpy(), self.imag.numpy())

    def conj(self) -> Complex:
        """Return the conjugate numbers."""
        return Complex(self.real, math.negative(self.imag))

    def angle(self) -> Tensor:
        """Return the angles in radians, from -pi to pi; at 0 their gradient is taken as 0."""
        return pairwise.arctan2(self.imag, self.real)

    def exp(self) -> Complex:
        """Return ``e ** z``."""
        size = math.exp(self.real)
        return Complex(
            math.multiply(size, trigonometry.cos(self.imag)), math.multiply(size, trigonometry.sin(self.imag))
        )

    def sum(self, axis: Any = None, keepdims: bool = False) -> Complex:
        """Return the sum over `axis`."""
        return Complex(*(reduce.sum(part, axis=axis, keepdims=keepdims) for part in self))

    def reshape(self, *shape: Any) -> Complex:
        """Return the numbers in another shape."""
        return Complex(*(part.reshape(*shape) for part in self))

    def __abs__(self) -> Tensor:
        """Return the absolute values; at 0 their gradient is 0."""
        return pairwise.hypot(self.real, self.imag)

    def __neg__(self) -> Complex:
        """Return ``-z``."""
        return Complex(math.negative(self.real), math.negative(self.imag))

    def __add__(self, other: Any) -> Complex:
        """Return the sum."""
        return _add(self, other)

    def __radd__(self, other: Any) -> Complex:
        """Return the sum."""
        return _add(other, self)

    def __sub__(self, other: Any) -> Complex:
        """Return the difference."""
        return _subtract(self, other)

    def __rsub__(self, other: Any) -> Complex:
        """Return the difference."""
        return _subtract(other, self)

    def __mul__(self, other: Any) -> Complex:
        """Return the product."""
        return _product(math.multiply, self, other)

    def __rmul__(self, other: Any) -> Complex:
        """Return the product."""
        return _product(math.multiply, other, self)

    def __truediv__(self, other: Any) -> Complex:
        """Return the quotient by a real number."""
        return _divide(self, other)

    def __matmul__(self, other: Any) -> Complex:
        """Return the product of matrices."""
        return _product(linalg.matmul, self, other)

    def __rmatmul__(self, other: Any) -> Complex:
        """Return the product of matrices."""
        return _product(linalg.matmul, other, self)

    def __bool__(self) -> bool:
        """Refuse: a pair is no truth."""
        raise TypeError("bool: complex numbers are neither true nor false; compare abs(z)")

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        """Run what ``np.exp(z)`` and ``array * z`` mean."""
        name = ufunc.__name__ if method == "__call__" else f"{ufunc.__name__}.{method}"
        return _run(name, UFUNCS.get(ufunc) if method == "__call__" else None, inputs, kwargs)

    def __array_function__(self, function: Function, types: Any, args: Any, kwargs: Any) -> Any:
        """Run what ``np.sum(z)`` means."""
        return _run(function.__name__, FUNCTIONS.get(function), args, kwargs)

    def run_op(self, op: Function, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        """Run what an op of Tensors is for complex numbers."""
        return _run(op.__name__.lstrip("_"), OPS.get(op), args, options)


def _ordered(self: Complex, other: Any) -> Any:
    """Refuse: complex numbers have no order."""
    raise TypeError("complex numbers have no order; compare abs(z)")


for _name in ("__lt__", "__le__", "__gt__", "__ge__"):
    setattr(Complex, _name, _ordered)  # a tuple has one


def _run(name: str, function: Function | None, args: Any, options: Mapping[str, Any]) -> Any:
    if function is None:
        known = ", ".join(sorted({op.__name__.lstrip("_") for op in OPS}))
        raise TypeError(f"{name}: not of complex numbers, which have {known}, real, imag, angle, conj and cunet.fft")
    return function(*args, **options)


def joined(real: Array, imag: Array) -> Array:
    """Return a complex array of its parts."""
    z = array_module(real).empty(real.shape, np.result_type(real.dtype, imag.dtype, np.complex64))
    z.real[...], z.imag[...] = real, imag  # 1j * imag would make nan of an infinite one
    return z


def parts(x: Any) -> tuple[Any, Any]:
    """Return the real and the imaginary part of what may be complex; None: it is real."""
    if isinstance(x, Complex):
        return x.real, x.imag
    if isinstance(x, complex) or (is_array(x) and x.dtype.kind == "c") or isinstance(x, np.complexfloating):
        return x.real, x.imag
    return x, None


def _add(x: Any, y: Any) -> Complex:
    (a, b), (c, d) = parts(x), parts(y)
    real = math.add(a, c)
    imag = b if d is None else d if b is None else math.add(b, d)
    return Complex(real, imag if imag.shape == real.shape else array.broadcast_to(imag, real.shape))


def _subtract(x: Any, y: Any) -> Complex:
    c, d = parts(y)
    return _add(x, Complex(math.negative(c), math.negative(d)) if d is not None else math.negative(c))


def _product(op: Function, x: Any, y: Any) -> Complex:
    (a, b), (c, d) = parts(x), parts(y)
    if b is None:
        return Complex(op(a, c), op(a, d))
    if d is None:
        return Complex(op(a, c), op(b, c))
    return Complex(math.subtract(op(a, c), op(b, d)), math.add(op(a, d), op(b, c)))


def _divide(x: Any, y: Any) -> Complex:
    if parts(y)[1] is not None:
        raise TypeError("divide: by a real number only, got complex ones; multiply by z.conj(), divide by abs(z)**2")
    return Complex(math.divide(x.real, y), math.divide(x.imag, y))


def _where(condition: Any, x: Any, y: Any) -> Complex:
    (a, b), (c, d) = parts(x), parts(y)
    return Complex(
        *(selection.where(condition, 0 if p is None else p, 0 if q is None else q) for p, q in ((a, c), (b, d)))
    )


def _matmul(x: Any, y: Any) -> Complex:
    return _product(linalg.matmul, x, y)


def _multiply(x: Any, y: Any) -> Complex:
    return _product(math.multiply, x, y)


#: What takes the place of ops, where an argument is complex.
OPS: dict[Function, Function] = {
    array.reshape: Complex.reshape,
    linalg.matmul: _matmul,
    math.add: _add,
    math.divide: _divide,
    math.exp: Complex.exp,
    math.multiply: _multiply,
    math.negative: Complex.__neg__,
    math.subtract: _subtract,
    reduce.sum: Complex.sum,
    selection.abs: Complex.__abs__,
    selection.where: _where,
}
UFUNCS: dict[np.ufunc, Function] = {
    np.absolute: Complex.__abs__,
    np.add: _add,
    np.conjugate: Complex.conj,
    np.divide: _divide,
    np.exp: Complex.exp,
    np.matmul: _matmul,
    np.multiply: _multiply,
    np.negative: Complex.__neg__,
    np.subtract: _subtract,
}
FUNCTIONS: dict[Function, Function] = {
    np.angle: Complex.angle,
    np.imag: lambda z: z.imag,
    np.real: lambda z: z.real,
    np.reshape: Complex.reshape,
    np.sum: Complex.sum,
    np.where: _where,
}
