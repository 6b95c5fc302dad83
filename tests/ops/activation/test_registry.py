"""The registry of activations: what it returns, and that nothing that lists activations lacks one."""

import functools
import importlib

import numpy as np
import pytest
from helpers import host

from cunet import F, nn
from cunet.ops.activation import registry
from cunet.ops.activation.registry import ACTIVATIONS, find, option_signature
from cunet.parity import cases as parity

FUSABLE = {name: entry for name, entry in ACTIVATIONS.items() if entry.fusable}
#: The rows of the table of cases that are of activations.
ROWS = [
    case
    for name in ("activation", "rectifier", "shrink", "gated", "math", "softmax")
    for case in importlib.import_module(f"cases.{name}").CASES
    if case.op.__name__ in ACTIVATIONS
]
OPTIONS = [(name, {}) for name in FUSABLE]
OPTIONS += [(case.op.__name__, case.kwargs) for case in ROWS if case.op.__name__ in FUSABLE and case.kwargs]
OPTIONS += [
    (name, {"inplace": True}) for name, e in FUSABLE.items() if "inplace" in option_signature(e.function).parameters
]
OPTIONS += [("softplus", {"threshold": 30.0})]  # which changes nothing either


@pytest.mark.parametrize(("name", "options"), OPTIONS, ids=str)
def test_numbers_are_what_the_function_gives_its_kernels(name, options, rng, dev):
    x, gy = (dev(rng.uniform(-4, 8, 200)) for _ in range(2))
    y, vjp = FUSABLE[name].function.__wrapped__(x, **options)
    forward, backward, numbers = FUSABLE[name].numbers(**options)
    np.testing.assert_array_equal(host(forward(x, *numbers)), host(y))
    source = y if backward.spec.ins[1].name == "y" else x
    np.testing.assert_array_equal(host(backward(gy, source, *numbers)), host(vjp(gy)[0]))


def test_numbers_of_others_are_refused():
    with pytest.raises(ValueError, match="^glu: must be elementwise"):
        ACTIVATIONS["glu"].numbers()
    with pytest.raises(TypeError, match="slope"):
        ACTIVATIONS["elu"].numbers(slope=2.0)


def test_every_option_of_an_activation_has_a_row():
    tried = {(name, option) for name, options in OPTIONS for option in options}
    there = {(name, o) for name, e in FUSABLE.items() for o in option_signature(e.function).parameters}
    assert not there - tried


@pytest.mark.parametrize(
    ("given", "name", "options"),
    [
        (None, None, {}),
        ("relu", "relu", {}),
        (F.relu, "relu", {}),
        (functools.partial(F.relu), "relu", {}),
        (functools.partial(F.leaky_relu, negative_slope=0.2), "leaky_relu", {"negative_slope": 0.2}),
        (nn.ReLU(), "relu", {}),
        (nn.LeakyReLU(0.2), "leaky_relu", {"negative_slope": 0.2}),
        (nn.ReLU(inplace=True), "relu", {"inplace": True}),
        (nn.GELU("tanh"), "gelu", {"approximate": "tanh"}),
    ],
    ids=[
        "None",
        "name",
        "function",
        "partial",
        "partial with options",
        "layer",
        "layer with options",
        "in place",
        "tanh for gelu",
    ],
)
def test_find(given, name, options):
    assert find("who", given) == (name and ACTIVATIONS[name], options)


@pytest.mark.parametrize(
    ("given", "error", "text"),
    [
        ("rleu", ValueError, r"^who: activation must be None, one of celu, elu,.*, threshold, or.* got 'rleu'"),
        ("softmax", ValueError, "^who: activation must .* got 'softmax'"),
        (F.prelu, ValueError, "^who: activation must .*got <function prelu"),
        (nn.Softmax(), ValueError, "^who: activation must .*got <function softmax"),
        (nn.PReLU(), ValueError, "^who: activation must .*got PReLU"),
        (functools.partial(F.elu, 2.0), ValueError, "^who: activation must .*got functools.partial"),
        (functools.partial(F.elu, slope=2.0), TypeError, "elu.* 'slope'"),
        (functools.partial(F.softplus, beta=-1.0), ValueError, "^softplus: beta must be > 0, got -1.0"),
        (np.ones(3), ValueError, "^who: activation must"),
    ],
)
def test_what_is_not_found(given, error, text):
    with pytest.raises(error, match=text):
        find("who", given)


def test_another_function_of_the_same_name_is_not_taken_for_it():
    def elu(x):
        return x

    with pytest.raises(ValueError, match="who: activation must"):
        find("who", elu)


def test_a_name_is_registered_once():
    with pytest.raises(ValueError, match="activation: there must be one elu, got a second from cunet"):
        registry.activation()(F.elu)


def test_every_elementwise_activation_can_be_fused():
    """The others look at several elements, learn a weight, or do nothing."""
    assert set(ACTIVATIONS) - set(FUSABLE) == {"glu", "identity", "log_softmax", "prelu", "softmax", "softmin"}
    assert all(entry.forward for entry in FUSABLE.values())


def test_every_activation_has_its_rows():
    """Of the table of cases: all settings; and of `cunet.parity`."""
    settings = {(name, str(options)) for name, e in ACTIVATIONS.items() for options in e.settings() or [{}]}
    have = {(case.op.__name__, str(case.kwargs)) for case in ROWS}
    bare = {(name, "{}") for name, _ in have}  # options given in every row stand for the function itself
    assert not settings - have - bare, "no row in tests/cases"
    assert not settings - {(row.op, str(row.static)) for row in parity.ROWS} - {(row.op, "{}") for row in parity.ROWS}
