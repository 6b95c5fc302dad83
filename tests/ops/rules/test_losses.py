"""The loss of labels in forward mode, where its gradient is its derivative, and what is differentiated."""

import numpy as np
import pytest
from helpers import host, turn
from ops_helpers import along

import cunet
from cunet import F, grad, hvp, jvp

SHAPES = [((5, 3), 1), ((3,), 1), ((2, 3, 4), 1), ((2, 4, 3), -1)]
OPTIONS = [
    {}, {"reduction": "sum"}, {"reduction": "none"}, {"weight": [0.5, 2.0, 1.0]}, {"ignore_index": 1},
    {"label_smoothing": 0.1}, {"weight": [0.5, 2.0, 1.0], "ignore_index": 0, "reduction": "sum"},
]  # fmt: skip


def test_forward_and_its_gradient_are_those_of_two_ways_back(rng, dev):
    for shape, axis in SHAPES:
        for options in OPTIONS:
            with turn(shape, options):
                labels = np.delete(np.array(shape), axis if len(shape) > 1 else 0)
                t = dev(rng.integers(0, 3, tuple(labels)))
                x, v = (dev(rng.standard_normal(shape)) for _ in range(2))
                loss = lambda x, t=t, o=options, axis=axis: F.cross_entropy(x, t, axis=axis, **o)  # noqa: E731
                w = dev(rng.standard_normal(host(loss(x)).shape))
                f = lambda x, loss=loss, w=w: (loss(x) * w).sum()  # noqa: E731
                y, moved = jvp(loss, (x,), (v,))
                np.testing.assert_array_equal(host(y), host(loss(x)))
                assert moved.shape == y.shape and moved.dtype == y.dtype
                g = host(grad(f)(x))
                np.testing.assert_allclose((host(moved) * host(w)).sum(), (g * host(v)).sum(), rtol=1e-11, atol=1e-13)
                two = grad(along(f, (v,)))
                np.testing.assert_allclose(host(hvp(f, (x,), (v,))), host(two(x)), rtol=1e-10, atol=1e-13)


def test_third_derivatives_and_nothing_at_all(rng, dev):
    x, v, t = dev(rng.standard_normal((5, 3))), dev(rng.standard_normal((5, 3))), dev(np.arange(5) % 3)
    loss = lambda x: F.cross_entropy(x, t)  # noqa: E731
    third = host(grad(lambda x: (grad(along(loss, (v,)))(x) ** 2).sum())(x))
    again = host(grad(lambda x: (hvp(loss, (x,), (v,)) ** 2).sum())(x))
    np.testing.assert_allclose(again, third, rtol=1e-9, atol=1e-12)
    assert hvp(lambda x: F.cross_entropy(x, t[:0]), (x[:0],), (x[:0],)).shape == (0, 3)


def test_probabilities_that_move_too(rng, dev):
    x, q, v, u = (dev(rng.uniform(0.1, 1, (4, 3))) for _ in range(4))
    over = grad(along(F.cross_entropy, (v, u)), (0, 1))(x, q)
    for a, b in zip(hvp(F.cross_entropy, (x, q), (v, u)), over, strict=True):
        np.testing.assert_allclose(host(a), host(b), rtol=1e-11, atol=1e-13)


def test_a_confident_right_answer_keeps_its_derivative(dev):
    """1 - softmax is 0 in float32 there."""
    x, v = dev(np.array([[30.0, 0.0, -1.0]], np.float32)), dev(np.array([[1.0, 0.0, 0.0]], np.float32))
    _, moved = jvp(lambda x: F.cross_entropy(x, dev(np.array([0]))), (x,), (v,))
    assert host(moved) == pytest.approx(-(np.exp(-30) + np.exp(-31)), rel=1e-5)


def test_a_hidden_class_and_labels_that_are_all_ignored(dev):
    x, v = dev(np.array([[0.5, -np.inf, 1.0]])), dev(np.array([[1.0, 2.0, -1.0]]))
    found = host(hvp(lambda x: F.cross_entropy(x, dev(np.array([2]))), (x,), (v,)))[0]
    p = np.exp([0.5, 1.0]) / np.exp([0.5, 1.0]).sum()
    np.testing.assert_allclose(found[[0, 2]], (np.diag(p) - np.outer(p, p)) @ [1.0, -1.0], rtol=1e-12)
    assert found[1] == 0
    none = lambda x: F.cross_entropy(x, dev(np.array([-100])), reduction="sum")  # noqa: E731
    assert host(hvp(none, (x,), (v,))).tolist() == [[0, 0, 0]]


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_dtypes_are_kept(dtype, rng, dev):
    x, v, t = rng.standard_normal((6, 3)), rng.standard_normal((6, 3)), dev(np.arange(6) % 3)
    loss = lambda x: F.cross_entropy(x, t)  # noqa: E731
    found = hvp(loss, (dev(x.astype(dtype)),), (dev(v.astype(dtype)),))
    assert found.dtype == dtype
    exact = hvp(loss, (dev(x),), (dev(v),))
    np.testing.assert_allclose(host(found).astype(float), host(exact), atol=2e-3 if dtype == np.float16 else 1e-6)


def test_of_samples(rng, dev):
    x, v, t = (
        dev(rng.standard_normal((4, 5, 3))),
        dev(rng.standard_normal((4, 5, 3))),
        dev(np.arange(20).reshape(4, 5) % 3),
    )
    product = lambda x, v, t: hvp(lambda x: F.cross_entropy(x, t), (x,), (v,))  # noqa: E731
    rows = [host(product(*each)) for each in zip(x, v, t, strict=True)]
    np.testing.assert_allclose(host(cunet.vmap(product)(x, v, t)), rows, rtol=1e-12, atol=1e-15)


def test_both_parts_of_a_layer_move(rng, dev):
    """A product for each factor that moves, and none for what adds."""
    from cunet.kernels import listening

    x, w, b = (dev(rng.standard_normal(s)) for s in ((5, 3), (4, 3), (4,)))
    directions = tuple(dev(rng.standard_normal(a.shape)) for a in (x, w, b))
    called = []
    with listening(lambda kernel, args, options, proceed: called.append(kernel.name) or proceed()):
        y, moved = jvp(F.linear, (x, w, b), directions)
    tx, tw, tb = map(host, directions)
    np.testing.assert_allclose(host(moved), tx @ host(w).T + host(x) @ tw.T + tb, rtol=1e-12, atol=1e-14)
    assert called.count("product") == 3
    only = jvp(lambda b: F.linear(x, w, b), (b,), (directions[2],))[1]
    np.testing.assert_array_equal(host(only), np.broadcast_to(tb, (5, 4)))
