"""Elements in other places, on shapes that are odd; NumPy is the oracle here, loops are in the table."""

import numpy as np
import pytest
from helpers import host

import cunet
from cunet import Tensor
from cunet.testing import gradcheck

SHAPES = [(0, 3), (3, 0), (1, 1), (2, 3), (3, 2), (2, 3, 3)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("offset", [0, 1, -1, 2, -2, 5, -5])
def test_diagonals_and_triangles(shape, offset, rng, dev):
    a = rng.standard_normal(shape)
    calls = {
        "diagonal": {"offset": offset, "axis1": -2, "axis2": -1},
        "trace": {"offset": offset, "axis1": -2, "axis2": -1},
        "tril": {"k": offset},
        "triu": {"k": offset},
    }
    for name, options in calls.items():
        f = getattr(cunet, name)
        np.testing.assert_allclose(host(f(dev(a), **options)), getattr(np, name)(a, **options), rtol=1e-13)
        x = Tensor(dev(a), requires_grad=True)
        f(x, **options).sum().backward()
        assert x.grad.shape == shape
        if a.size:
            gradcheck(lambda x, f=f, options=options: f(x, **options), dev(a))


def test_methods_of_the_diagonal(dev):
    x = Tensor(dev(np.arange(6.0).reshape(2, 3)))
    assert host(x.diagonal(1)).tolist() == [1, 5]
    assert x.trace().item() == 4
    assert x.trace(1, dtype=np.float32).dtype == np.float32
    assert host(cunet.diagonal(x, -1, 1, 0)).tolist() == [1, 5]


@pytest.mark.parametrize("k", [0, 2, -3])
def test_a_vector_on_a_diagonal_and_back(k, rng, dev):
    v = rng.standard_normal(4)
    matrix = cunet.diag(dev(v), k)
    np.testing.assert_array_equal(host(matrix), np.diag(v, k))
    np.testing.assert_array_equal(host(cunet.diag(matrix, k)), v)
    with pytest.raises(ValueError, match=r"diag: x must have 1 or 2 axes, got shape \(1, 1, 1\)"):
        cunet.diag(dev(np.ones((1, 1, 1))))
    assert cunet.diag(dev(np.ones(0))).shape == (0, 0)


def test_a_triangle_cuts_off_infinities(dev):
    """A product with a mask would make NaN of them: 0 * inf."""
    x = Tensor(dev([[1.0, np.inf], [np.nan, 2.0]], np.float32), requires_grad=True)
    y = cunet.triu(cunet.tril(x))
    assert host(y).tolist() == [[1, 0], [0, 2]]
    y.backward(dev([[1.0, np.inf], [np.nan, 1.0]], np.float32))
    assert host(x.grad).tolist() == [[1, 0], [0, 1]]


@pytest.mark.parametrize(("shift", "axis"), [(1, None), (-7, 0), (9, -1), ((1, -2), (0, 1)), (2, (0, 1)), ((1, 1), 0)])
@pytest.mark.parametrize("shape", [(2, 3), (1, 4), (0, 3)], ids=str)
def test_roll_is_numpys(shift, axis, shape, rng, dev):
    a = rng.standard_normal(shape)
    np.testing.assert_array_equal(host(cunet.roll(dev(a), shift, axis)), np.roll(a, shift, axis))
    x = Tensor(dev(a), requires_grad=True)
    cunet.roll(x, shift, axis).backward(dev(np.roll(a, shift, axis)))
    np.testing.assert_array_equal(host(x.grad), a)


def test_a_laplacian_by_roll_differentiates(rng, dev):
    gradcheck(lambda u: (np.roll(u, 1, 0) + np.roll(u, -1, 0) - 2 * u) ** 2, dev(rng.standard_normal((4, 3))))


@pytest.mark.parametrize("n", [0, 1, 2, 3, 4])
@pytest.mark.parametrize("axis", [0, -1])
def test_differences_are_numpys(n, axis, rng, dev):
    a = rng.standard_normal((3, 4))
    f = cunet.diff
    np.testing.assert_allclose(host(f(dev(a), n, axis)), np.diff(a, n, axis), rtol=1e-12)
    ends = {"prepend": 2.5, "append": a[:1] if axis == 0 else a[:, :1]}
    given = {k: dev(v) if isinstance(v, np.ndarray) else v for k, v in ends.items()}
    np.testing.assert_allclose(host(f(dev(a), n, axis, **given)), np.diff(a, n, axis, **ends), rtol=1e-12)
    end = Tensor(dev(1.5), requires_grad=True)  # a number that is learned
    f(dev(a), 1, axis, prepend=end).sum().backward()
    assert end.grad.item() == -a.size / a.shape[axis]
    whole = np.array([3, 5, 4], np.int32)
    assert host(f(dev(whole), prepend=1)).tolist() == [2, 2, -1]
    assert host(f(dev(whole), append=4.5)).tolist() == [2, -1, 0.5]
    for end_number in (1.0, 1, np.float64(1)):
        assert f(dev(a, np.float32), 1, axis, prepend=end_number).dtype == np.float32
    with pytest.raises(ValueError, match="diff: n must be >= 0, got -1"):
        f(dev(a), -1)


def test_joining_what_has_few_axes(dev):
    one, row, number = dev([[1.0, 2.0]]), dev([3.0, 4.0]), dev(5.0)
    assert host(cunet.vstack([one, row])).tolist() == [[1, 2], [3, 4]]
    assert host(cunet.vstack([number, number])).tolist() == [[5], [5]]
    assert host(cunet.hstack([number, row])).tolist() == [5, 3, 4]
    assert host(cunet.hstack((one, one))).tolist() == [[1, 2, 1, 2]]
    assert host(cunet.hstack((row, 5.0, [6.0]))).tolist() == [3, 4, 5, 6]  # numbers and lists go where the arrays are
    assert host(cunet.vstack(([1.0, 2.0], row))).tolist() == [[1, 2], [3, 4]]
    assert cunet.hstack((row.astype(np.float32), 5.0)).dtype == np.float32
    for f, name in ((cunet.vstack, "concatenate"), (cunet.hstack, "concatenate")):
        with pytest.raises(ValueError, match=f"{name}: at least one tensor is required, got none"):
            f([])
