"""Second and third derivatives of every op, made from the table in tests/cases."""

import numpy as np
import pytest
from helpers import host
from ops_helpers import along, draw, every_case, is_floating, number_of

import cunet


def differences(f, xs, directions, h):
    """Return the derivative of the gradient of a function along directions, by two points."""

    def at(step):
        moved = [x + step * h * v for x, v in zip(xs, directions, strict=True)]
        return [host(g) for g in cunet.grad(f, tuple(range(len(xs))))(*moved)]

    return [(a - b) / (2 * h) for a, b in zip(at(1), at(-1), strict=True)]


@pytest.mark.parametrize("order", [2, pytest.param(3, marks=pytest.mark.slow)])
@every_case
def test_derivative_of_the_gradient(case, order, rng, dev):
    arrays = [dev(a) if isinstance(a, np.ndarray) else a for a in draw(case, rng, np.float64)]
    f, xs = number_of(case, arrays, rng, dev)
    first, second = ([dev(rng.standard_normal(x.shape)) for x in xs] for _ in range(2))
    f = along(f, first) if order == 3 else f
    found = cunet.grad(along(f, second), tuple(range(len(xs))))(*xs)
    expected = differences(f, xs, second, 1e-5)
    size = max(np.abs(e).max(initial=0) for e in expected)
    for x, g, e in zip(xs, found, expected, strict=True):
        assert g.shape == x.shape
        assert is_floating(host(g))
        np.testing.assert_allclose(host(g), e, rtol=0, atol=1e-6 * max(size, 1e-2))
