"""Element-by-element mathematics: arithmetic, powers, exponentials, logarithms, tanh.

Each op is the ufunc of that name in the namespace of its arrays, with its derivative beside it.
Shapes broadcast, dtypes promote as in NumPy; infinities and NaN are results, of which nobody is warned.

A gradient of 0 stays 0 where a slope is infinite or NaN, as at ``where(x > 0, sqrt(x), 0)``. Not so in `multiply` and
in products of matrices, where a look at each gradient would cost as much as the product: 0 * inf is NaN there.
"""

from __future__ import annotations

import math

import numpy as np

from ..autograd.op import Result, op
from ..device import Array, array_module, is_array
from ..kernels import elementwise
from ..kernels.capture import added, multiplied
from .activation.registry import activation
from .slopes import for_divisor, over, times


@op
def add(x, y) -> Result:
    """Return ``x + y``.

    Example:
        >>> bias = cunet.tensor([1.0, 2.0], requires_grad=True)
        >>> cunet.add(bias, np.zeros((3, 2), np.float32)).sum().backward()
        >>> bias.grad  # summed over the axis that was broadcast
        array([3., 3.], dtype=float32)
    """
    return added(x, y), lambda gy: (gy, gy)


@op
def subtract(x, y) -> Result:
    """Return ``x - y``.

    Example:
        >>> cunet.subtract([5.0, 7.0], [[1.0], [2.0]])
        Tensor([[4., 6.],
                [3., 5.]])
    """
    return x - y, lambda gy: (gy, lambda: -gy)


@op
def multiply(x, y) -> Result:
    """Return ``x * y``.

    Example:
        >>> cunet.grad(lambda x, y: cunet.multiply(x, y).sum(), (0, 1))(np.array([1.0, 2.0]), np.array([3.0, 4.0]))
        (array([3., 4.]), array([1., 2.]))
    """
    return multiplied(x, y), lambda gy: (lambda: multiplied(gy, y), lambda: multiplied(gy, x))


@op
def divide(x, y) -> Result:
    """Return ``x / y``.

    Example:
        >>> cunet.divide([1.0, 0.0, -1.0], 0.0)  # results, of which nobody is warned
        Tensor([ inf,  nan, -inf])
    """
    z = x / y
    return z, lambda gy: (
        lambda: over(gy, y) if is_array(y) or not y else gy / y,
        lambda: for_divisor(gy, z, y),
    )


@op
def negative(x) -> Result:
    """Return ``-x``.

    Example:
        >>> cunet.negative([1.0, -2.0])
        Tensor([-1.,  2.])
    """
    return -x, lambda gy: (-gy,)


@op
def power(x, y) -> Result:
    """Return ``x ** y``.

    At x = 0 the gradient for y is 0 where y >= 0 (the limit), and the gradient for x is 0 where y = 0.
    For x < 0 the gradient for y is NaN, as ``log(x)`` is.

    Example:
        >>> cunet.power([2.0, 3.0], 2)
        Tensor([4., 9.])
        >>> cunet.grad(cunet.power, (0, 1))(np.array(0.0), np.array(2.0))  # finite, though log(0) is not
        (array(0.), array(0.))
    """
    z = x**y
    xp = array_module(x, y)

    def for_x(gy: Array) -> Array:
        if not is_array(y):
            return times(gy, y * x ** (y - 1)) if y != 0 else gy * xp.zeros_like(x)
        return times(gy, xp.where(y == 0, 0, y * x ** (y - 1)))

    def for_y(gy: Array) -> Array:
        base = xp.where((x == 0) & (y >= 0), xp.ones_like(z), x)
        return times(gy, z * xp.log(base))

    return z, lambda gy: (lambda: for_x(gy), lambda: for_y(gy))


@op
def square(x) -> Result:
    """Return ``x * x``.

    Example:
        >>> cunet.square([-3.0, 2.0])
        Tensor([9., 4.])
    """
    return x * x, lambda gy: (times(gy, 2 * x),)


@op
def sqrt(x) -> Result:
    """Return the square root; its gradient at 0 is inf.

    Example:
        >>> x = cunet.tensor([0.0, 4.0], requires_grad=True)
        >>> cunet.where(x > 0, cunet.sqrt(x), 0.0).sum().backward()
        >>> x.grad  # no NaN from the slope at 0, which was not taken
        array([0.  , 0.25], dtype=float32)
    """
    y = array_module(x).sqrt(x)
    return y, lambda gy: (times(gy, 0.5 / y),)


@elementwise("T x", "T y", "y = rsqrt(x)")
def rsqrt_forward(x):
    return 1 / np.sqrt(x)


# One factor after the other: y * y * y leaves the range where the gradient need not.
@elementwise(
    "T gy, T y", "T gx", "gx = gy == 0 ? A(0) : gy * (A(-0.5) * y) * y * y", smooth="gx = damp(gy, A(-0.5) * y * y * y)"
)
def rsqrt_backward(gy, y):
    return np.where(gy == 0, 0, gy * (-0.5 * y) * y * y)


@op
def rsqrt(x) -> Result:
    """Return ``1 / sqrt(x)``: inf at 0, where its gradient is -inf.

    Example:
        >>> cunet.rsqrt([4.0, 0.25, 0.0])
        Tensor([0.5, 2. , inf])
    """
    y = rsqrt_forward(x)
    return y, lambda gy: (rsqrt_backward(gy, y),)


@op
def reciprocal(x) -> Result:
    """Return ``1 / x``.

    Example:
        >>> cunet.reciprocal([2.0, -4.0])
        Tensor([ 0.5 , -0.25])
    """
    y = 1 / x
    return y, lambda gy: (times(gy, -(y * y)),)


@op
def exp(x) -> Result:
    """Return ``e ** x``.

    Example:
        >>> cunet.exp([0.0, 1.0, 89.0]).round(4)  # float32 ends near exp(88.7)
        Tensor([1.    , 2.7183,    inf])
    """
    y = array_module(x).exp(x)
    return y, lambda gy: (times(gy, y),)


@op
def expm1(x) -> Result:
    """Return ``exp(x) - 1``, exact near 0.

    Example:
        >>> cunet.expm1([1e-8]), cunet.exp([1e-8]) - 1
        (Tensor([1.e-08]), Tensor([0.]))
    """
    xp = array_module(x)
    # exp(x), not expm1(x) + 1: the latter is 0 for x below about -17 in float32.
    return xp.expm1(x), lambda gy: (times(gy, xp.exp(x)),)


@op
def exp2(x) -> Result:
    """Return ``2 ** x``.

    Example:
        >>> cunet.exp2([3.0, -1.0])
        Tensor([8. , 0.5])
    """
    y = array_module(x).exp2(x)
    return y, lambda gy: (times(gy, y * math.log(2)),)


@op
def log(x) -> Result:
    """Return the natural logarithm.

    Example:
        >>> cunet.log([1.0, 0.0, -1.0])
        Tensor([  0., -inf,  nan])
    """
    return array_module(x).log(x), lambda gy: (over(gy, x),)


@op
def log1p(x) -> Result:
    """Return ``log(1 + x)``, exact near 0.

    Example:
        >>> cunet.log1p([1e-8]), cunet.log([1 + 1e-8])
        (Tensor([1.e-08]), Tensor([0.]))
    """
    return array_module(x).log1p(x), lambda gy: (over(gy, 1 + x),)


@op
def log2(x) -> Result:
    """Return the logarithm to base 2.

    Example:
        >>> cunet.log2([8.0, 0.5])
        Tensor([ 3., -1.])
    """
    return array_module(x).log2(x), lambda gy: (over(gy, x * math.log(2)),)


@op
def log10(x) -> Result:
    """Return the logarithm to base 10.

    Example:
        >>> cunet.log10([1000.0, 0.1]).round(4)
        Tensor([ 3., -1.])
    """
    return array_module(x).log10(x), lambda gy: (over(gy, x * math.log(10)),)


@elementwise("T x", "T y", "y = tanh(x)")
def tanh_forward(x):
    return np.tanh(x)


@elementwise(
    "T gy, T x", "T gx", "A e = exp(-2 * abs(x)); gx = gy * (4 * e / ((1 + e) * (1 + e)))", smooth="gx = gy * sech2(x)"
)
def tanh_backward(gy, x):  # from x, not 1 - y*y: that is 0 from about x = 9 in float32
    e = np.exp(-2 * np.abs(x))
    return gy * (4 * e / ((1 + e) * (1 + e)))


@activation(tanh_forward, tanh_backward, layer="Tanh", gain=5 / 3)
@op
def tanh(x) -> Result:
    """Return the hyperbolic tangent.

    The gradient is ``4 e / (1 + e)**2`` with ``e = exp(-2 |x|)``, which is sech(x)**2 without cancellation.

    Example:
        >>> F.tanh(cunet.tensor([-1.0, 0.0, 1.0])).round(4)
        Tensor([-0.7616,  0.    ,  0.7616])
        >>> cunet.grad(F.tanh)(np.array(0.0))
        array(1.)
    """
    return tanh_forward(x), lambda gy: (tanh_backward(gy, x),)
