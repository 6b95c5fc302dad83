"""Generic tests of every op, made from the table in tests/cases."""

import math

import numpy as np
import pytest
from helpers import assert_ulp, host, turn, ulp_distance
from ops_helpers import (
    FLOATS,
    TABLE,
    assert_close,
    cotangents,
    draw,
    every_case,
    every_elementwise_case,
    floats_of,
    gradients,
    is_floating,
    lift,
    oracle,
    run,
    slopes,
)

import cunet
from cunet import device as backend
from cunet.autograd.tensor import Tensor
from cunet.testing import gradcheck

WIDE = FLOATS[2:]


@every_case
def test_value(case, rng, dev):
    for dtype in floats_of(case):
        with turn(np.dtype(dtype)):
            arrays = draw(case, rng, dtype)
            results = run(
                case, [Tensor(dev(a)) if is_floating(a) else dev(a) if isinstance(a, np.ndarray) else a for a in arrays]
            )
            for y, expected in zip(results, oracle(case, arrays), strict=True):
                if backend.is_floating(y.dtype):
                    assert_close(y, expected, dtype, case.ulp, case.scalar or case.elementwise)
                else:
                    np.testing.assert_array_equal(host(y), expected)


@every_case
def test_gradient_in_float64(case, rng, dev):
    arrays = [dev(a) if isinstance(a, np.ndarray) else a for a in draw(case, rng, np.float64)]
    gradcheck(lambda *xs: run(case, xs), *arrays, rng=rng, rtol=1e-6, atol=1e-7, differentiable=case.differentiable)


@every_elementwise_case
def test_gradient_against_the_scalar_oracle(case, rng, dev):
    for dtype in WIDE:
        with turn(dtype):
            (x,) = draw(case, rng, dtype)
            outputs, weights, (gx,) = gradients(case, [dev(x)], rng, dev)
            expected = slopes(case, x.astype(np.float64)) * host(weights[0]).astype(np.float64)
            if dtype == np.float64:  # differences are not exact to the last places
                np.testing.assert_allclose(gx, expected, rtol=1e-8, atol=1e-10)
                continue
            off = ulp_distance(gx, expected, dtype)
            off = np.where(np.abs(gx - expected) < 1e-10, 0, off)  # what differences cannot see
            assert off.max() <= case.grad_ulp, f"{off.max():.3g} ulp at x = {x.ravel()[off.argmax()]!r}"


@every_case
def test_gradient_in_lower_precision(case, rng, dev):
    """The float64 gradient, tested by differences above, is the reference."""
    for dtype in floats_of(case)[:-1]:
        with turn(np.dtype(dtype)):
            low = [dev(a) if isinstance(a, np.ndarray) else a for a in draw(case, rng, dtype)]
            _, weights, grads = gradients(case, low, rng, dev)
            high = [a.astype(np.float64) if backend.is_array(a) and backend.is_floating(a.dtype) else a for a in low]
            weights = [None if w is None else w.astype(np.float64) for w in weights]
            _, _, expected = gradients(case, high, rng, dev, weights)
            for g, e in zip(grads, expected, strict=True):
                assert_close(g, e, dtype, case.grad_ulp, False)


def at_edge(case, x, value, slope, dtype, dev):
    with np.errstate(all="ignore"):
        at = np.array([x], dtype)
    if math.isfinite(x) and (np.isinf(at[0]) or (at[0] == 0) != (x == 0)):
        return  # it is no number of this dtype
    slack = 0 if at[0] == x or x != x else 2  # x itself was rounded
    leaf = Tensor(dev(at), requires_grad=True)
    (y,) = run(case, [leaf])
    y.backward(dev(np.ones(1, dtype)))
    if value is not None:
        assert_ulp(y, [value], dtype, case.ulp + slack)
    if slope is not None:
        assert_ulp(leaf.grad, [slope], dtype, case.grad_ulp + slack)


@pytest.mark.parametrize("case", [case for case in TABLE if case.edges], ids=lambda case: case.id)
def test_edges(case, dev):
    for dtype in WIDE:
        for x, value, slope in case.edges:
            with turn(dtype, x):
                at_edge(case, x, value, slope, dtype, dev)


@pytest.mark.layouts
@every_elementwise_case
def test_any_shape(case, rng, dev):
    for dtype in WIDE:
        for shape in [(), (0,), (0, 3), (1, 2, 1, 3)]:
            with turn(dtype, shape):
                (x,) = draw(case, rng, dtype, shape)
                (y,), _, (gx,) = gradients(case, [dev(x)], rng, dev)
                assert y.shape == shape
                assert y.dtype == dtype
                assert gx.shape == shape
                assert_ulp(y, oracle(case, [x])[0], dtype, case.ulp)


def transposed(a):
    return a.T.copy().T


def strided(a, xp):
    wide = xp.zeros([2 * n for n in a.shape], a.dtype)
    view = wide[(slice(1, None, 2),) * a.ndim]
    view[...] = a
    return view


def reversed_view(a):
    return a[(slice(None, None, -1),) * a.ndim].copy()[(slice(None, None, -1),) * a.ndim]


def read_only(a):
    a = a.copy()
    if isinstance(a, np.ndarray):  # CuPy has no such flag
        a.flags.writeable = False
    return a


def big_endian(a):
    return a.astype(a.dtype.newbyteorder(">")) if isinstance(a, np.ndarray) else a  # no GPU has such arrays


def native_order(a):
    a = host(a)
    return a.astype(a.dtype.newbyteorder("="), copy=False)


LAYOUTS = {
    "transposed": transposed,
    "strided": lambda a: strided(a, backend.array_module(a)),
    "reversed": reversed_view,
    "read-only": read_only,
    "big-endian": big_endian,
}


@pytest.mark.layouts
@every_case
def test_any_layout(case, rng, dev):
    plain = [dev(a) if isinstance(a, np.ndarray) else a for a in draw(case, rng, np.float32)]
    outputs, weights, expected = gradients(case, plain, rng, dev)
    for layout, change in LAYOUTS.items():
        with turn(layout):
            odd = [change(a) if backend.is_array(a) and a.ndim else a for a in plain]
            odd_weights = [w if w is None or not w.ndim else change(w) for w in weights]
            results, _, grads = gradients(case, odd, rng, dev, odd_weights)
            for y, e in zip(results, outputs, strict=True):
                if backend.is_floating(e.dtype):
                    assert_close(native_order(y), host(e), e.dtype, case.ulp, False)
            for g, e in zip(grads, expected, strict=True):
                assert_close(native_order(g), e, np.float32, case.grad_ulp, False)


@every_case
def test_inputs_are_left_alone(case, rng, dev):
    arrays = [dev(a) if isinstance(a, np.ndarray) else a for a in draw(case, rng, np.float32)]
    before = [host(a).tobytes() if backend.is_array(a) else None for a in arrays]
    leaves = lift(case, arrays)
    outputs = run(case, leaves)
    values = [host(y).tobytes() for y in outputs]
    for y, w in zip(outputs, cotangents(outputs, rng, dev), strict=True):
        if w is None:
            continue
        kept = host(w).tobytes()
        y.backward(w, retain_graph=True)
        first = [host(leaf.grad).tobytes() if isinstance(leaf, Tensor) else None for leaf in leaves]
        for leaf in leaves:
            if isinstance(leaf, Tensor):
                leaf.grad = None
        y.backward(w, retain_graph=True)  # the same again: nothing that was saved has changed
        again = [host(leaf.grad).tobytes() if isinstance(leaf, Tensor) else None for leaf in leaves]
        assert host(w).tobytes() == kept
        assert first == again
        for leaf in leaves:
            if isinstance(leaf, Tensor):
                leaf.grad = None
    assert [host(a).tobytes() if backend.is_array(a) else None for a in arrays] == before
    assert [host(y).tobytes() for y in outputs] == values


@every_case
def test_the_value_does_not_depend_on_recording(case, rng, dev):
    arrays = [dev(a) if isinstance(a, np.ndarray) else a for a in draw(case, rng, np.float32)]
    recorded = run(case, lift(case, arrays))
    with cunet.no_grad():
        plain = run(case, lift(case, arrays))
    for a, b in zip(recorded, plain, strict=True):
        assert b.is_leaf
        assert host(a).tobytes() == host(b).tobytes()
