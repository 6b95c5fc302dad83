"""The line search on functions of one number."""

import math

import pytest

from cunet.optim.line_search import C1, C2, Trial, strong_wolfe

pytestmark = pytest.mark.cpu_only

#: function, derivative (negative at 0), of which each has a point that meets the conditions
FUNCTIONS = {
    "parabola": (lambda t: (t - 3) ** 2, lambda t: 2 * (t - 3)),
    "steep": (lambda t: math.exp(8 * t) - 20 * t, lambda t: 8 * math.exp(8 * t) - 20),
    "waves": (lambda t: (t - 4) ** 2 + math.sin(3 * t), lambda t: 2 * (t - 4) + 3 * math.cos(3 * t)),
    "border": (
        lambda t: -0.1 * t - math.log(1 - t) * 0.01 if t < 1 else math.nan,
        lambda t: -0.1 + 0.01 / (1 - t) if t < 1 else math.nan,
    ),
    "wall": (lambda t: (t - 1.5) ** 2 if t < 2 else math.inf, lambda t: 2 * t - 3 if t < 2 else math.nan),
}


def search(name, t, most=40, tolerance=1e-12):
    f, slope = FUNCTIONS[name]
    seen = []

    def evaluate(t):
        seen.append(t)
        return Trial(t, f(t), slope(t), None)

    start = Trial(0.0, f(0.0), slope(0.0), None)
    return start, strong_wolfe(evaluate, start, t, 1.0, tolerance, most), seen


@pytest.mark.parametrize("t", [1e-4, 0.1, 1.0, 30.0])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_both_conditions_are_met(name, t):
    start, found, seen = search(name, t)
    assert found.t in seen
    assert found.f <= start.f + C1 * found.t * start.slope
    assert abs(found.slope) <= -C2 * start.slope
    assert len(seen) < 25


def test_the_first_length_is_taken_where_it_fits():
    _, found, seen = search("parabola", 2.5)
    assert seen == [2.5] and found.t == 2.5


@pytest.mark.parametrize("most", [0, 1, 2])
def test_no_more_calls_than_allowed(most):
    _, found, seen = search("steep", 30.0, most)
    assert len(seen) <= most + 1
    assert found.f <= 1.0  # the lowest: 0 itself, if nothing was lower


def test_a_small_interval_is_not_divided():
    _, found, seen = search("steep", 1.0, tolerance=2.0)
    assert len(seen) == 1 and found.t == 0


def test_a_rate_of_0_stays():
    _, found, seen = search("parabola", 0.0, most=3)
    assert found.t == 0 and set(seen) == {0.0}
