"""What all initialisers have in common: dtypes, seeds, names, complaints."""

import math

import numpy as np
import pytest

import cunet.random
from cunet import init

pytestmark = pytest.mark.cpu_only


@pytest.fixture
def generator(rng):
    return cunet.random.Generator(int(rng.integers(2**63)), "test")


ALL = ["constant", "dirac", "eye", "kaiming_normal", "kaiming_uniform", "lecun_normal", "lecun_uniform", "normal"]
ALL += ["ones", "orthogonal", "truncated_normal", "uniform", "xavier_normal", "xavier_uniform", "zeros"]
ALL += ["delta_orthogonal"]


def make(name):
    return init.constant(0.1) if name == "constant" else init.get(name)


@pytest.mark.parametrize("name", ALL)
def test_one_draw_in_every_dtype(name):
    shape = (6, 4) if name == "eye" else (6, 4, 3)
    arrays = {d: make(name)(shape, cunet.random.Generator(5), d) for d in (np.float16, np.float32, np.float64)}
    for dtype, array in arrays.items():
        assert type(array) is np.ndarray and array.dtype == dtype and array.shape == shape
        assert array.flags.c_contiguous and array.flags.writeable
        np.testing.assert_array_equal(array, arrays[np.float64].astype(dtype))


def test_bfloat16():
    bfloat16 = pytest.importorskip("ml_dtypes").bfloat16
    w = init.normal()((3, 4), cunet.random.Generator(5), bfloat16)
    assert w.dtype == bfloat16
    assert (w == init.normal()((3, 4), cunet.random.Generator(5), np.float64).astype(bfloat16)).all()


@pytest.mark.parametrize("name", ALL)
def test_the_default_generator_follows_manual_seed(name):
    shape = (6, 4) if name == "eye" else (6, 4, 3)
    random_one = name not in ("constant", "dirac", "eye", "ones", "zeros")
    cunet.random.manual_seed(11)
    first, second = make(name)(shape), make(name)(shape)
    cunet.random.manual_seed(11)
    np.testing.assert_array_equal(make(name)(shape), first)
    assert random_one == (not np.array_equal(first, second))
    cunet.random.manual_seed(12)
    assert random_one == (not np.array_equal(make(name)(shape), first))
    explicit = make(name)(shape, cunet.random.Generator(11, "init"))
    np.testing.assert_array_equal(explicit, first)


FIRST_VALUES = [
    (init.uniform(), [0.11335657915826103, 0.8755341746195474, 0.37563118921193306]),
    (init.normal(), [-2.854671691429516, 0.00724525246112665, 0.016282535887369862]),
    (init.truncated_normal(), [0.00724525246112665, 0.016282535887369862, 0.27108385982863265]),
    (init.kaiming_normal(), [-2.330829675723369, 0.0059157238624681025, 0.013294634880870492]),
    (init.xavier_uniform(), [-0.847093293223934, 0.8227541542128406, -0.2724784124748645]),
    (init.orthogonal(), [-0.8851237781537755, 0.005048587452568394, -0.46532828101408125]),
]


def test_the_numbers_of_seed_0_have_not_changed():
    """Written down from a run; a change of stream, or of NumPy's normals, changes every trained model."""

    def first(make, shape=(2, 3)):
        return make(shape, cunet.random.Generator(0, "init"), np.float64).ravel()[:3]

    for initialiser, expected in FIRST_VALUES:
        np.testing.assert_allclose(first(initialiser), expected, rtol=0, atol=1e-13, err_msg=repr(initialiser))
    np.testing.assert_array_equal(first(init.uniform()), FIRST_VALUES[0][1])  # bits alone: no rounding


@pytest.mark.parametrize("name", [n for n in ALL if n != "constant"])
def test_get_by_name(name):
    assert isinstance(init.get(name), init.Initializer)
    assert init.get(name).name == name
    assert init.get(getattr(init, name)).name == name  # the function itself, not called


def test_get_number_function_and_initialiser(generator):
    np.testing.assert_array_equal(init.get(0.5)((2,)), [0.5, 0.5])
    np.testing.assert_array_equal(init.get(np.float32(2))((2,)), [2, 2])
    made = init.normal()
    assert init.get(made) is made

    def ramp(shape, generator, dtype):
        assert isinstance(generator, cunet.random.Generator) and dtype == np.float32
        return np.arange(math.prod(shape)).reshape(shape)

    w = init.get(ramp)((2, 3), generator)
    assert w.dtype == np.float32
    np.testing.assert_array_equal(w, [[0, 1, 2], [3, 4, 5]])
    assert repr(init.get(ramp)) == "ramp()"
    init.get(ramp)((2, 3))  # the default generator is passed on, not None


def test_a_function_may_return_an_array_it_keeps():
    kept = np.ones((2, 2), np.float32)
    weight = init.get(lambda shape, generator, dtype: np.broadcast_to(kept[0], shape))((2, 2))
    weight += 1
    assert kept.max() == 1


def test_repr_shows_the_call():
    assert repr(init.xavier_uniform(2.0)) == "xavier_uniform(gain=2.0)"
    assert repr(init.kaiming_normal()) == "kaiming_normal(a=0.0, mode='fan_in', nonlinearity='leaky_relu')"
    assert repr(init.zeros()) == "zeros()"


@pytest.mark.parametrize("name", [n for n in ALL if n not in ("eye", "dirac", "delta_orthogonal")])
def test_empty_weights(name):
    assert make(name)((0, 5)).shape == (0, 5)
    assert make(name)((5, 0)).shape == (5, 0)


SCALED_NAMES = [n for n in ALL if n.startswith(("kaiming", "lecun", "xavier"))]


@pytest.mark.parametrize("name", [*SCALED_NAMES, "orthogonal"])
def test_a_vector_has_no_fans(name):
    message = rf"^{name}: weight must have at least 2 axes \(out, in, \*kernel\), got shape \(3,\)$"
    with pytest.raises(ValueError, match=message):
        make(name)((3,))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: init.eye()((2, 2, 2)), ValueError, r"eye: weight must have 2 axes \(out, in\), got shape \(2, 2, 2\)"),
        (lambda: init.dirac()((2, 2)), ValueError, r"dirac: weight must have 3 to 5 axes .*\(2, 2\)"),
        (lambda: init.dirac(2)((3, 2, 3)), ValueError, "dirac: groups must be .* 3, got 2"),
        (lambda: init.delta_orthogonal()((2, 2)), ValueError, "delta_orthogonal: weight must have 3 to 5 axes"),
        (lambda: init.delta_orthogonal()((2, 3, 3)), ValueError, r"must have out >= in, got shape \(2, 3, 3\)"),
        (lambda: init.get("he_normal"), ValueError, "unknown name 'he_normal'; known: .*kaiming_normal"),
        (lambda: init.get(None), TypeError, "got NoneType"),
        (lambda: init.get(True), TypeError, "got bool"),
        (lambda: init.get(lambda shape, generator, dtype: np.zeros(3))((2,)), ValueError, r"return shape \(2,\)"),
        (lambda: init.normal(std=-1), ValueError, "normal: std must be >= 0, got -1"),
        (lambda: init.normal(std=math.nan), ValueError, "normal: std must be >= 0, got nan"),
        (lambda: init.uniform(1, 0), ValueError, "uniform: low must be <= high, got low=1, high=0"),
        (lambda: init.truncated_normal(low=2, high=2), ValueError, "low must be < high"),
        (lambda: init.kaiming_normal(mode="fan_avg"), ValueError, "kaiming_normal: mode must be .* got .fan_avg"),
        (lambda: init.kaiming_uniform(a=0.1, nonlinearity="relu"), ValueError, "'relu' takes no param, got 0.1"),
        (lambda: init.kaiming_uniform(nonlinearity="swish"), ValueError, "unknown nonlinearity 'swish'; known: .*silu"),
        (lambda: init.zeros()((2, -1)), ValueError, r"zeros: shape must be integers >= 0, got \(2, -1\)"),
        (lambda: init.zeros()((2, 1.5)), ValueError, "zeros: shape must be integers >= 0"),
        (lambda: init.ones()((2,), dtype=np.int32), TypeError, "ones: dtype must be floating, got int32"),
        (lambda: init.normal()((2,), np.random.default_rng(0)), TypeError, "normal: generator must be a cunet.random"),
        (lambda: init.normal()((2,), 3), TypeError, "normal: generator must be a cunet.random.Generator, got int"),
    ],
)
def test_complaints(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_a_complaint_takes_no_draw(generator):
    with pytest.raises(ValueError, match="at least 2 axes"):
        init.xavier_normal()((3,), generator)
    with pytest.raises(TypeError, match="floating"):
        init.normal()((3,), generator, np.int64)
    assert generator.call == 0
