"""Kernels derived from the texts of the library's own: what they compute, and how far it can be trusted."""

import mpmath
import numpy as np
import pytest
from helpers import host

import cunet.parity  # noqa: F401 (makes every kernel there is)
from cunet.kernels import elementwise
from cunet.kernels.calculus.kernels import differentiable_inputs, formulas, from_text, gradient_kernel, summed
from cunet.kernels.calculus.reading import Unreadable
from cunet.kernels.calculus.writing import body_of
from cunet.kernels.grammar import parse
from cunet.kernels.spec import KERNELS

#: Kernels whose texts read an array at places of its own, and what becomes of them at higher orders.
RAW = {
    "embedding_forward": "rows are selected as by an index",
    "embedding_backward": "the same",
    "label_loss": "cross_entropy in terms of log_softmax",
    "nll_forward": "elements are selected",
    "smooth_label_loss": "as label_loss",
}
#: Kernels whose bodies look along an axis, and cannot be called on any arrays.
ALONG = {"label_backward", "nll_backward", "smooth_label_backward"}
READABLE = [k for k in KERNELS.values() if k.spec.kind == "elementwise" and k.name not in RAW]
every_kernel = pytest.mark.parametrize("kernel", READABLE, ids=lambda k: k.name)


#: Parameters that are numbers, or have few values.
GIVEN = {"low": -0.4, "high": 0.6, "full": True, "ignored": 2, "shift": 0.3, "slope": 0.25, "end": 2.0}


def drawn(kernel, rng, dev):
    """Return arguments for a kernel, away from where texts switch."""
    made = []
    for p in kernel.spec.ins:
        if p.name in GIVEN:
            made.append(GIVEN[p.name])
        elif p.name == "t" and "hinge" in kernel.name:
            made.append(dev(rng.choice([-1.0, 1.0], 40)))
        elif p.type in ("T", "A"):
            made.append(dev(rng.uniform(0.15, 0.85, 40)))
        elif p.name == "p":
            made.append(2)
        else:
            made.append(dev(rng.random(40) < 0.5 if p.type == "bool" else rng.integers(0, 3, 40)))
    return made


def results(y):
    return [host(part) for part in (y if isinstance(y, tuple) else (y,))]


@pytest.mark.parametrize("name", RAW)
def test_a_raw_array_is_refused_by_name(name):
    with pytest.raises(Unreadable, match=f"{name}: a raw array has no derivative by its text, got raw"):
        formulas(KERNELS[name])


def test_every_other_elementwise_kernel_is_read():
    assert len(READABLE) > 110
    for kernel in READABLE:
        formulas(kernel)


@every_kernel
def test_what_is_differentiated_is_what_runs(kernel, rng):
    """That is the text; where there is a smooth one, that is the same function."""
    if kernel.name in ALONG:
        pytest.skip("its body looks along an axis")
    made, args = formulas(kernel), drawn(kernel, rng, np.asarray)
    names = [p.name for p in kernel.spec.ins]
    with np.errstate(all="ignore"):
        found = body_of("f", names, list(made.outputs.values()))(*args)
        expected = kernel.spec.body(*args)
    for a, b in zip(results(found), results(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-12, atol=1e-14)


@every_kernel
def test_gradient_is_that_of_differences(kernel, rng):
    args, names = drawn(kernel, rng, np.asarray), [p.name for p in kernel.spec.ins]
    smooth = body_of("f", names, list(formulas(kernel).outputs.values()))
    with np.errstate(all="ignore"):
        arriving = [rng.uniform(0.5, 2, 40) for _ in results(smooth(*args))]
        for place in differentiable_inputs(kernel):
            derived, at = gradient_kernel(kernel, place), list(args)
            parts = []
            for step in (1, -1, 2, -2):
                at[place] = args[place] + step * 1e-5
                parts.append(results(smooth(*at)))
            rows = zip(*parts, arriving, strict=True)
            expected = sum((8 * (a - b) - (c - d)) / 12e-5 * g for a, b, c, d, g in rows)
            found = np.zeros(40) if derived is None else derived.body(*args, *arriving)
            found = np.where(np.isnan(expected), expected, found)  # -inf where a mask says so, or no label at all
            np.testing.assert_allclose(found, expected, rtol=1e-7, atol=1e-8 * max(1, np.abs(expected).max()))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "name", ["gelu_backward", "tanh_forward", "bce_backward", "poisson_log_forward", "hypot_backward"]
)
def test_text_and_body_of_a_derived_kernel_agree(name, dtype, rng, dev):
    kernel = KERNELS[name]
    args = [a.astype(dtype) if getattr(a, "dtype", None) == np.float64 else a for a in drawn(kernel, rng, np.asarray)]
    for place in differentiable_inputs(kernel):
        derived, given = gradient_kernel(kernel, place), [*args, rng.uniform(0.5, 2, 40).astype(dtype)]
        found = host(derived(*[dev(a) if isinstance(a, np.ndarray) else a for a in given]))
        assert found.dtype == dtype
        np.testing.assert_allclose(found, derived.body(*given), rtol=2e-5 if dtype == np.float32 else 1e-12)


PAIRS = [k for k in READABLE if k.name.endswith("_forward") and f"{k.name[:-8]}_backward" in KERNELS]
PAIRS = [k for k in PAIRS if KERNELS[f"{k.name[:-8]}_backward"].spec.ins[0].name in ("gy", "g")]


@pytest.mark.parametrize("kernel", PAIRS, ids=lambda k: k.name)
def test_gradient_is_the_one_that_was_written_by_hand(kernel, rng):
    back = KERNELS[f"{kernel.name[:-8]}_backward"]
    values = dict(zip([p.name for p in kernel.spec.ins], drawn(kernel, rng, np.asarray), strict=True))
    values["gy"] = values["g"] = rng.uniform(0.5, 2, 40)
    with np.errstate(all="ignore"):
        y = results(kernel.spec.body(*[values[p.name] for p in kernel.spec.ins]))
        values.setdefault("y", y[0])
        values["z"] = values.get("z", y[0])
        if not {p.name for p in back.spec.ins} <= values.keys():
            pytest.skip("the way back needs what the way forward does not return")
        expected = results(back.spec.body(*[values[p.name] for p in back.spec.ins]))[0]
        wanted = back.spec.outs[0].name.removeprefix("g")
        places = [k for k, p in enumerate(kernel.spec.ins) if p.name == wanted]
        place = places[0] if places else 0
        g = values["gy"]
        found = gradient_kernel(kernel, place).body(*[values[p.name] for p in kernel.spec.ins], g)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-14)


SMOOTH = {
    "tanh": mpmath.tanh,
    "sigmoid": lambda x: 1 / (1 + mpmath.exp(-x)),
    "softplus": lambda x: mpmath.log1p(mpmath.exp(x)),
    "logsigmoid": lambda x: -mpmath.log1p(mpmath.exp(-x)),
    "gelu": lambda x: x * mpmath.ncdf(x),
    "silu": lambda x: x / (1 + mpmath.exp(-x)),
    "erf": mpmath.erf,
    "tanhshrink": lambda x: x - mpmath.tanh(x),
}


@pytest.mark.parametrize("x", [0.0, -0.0, 0.5, -3.0, 20.0, -20.0, 90.0, -90.0, 800.0, -800.0])
@pytest.mark.parametrize("name", SMOOTH)
def test_four_derivatives_where_a_text_would_switch(name, x):
    """Of the gradient that was written by hand too, which is what the second derivative is made of."""
    kernel = KERNELS[f"{name}_forward"]
    options = [1.0] * (len(kernel.spec.ins) - 1)
    at, one = np.array([x]), np.ones(1)
    with mpmath.workdps(60):
        expected = [float(mpmath.diff(SMOOTH[name], mpmath.mpf(x), n)) for n in (1, 2, 3, 4)]
    hand = KERNELS.get(f"{name}_backward")
    ways = [(kernel, (at, *options), 0, 0)] + ([] if hand is None else [(hand, (one, at, *options), 1, 1)])
    for start, args, place, done in ways:
        step, given = start, args
        for n in range(done, 4):
            step = gradient_kernel(step, place)
            assert step is not None
            given = (*given, one)
            with np.errstate(all="ignore"):
                found = step.body(*given)[0]
            assert found == pytest.approx(expected[n], rel=1e-12, abs=1e-18), (start.name, n + 1)


def test_a_gradient_of_0_stays_0_and_the_slope_there_is_right(dev):
    """`times_slope` hides in a branch that it is linear: at gy = 0 its derivative is the slope, not 0."""
    kernel = KERNELS["times_slope"]
    gy, slope = dev(np.array([0.0, 0.0])), dev(np.array([3.0, np.inf]))
    assert host(kernel(gy, slope)).tolist() == [0, 0]
    assert host(gradient_kernel(kernel, 0)(gy, slope, dev(np.ones(2)))).tolist() == [3, np.inf]
    assert host(gradient_kernel(kernel, 0)(gy, slope, dev(np.zeros(2)))).tolist() == [0, 0]
    assert host(gradient_kernel(kernel, 1)(gy, slope, dev(np.ones(2)))).tolist() == [0, 0]


def test_a_users_text_with_corners_says_what_is_assumed():
    @elementwise("T x", "T y", "y = x > 0 ? x : abs(x)")
    def bent(x):
        return np.where(x > 0, x, np.abs(x))

    with pytest.warns(UserWarning, match="kernel 'bent' is differentiated as it is written.*>, abs switch"):
        formulas(bent)
    formulas(bent)  # once

    @elementwise("T x", "T y", "y = x > 0 ? x : -abs(x)", smooth="y = x")
    def straight(x):
        return x.copy()

    assert formulas(straight).outputs["y"] is formulas(straight).inputs["x"]


def test_new_names_are_new(dev):
    kernel = from_text("f", parse("T x, T g_y"), parse("T y"), "y = x * x * x * g_y")
    x = dev(np.array([2.0]))
    first = gradient_kernel(kernel, 0)
    second = gradient_kernel(first, 0)
    third = gradient_kernel(second, 0)
    one = dev(np.ones(1))
    assert host(third(x, one, one, one, one)).tolist() == [6]


def test_a_text_alone_makes_a_kernel(dev):
    kernel = from_text("energy", parse("T r, A depth"), parse("T e, T f"), "A u = exp(-r); e = depth * u; f = 0.5f * u")
    r = dev(np.array([0.0, 1.0], np.float32))
    e, f = kernel(r, 2.0)
    assert host(e).tolist() == pytest.approx([2, 2 * np.exp(-1)])
    assert host(f).dtype == np.float32


@pytest.mark.parametrize(
    ("name", "plain"),
    [("sum_elements", True), ("softmax_dot", True), ("reciprocal_rms", False), ("weighted_gap", True)],
)
def test_reductions_that_sum_are_taken_apart(name, plain):
    assert summed(KERNELS[name]).plain is plain


@pytest.mark.parametrize("name", ["moments", "softmax_stats", "soft_loss"])
def test_other_reductions_are_refused_by_name(name):
    with pytest.raises(Unreadable, match=f"{name}: only a reduction that sums numbers is differentiated"):
        summed(KERNELS[name])
