"""Every function of NumPy that has an op: its value, its gradient, and the dtype it is asked for."""

import numpy as np
import pytest
from helpers import host

from cunet import Tensor
from cunet.testing import gradcheck

B = np.array([[0.5, 2.0], [1.5, 0.25], [3.0, 1.0]])

#: name, expression of an array (3, 2) of positive numbers and of NumPy with B on the same device
SAME = {
    "absolute": lambda x, b: np.absolute(-x),
    "add": lambda x, b: np.add(x, b),
    "add everywhere": lambda x, b: np.add(x, b, where=True),
    "add of an array": lambda x, b: np.add(b, x),
    "add.accumulate": lambda x, b: np.add.accumulate(x, axis=1),
    "add.reduce": lambda x, b: np.add.reduce(x),
    "add.reduce by position": lambda x, b: np.add.reduce(x, 1),
    "add.reduce kept": lambda x, b: np.add.reduce(x, axis=1, keepdims=True),
    "add.reduce over all": lambda x, b: np.add.reduce(x, axis=None),
    "amax": lambda x, b: np.amax(x, 0),
    "arcsinh": lambda x, b: np.arcsinh(x),
    "arctan2": lambda x, b: np.arctan2(x, b),
    "around": lambda x, b: x * np.around(x, 1),
    "array += through out of place": lambda x, b: b + x - b * x / (b**x),
    "astype": lambda x, b: np.astype(x, np.float64) * 2 if hasattr(np, "astype") else x * 2,
    "broadcast_to": lambda x, b: np.broadcast_to(x, (2, 3, 2)),
    "ceil": lambda x, b: x * np.ceil(x),
    "clip": lambda x, b: np.clip(x, 0.7, 1.2),
    "clip by name": lambda x, b: np.clip(x, a_min=0.7, a_max=None),
    "clip by new name": lambda x, b: np.clip(x, min=0.7),
    "concatenate": lambda x, b: np.concatenate([x, b, x], axis=1),
    "concatenate flat": lambda x, b: np.concatenate((b, x), axis=None),
    "cos": lambda x, b: np.cos(x),
    "cumprod": lambda x, b: np.cumprod(x, axis=1),
    "cumsum": lambda x, b: np.cumsum(x, axis=0),
    "cumsum flat": lambda x, b: np.cumsum(x),
    "cumsum in a dtype": lambda x, b: np.cumsum(x, axis=0, dtype=np.float64),
    "diag": lambda x, b: np.diag(x[:, 0], k=1),
    "diagonal": lambda x, b: np.diagonal(x),
    "diagonal with an offset": lambda x, b: np.diagonal(x, -1),
    "diff": lambda x, b: np.diff(x, axis=0),
    "diff with ends": lambda x, b: np.diff(x, 1, 1, prepend=0.5, append=b[:, :1]),
    "divide": lambda x, b: np.divide(b, x),
    "divmod": lambda x, b: sum(np.divmod(x + 1.1, 1.5)),
    "dot": lambda x, b: np.dot(x, b.T),
    "einsum": lambda x, b: np.einsum("ij,kj->ik", x, b, optimize=True),
    "einsum of lists": lambda x, b: np.einsum(x, [0, 1], b, [Ellipsis, 2, 1], [0, Ellipsis, 2]),
    "einsum of lists alone": lambda x, b: np.einsum(x, [1, 0]),
    "exp": lambda x, b: np.exp(x),
    "expand_dims": lambda x, b: np.expand_dims(x, 1),
    "expm1": lambda x, b: np.expm1(x),
    "fix": lambda x, b: x * np.fix(x - 1.7),
    "flip": lambda x, b: np.flip(x, 0),
    "floor": lambda x, b: x * np.floor(x + 1.1),
    "floor_divide": lambda x, b: x * np.floor_divide(x + 1.1, 1.5),
    "full_like": lambda x, b: np.full_like(x, x[1, 0]) + np.full_like(x, x[0]),
    "hstack": lambda x, b: np.hstack([x, b]),
    "hstack of rows": lambda x, b: np.hstack((x[0], b[1])),
    "hypot": lambda x, b: np.hypot(x, b),
    "inner": lambda x, b: np.inner(x, b),
    "log": lambda x, b: np.log(x),
    "log1p": lambda x, b: np.log1p(x),
    "logaddexp": lambda x, b: np.logaddexp(b, x),
    "matmul": lambda x, b: np.matmul(x, b.T),
    "matmul of an array": lambda x, b: b.T @ x,
    "max": lambda x, b: np.max(x, axis=1, keepdims=True),
    "maximum": lambda x, b: np.maximum(x, b),
    "maximum.reduce": lambda x, b: np.maximum.reduce(x, axis=1),
    "mean": lambda x, b: np.mean(x, 1),
    "mean in a dtype": lambda x, b: np.mean(x, axis=0, dtype=np.float64),
    "median": lambda x, b: np.median(x, axis=0),
    "median of all": lambda x, b: np.median(x, keepdims=True),
    "min": lambda x, b: np.min(x),
    "minimum": lambda x, b: np.minimum(x, 1.0),
    "mod": lambda x, b: np.mod(x + 1.1, 1.5),
    "moveaxis": lambda x, b: np.moveaxis(x.reshape(1, 3, 2), 0, -1),
    "moveaxis of two": lambda x, b: np.moveaxis(x.reshape(3, 1, 2), (2, 0), (0, 1)),
    "multiply": lambda x, b: np.multiply(x, b),
    "multiply.accumulate": lambda x, b: np.multiply.accumulate(x, axis=1),
    "multiply.reduce": lambda x, b: np.multiply.reduce(x, axis=0),
    "nan_to_num": lambda x, b: np.nan_to_num(x, nan=1.0),
    "negative": lambda x, b: np.negative(x),
    "outer": lambda x, b: np.outer(x, b),
    "pad": lambda x, b: np.pad(x, ((1, 0), (0, 2)), constant_values=3),
    "power": lambda x, b: np.power(x, b),
    "prod": lambda x, b: np.prod(x, axis=(0, 1)),
    "ravel": lambda x, b: np.ravel(x),
    "remainder": lambda x, b: np.remainder(4, x + 2.2),
    "repeat": lambda x, b: np.repeat(x, 2, axis=1),
    "reshape": lambda x, b: np.reshape(x, (2, 3)),
    "rint": lambda x, b: x * np.rint(x / 3),
    "roll": lambda x, b: np.roll(x, 1),
    "roll of rows": lambda x, b: np.roll(x, shift=-1, axis=0),
    "round": lambda x, b: x * np.round(x, decimals=1),
    "sign": lambda x, b: x * np.sign(x - 1),
    "sort": lambda x, b: np.sort(x, axis=0),
    "sort of a kind": lambda x, b: np.sort(x, kind="stable"),
    "split": lambda x, b: np.split(x, [1], axis=0)[1],
    "sqrt": lambda x, b: np.sqrt(x),
    "square": lambda x, b: np.square(x),
    "squeeze": lambda x, b: np.squeeze(x[:1], axis=0),
    "stack": lambda x, b: np.stack([x, b], axis=-1),
    "std": lambda x, b: np.std(x, axis=0, ddof=1),
    "subtract": lambda x, b: np.subtract(b, x),
    "sum": lambda x, b: np.sum(x, axis=-1),
    "sum of all": lambda x, b: np.sum(x),
    "swapaxes": lambda x, b: np.swapaxes(x, 0, 1),
    "take_along_axis": lambda x, b: np.take_along_axis(x, np.argsort(x, axis=0), axis=0),
    "tanh": lambda x, b: np.tanh(x),
    "tensordot": lambda x, b: np.tensordot(x, b, axes=([0], [0])),
    "tile": lambda x, b: np.tile(x, (2, 1)),
    "trace": lambda x, b: np.trace(x, offset=-1),
    "transpose": lambda x, b: np.transpose(x, (1, 0)),
    "tril": lambda x, b: np.tril(x, -1),
    "triu": lambda x, b: np.triu(x),
    "trunc": lambda x, b: x * np.trunc(x - 3.7),
    "var": lambda x, b: np.var(x, axis=1, keepdims=True),
    "vstack": lambda x, b: np.vstack([x, b]),
    "vstack of rows": lambda x, b: np.vstack([x[0], b[1]]),
    "where": lambda x, b: np.where(b > 1, x, b),
}


@pytest.fixture
def a(rng):
    return rng.uniform(0.5, 1.5, (3, 2))


@pytest.mark.parametrize("name", SAME)
def test_a_function_of_numpy_runs_the_op(name, a, dev):
    f, b = SAME[name], dev(B)
    x = Tensor(dev(a), requires_grad=True)
    y = f(x, b)
    assert isinstance(y, Tensor) and y.requires_grad
    np.testing.assert_allclose(host(y), f(a, B), rtol=1e-12)
    gradcheck(lambda t: f(t, b), dev(a))
    assert isinstance(f(x.detach(), b), Tensor)  # whether recorded or not


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_dtype_is_honoured(dtype, a, dev):
    x = Tensor(dev(a), requires_grad=True)
    for f in (
        lambda x: np.add(x, 1, dtype=dtype),
        lambda x: np.exp(x, dtype=dtype),
        lambda x: np.sum(x, axis=0, dtype=dtype),
        lambda x: np.mean(x, dtype=dtype),
        lambda x: np.cumsum(x, dtype=dtype),
        lambda x: np.add.reduce(x, dtype=dtype),
        lambda x: np.concatenate([x, x], dtype=dtype),
    ):
        y = f(x)
        assert y.dtype == dtype and y.requires_grad
        np.testing.assert_allclose(host(y).astype(float), f(a).astype(float), rtol=3e-3)
