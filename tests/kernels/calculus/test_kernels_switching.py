"""Derivatives of the library's texts where these switch branches, and at the extremes of float32."""

import mpmath
import numpy as np
import pytest
from helpers import turn

import cunet.parity  # noqa: F401 (makes every kernel there is)
from cunet.kernels.calculus.kernels import formulas, gradient_kernel
from cunet.kernels.calculus.reading import Unreadable
from cunet.kernels.spec import KERNELS

pytestmark = pytest.mark.cpu_only


def texts():
    """Yield the elementwise kernels whose texts are differentiated."""
    for kernel in KERNELS.values():
        try:
            yield kernel, formulas(kernel)
        except Unreadable:
            continue


def gelu_tanh(x):
    return x / 2 * (1 + mpmath.tanh(mpmath.sqrt(2 / mpmath.pi) * (x + mpmath.mpf("0.044715") * x**3)))


#: Functions that have all derivatives where their texts, which say nothing smoother, switch.
SMOOTH = {
    "gelu_tanh": (gelu_tanh, (-40.0, 40.0)),
    "silu": (lambda x: x / (1 + mpmath.exp(-x)), (-800.0, 800.0)),
    "mish": (lambda x: x * mpmath.tanh(mpmath.log1p(mpmath.exp(x))), (-800.0, 22.0)),
}
#: Functions that have corners, jumps or cases at the points where their texts switch, and the branch's slope there.
CORNERS = """
bernoulli celu cosine_hinge drop_channels elu floor_divide gaussian hardshrink hardsigmoid hardswish hardtanh
hinge_embedding huber kl kl_log l1 leaky_relu margin_ranking multi_margin nan_to_num nll poisson poisson_log
prelu_weight_terms relu remainder round selu share_of_larger softshrink softsign threshold
"""
#: Kernels that switch between places, labels or masks, not by the values that are differentiated.
CASES = {"attention_weights", "label_backward", "nll_backward", "smooth_label_backward"}


def family(name):
    for end in ("_forward", "_backward"):
        name = name.removesuffix(end)
    return name.removesuffix("_target").removesuffix("_variance")


def test_what_switches_says_what_it_is():
    """A new text with `abs` or a comparison gets smooth=..., or a line above."""
    known = {*SMOOTH, *CORNERS.split()}
    open_ = [k.name for k, made in texts() if made.corners() and family(k.name) not in known and k.name not in CASES]
    assert open_ == []
    switching = {family(k.name) for k, made in texts() if made.corners()}
    assert known <= switching


@pytest.mark.parametrize("name", SMOOTH)
def test_four_derivatives_where_the_text_switches(name):
    exact, points = SMOOTH[name]
    one = np.ones(1)
    for point in points:
        for x in (np.nextafter(point, -np.inf), point, np.nextafter(point, np.inf)):
            with mpmath.workdps(60):
                expected = [float(mpmath.diff(exact, mpmath.mpf(float(x)), n)) for n in range(5)]
            at = np.array([x])
            ways = [(KERNELS[f"{name}_forward"], (at,), 0, 0), (KERNELS[f"{name}_backward"], (one, at), 1, 1)]
            for step, given, place, done in ways:
                for n in range(done, 5):
                    with turn(name, x, n), np.errstate(all="ignore"):
                        assert step.body(*given)[0] == pytest.approx(expected[n], rel=1e-12, abs=1e-15)
                    step, given = gradient_kernel(step, place), (*given, one)
                    if step is None:
                        break


INFINITE = {np.inf, -np.inf}
SIZES = [
    0,
    1e-45,
    1.2e-38,
    1e-30,
    1e-10,
    1e-4,
    0.1,
    0.5,
    1,
    2,
    5,
    10,
    20,
    40,
    88,
    89,
    104,
    1e3,
    1e10,
    1e20,
    3e38,
    np.inf,
]
EXTREMES = np.array([sign * size for size in SIZES for sign in (1, -1)], np.float32)
#: Where derivatives of an order, and of those above it, are NaN: inf - inf, or inf * 0, of what is polynomial times
#: what decays. Where a function is not defined it is no number at all, as is that of NaN.
ALLOWED = {
    "erf": {4: INFINITE},
    "erfc": {4: INFINITE},
    "gelu": {3: INFINITE},
    "gelu_tanh": {2: {1e20, 3e38, np.inf}},
    "rsqrt": {1: {float(x) for x in EXTREMES if x < 0}},
    "silu": {2: {np.inf}},
}


def of_one_input():
    """Yield kernels of one array, with numbers beside it."""
    for kernel, _ in texts():
        types = [p.type for p in kernel.spec.ins]
        if kernel.name.endswith("_forward") and types[0] == "T" and types.count("T") == 1 == len(kernel.spec.outs):
            yield kernel


def test_nan_at_the_extremes_of_float32_is_known():
    """Of four orders; a line that is needed no more goes."""
    seen = set()
    for kernel in of_one_input():
        given = [EXTREMES, *[np.float32(1) if p.type == "A" else 1 for p in kernel.spec.ins[1:]]]
        step, allowed = kernel, set()
        for n in range(1, 5):
            step = gradient_kernel(step, 0)
            if step is None:
                break
            given.append(np.ones_like(EXTREMES))
            with np.errstate(all="ignore"):
                found = EXTREMES[np.isnan(step.body(*given))]
            allowed = allowed | ALLOWED.get(family(kernel.name), {}).get(n, set())
            assert set(found) == {np.float32(x) for x in allowed}, (kernel.name, n)
        seen.add(family(kernel.name))
    assert len(seen) > 20 and seen >= set(ALLOWED)
