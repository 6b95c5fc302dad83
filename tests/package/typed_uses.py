"""Right and wrong uses of cunet, read by mypy and never run; see test_types.py.

A wrong use carries the error that mypy must give; an ignored error that does not come up is an error itself.
"""

from typing import Any, assert_type

import numpy as np

import cunet
from cunet import F, Tensor, nn, op
from cunet.autograd.op import Result, Results

x = cunet.tensor(np.ones((2, 3), np.float32), requires_grad=True)
w: nn.Parameter = nn.Parameter(np.ones((4, 3), np.float32))

# arithmetic, with Tensors, arrays and numbers on either side
assert_type(x + x, Tensor)
assert_type(2 * x - 1.5, Tensor)
assert_type(w / 2, Tensor)
assert_type(-x @ w.T, Tensor)
assert_type(x**2, Tensor)
assert_type(x % 2 + 3 // x, Tensor)
assert_type(divmod(x, 2), tuple[Tensor, Tensor])
assert_type(x[0, 1:], Tensor)
for row in x:
    assert_type(row, Tensor)

# methods
assert_type(x.sum(axis=0), Tensor)
assert_type(x.sum(0, keepdims=True).mean(), Tensor)
assert_type(x.reshape(3, 2), Tensor)
assert_type(w.exp(), Tensor)
assert_type(x.T, Tensor)
assert_type(x.detach(), Tensor)
assert_type(x.sum(dtype=np.float64), Tensor)
assert_type(x.clip(min=0), Tensor)
x.sum(dim=0)  # type: ignore[arg-type]
x.mean(axis="rows")  # type: ignore[arg-type]
x.exp(2)  # type: ignore[call-arg]

# ops: static arguments by name, by position, and some of each
assert_type(cunet.reshape(x, (3, 2)), Tensor)
assert_type(cunet.sum(x, 0, keepdims=True), Tensor)
assert_type(cunet.repeat(x, 2, axis=0), Tensor)
assert_type(cunet.split(x, 3, axis=1), tuple[Tensor, ...])
assert_type(cunet.add(x, 1), Tensor)
assert_type(cunet.add(y=x, x=1), Tensor)
assert_type(cunet.concatenate([x, x], axis=0), Tensor)
assert_type(cunet.where(x > 0, x, 0.0), Tensor)
assert_type(cunet.lerp(x, 1.0, 0.5), Tensor)
assert_type(cunet.median(x, axis=(0, 1)), Tensor)
assert_type(cunet.roll(x, (1, 2), axis=(0, 1)), Tensor)
assert_type(cunet.topk(x, 2), tuple[Tensor, Any])
cunet.add(x)  # type: ignore[call-arg]
cunet.exp(x, x)  # type: ignore[call-arg]
cunet.sum(x, dim=0)  # type: ignore[call-arg]
cunet.sum(x, axis="rows")  # type: ignore[arg-type]
cunet.swapaxes(x, 0)  # type: ignore[call-arg]

# functions
assert_type(F.relu(x), Tensor)
assert_type(F.elu(x, alpha=0.5), Tensor)
assert_type(F.elu(x, 0.5), Tensor)
assert_type(F.softmax(x, 1), Tensor)
assert_type(F.linear(x, w), Tensor)
assert_type(F.linear(x, weight=w, bias=None), Tensor)
assert_type(F.cross_entropy(x, np.zeros(2, np.int64), reduction="sum"), Tensor)
assert_type(cunet.linalg.solve(w.T, x), Tensor)
assert_type(cunet.linalg.norm(x, 2, axis=1), Tensor)
assert_type(cunet.linalg.svd(x).S, Tensor)
assert_type(cunet.fft.rfft(x).real, Tensor)
F.rleu(x)  # type: ignore[attr-defined]
F.hard_tanh(x)  # type: ignore[attr-defined]
nn.Lienar(2, 3)  # type: ignore[attr-defined]
assert_type(nn.Conv2d(1, 8, 3).weight, nn.Parameter)
nn.Conv2d(1, "8", 3)  # type: ignore[arg-type]
nn.ZeroPad1d()  # type: ignore[call-arg]
x.view(3, 2)  # type: ignore[attr-defined]
F.relu(x, slope=0.1)  # type: ignore[call-arg]
F.elu(x, alpha="much")  # type: ignore[arg-type]
F.linear(x)  # type: ignore[call-arg]
F.mse_loss(x, x, reduce=False)  # type: ignore[call-arg]


# ops of users: without types, with one result, with several
@op
def untyped(x, *, k=1.0):
    return x * k, lambda gy: (gy * k,)


@op
def doubled(x: Any, *, k: float = 2.0) -> Result:
    return x * k, lambda gy: (gy * k,)


@op(arrays=1)
def halves(x: Any, at: int) -> Results:
    return (x[:at], x[at:]), lambda gys: (np.concatenate(gys),)


untyped(x, k=3.0).sum()
assert_type(doubled(x, k=3.0), Tensor)
assert_type(halves(x, 1), tuple[Tensor, ...])
doubled(x, factor=3.0)  # type: ignore[call-arg]
halves(x)  # type: ignore[call-arg]
