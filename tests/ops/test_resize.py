"""Resampling and borders beyond the rows in tests/cases: layers, messages, and PyTorch as a second oracle."""

import numpy as np
import pytest
from helpers import host
from hypothesis import given, settings
from hypothesis import strategies as st

from cunet import F, nn
from cunet.autograd.tensor import Tensor


def test_nearest_repeats_and_its_gradient_sums(dev):
    x = Tensor(dev(np.array([[[1.0, 2.0]]])), requires_grad=True)
    y = F.interpolate(x, scale_factor=3)
    assert host(y).ravel().tolist() == [1, 1, 1, 2, 2, 2]
    y.backward(dev(np.array([[[1.0, 2, 4, 8, 16, 32]]])))
    assert host(x.grad).ravel().tolist() == [7, 56]


def test_linear_keeps_lines_straight_between_the_corners(dev):
    x = dev(np.array([[[0.0, 3.0, 6.0, 9.0]]]))
    np.testing.assert_allclose(host(F.interpolate(x, 10, mode="linear", align_corners=True)).ravel(), np.arange(10.0))
    np.testing.assert_allclose(
        host(F.interpolate(x, scale_factor=2, mode="linear")).ravel(), [0, 0.75, 2.25, 3.75, 5.25, 6.75, 8.25, 9]
    )


def test_cubics_keep_constants_and_overshoot_at_a_step(dev):
    x = np.zeros((1, 1, 8, 8))
    x[..., 4:] = 1
    y = host(F.interpolate(dev(x), scale_factor=4, mode="bicubic"))
    assert y.min() < -0.05 and y.max() > 1.05
    np.testing.assert_allclose(host(F.interpolate(dev(np.ones((1, 1, 3, 2))), (7, 5), mode="bicubic")), 1, rtol=1e-14)
    same = dev(np.arange(12.0).reshape(1, 1, 3, 4))
    np.testing.assert_array_equal(host(F.interpolate(same, (3, 4), mode="bicubic")), host(same))


def test_infinity_stays_where_it_is(dev):
    x = np.zeros((1, 1, 3, 3), np.float32)
    x[0, 0, 0, 0] = np.inf
    y = host(F.interpolate(dev(x), scale_factor=2))[0, 0]
    assert np.isinf(y).sum() == 4 and not np.isnan(y).any()
    y = host(F.interpolate(dev(x), scale_factor=2, mode="bilinear"))[0, 0]
    assert np.isfinite(y[4:]).all() and np.isfinite(y[:, 4:]).all()


def test_empty_batches(dev):
    assert F.interpolate(dev(np.ones((0, 2, 3, 3))), scale_factor=2, mode="bilinear").shape == (0, 2, 6, 6)
    x = Tensor(dev(np.ones((0, 2, 3))), requires_grad=True)
    F.pad(x, (1, 2), "reflect").sum().backward()
    assert x.grad.shape == (0, 2, 3)


@pytest.mark.parametrize(
    ("layer", "mode"),
    [("ZeroPad", "constant"), ("ReflectionPad", "reflect"), ("ReplicationPad", "edge"), ("CircularPad", "wrap")],
)
@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_border_layers(layer, mode, ndim, rng, dev):
    x = rng.standard_normal((2, 3, 4, 3, 5)[: ndim + 2])
    make = getattr(nn, f"{layer}{ndim}d")
    np.testing.assert_array_equal(host(make(1)(dev(x))), np.pad(x, [(0, 0)] * 2 + [(1, 1)] * ndim, mode))
    widths = [(1, 2), (0, 1), (2, 0)][:ndim]
    wide = np.pad(x, [(0, 0)] * 2 + widths[::-1], mode)
    np.testing.assert_array_equal(host(make([w for pair in widths for w in pair])(dev(x))), wide)
    last = make([w for pair in widths for w in pair], channels_last=True)(dev(np.moveaxis(x, 1, -1)))
    np.testing.assert_array_equal(np.moveaxis(host(last), -1, 1), wide)
    with pytest.raises(ValueError, match=f"{layer}{ndim}d: padding must be 1 or {2 * ndim} numbers"):
        make((1, 2, 3))


def test_upsample(rng, dev):
    x = dev(rng.standard_normal((2, 3, 4, 5)))
    np.testing.assert_array_equal(
        host(nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)(x)),
        host(F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True)),
    )
    assert nn.Upsample((7, 9))(x).shape == (2, 3, 7, 9)
    assert repr(nn.Upsample(scale_factor=2)) == "Upsample(scale_factor=2)"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: F.interpolate(x), "interpolate: exactly one of size and scale_factor"),
        (lambda x: F.interpolate(x, 3, 2), "exactly one of size and scale_factor"),
        (lambda x: F.interpolate(x, 3, mode="bilinear"), "for 1 spatial axes, \"linear\", got 'bilinear'"),
        (lambda x: F.interpolate(x, 3, mode="bicubic"), "for 1 spatial axes, \"linear\", got 'bicubic'"),
        (lambda x: F.interpolate(x[None], 3, mode="linear"), 'for 2 spatial axes, "bilinear", "bicubic", got \'lin'),
        (lambda x: F.interpolate(x, 3, 2, mode="area"), "exactly one of size and scale_factor"),
        (lambda x: F.interpolate(x[0], 3), "input must have 3 to 5 axes"),
        (lambda x: F.interpolate(x, (3, 3)), "size must be an int above 0, below .*, or one per spatial axis"),
        (lambda x: F.interpolate(x, scale_factor=0.1), "leaves nothing"),
        (lambda x: F.pad(x, (4, 0), "reflect"), "'reflect' padding of an axis of length 4 can be at most 3"),
        (lambda x: F.pad(x, (0, 5), "circular"), "'circular' padding of an axis of length 4 can be at most 4"),
        (lambda x: F.pad(x, (1,)), "pad: pad must hold"),
        (lambda x: F.pad(x, (-1, 1)), "pad: pad must hold"),
        (lambda x: F.pad(x, (1,) * 8), "for at most 3 axes"),
        (lambda x: F.pad(x, (1, 1), "mirror"), "pad: mode must be"),
    ],
)
def test_messages(call, message, dev):
    with pytest.raises(ValueError, match=message):
        call(dev(np.ones((1, 2, 4))))


@st.composite
def resamplings(draw):
    ndim = draw(st.integers(1, 3))
    sizes = tuple(draw(st.integers(1, 5)) for _ in range(ndim))
    mixing = [["linear"], ["bilinear", "bicubic"], ["trilinear"]][ndim - 1]
    options = {"mode": draw(st.sampled_from(["nearest", "area", *mixing]))}
    if draw(st.booleans()):
        options["size"] = tuple(draw(st.integers(1, 9)) for _ in sizes)
    else:
        options["scale_factor"] = tuple(draw(st.sampled_from([1.0, 1.5, 2.0, 2.7, 3.0])) for _ in sizes)
    if options["mode"] in mixing:
        options["align_corners"] = draw(st.booleans())
    return sizes, options


@settings(max_examples=60)
@given(resamplings(), st.integers(1, 40))
def test_kernels_do_what_products_do(dev, case, times):
    """Of axes of many lengths, on each route: the bodies of the kernels are the oracle."""
    sizes, options = case
    if options["mode"] == "area":
        return
    given = {**options}
    if "size" in given:
        given["size"] = tuple(n * times for n in given["size"])
    agree_with_products(dev, (2, 2, *sizes), given)


@pytest.mark.parametrize("corners", [False, True])
@pytest.mark.parametrize(("mode", "sizes", "size"), [("linear", (29,), (7,)), ("bicubic", (29, 13), (5, 6))])
def test_kernels_that_shrink_do_what_products_do(dev, mode, sizes, size, corners):
    """Most elements of the input are mixed into nothing, or into few."""
    agree_with_products(dev, (1, 2, *sizes), {"mode": mode, "size": size, "align_corners": corners})


def agree_with_products(dev, shape, options):
    rng = np.random.default_rng(0)
    x = rng.standard_normal(shape)
    pair = [Tensor(a, requires_grad=True) for a in (x, dev(x))]
    made = [F.interpolate(t, **options) for t in pair]
    seed = rng.standard_normal(made[0].shape)
    for t, z in zip(pair, made, strict=True):
        z.backward(seed if t is pair[0] else dev(seed))
    np.testing.assert_allclose(host(made[1]), made[0].data, rtol=1e-11, atol=1e-11)
    np.testing.assert_allclose(host(pair[1].grad), pair[0].grad, rtol=1e-11, atol=1e-10)


def test_a_share_of_0_takes_nothing_of_infinity(dev):
    """With corners aligned each end is one element of the input."""
    x = dev(np.array([[[np.inf, 1.0, 2.0]]]))
    assert host(F.interpolate(x, 3, mode="linear", align_corners=True)).ravel().tolist() == [np.inf, 1, 2]


@settings(max_examples=120)
@given(resamplings())
def test_pytorch_agrees(case):
    torch = pytest.importorskip("torch")
    sizes, options = case
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 2, *sizes))
    theirs = torch.tensor(x, requires_grad=True)
    expected = torch.nn.functional.interpolate(theirs, **options)
    seed = rng.standard_normal(tuple(expected.shape))
    expected.backward(torch.tensor(seed))
    ours = Tensor(x, requires_grad=True)
    y = F.interpolate(ours, **options)
    y.backward(seed)
    np.testing.assert_allclose(y.data, expected.detach().numpy(), atol=1e-12)
    np.testing.assert_allclose(ours.grad, theirs.grad.numpy(), atol=1e-12)
