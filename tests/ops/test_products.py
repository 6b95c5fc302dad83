"""Products as NumPy has them: empty axes, numbers, and what does not fit."""

import numpy as np
import pytest
from helpers import host

import cunet
from cunet import Tensor
from cunet.testing import gradcheck


@pytest.mark.parametrize("axes", [0, 1, ((0,), (1,)), (1, 0), ([0, 1], [1, 0])], ids=str)
@pytest.mark.parametrize("n", [0, 1, 3])
def test_tensordot_is_numpys(axes, n, rng, dev):
    a, b = rng.standard_normal((n, n)), rng.standard_normal((n, n))
    y = cunet.tensordot(Tensor(dev(a)), dev(b), axes)
    np.testing.assert_allclose(host(y), np.tensordot(a, b, axes), rtol=1e-12)


@pytest.mark.parametrize("f", ["dot", "inner", "outer"])
@pytest.mark.parametrize("shapes", [((), (3,)), ((3,), ()), ((), ()), ((2, 3), (3, 3)), ((4, 0), (0, 0))], ids=str)
def test_products_are_numpys(f, shapes, rng, dev):
    a, b = (rng.standard_normal(s) for s in shapes)
    y = getattr(cunet, f)(dev(a), dev(b))
    np.testing.assert_allclose(host(y), getattr(np, f)(a, b), rtol=1e-12)
    gradcheck(getattr(cunet, f), dev(a), dev(b))


def test_numbers_and_lists():
    assert cunet.dot(2.0, Tensor([1.0, 2.0])).data.tolist() == [2, 4]
    assert cunet.inner([1.0, 2.0], [3.0, 4.0]).item() == 11
    assert cunet.outer([1.0, 2.0], (3.0, 4.0)).data.tolist() == [[3, 4], [6, 8]]


@pytest.mark.parametrize("axes", [3, ((0,), (0,)), ((0, 1), (1,)), (2, 0), ((0,), (5,))], ids=str)
def test_axes_that_do_not_fit_are_named(axes):
    with pytest.raises(ValueError, match=r"tensordot: axes must be pairs of equal length.*\(2, 3\) and \(3, 2\)"):
        cunet.tensordot(np.ones((2, 3)), np.ones((3, 2)), axes)
    with pytest.raises(ValueError, match="dot: axes must be pairs of equal length"):
        cunet.dot(np.ones((2, 2, 3)), np.ones((2, 2, 3)))
