"""Pooling beyond the rows in tests/cases: ties, NaN, padding, odd shapes, messages, and PyTorch as a second oracle."""

import numpy as np
import pytest
from cases import pool as rows
from helpers import host
from hypothesis import given, settings
from hypothesis import strategies as st

from cunet import F, nn
from cunet.autograd.tensor import Tensor

NAN, INF = float("nan"), float("inf")


def run(op, dev, x, gradient=None, **options):
    """Return the value (and the indices), and the gradient of `x` for a given or a random gradient."""
    leaf = Tensor(dev(x), requires_grad=True)
    y = op(leaf, **options)
    value, indices = y if isinstance(y, tuple) else (y, None)
    seed = np.random.default_rng(7).standard_normal(value.shape) if gradient is None else np.asarray(gradient)
    value.backward(dev(seed.astype(value.dtype)))
    return host(value), None if indices is None else host(indices), host(leaf.grad)


def line(*values):
    return np.array([[values]], np.float32)


@pytest.mark.parametrize(
    ("values", "where"),
    [
        ((1, 3, 3, 2), 1),
        ((0, 0, 0, 0), 0),
        ((-INF, -INF, -INF, -INF), 0),
        ((5, NAN, 7, NAN), 1),
        ((NAN, INF, 0, 0), 0),
        ((1, INF, INF, 2), 1),
    ],
)
def test_the_first_of_equals_wins_and_the_first_nan_beats_all(values, where, dev):
    x = line(*values)
    y, indices, gx = run(F.max_pool1d, dev, x, [[[2.0]]], kernel_size=4, return_indices=True)
    np.testing.assert_array_equal(y[0, 0, 0], x[0, 0, where])
    assert indices[0, 0, 0] == where
    np.testing.assert_array_equal(gx[0, 0], 2.0 * (np.arange(4) == where))


def test_an_infinite_gradient_reaches_only_the_element_that_won(dev):
    x = np.array([[[[3, 1, 2, 5], [0, 2, 4, 1]]]], np.float32)
    _, _, gx = run(F.max_pool2d, dev, x, [[[[INF, NAN]]]], kernel_size=2)
    np.testing.assert_array_equal(gx[0, 0], [[INF, 0, 0, NAN], [0, 0, 0, 0]])


def test_the_order_in_a_window_is_that_of_memory(dev):
    x = np.zeros((1, 1, 3, 3), np.float32)
    x[0, 0, [0, 1, 1, 2], [2, 0, 2, 1]] = 1
    _, indices, gx = run(F.max_pool2d, dev, x, [[[[1.0]]]], kernel_size=3, return_indices=True)
    assert indices.item() == 2 and gx.ravel().tolist() == [0, 0, 1, 0, 0, 0, 0, 0, 0]


def test_ties_of_overlapping_and_uneven_windows(dev):
    """Each window chooses for itself; what wins several times gets all their gradients."""
    _, indices, gx = run(
        F.max_pool1d, dev, line(1, 1, 1, 0), [[[1.0, 10.0]]], kernel_size=3, stride=1, return_indices=True
    )
    assert indices.ravel().tolist() == [0, 1] and gx.ravel().tolist() == [1, 10, 0, 0]
    _, indices, gx = run(
        F.max_pool1d, dev, line(0, 2, 1, 0), [[[1.0, 10.0]]], kernel_size=3, stride=1, return_indices=True
    )
    assert gx.ravel().tolist() == [0, 11, 0, 0]
    x = np.ones((1, 1, 5, 5))
    _, indices, gx = run(F.adaptive_max_pool2d, dev, x, np.ones((1, 1, 3, 3)), output_size=3, return_indices=True)
    assert indices.ravel().tolist() == [0, 1, 3, 5, 6, 8, 15, 16, 18]
    assert gx.sum() == 9 and set(gx.ravel().nonzero()[0]) == {0, 1, 3, 5, 6, 8, 15, 16, 18}


@pytest.mark.parametrize(
    ("op", "oracle", "options"),
    [
        (F.max_pool3d, rows.max_pool, rows.OWN | {"dilation": (1, 2, 3)}),
        (F.max_pool3d, rows.max_pool, {"kernel_size": (2, 2, 3), "stride": (1, 2, 1), "dilation": (3, 1, 2)}),
        (F.adaptive_max_pool3d, rows.adaptive_max_pool, {"output_size": (2, 3, 5)}),
    ],
    ids=["sliding", "dilated", "adaptive"],
)
def test_ties_on_three_axes_none_like_the_other(op, oracle, options, rng, dev):
    x = (rng.random((20, 1, 5, 7, 8)) < 0.1).astype(np.float64)  # rare enough that a window's first is often deep in it
    expected, where = oracle(x, return_indices=True, **options)
    seed = rng.standard_normal(expected.shape)
    y, indices, gx = run(op, dev, x, seed, return_indices=True, **options)
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(indices, where)
    sums = [np.bincount(w.ravel(), s.ravel(), x[0].size) for w, s in zip(where, seed, strict=True)]
    np.testing.assert_allclose(gx.reshape(20, -1), sums, atol=1e-13)


def test_padding_never_wins(dev):
    y, indices, gx = run(
        F.max_pool1d, dev, line(-5, -7, -INF, -3), [[[1, 1]]], kernel_size=3, stride=2, padding=1, return_indices=True
    )
    assert y.ravel().tolist() == [-5, -3] and indices.ravel().tolist() == [0, 3]
    assert gx.ravel().tolist() == [1, 0, 0, 1]


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_what_lies_between_the_taps_of_a_dilated_window_cannot_win(axis, dev):
    shape, kernel, dilation = ([n if k == axis else 1 for k in range(3)] for n in (4, 2, 2))
    x, gy = np.array([0.0, 2, 2, 0]), np.array([1.0, 10])
    options = {"kernel_size": tuple(kernel), "stride": 1, "dilation": tuple(dilation)}
    out = [2 if k == axis else 1 for k in range(3)]
    _, _, gx = run(F.max_pool3d, dev, x.reshape(1, 1, *shape), gy.reshape(1, 1, *out), **options)
    assert gx.ravel().tolist() == [0, 10, 1, 0]


def test_a_window_that_meets_nothing_but_padding(dev):
    """Taps at -1 and 1 of a line of one element: nothing to choose from, and no gradient."""
    options = {"kernel_size": 2, "dilation": 2, "padding": 1, "return_indices": True}
    y, indices, gx = run(F.max_pool1d, dev, line(3), [[[1.0]]], **options)
    assert y.item() == -INF and indices.item() == -1 and gx.item() == 0


def test_overlapping_windows_add_up(rng, dev):
    """A window of 3 at stride 1 over an increasing line: each maximum is the window's last element."""
    _, _, gx = run(F.max_pool1d, dev, line(*range(6)), np.arange(1.0, 5)[None, None], kernel_size=3, stride=1)
    assert gx.ravel().tolist() == [0, 0, 1, 2, 3, 4]
    _, _, gx = run(F.avg_pool1d, dev, line(*range(4)), np.array([[[3.0, 30.0]]]), kernel_size=3, stride=1)
    assert gx.ravel().tolist() == [1, 11, 11, 10]


@pytest.mark.parametrize("name", ["max_pool2d", "avg_pool2d", "adaptive_avg_pool2d", "adaptive_max_pool2d"])
@pytest.mark.parametrize("batch", [0, 1, 40])
def test_batches_of_any_size(name, batch, rng, dev):
    options = {"output_size": 3} if name.startswith("adaptive") else {"kernel_size": 3, "stride": 2, "padding": 1}
    x = rng.standard_normal((batch, 5, 28, 28)).astype(np.float32)  # 40: more than one block on the CPU
    y, _, gx = run(getattr(F, name), dev, x, **options)
    assert y.shape == (batch, 5, *([3, 3] if name.startswith("adaptive") else [14, 14])) and gx.shape == x.shape
    seed = np.random.default_rng(7).standard_normal(y.shape)
    for k in range(0, batch, 13):
        one = run(getattr(F, name), dev, x[k : k + 1], seed[k : k + 1], **options)
        np.testing.assert_array_equal(one[0], y[k : k + 1])
        np.testing.assert_array_equal(one[2], gx[k : k + 1])


@pytest.mark.parametrize("size", [1, (None, 1), (2, 3), 4])
def test_global_and_adaptive_means(size, rng, dev):
    x = rng.standard_normal((2, 3, 4, 6))
    y = host(F.adaptive_avg_pool2d(dev(x), size))
    rows, columns = size if isinstance(size, tuple) else (size, size)
    assert y.shape == (2, 3, rows or 4, columns)
    if size == 1:
        np.testing.assert_allclose(y[..., 0, 0], x.mean((2, 3)), atol=1e-14)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda x: F.max_pool2d(x, 6),
            r"max_pool2d: the kernel reaches over 6 elements on spatial axis 0, but x has 5",
        ),
        (lambda x: F.avg_pool2d(x, 3, padding=2), "avg_pool2d: padding must be at most half the kernel"),
        (
            lambda x: F.max_pool1d(x, 2),
            r"max_pool1d: input must have 3 axes \(N, C, L\), or one sample, got shape \(1, 2, 5, 5\)",
        ),
        (lambda x: F.max_pool2d(x, 0), "kernel_size must be an int of at least 1, or 2 of them, got 0"),
        (lambda x: F.max_pool2d(x, 2, stride=(1, 2, 3)), "stride must be"),
        (lambda x: F.avg_pool2d(x, 2, divisor_override=0), "divisor_override must not be 0"),
        (lambda x: F.adaptive_avg_pool2d(x, 0), "output_size must be"),
        (lambda x: F.adaptive_avg_pool2d(x, (1, 2, 3)), "output_size must be"),
        (lambda x: F.adaptive_max_pool2d(x[:, :, :0], 2), "spatial axes must not be empty"),
    ],
)
def test_messages(call, message, dev):
    with pytest.raises(ValueError, match=message):
        call(dev(np.ones((1, 2, 5, 5))))


def test_integers_are_refused_clearly(dev):
    with pytest.raises(TypeError, match="floating dtype is required"):
        F.max_pool2d(dev(np.ones((1, 1, 4, 4), np.int64)), 2)


def test_layers(rng, dev):
    x = dev(rng.standard_normal((2, 3, 6, 6)))
    np.testing.assert_array_equal(host(nn.MaxPool2d(2)(x)), host(F.max_pool2d(x, 2)))
    y, where = nn.MaxPool2d(3, 2, 1, 1, True, True)(x)  # PyTorch's order: return_indices before ceil_mode
    expected = F.max_pool2d(x, 3, 2, 1, ceil_mode=True, return_indices=True)
    np.testing.assert_array_equal(host(y), host(expected[0]))
    np.testing.assert_array_equal(host(where), host(expected[1]))
    np.testing.assert_array_equal(
        host(nn.AvgPool2d(3, padding=1, count_include_pad=False)(x)),
        host(F.avg_pool2d(x, 3, padding=1, count_include_pad=False)),
    )
    assert nn.AdaptiveAvgPool2d((2, None))(x).shape == (2, 3, 2, 6)
    assert nn.AdaptiveMaxPool2d(1)(x).shape == (2, 3, 1, 1)
    assert repr(nn.AvgPool2d(2, stride=1)) == "AvgPool2d(kernel_size=2, stride=1)"
    with pytest.raises(TypeError, match=r"AvgPool2d: .*its options are \(kernel_size, stride, padding"):
        nn.AvgPool2d(2, size=3)


@st.composite
def pools(draw):
    ndim = draw(st.integers(1, 3))
    sizes = tuple(draw(st.integers(2, 7)) for _ in range(ndim))
    kind = draw(st.sampled_from(["max", "avg", "adaptive_max", "adaptive_avg"]))
    if kind.startswith("adaptive"):
        return f"{kind}_pool{ndim}d", sizes, {"output_size": tuple(draw(st.integers(1, 6)) for _ in sizes)}
    kernel = tuple(draw(st.integers(1, 3)) for _ in range(ndim))
    options = {
        "kernel_size": tuple(min(k, n) for k, n in zip(kernel, sizes, strict=True)),
        "stride": tuple(draw(st.integers(1, 3)) for _ in sizes),
        "ceil_mode": draw(st.booleans()),
    }
    options["padding"] = tuple(draw(st.integers(0, k // 2)) for k in options["kernel_size"])
    if kind == "avg":
        options["count_include_pad"] = draw(st.booleans())
    return f"{kind}_pool{ndim}d", sizes, options


@settings(max_examples=80)
@given(pools())
def test_pytorch_agrees(dev, case):
    torch = pytest.importorskip("torch")
    name, sizes, options = case
    rng = np.random.default_rng(0)
    x = rng.integers(-3, 4, (2, 2, *sizes)).astype(np.float64)  # with ties
    if "max" in name:
        options = options | {"return_indices": True}
    leaf = torch.tensor(x, requires_grad=True)
    plain = {k: v[0] if isinstance(v, tuple) and len(v) == 1 else v for k, v in options.items()}
    expected = getattr(torch.nn.functional, name)(leaf, **plain)
    expected, where = expected if isinstance(expected, tuple) else (expected, None)
    seed = rng.standard_normal(tuple(expected.shape))
    expected.backward(torch.tensor(seed))
    y, indices, gx = run(getattr(F, name), dev, x, seed, **options)
    np.testing.assert_allclose(y, expected.detach().numpy(), atol=1e-13)
    np.testing.assert_allclose(gx, leaf.grad.numpy(), atol=1e-13)
    if where is not None:
        np.testing.assert_array_equal(indices, where.numpy())
