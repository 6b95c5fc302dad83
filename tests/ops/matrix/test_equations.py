"""Equations, inverses and least squares where they are singular, empty, of other dtypes, or wrong."""

import numpy as np
import pytest
from helpers import host

from cunet import Tensor, linalg
from cunet.device import is_gpu_array
from cunet.testing import gradcheck

SINGULAR = np.array([[1.0, 2.0], [2.0, 4.0]])


def solve_vector(a):
    return linalg.solve(a, a[0])


def matrix_power(a):
    return linalg.matrix_power(a, -2)


@pytest.mark.parametrize("f", [linalg.inv, solve_vector, matrix_power])
def test_a_singular_matrix_is_an_error_that_says_whose_and_not_finite_on_a_gpu(f, dev):
    a = dev(np.stack([np.eye(2), SINGULAR]))
    if not is_gpu_array(a):
        who = f.__name__.removesuffix("_vector")
        with pytest.raises(np.linalg.LinAlgError, match=f"^{who}: a must be invertible.*, got a singular matrix$"):
            f(a)
        return
    y = host(f(a))
    assert np.isfinite(y[0]).all() and not np.isfinite(y[1]).any()


@pytest.mark.parametrize(
    ("f", "shapes", "result"),
    [
        (linalg.solve, [(0, 0), (0, 3)], (0, 3)),
        (linalg.solve, [(2, 0, 0), (0,)], (2, 0)),
        (linalg.solve, [(3, 3), (3, 0)], (3, 0)),
        (linalg.solve, [(0, 3, 3), (3, 2)], (0, 3, 2)),
        (linalg.inv, [(0, 0)], (0, 0)),
        (linalg.inv, [(0, 3, 3)], (0, 3, 3)),
        (linalg.pinv, [(0, 3)], (3, 0)),
        (linalg.pinv, [(0, 2, 3)], (0, 3, 2)),
        (linalg.matrix_power, [(0, 2, 2)], (0, 2, 2)),
    ],
)
def test_nothing_to_solve(f, shapes, result, dev):
    arrays = [Tensor(dev(np.ones(s, np.float32)), requires_grad=True) for s in shapes]
    y = f(*arrays, n=2) if f is linalg.matrix_power else f(*arrays)
    assert y.shape == result and y.dtype == np.float32
    y.sum().backward()
    for a in arrays:
        assert a.grad.shape == a.shape and not host(a.grad).any()


def test_dtypes(dev, rng):
    a = rng.integers(0, 2, (3, 3)) + 3.0 * np.eye(3)
    for dtype, result in ((np.float16, np.float16), (np.float32, np.float32), (np.int64, np.float64)):
        x = dev(a.astype(dtype))
        assert linalg.inv(x).dtype == linalg.pinv(x).dtype == linalg.solve(x, x).dtype == result
        assert linalg.lstsq(x, x)[0].dtype == result
    x, b = Tensor(dev(a, np.float32), requires_grad=True), Tensor(dev(a[0]), requires_grad=True)
    y = linalg.solve(x, b)
    assert y.dtype == np.float64
    y.sum().backward()
    assert x.grad.dtype == np.float32 and b.grad.dtype == np.float64


def test_a_right_side_of_one_axis_is_one_vector_for_all_matrices(dev, rng):
    a, b = rng.standard_normal((3, 3, 3)) + 3 * np.eye(3), rng.standard_normal(3)
    expected = np.stack([np.linalg.solve(m, b) for m in a])
    np.testing.assert_allclose(host(linalg.solve(dev(a), dev(b))), expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda x: linalg.solve(x, x), r"solve: a must have shape \(\.\.\., N, N\), got \(2, 3\)"),
        (lambda x: linalg.solve(x[:, :2], x.T), r"solve: a and b must have shapes .*\(2, 2\), \(3, 2\)"),
        (lambda x: linalg.solve(x[:, :2], x[0, 0]), r"solve: a and b must have shapes"),
        (lambda x: linalg.inv(x), r"inv: a must have shape \(\.\.\., N, N\)"),
        (lambda x: linalg.pinv(x[0]), r"pinv: a must have shape \(\.\.\., M, N\), got \(3,\)"),
        (lambda x: linalg.lstsq(x, x.T), r"lstsq: a and b must have shapes \(M, N\) and \(M,\) or \(M, K\)"),
        (lambda x: linalg.matrix_power(x, 2), r"matrix_power: a must have shape"),
    ],
)
def test_shapes_that_do_not_fit_are_named(call, words, dev, rng):
    with pytest.raises(ValueError, match=words):
        call(Tensor(dev(rng.standard_normal((2, 3))), requires_grad=True))


def test_what_is_no_array_or_no_whole_number_is_named(dev):
    with pytest.raises(TypeError, match="inv: expected an array"):
        linalg.inv(None)
    with pytest.raises(TypeError, match="solve: b must be an array, got None"):
        linalg.solve(dev(np.eye(2)), None)
    for n in (1.5, "2", True):
        with pytest.raises(TypeError, match="matrix_power: n must be a whole number"):
            linalg.matrix_power(dev(np.eye(2)), n)


@pytest.mark.parametrize("n", [-5, -1, 0, 1, 6, 7, 8])
def test_powers_are_those_of_numpy(n, dev, rng):
    a = rng.standard_normal((2, 3, 3)) / 2 + 2 * np.eye(3)
    np.testing.assert_allclose(host(linalg.matrix_power(dev(a), n)), np.linalg.matrix_power(a, n), rtol=1e-10)


def test_the_pseudoinverse_of_a_rank_that_stays(dev, rng):
    b, c = rng.uniform(0.5, 2, (4, 2)), rng.uniform(-2, 2, (2, 3))
    gradcheck(lambda b, c: linalg.pinv(b @ c), dev(b), dev(c), rtol=1e-5)
    np.testing.assert_allclose(host(linalg.pinv(dev(b @ c))), np.linalg.pinv(b @ c, 1e-10), rtol=1e-9)


def test_least_squares_without_full_rank_has_numpys_solution_and_no_gradient(dev, rng):
    a, b = np.outer(np.arange(1.0, 5), [1.0, 2.0]), rng.standard_normal(4)
    x, y = Tensor(dev(a), requires_grad=True), Tensor(dev(b), requires_grad=True)
    found = linalg.lstsq(x, y)
    expected = np.linalg.lstsq(a, b)
    np.testing.assert_allclose(host(found.x), expected[0], rtol=1e-9)
    np.testing.assert_allclose(host(found.residuals), ((b - a @ expected[0]) ** 2).sum(), rtol=1e-9)
    assert int(found.rank) == 1
    if is_gpu_array(x.data):
        found.x.sum().backward()
        assert np.isnan(host(x.grad)).all() and np.isnan(host(y.grad)).all()
        x.grad = None
    else:
        with pytest.raises(ValueError, match=r"lstsq: the solution .* full rank min\(M, N\) = 2, got rank 1"):
            found.x.sum().backward()
    linalg.lstsq(x, y).singular_values.sum().backward()
    assert np.isfinite(host(x.grad)).all()


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0, 0)])
def test_least_squares_of_nothing(shape, dev):
    a = Tensor(dev(np.zeros(shape, np.float32)), requires_grad=True)
    b = Tensor(dev(np.ones((shape[0], 2), np.float32)), requires_grad=True)
    found = linalg.lstsq(a, b)
    assert found.x.shape == (shape[1], 2) and not host(found.x).any() and int(found.rank) == 0
    assert host(found.residuals).tolist() == ([3, 3] if shape == (3, 0) else [])
    (found.x.sum() + found.residuals.sum()).backward()
    assert a.grad.shape == shape and (host(b.grad) == (2 if shape == (3, 0) else 0)).all()


@pytest.mark.parametrize("size", [np.inf, np.nan])
@pytest.mark.parametrize("name", ["lstsq", "pinv", "svd", "svdvals", "eigh", "eigvalsh"])
def test_what_is_not_finite_is_refused_on_the_cpu(name, size, dev):
    """LAPACK goes round for ever in some of them, for some matrices."""
    a = dev(np.diag([1.0, size]))
    if not is_gpu_array(a):
        with pytest.raises(np.linalg.LinAlgError, match=f"{name}: a must be finite, got inf or nan"):
            getattr(linalg, name)(a, *([a] if name == "lstsq" else []))


def test_rank_is_told_by_the_precision_of_the_dtype(dev):
    a = np.array([[1.0, 1.0], [1.0, 1.0 + 1e-12], [1.0, 1.0]])
    assert int(linalg.lstsq(dev(a), dev(np.ones(3))).rank) == 2
    assert int(linalg.lstsq(dev(a, np.float32), dev(np.ones(3, np.float32))).rank) == 1
    assert int(linalg.lstsq(dev(a), dev(np.ones(3)), rcond=1e-6).rank) == 1


def test_a_line_is_fitted_and_the_fit_differentiates(dev):
    x = np.arange(5.0)
    a = np.stack([x, np.ones(5)], axis=1)
    y = Tensor(dev(2 * x + 1), requires_grad=True)
    slope, offset = linalg.lstsq(dev(a), y)[0]
    assert float(slope) == pytest.approx(2) and float(offset) == pytest.approx(1)
    slope.backward()
    np.testing.assert_allclose(host(y.grad), (x - 2) / 10, atol=1e-12)  # the formula of a slope
