"""Texts of kernels as differentiable functions."""

from types import SimpleNamespace

import numpy as np
import pytest
from helpers import host

import cunet
from cunet import Tensor, derivative_of, differentiable, elementwise, grad, reduction
from cunet.kernels import rowwise
from cunet.testing import gradcheck, parity


def derivative(f, n):
    return f if n == 0 else lambda x: grad(lambda x: derivative(f, n - 1)(x).sum())(x)


MORSE = ("T r, A depth, A width", "T energy", "A u = 1 - exp(-width * (r - 1)); energy = depth * u * u;")


@pytest.mark.parametrize("n", [0, 1, 2, 3])
def test_a_text(n, dev):
    """Energy of a bond, its force, and their derivatives."""
    morse = differentiable(*MORSE, name="morse")
    r = np.array([0.5, 1.0, 2.5])
    found = derivative(lambda r: morse(r, 2.0, width=1.5), n)(dev(r))
    e = np.exp(-1.5 * (r - 1))
    expected = 2 * ((n == 0) - 2 * (-1.5) ** n * e + (-3.0) ** n * e * e)
    np.testing.assert_allclose(host(found), expected, rtol=1e-12, atol=1e-15)
    assert morse.__name__ == "morse"


def test_devices_and_dtypes(dev):
    morse = differentiable(*MORSE)
    gradcheck(lambda r: morse(r, 2.0, 1.5), dev(np.array([0.5, 1.0, 2.5])))
    for row in parity(lambda r: morse(r, 2.0, 1.5), np.array([0.5, 1.1, 2.5]), dtypes=(np.float16, np.float32)):
        assert row["value"] <= 4 and max(row["gradients"]) <= 8, row
    assert morse(dev(np.ones((0, 3), np.float32)), 1.0, 1.0).shape == (0, 3)
    assert morse(Tensor(dev(np.array(2.0))), 1.0, 1.0).shape == ()


def test_several_outputs_and_arrays_that_broadcast(dev):
    both = differentiable("T x, T y", "T s, T p", "s = x + y; p = x * y")
    x, y = dev(np.ones((2, 3)) * 2), dev(np.array([1.0, 2.0, 3.0]))

    def f(x, y):
        s, p = both(x, y)
        return (s * p).sum()

    gx, gy = grad(f, (0, 1))(x, y)
    np.testing.assert_allclose(host(gx), 2 * 2 * host(y) + host(y) ** 2 + 0 * host(x))
    np.testing.assert_allclose(host(gy), 2 * (4 + 2 * 2 * host(y)))
    one = grad(lambda x: both(x, y)[1].sum())(x)
    np.testing.assert_allclose(host(one), host(y) + 0 * host(x))


def test_arguments_are_those_of_the_text(dev):
    morse = differentiable(*MORSE, name="morse")
    x = dev([1.0])
    with pytest.raises(TypeError, match="morse: takes r, depth, width; got r, depth"):
        morse(x, 1.0)
    with pytest.raises(TypeError, match="morse: takes r, depth, width; got r, r, width"):
        morse(x, r=x, width=1.0)
    with pytest.raises(TypeError, match="got r, depth, width, ..."):
        morse(x, 1.0, 1.0, 1.0)


def test_a_kernel_without_a_backward_gets_one(dev):
    @elementwise("T x, A k", "T y", "y = k * x * x * x")
    def cube(x, k):
        return k * x * x * x

    f = differentiable(cube)
    np.testing.assert_allclose(host(derivative(lambda x: f(x, 2.0), 2)(dev(np.array([3.0])))), 36)


@pytest.mark.parametrize("n", [1, 2])
@pytest.mark.parametrize("axis", [None, 0, (0, 1)])
def test_a_reduction_that_sums(axis, n, rng, dev):
    texts = {"map": "A(in_x) * A(in_x)", "reduce": "a + b", "post": "out_y = sqrt(a + extra_eps)", "identity": "0"}

    @reduction("T in_x, A extra_eps", "A out_y", **texts)
    def length(x, eps, *, axis, keepdims):
        return np.sqrt((x * x).sum(axis=axis, keepdims=keepdims) + eps)

    f = differentiable(length)
    x = dev(rng.standard_normal((3, 4)))
    plain = cunet.tensor(0.5, dtype=np.float64).data
    for g in (lambda x: f(x, 0.5, axis=axis), lambda x: f(x, 0.5, axis=axis, keepdims=True)):
        expected = derivative(lambda x: cunet.sqrt((x * x).sum(axis=axis) + float(plain)), n)(x)
        np.testing.assert_allclose(host(derivative(g, n)(x)), host(expected), rtol=1e-12)


SOFT = "fold(A top, log(A(0)), x, p > q ? p : q); fold(A sum, 0, exp(x - top), p + q); each(y = exp(x - top) / sum);"


@pytest.mark.parametrize("n", [1, 2])
def test_a_rowwise_kernel_by_its_body(n, rng, dev):
    @rowwise("T x", "T y", SOFT)
    def soft(x):
        e = cunet.device.array_module(x).exp(x - x.max(axis=-1, keepdims=True))
        return e / e.sum(axis=-1, keepdims=True)

    f, x = differentiable(soft), dev(rng.standard_normal((3, 4)))
    np.testing.assert_allclose(host(f(x)), host(cunet.functional.softmax(x, -1)), rtol=1e-13)
    found = derivative(lambda x: f(x) ** 3, n)(x)
    expected = derivative(lambda x: cunet.functional.softmax(x, -1) ** 3, n)(x)
    np.testing.assert_allclose(host(found), host(expected), rtol=1e-10, atol=1e-14)


def parameter(text):
    """Describe a parameter as CuPy does."""
    *raw, kind, name = text.split()
    letter = len(kind) == 1
    dtype = None if letter else np.dtype(kind).type
    return SimpleNamespace(name=name, dtype=dtype, ctype=kind if letter else "", raw=bool(raw))


def cupys(ins, outs, operation, preamble=""):
    """Return what has the attributes of a `cupy.ElementwiseKernel`."""
    params = [tuple(parameter(p) for p in group.split(",")) for group in (ins, outs)]
    return SimpleNamespace(
        name="theirs", in_params=params[0], out_params=params[1], operation=operation, preamble=preamble
    )


@pytest.mark.parametrize("ins", ["float32 x, float32 k", "T x, T k", "X x, X k", "float64 x, float64 k"])
def test_a_kernel_of_cupys(ins, dev):
    kind = ins.split()[0]
    text = f"{kind if len(kind) == 1 else 'float'} t = x * 2.0f; y = t * t * k"
    f = differentiable(cupys(ins, f"{kind} y", text))
    x = dev(np.array([1.0, 2.0]))
    np.testing.assert_allclose(host(f(x, 3.0)), [12, 48])
    np.testing.assert_allclose(host(derivative(lambda x: f(x, 3.0), 2)(x)), [24, 24])


def test_cupys_own_class(dev):
    if isinstance(dev(np.ones(1)), np.ndarray):
        pytest.skip("on a GPU")
    made = cunet.device.gpu().ElementwiseKernel("T x", "T y", "y = x * x * x", "cube")
    np.testing.assert_allclose(host(derivative(differentiable(made), 2)(dev(np.array([2.0])))), 12)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("T x", "T y", "y = bessel(x)"), "line 1: 'bessel': a function whose derivative is not known"),
        (("raw T x", "T y", "y = x[i]"), "a raw array has no derivative by its text, got raw x"),
        (("Q x", "T y", "y = x"), "has type T or A, got Q x"),
        (
            (cupys("float32 x, float64 k", "float32 y", "y = x"),),
            "theirs: data of one floating type.* got float32, float64",
        ),
        ((cupys("T x", "T y", "y = help(x)", "..."),), "'help': .*; functions of a preamble are not known"),
        (("T x",), "a text needs inputs, outputs and an operation"),
        ((3,), "a text or an elementwise kernel is required, got int"),
    ],
)
def test_what_cannot_be_is_refused_by_name(arguments, message):
    with pytest.raises(TypeError, match=message):
        differentiable(*arguments)


BUMP = "__device__ inline A bump(A u, A k) { return exp(-k * u * u); }"


@pytest.mark.parametrize("n", [0, 1, 2, 3])
def test_a_function_of_a_preamble_with_its_derivatives(n, dev):
    @derivative_of(BUMP, "-2 * k * u * bump(u, k)", "-u * u * bump(u, k)")
    def bump(u, k):
        return np.exp(-k * u * u)

    f = differentiable("T x, A k", "T y", "y = x * bump(sin(x), k)", name="wave", helpers=[bump])
    x = dev(np.array([0.0, 0.7, -2.0]))
    expected = derivative(lambda x: x * cunet.exp(-2.0 * cunet.sin(x) ** 2), n)(x)
    np.testing.assert_allclose(host(derivative(lambda x: f(x, 2.0), n)(x)), host(expected), rtol=1e-11, atol=1e-13)
    by_k = grad(lambda k: f(x, k).sum())(dev(np.array(2.0)))
    s = np.sin(host(x)) ** 2
    np.testing.assert_allclose(host(by_k), (-s * host(x) * np.exp(-2 * s)).sum(), rtol=1e-12)
    assert bump(0.0, 1.0) == 1


@pytest.mark.cpu_only
def test_helpers_that_do_not_fit_are_refused():
    with pytest.raises(TypeError, match=r"derivative_of: f needs one expression for each of \['u', 'k'\], got 1"):

        def f(u, k):
            return u

        derivative_of(BUMP, "u")(f)

    def g(u):
        return u

    with pytest.raises(TypeError, match="'h': a function whose derivative is not known"):
        derivative_of("...", "h(u)")(g)
    with pytest.raises(TypeError, match="'g': a function whose derivative is not known"):
        differentiable("T x", "T y", "y = g(x)")
