"""Norms: NumPy's values for every order and axis, corners, the ends of the range, nothing at all."""

import itertools
import math

import numpy as np
import pytest
from helpers import host

from cunet import Tensor, linalg

VECTOR = [None, 0, 1, -1, 2, -2, 3, 0.5, math.inf, -math.inf]
MATRIX = [None, "fro", "nuc", 1, -1, 2, -2, math.inf, -math.inf]


def gradient(x, dev, *args, dtype=None, **kwargs):
    leaf = Tensor(dev(np.asarray(x), dtype), requires_grad=True)
    linalg.norm(leaf, *args, **kwargs).sum().backward()
    return host(leaf.grad)


@pytest.mark.parametrize("keepdims", [False, True])
def test_values_and_shapes_are_those_of_numpy(keepdims, dev, rng):
    x = rng.standard_normal((2, 3, 4))
    calls = [(ord, axis) for ord in VECTOR for axis in (0, 1, -1)]
    calls += [(ord, axes) for ord in MATRIX for axes in itertools.permutations((0, 1, -1), 2)]
    for ord, axis in [(None, None), *calls]:
        expected = np.linalg.norm(x, ord, axis, keepdims)
        y = linalg.norm(dev(x), ord, axis, keepdims)
        assert y.shape == expected.shape, (ord, axis)
        np.testing.assert_allclose(host(y), expected, rtol=1e-12, err_msg=str((ord, axis)))
    for ord in MATRIX:
        np.testing.assert_allclose(host(linalg.norm(dev(x[0]), ord)), np.linalg.norm(x[0], ord), rtol=1e-12)
    assert linalg.norm(dev(x[0, 0].astype(int))).dtype == np.float64
    assert linalg.norm(dev(np.float64(-3))).item() == 3
    assert linalg.norm([3.0, 4.0]).dtype == np.float32


@pytest.mark.parametrize("ord", [1, 2, 3, 0.5, -1, math.inf, -math.inf])
def test_at_0_the_gradient_is_0(ord, dev):
    assert not gradient(np.zeros(3), dev, ord).any()
    g = gradient([3.0, 0.0, 4.0], dev, ord)
    assert np.isfinite(g).all() and g[1] == 0


@pytest.mark.parametrize("ord", ["fro", "nuc", 1, 2, -2, math.inf])
def test_a_matrix_of_0_has_gradient_0(ord, dev):
    assert not gradient(np.zeros((2, 3)), dev, ord).any()


def test_the_nuclear_norm_of_a_singular_matrix_has_its_shortest_subgradient(dev):
    np.testing.assert_allclose(gradient(np.diag([2.0, 0.0]), dev, "nuc"), np.diag([1.0, 0.0]), atol=1e-15)


def test_equal_extremes_share_the_gradient(dev):
    assert gradient([1.0, -2.0, 2.0], dev, math.inf).tolist() == [0, -0.5, 0.5]
    assert gradient(np.eye(2) * 3, dev, 2).tolist() == [[0.5, 0], [0, 0.5]]


@pytest.mark.parametrize("size", [1e30, 1e-30, 1e-42])
@pytest.mark.parametrize("ord", [None, 3, 0.5, -2])
def test_powers_do_not_leave_the_range(size, ord, dev):
    x = (np.array([3.0, 4.0]) * size).astype(np.float32)
    expected = np.linalg.norm(x.astype(float), ord)
    np.testing.assert_allclose(host(linalg.norm(dev(x), ord)), expected, rtol=1e-5, atol=1e-45)
    wide = x.astype(float) / size
    expected = (wide / np.linalg.norm(wide, ord)) ** ((ord or 2) - 1)
    np.testing.assert_allclose(gradient(x, dev, ord), expected, rtol=2e-3 if size < 1e-40 else 1e-5)


def test_inf_and_nan(dev):
    for ord in (None, 1, 3, math.inf):
        assert linalg.norm(dev([1.0, -np.inf]), ord).item() == np.inf
        assert np.isnan(linalg.norm(dev([1.0, np.nan]), ord).item())
    assert linalg.norm(dev([np.inf, np.inf]), -1).item() == np.inf
    assert gradient([1.0, np.inf], dev)[0] == 0


def test_norms_of_nothing(dev):
    x = np.zeros((2, 0))
    for ord in (None, 0, 1, 2, 3, math.inf):
        assert host(linalg.norm(dev(x), ord, axis=1)).tolist() == [0, 0]
        assert linalg.norm(dev(x), ord, axis=0, keepdims=True).shape == (1, 0)
    for ord in (None, "nuc", 1, 2, math.inf):
        assert linalg.norm(dev(x), ord).item() == 0
    assert gradient(x, dev, 1, axis=1).shape == (2, 0)
    for ord in (-1, -2, -math.inf):
        with pytest.raises(ValueError, match=r"norm: ord=-\w+ needs an element, got shape \(2, 0\)"):
            linalg.norm(dev(x), ord, axis=1)


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ((2, None), r"axis must name 1 or 2 axes where ord=2 is given, got None of shape \(2, 3, 4\)"),
        ((None, (0, 1, 2)), "axis must name 1 or 2 axes"),
        (("fro", 0), "ord must be None or a number for vectors, got 'fro'"),
        ((3, (0, 1)), 'ord must be None, "fro", "nuc", .* for matrices, got 3'),
        ((0, (0, 1)), "for matrices, got 0"),
        (("max", (0, 1)), "for matrices, got 'max'"),
        ((2, (0, 0)), "an axis must be named once"),
    ],
)
def test_what_does_not_fit_is_named(args, words, dev):
    with pytest.raises(ValueError, match=words):
        linalg.norm(dev(np.ones((2, 3, 4))), *args)
