"""Stacks of products: by the runtime, the bits of NumPy's, whoever shares them."""

import numpy as np
import pytest

from cunet.kernels.backends.native import native, products
from cunet.ops.linalg import product

pytestmark = pytest.mark.cpu_only

SHAPES = [
    ((20, 5, 7), (20, 7, 4)),
    ((5, 7), (3, 7, 4)),
    ((3, 5, 7), (7, 4)),
    ((2, 1, 5, 7), (3, 7, 4)),
    ((1, 1, 5, 7), (1, 7, 4)),
    ((40, 70, 80), (40, 80, 60)),
    ((3, 300, 300), (300, 300)),
    ((2, 3, 5, 7), (2, 3, 7, 4)),
]
LAYOUTS = [
    lambda a: a,
    lambda a: np.ascontiguousarray(a.swapaxes(-1, -2)).swapaxes(-1, -2),
    lambda a: np.concatenate([a, a], axis=-1)[..., : a.shape[-1]],
    lambda a: np.concatenate([a, a], axis=0)[::2] if a.ndim > 2 and len(a) > 1 else a,
    lambda a: np.asfortranarray(a),
]


@pytest.fixture
def bound(on):
    if products.bound() is None:
        pytest.skip("NumPy has another BLAS, or there is no compiler")


def draw(rng, shape, dtype):
    return rng.standard_normal(shape).astype(dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_bits_of_stacks_do_not_depend_on_threads(bound, monkeypatch, rng, dtype):
    for shapes in SHAPES:
        x, y = [draw(rng, shape, dtype) for shape in shapes]
        found = []
        for threads in (1, 2, 5):
            monkeypatch.setattr(native, "threads", threads)
            found.append(products.product(x, y))
        assert type(found[0]) is np.ndarray and found[0].dtype == dtype
        assert all(z.tobytes() == found[0].tobytes() for z in found)
        tolerance = 1e-12 if dtype is np.float64 else 1e-4
        np.testing.assert_allclose(found[0], np.matmul(x.astype(float), y.astype(float)), tolerance, tolerance)


def test_layouts_of_stacks(bound, rng):
    for shapes in SHAPES[:5]:
        x, y = [draw(rng, shape, np.float32) for shape in shapes]
        expected = np.matmul(x.astype(float), y.astype(float))
        for of_x in LAYOUTS:
            for of_y in LAYOUTS:
                a, b = of_x(x), of_y(y)
                np.testing.assert_allclose(product(a, b), np.matmul(a.astype(float), b.astype(float)), 1e-4, 1e-4)
        np.testing.assert_allclose(product(x.astype(">f4"), y), expected, 1e-4, 1e-4)


def test_small_stacks_have_the_bits_of_numpy(bound, rng):
    """An eager step leaves some of them to NumPy, a recorded one none."""
    for shapes in SHAPES[:5]:
        x, y = [draw(rng, shape, np.float32) for shape in shapes]
        assert products.product(x, y).tobytes() == (x @ y).tobytes()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(16, 2001, 64), (509, 70, 65), (61, 257, 300), (37, 513, 289), (12 * 43, 16, 256)])
def test_large_products_that_lie_as_they_may(bound, monkeypatch, rng, dtype, shape):
    """Up to the edges of what is packed at a time; not a number stays in its row, or column."""
    rows, inner, columns = shape
    x, y = draw(rng, (rows, inner), dtype), draw(rng, (inner, columns), dtype)
    x[3, inner // 2], y[inner // 2, 5] = np.nan, np.inf
    expected = x.astype(float) @ y.astype(float)
    for of_x in LAYOUTS[:3]:
        for of_y in LAYOUTS[:3]:
            found = []
            for threads in (1, 2, 5):
                monkeypatch.setattr(native, "threads", threads)
                found.append(product(of_x(x), of_y(y)))
            assert all(z.tobytes() == found[0].tobytes() for z in found)
            tolerance = 2e-4 if dtype is np.float32 else 1e-11
            np.testing.assert_allclose(found[0], expected, tolerance, tolerance)


def test_what_is_no_stack_is_left_to_numpy(bound):
    x = np.ones((2, 3, 4), np.float32)
    assert products.product(x, np.ones((3, 4, 5), np.float32)) is NotImplemented
    assert products.product(x, np.ones((2, 3, 5), np.float32)) is NotImplemented
    assert product(np.ones((0, 3, 4)), np.ones((4, 5))).shape == (0, 3, 5)
    assert product(np.ones((2, 3, 0)), np.ones((2, 0, 5))).tolist() == np.zeros((2, 3, 5)).tolist()
    assert product(x[:, :1], np.ones((2, 4, 1), np.float32)).tolist() == [[[4.0]], [[4.0]]]
    with pytest.raises(ValueError):
        product(x, np.ones((3, 4, 5), np.float32))
