"""Values and tangents in one pass: how many kernels that takes, and that it has the bits of gradients."""

import functools

import numpy as np
import pytest
from helpers import assert_ulp, host, turn

import cunet
from cunet import F, Tensor, jvp
from cunet.kernels import listening


def slope(f, x):
    return host(jvp(f, (x,), (x * 0 + 1,))[1])


def chain(x):
    for _ in range(20):
        x = cunet.tanh(cunet.exp(x) * x)
    return x


def kernels_of(run):
    """Return the names of the kernels that a function calls."""
    called = []

    def listener(kernel, args, options, proceed):
        called.append(kernel.name)
        return proceed()

    with listening(listener):
        run()
    return called


def smooth_chain(x):
    for f in (F.tanh, F.silu, F.softplus, F.elu, F.mish, F.sigmoid):
        x = f(x)
    return x


def test_an_elementwise_chain_takes_as_many_kernels(dev):
    """Each makes value and tangent; exp is NumPy's own, and its slope a kernel; products become one."""
    x = dev(np.full(4, 0.1))
    jvp(smooth_chain, (x,), (x,))  # which looks at options
    first = kernels_of(lambda: smooth_chain(Tensor(x)))
    assert kernels_of(lambda: jvp(smooth_chain, (x,), (x,))) == [
        name.replace("_forward", "_forward_dual") for name in first
    ]
    found = kernels_of(lambda: jvp(chain, (x,), (x,)))
    assert found == ["times_slope", "product_dual", "tanh_forward_dual"] * 20


SAME = "exp exp2 expm1 log log1p sqrt square reciprocal abs sin cos tan arctan sinh cosh negative tanh F.relu F.silu"
ONCE = ("sqrt", "square", "reciprocal")


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_tangents_have_the_bits_of_gradients(dtype, rng, dev):
    x, t = (dev(rng.uniform(0.1, 0.9, (5, 7)).astype(dtype)) for _ in range(2))
    for name in SAME.split():
        with turn(name):
            f = getattr(F if name.startswith("F.") else cunet, name.removeprefix("F."))
            y, moved = jvp(f, (x,), (t,))
            np.testing.assert_array_equal(host(y), host(f(x)))
            expected = cunet.vjp(f, x)[1](t)
            if dtype == np.float16 and name in ONCE:  # a slope that is not rounded to float16 on the way
                assert_ulp(moved, host(expected), dtype, 1)
            else:
                np.testing.assert_array_equal(host(moved), host(expected))


def test_two_that_move_of_any_dtypes_and_shapes(rng, dev):
    for f, slopes in (
        (cunet.multiply, lambda x, y: (y, x)),
        (cunet.divide, lambda x, y: (1 / y, -x / y**2)),
        (cunet.add, lambda x, y: (1, 1)),
        (cunet.subtract, lambda x, y: (1, -1)),
    ):
        for shapes in (((3, 4), (3, 4)), ((4,), (3, 1)), ((0, 2), (2,)), ((), (3,)), ((), ())):
            for dtypes in ((np.float32, np.float64), (np.float32, np.float32), (np.float16, np.float16)):
                with turn(f.__name__, shapes, dtypes):
                    xs = [rng.uniform(0.5, 1, s).astype(d) for s, d in zip(shapes, dtypes, strict=True)]
                    ts = [rng.uniform(0.5, 1, s).astype(d) for s, d in zip(shapes, dtypes, strict=True)]
                    z, moved = jvp(f, tuple(map(dev, xs)), tuple(map(dev, ts)))
                    assert moved.shape == z.shape and moved.dtype == z.dtype == np.result_type(*dtypes)
                    np.testing.assert_array_equal(host(z), host(f(*map(dev, xs))))
                    a, b = slopes(*[x.astype(np.float64) for x in xs])
                    tolerance = {"rtol": 0, "atol": 1e-2 if dtypes[1] == np.float16 else 1e-6}
                    wide = np.broadcast_to(a * ts[0] + b * ts[1], z.shape)
                    np.testing.assert_allclose(host(moved), wide, **tolerance)
                    x, y = dev(xs[0]), dev(xs[1])
                    alone = jvp(functools.partial(lambda f, y, x: f(x, y), f, y), (x,), (dev(ts[0]),))[1]
                    np.testing.assert_allclose(host(alone), np.broadcast_to(a * ts[0], z.shape), **tolerance)


def test_options_are_looked_at_and_count(dev):
    x = dev(np.array([-1.0, 2.0]))
    for _ in range(2):
        with pytest.raises(ValueError, match="softplus: beta must be > 0, got -1"):
            jvp(lambda x: F.softplus(x, beta=-1), (x,), (x,))
    for alpha in np.linspace(0.1, 2, 80):
        assert (slope(lambda x, alpha=alpha: F.elu(x, alpha), x)) == pytest.approx([alpha * np.exp(-1), 1])
    assert (slope(lambda x: F.gelu(x, approximate="tanh"), x))[1] != (slope(F.gelu, x))[1]


def test_a_text_of_users_takes_one_kernel(rng, dev):
    swirl = cunet.differentiable("T x, T y, A k", "T u, T v", "u = k * x * y; v = sin(x) - y", name="swirl")
    x, y, tx = (dev(rng.standard_normal(5)) for _ in range(3))
    assert kernels_of(lambda: jvp(lambda x: list(swirl(x, y, 2.0)), (x,), (tx,))) == ["swirl_dual"]
    (u, v), (tu, tv) = jvp(lambda x: list(swirl(x, y, 2.0)), (x,), (tx,))
    np.testing.assert_allclose(host(tu), 2 * host(y) * host(tx))
    np.testing.assert_allclose(host(tv), np.cos(host(x)) * host(tx))


def test_a_recorded_step_goes_forward_too(dev):
    step = cunet.compile(lambda x, t: jvp(lambda x: F.tanh(x) * x, (x,), (t,))[1])
    for k in range(6):
        x, t = dev(np.array([0.5, k])), dev(np.array([1.0, 2.0]))
        expected = (np.tanh(host(x)) + host(x) * (1 - np.tanh(host(x)) ** 2)) * host(t)
        np.testing.assert_allclose(host(step(x, t)), expected, rtol=1e-12)


def test_a_value_is_found_once_where_its_slope_is_differentiated(dev):
    x = dev(np.array([0.5, 1.0]))
    called = kernels_of(lambda: cunet.hvp(lambda x: F.tanh(x).sum(), (x,), (x,)))
    assert called.count("tanh_forward_dual") == 1 and "tanh_forward" not in called
