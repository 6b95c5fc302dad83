"""Kernels of values and tangents: the bits of two kernels in one pass, and derivatives of texts."""

import numpy as np
import pytest
from helpers import host, turn

import cunet
from cunet.kernels import elementwise
from cunet.kernels.calculus.duals import joined, joined_backward, pushed
from cunet.kernels.calculus.kernels import differentiable_inputs, from_text, gradient_kernel
from cunet.kernels.grammar import parse
from cunet.ops.activation.registry import ACTIVATIONS
from cunet.ops.math import rsqrt_backward, rsqrt_forward, tanh_backward, tanh_forward

EDGES = [0.0, -0.0, 1e-30, -1e-30, 0.5, -0.5, 1.0, -1.0, 6.0, 30.0, -30.0, 1e5, -1e5, np.inf, -np.inf, np.nan]
PAIRS = [e.numbers(**options) for e in ACTIVATIONS.values() for options in e.settings()]


def separate(forward, backward, x, numbers, t):
    y = forward(x, *numbers)
    known = dict(zip([p.name for p in forward.spec.params], (x, *numbers, y), strict=True))
    return y, backward(t, *[known[p.name] for p in backward.spec.ins[1:]])


def arrays(dev, rng, dtype):
    """Yield pairs of arrays, of odd shapes and layouts."""
    full = rng.standard_normal((6, 8)).astype(dtype)
    edges = (
        np.array([*EDGES, *full.ravel()]).clip(*((-6e4, 6e4) if dtype == np.float16 else (None, None))).astype(dtype)
    )
    yield dev(edges), dev(np.full(edges.shape, 0.75, dtype))
    yield dev(edges), dev(np.zeros(edges.shape, dtype))
    yield dev(full)[::2, ::-3], dev(full)[::-2, 1::3]
    yield dev(np.zeros((0, 3), dtype)), dev(np.zeros((0, 3), dtype))
    yield dev(np.array(0.5, dtype)), dev(np.array(2.0, dtype))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_joined_texts_have_the_bits_of_two_kernels(dtype, rng, dev, device):
    for forward, backward, numbers in PAIRS if device == "cpu" else PAIRS[:2]:  # each is compiled
        kernel = joined(forward, backward)
        assert kernel is not None, forward.name
        for k, (x, t) in enumerate(arrays(dev, rng, dtype)):
            with turn(forward.name, k):
                found, expected = kernel(x, *numbers, t), separate(forward, backward, x, numbers, t)
                for a, b in zip(found, expected, strict=True):
                    assert a.shape == x.shape and a.dtype == dtype
                    np.testing.assert_array_equal(host(a), host(b))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_gradients_of_value_and_tangent_are_those_of_three_kernels(dtype, rng, dev):
    for forward, backward, numbers in [
        p for p in PAIRS if p[0].name in ("tanh_forward", "elu_forward", "relu_forward")
    ]:
        x, t, g, gt = (dev(rng.standard_normal(24).astype(dtype)) for _ in range(4))
        _, by_t = separate(forward, backward, x, numbers, gt)
        y, by_y = separate(forward, backward, x, numbers, g)
        known = dict(zip([p.name for p in forward.spec.params], (x, *numbers, y), strict=True))
        rest = [known[p.name] for p in backward.spec.ins[1:]]
        bent = gradient_kernel(backward, 1) if backward.spec.ins[1].name == "x" else None
        expected = host(by_y) + (0 if bent is None else host(bent(t, *rest, gt)))
        for moves in (True, False):
            with turn(forward.name, moves):
                kernel = joined_backward(forward, backward, moves)
                found = kernel(*[known[p.name] for p in kernel.spec.ins[:-3]], t, g, gt)
                gx = found[0] if moves else found
                assert gx.dtype == dtype and (not moves or host(found[1]).tolist() == host(by_t).tolist())
                close = dict(rtol=4e-3, atol=2e-3) if dtype == np.float16 else dict(rtol=1e-5, atol=1e-6)
                np.testing.assert_allclose(host(gx).astype(float), expected.astype(float), **close)


@pytest.mark.parametrize("names", ["r", "depth", "r depth", "r depth width"])
def test_pushed_is_the_sum_of_slopes(names, rng, dev):
    text = "A u = exp(-width * r); A v = depth * (1 - u); e = v * (1 - u); s = v * tanh(v)"
    kernel = from_text("morse", parse("T r, T depth, A width"), parse("T e, T s"), text)
    inputs = [rng.uniform(0.1, 1, 40) for _ in range(3)]
    places = [p.name for p in kernel.spec.ins]
    moving = tuple(places.index(name) for name in names.split())
    tangents = [rng.standard_normal(40) for _ in moving]
    e, s, te, ts = pushed(kernel, moving)(*map(dev, inputs), *map(dev, tangents))
    for a, b in zip((e, s), kernel(*map(dev, inputs)), strict=True):
        np.testing.assert_array_equal(host(a), host(b))
    for k, found in enumerate((te, ts)):
        expected = 0.0
        for place, t in zip(moving, tangents, strict=True):
            arriving = [t if j == k else np.zeros(40) for j in range(2)]
            expected = expected + host(gradient_kernel(kernel, place)(*map(dev, inputs), *map(dev, arriving)))
        np.testing.assert_allclose(host(found), expected, rtol=1e-13, atol=1e-15)


def test_pushed_of_numbers_broadcast_and_odd_arrays(rng, dev):
    kernel = from_text("scaled", parse("T x, T y, A k"), parse("T z"), "z = k * sin(x) / y")
    make = pushed(kernel, (0, 1))
    for dtype, shapes in ((np.float32, ((3, 1), (4,))), (np.float64, ((0, 2), (0, 2))), (np.float16, ((1,), (5,)))):
        x, y = (rng.uniform(0.5, 1, shape).astype(dtype) for shape in shapes)
        z, tz = make(dev(x), dev(y), 3.0, dev(x), dev(y))
        assert z.dtype == tz.dtype == dtype and z.shape == tz.shape == np.broadcast_shapes(*shapes)
        wide = x.astype(np.float64)
        expected = 3 * (wide * np.cos(wide) - np.sin(wide)) / y
        np.testing.assert_allclose(host(tz), expected, rtol=0, atol=3e-3 if dtype == np.float16 else 1e-6)


def test_what_does_not_move_where_a_slope_is_infinite_stays(dev):
    kernel = from_text("root", parse("T x"), parse("T y"), "y = sqrt(x)")
    x = dev(np.array([0.0, 4.0]))
    assert host(pushed(kernel, (0,))(x, 0 * x)[1]).tolist() == [0, 0]
    assert host(pushed(kernel, (0,))(x, x + 1)[1]).tolist() == [np.inf, 1.25]


def test_every_derivable_text_is_pushed(rng):
    for _, kernel, numbers in ((f.name, f, n) for f, _, n in PAIRS):
        with turn(kernel.name):
            assert differentiable_inputs(kernel)[0] == 0
            made = pushed(kernel, (0,))
            assert len(made.spec.outs) == 2 and len(made.spec.ins) == 2 + len(numbers)


@pytest.mark.cpu_only
def test_what_has_no_joined_kernel():
    @elementwise("T x, A k", "T y", "y = k * x")
    def scaled(x, k):
        return k * x

    @elementwise("T gy, A c", "T gx", "gx = c * gy")
    def scaled_backward(gy, c):
        return c * gy

    assert joined(scaled, scaled_backward) is None  # it reads something else
    assert joined(rsqrt_forward, rsqrt_backward).spec.ins[-1].name == "gy"  # of y
    assert joined_backward(scaled, scaled_backward, True) is None
    assert joined_backward(rsqrt_forward, rsqrt_backward, True) is None  # its slope moves with y

    @elementwise("T x", "T y", "y = x + 1")
    def plus_one(x):
        return x + 1

    @elementwise("T gy", "T y", "y = gy")
    def plus_one_backward(gy):
        return gy

    assert joined(plus_one, plus_one_backward) is None  # an output of the name of another
    plus_one.numpy(lambda x: x + 1)
    assert pushed(plus_one, (0,)) is None  # done in another way than by its text


@pytest.mark.cpu_only
def test_a_changed_text_is_joined_again():
    first = joined(tanh_forward, tanh_backward)
    assert joined(tanh_forward, tanh_backward) is first
    text = tanh_forward.spec.operation
    try:
        tanh_forward.change(operation="y = tanh(x) + 1")
        assert "+ 1" in joined(tanh_forward, tanh_backward).spec.operation
    finally:
        tanh_forward.change(operation=text)


def test_a_text_of_users_is_compared_with_its_body(dev):
    @cunet.elementwise("T x", "T y", "y = x * x * x")
    def wrong(x):
        return x * x

    x = dev(np.array([2.0], np.float32))
    if isinstance(x, np.ndarray) and not cunet.native.enabled():
        pytest.skip("its text does not run")
    with pytest.warns(UserWarning, match="wrong"):
        cunet.jvp(cunet.differentiable(wrong), (x,), (x,))
