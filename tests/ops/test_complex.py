"""Complex numbers: values are NumPy's, gradients those of pairs of real numbers; and what is refused."""

import numpy as np
import pytest
from helpers import host

import cunet
from cunet import Complex, Tensor, fft
from cunet.testing import gradcheck

SHAPE = (3, 4)
#: An expression of two complex matrices, a real one and a complex number.
EXPRESSIONS = {
    "+": lambda z, w, x: z + w,
    "+ of a number": lambda z, w, x: (2 - 1j) + z,
    "+ of an array": lambda z, w, x: x + z,
    "-": lambda z, w, x: z - w,
    "- of it": lambda z, w, x: x - z,
    "- of a complex number": lambda z, w, x: 1j - z,
    "*": lambda z, w, x: z * w,
    "* of an array": lambda z, w, x: x * z * 1j,
    "/": lambda z, w, x: z / x,
    "neg": lambda z, w, x: -z,
    "conj": lambda z, w, x: np.conj(z) * w,
    "exp": lambda z, w, x: np.exp(z),
    "@": lambda z, w, x: z @ w.reshape(4, 3),
    "@ of an array": lambda z, w, x: np.matmul(x, z.reshape(4, 3)),
    "sum": lambda z, w, x: np.sum(z, axis=1),
    "where": lambda z, w, x: np.where(x > 1, z, w),
    "where of a number": lambda z, w, x: np.where(x > 1, z, 0.5),
    "abs": lambda z, w, x: np.abs(z),
    "angle": lambda z, w, x: np.angle(z),
    "real": lambda z, w, x: np.real(z) * np.imag(w),
    "multiply": lambda z, w, x: np.multiply(z, w) + np.subtract(z, w),
    "reshape": lambda z, w, x: np.reshape(z, (2, 6)),
    "broadcast": lambda z, w, x: z + np.sum(w, 1).reshape(3, 1),
}


def values_of(y):
    return host(y.data) if isinstance(y, Complex) else host(y)


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_values_and_gradients(name, rng, dev):
    f = EXPRESSIONS[name]
    a, b, c, d = (rng.standard_normal(SHAPE) for _ in range(4))
    x = rng.uniform(0.5, 2, SHAPE)
    found = f(Complex(*map(Tensor, (dev(a), dev(b)))), Complex(*map(Tensor, (dev(c), dev(d)))), dev(x))
    np.testing.assert_allclose(values_of(found), f(a + 1j * b, c + 1j * d, x), rtol=1e-12)

    def parts(a, b, c, d):
        y = f(Complex(a, b), Complex(c, d), dev(x))
        return tuple(y) if isinstance(y, Complex) else y

    gradcheck(parts, dev(a), dev(b), dev(c), dev(d))


NUMPY = {name: getattr(np.fft, name) for name in dir(np.fft) if name in fft.__all__}


@pytest.mark.parametrize("norm", [None, "ortho", "forward"])
@pytest.mark.parametrize("name", NUMPY)
def test_transforms_are_numpys(name, norm, rng, dev):
    own, theirs = getattr(fft, name), NUMPY[name]
    lengths = [None, 3, 6] if name[-1] == "t" else [None, (3, 6), (5, 2)]
    a, b = rng.standard_normal((2, 4, 5))
    real = name.startswith("r")
    for given in lengths:
        options = {"norm": norm} | ({} if given is None else {"n" if name[-1] == "t" else "s": given})
        if given is not None and name[-1] == "n":
            options["axes"] = (1, 0)
        with np.errstate(all="ignore"):
            expected = theirs(a if real else a + 1j * b, **options)
        arrays = (Tensor(dev(a)),) if real else (Tensor(dev(a)), Tensor(dev(b)))
        found = own(*arrays if real else (Complex(*arrays),), **options)
        np.testing.assert_allclose(values_of(found), expected, atol=1e-13)
        np.testing.assert_array_equal(
            values_of(theirs(*arrays if real else (Complex(*arrays),), **options)), values_of(found)
        )

        def parts(*xs, options=options):
            y = own(xs[0] if real else Complex(*xs), **options)
            return tuple(y) if isinstance(y, Complex) else y

        gradcheck(parts, *(t.data for t in arrays))


def test_a_real_array_is_transformed_too(rng, dev):
    x = rng.standard_normal((3, 4))
    np.testing.assert_allclose(values_of(fft.fft2(dev(x))), np.fft.fft2(x), atol=1e-13)
    np.testing.assert_allclose(values_of(fft.ifft(dev(x + 1j * x))), np.fft.ifft(x + 1j * x), atol=1e-13)
    gradcheck(lambda x: tuple(fft.fftn(x, axes=(0,))), dev(x), order=2, forward=True)
    gradcheck(lambda x: abs(fft.rfft2(x)), dev(x), order=2, forward=True)


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_dtypes_stay(dtype, dev):
    x = Tensor(dev(np.arange(6.0), dtype), requires_grad=True)
    y = fft.fft(x)
    assert y.real.dtype == y.imag.dtype == dtype
    assert y.data.dtype == np.complex64
    (abs(fft.ifft(y * 1j)) ** 2).sum().backward()
    assert x.grad.dtype == dtype
    np.testing.assert_allclose(host(x.grad).astype(float), 2 * np.arange(6.0), rtol=2e-3, atol=1e-2)


def test_pytorchs_convention(rng):
    """``dL/dreal + i dL/dimag``, as PyTorch's gradient of a complex leaf."""
    torch = pytest.importorskip("torch")
    a, b = rng.standard_normal((2, 5))

    def loss(z):
        return (abs(z * z + (1 - 2j)) ** 2).sum() + (np.exp(z) if isinstance(z, Complex) else z.exp()).real.sum()

    z = torch.tensor(a + 1j * b, requires_grad=True)
    loss(z).backward()
    ga, gb = cunet.grad(lambda a, b: loss(Complex(a, b)), (0, 1))(a, b)
    np.testing.assert_allclose(ga + 1j * gb, z.grad.numpy(), rtol=1e-12)


def test_ops_of_these_names_take_them(dev):
    z = Complex(Tensor(dev(np.array([3.0]))), Tensor(dev(np.array([4.0]))))
    x = Tensor(dev(np.array([2.0])), requires_grad=True)
    assert values_of(x * z).tolist() == values_of(cunet.multiply(x, z)).tolist() == [6 + 8j]
    assert values_of(x + z).tolist() == [5 + 4j] and values_of(x - z).tolist() == [-1 - 4j]
    assert host(cunet.abs(z)).tolist() == [5]
    assert values_of(cunet.where(dev(np.array([False])), x, z)).tolist() == [3 + 4j]
    assert values_of(cunet.sum(z)).tolist() == 3 + 4j
    assert values_of(x.reshape(1, 1) @ z.reshape(1, 1)).tolist() == [[6 + 8j]]


def test_at_0_and_at_infinity(dev):
    zero = dev(np.zeros(1))
    for f in (abs, Complex.angle):
        a, b = cunet.grad(lambda a, b, f=f: f(Complex(a, b)).sum(), (0, 1))(zero, zero)
        assert host(a).tolist() == host(b).tolist() == [0]
    large = dev(np.array([1e200]))
    np.testing.assert_allclose(host(abs(Complex(Tensor(large), Tensor(large)))), [np.sqrt(2) * 1e200])
    np.testing.assert_array_equal(Complex(Tensor(dev([np.inf])), Tensor(dev([0.0]))).numpy(), [complex(np.inf, 0)])


@pytest.mark.parametrize(
    ("f", "words"),
    [
        (lambda z: np.sin(z), "sin: not of complex numbers, which have abs, add, .*, real, imag, angle, conj"),
        (lambda z: cunet.sin(z), "sin: not of complex numbers"),
        (lambda z: cunet.mean(z), "mean: not of complex numbers"),
        (lambda z: np.mean(z), "mean: not of complex numbers"),
        (lambda z: z / z, "divide: by a real number only, got complex ones"),
        (lambda z: 1 / z, "divide|/"),
        (lambda z: z > z, "complex numbers have no order"),
        (lambda z: bool(z), "bool: complex numbers are neither true nor false"),
        (lambda z: np.add.reduce(z), "add.reduce: not of complex numbers"),
        (lambda z: cunet.functional.relu(z), "relu: not of complex numbers"),
        (lambda z: z.real * 1j, r"multiply: the result is complex .* cunet\.Complex\(real, imag\)"),
    ],
)
def test_all_else_is_refused_by_name(f, words, dev):
    with pytest.raises(TypeError, match=words):
        f(Complex(Tensor(dev(np.ones(2)), requires_grad=True), Tensor(dev(np.ones(2)))))


@pytest.mark.parametrize(
    ("f", "words"),
    [
        (lambda x: fft.fft(x, axis=2), "fft: axis must be one of 2, got 2"),
        (lambda x: fft.fft2(x, s=(2,)), "fft2: s must have one length for each of 2 axes, got 1"),
        (lambda x: fft.fftn(x, norm="both"), "fftn: norm must be 'backward'"),
        (lambda x: fft.rfftn(x, axes=()), "rfftn: axes must be at least one"),
    ],
)
def test_what_does_not_fit_a_transform_is_named(f, words, dev):
    with pytest.raises(ValueError, match=words):
        f(Tensor(dev(np.ones((2, 6)))))
