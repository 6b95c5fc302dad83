"""Jacobians and Hessians: many rows at once are what one after the other is, and cost what one does."""

import numpy as np
import pytest
from helpers import host, turn
from ops_helpers import TABLE, draw, number_of, run, which

import cunet
from cunet import F, grad, hessian, jacobian, vmap
from cunet.autograd import matrices
from cunet.kernels import listening

FIRST = {(case.op.__module__, case.op.__name__): case for case in reversed(TABLE)}.values()
#: Ops of each kind of rule, of which rows of the Hessian are found too.
TWICE = """
multiply power where matmul linear conv2d conv_transpose2d layer_norm batch_norm_training softmax gru_layer
cross_entropy max_pool2d avg_pool2d getitem take_along_axis var max cumprod gelu rfft dropout gumbel_softmax
alpha_dropout scaled_dot_product_attention sort solve embedding abs
"""


def both(compute, monkeypatch):
    """Return what is computed by many rows at once and one by one, and whether the first fell back."""
    fell, many = [], matrices._many_rows

    def watched(*args):
        found = many(*args)
        fell.extend([] if found else [True])
        return found

    with monkeypatch.context() as patch:
        patch.setattr(matrices, "_many_rows", watched)
        at_once = compute()
        patch.setattr(matrices, "_many_rows", lambda *args: [])
        return host(at_once), host(compute()), bool(fell)


def test_rows_of_every_op(rng, dev, monkeypatch):
    fallen = set()
    for case in FIRST:
        arrays = [dev(a) if isinstance(a, np.ndarray) else a for a in draw(case, rng, np.float64)]
        f, xs = number_of(case, arrays, rng, dev)
        if not xs:
            continue

        k = which(case, arrays)[0]

        def first(x, case=case, arrays=arrays, k=k):
            y = next(y for y in run(case, [*arrays[:k], x, *arrays[k + 1 :]]) if getattr(y, "requires_grad", False))
            return y.reshape(-1)[: min(4, x.size)]  # by rows

        def second(x, f=f, rest=xs[1:]):
            return grad(lambda x: f(x, *rest))(x).reshape(-1)[:3]

        for g in (first, second) if case.op.__name__ in TWICE.split() else (first,):
            with turn(case.id, g.__name__):
                found, expected, fell = both(lambda g=g, x=xs[0]: jacobian(g)(x), monkeypatch)
                size = max(1, np.abs(expected).max(initial=0))
                np.testing.assert_allclose(found, expected, rtol=0, atol=1e-10 * size)
                fallen |= {case.op.__name__} if fell else set()
    assert not fallen


def net(w, v, x):
    return F.linear(F.gelu(F.linear(x, w)), v)


@pytest.mark.parametrize("rows", [1, 64, 65, 130])
def test_more_rows_than_are_found_at_once(rows, rng, dev):
    w, v, x = (dev(rng.standard_normal(shape)) for shape in ((5, 140), (rows, 5), 140))
    found = host(jacobian(lambda x: net(w, v, x))(x))
    expected = np.stack([host(grad(lambda x, k=k: net(w, v, x)[k])(x)) for k in range(rows)])
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-13)


def test_kernels_do_not_grow_with_rows(rng, dev):
    def count(compute):
        calls = []
        with listening(lambda kernel, args, options, proceed: calls.append(kernel.name) or proceed()):
            compute()
        return len(calls)

    def square(w, v):
        return lambda x: (net(w, v, x) ** 2).sum()

    def problem(n):
        return [dev(rng.standard_normal(shape)) for shape in ((5, n), (n, 5), n)]

    small, large = problem(8), problem(48)
    assert count(lambda: jacobian(lambda x: net(*small[:2], x))(small[2])) == count(
        lambda: jacobian(lambda x: net(*large[:2], x))(large[2])
    )
    assert count(lambda: hessian(square(*small[:2]))(small[2])) == count(lambda: hessian(square(*large[:2]))(large[2]))


def test_a_hessian_through_convolutions(rng, dev, monkeypatch):
    w, x = dev(rng.standard_normal((2, 1, 3, 3))), dev(rng.standard_normal((5, 5)))
    f = hessian(lambda x: (F.conv2d(F.silu(F.conv2d(x[None, None], w)), w.reshape(1, 2, 3, 3)) ** 2).sum())
    found, expected, fell = both(lambda: f(x), monkeypatch)
    assert found.shape == (5, 5, 5, 5) and not fell
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-10)


def test_an_op_that_has_no_rule_goes_row_by_row(dev):
    def looks(x):
        return x * 2, lambda gy: (gy * (2 + 0 * float(gy[0])),)

    mine = cunet.custom_vjp(lambda x: x[::-1] * 2, lambda gy, x: gy[::-1] * 2, linear=True)
    x = dev(np.array([1.0, 2.0, 3.0]))
    np.testing.assert_array_equal(host(jacobian(mine)(x)), 2 * np.eye(3)[::-1])
    np.testing.assert_array_equal(host(jacobian(cunet.op(looks))(x)), 2 * np.eye(3))


def test_within_vmap_and_with_no_rows(rng, dev):
    x = dev(rng.standard_normal((3, 4)))
    found = host(vmap(jacobian(lambda x: cunet.sin(x) * x[0]))(x))
    expected = [host(jacobian(lambda x: cunet.sin(x) * x[0])(a)) for a in x]
    np.testing.assert_allclose(found, expected, rtol=1e-13)
    assert jacobian(lambda x: x[:0] * 2)(x[0]).shape == (0, 4)
    assert hessian(lambda x: (x * x).sum())(dev(np.zeros(0))).shape == (0, 0)
    assert jacobian(lambda x: x * x)(dev(np.array(3.0))).shape == ()
