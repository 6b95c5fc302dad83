"""Products over shapes that vary."""

import numpy as np
import pytest
from helpers import host
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import cunet
from cunet import Tensor
from cunet.ops.linalg import linear
from cunet.testing import gradcheck

quick = settings(max_examples=50)
seeds = st.integers(0, 2**32 - 1)
shapes = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=3)


@st.composite
def products(draw):
    n, k, m = (draw(st.integers(0, 3)) for _ in range(3))
    batches = draw(hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=2, min_side=0, max_side=3)).input_shapes
    left, right = (*batches[0], n, k), (*batches[1], k, m)
    if draw(st.booleans()):
        left = (k,)
    if draw(st.booleans()):
        right = (k,)
    return left, right, draw(seeds)


@quick
@given(case=products())
def test_matmul(case, dev):
    left, right, seed = case
    rng = np.random.default_rng(seed)
    a, b = rng.standard_normal(left), rng.standard_normal(right)
    y = Tensor(dev(a)) @ Tensor(dev(b))
    np.testing.assert_allclose(host(y), np.matmul(a, b), rtol=1e-12, atol=1e-13)
    gradcheck(cunet.matmul, dev(a), dev(b))


def test_products_over_an_axis_of_length_0(dev):
    for f, shapes in [(cunet.matmul, [(5, 2, 0), (0, 3)]), (linear, [(5, 2, 0), (3, 0), (3,)])]:
        arrays = [Tensor(dev(np.ones(s)), requires_grad=True) for s in shapes]
        y = f(*arrays)
        assert y.shape == (5, 2, 3)
        y.sum().backward()
        assert [x.grad.shape for x in arrays] == shapes
    x, w = (Tensor(dev(np.ones(s)), requires_grad=True) for s in ((5, 2, 4), (0, 4)))
    linear(x, w).sum().backward()
    assert not host(x.grad).any()


def test_matmul_names_what_does_not_fit(dev):
    x = Tensor(dev(np.ones((2, 3))))
    with pytest.raises(ValueError, match=r"matmul: inner lengths must be equal, got shapes \(2, 3\) and \(2, 3\)"):
        x @ x
    with pytest.raises(ValueError, match="at least 1 axis"):
        x @ 2.0
