"""A step length that meets the strong Wolfe conditions: low enough, and flat enough.

``f(t) <= f(0) + C1 * t * f'(0)`` and ``|f'(t)| <= C2 * |f'(0)|``, for f falling at 0. Numbers are chosen as PyTorch
chooses them, so that both take the same steps.

Source: Nocedal, Wright 2006, "Numerical optimization", algorithms 3.5 and 3.6, equation 3.59.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from ..device import Array

#: How much of the fall that the slope promises is demanded, and how much of the slope may be left.
C1, C2 = 1e-4, 0.9


class Trial(NamedTuple):
    """A step length and what was found there: the value, the slope along the direction, the gradient."""

    t: float
    f: float
    slope: float
    gradient: Array


def strong_wolfe(
    evaluate: Callable[[float], Trial], start: Trial, t: float, reach: float, tolerance: float, most: int
) -> Trial:
    """Return a trial that meets the conditions, or the lowest one found if `most` more calls do not suffice.

    Args:
        evaluate: makes the trial of a step length.
        start: the trial at 0, where the slope is negative.
        t: first step length.
        reach: how far the farthest parameter moves per unit of t.
        tolerance: an interval in which it moves by less is not divided any more.
        most: calls of `evaluate` after the first.
    """
    ends, calls, done = _bracket(evaluate, start, t, most)
    return ends[-1] if done else _zoom(evaluate, start, ends, reach, tolerance, most - calls)


def _too_high(trial: Trial, start: Trial) -> bool:
    return not trial.f <= start.f + C1 * trial.t * start.slope  # so that nan is too high


def _flat(trial: Trial, start: Trial) -> bool:
    return abs(trial.slope) <= -C2 * start.slope


def _bracket(evaluate: Callable[[float], Trial], start: Trial, t: float, most: int) -> tuple[list[Trial], int, bool]:
    """Go on until there is a minimum between two trials; return these, the calls after the first, and if one fits."""
    before, trial = start, evaluate(t)
    for calls in range(most):
        if _too_high(trial, start) or (calls > 1 and trial.f >= before.f):
            return [before, trial], calls, False
        if _flat(trial, start):
            return [trial], calls, True
        if trial.slope >= 0:
            return [before, trial], calls, False
        farther = _between(before, trial, trial.t + 0.01 * (trial.t - before.t), trial.t * 10)
        before, trial = trial, evaluate(farther)
    return [start, trial], most, False


def _between(a: Trial, b: Trial, low: float, high: float) -> float:
    """Return where the cubic through two trials and their slopes is least, within limits; their middle if nowhere."""
    if a.t == b.t:
        return a.t
    mean = a.slope + b.slope - 3 * (a.f - b.f) / (a.t - b.t)
    square = mean * mean - a.slope * b.slope
    if square >= 0:
        root = math.sqrt(square)
        left, right = (a, b) if a.t <= b.t else (b, a)
        rise = right.slope - left.slope + 2 * root
        least = right.t - (right.t - left.t) * ((right.slope + root - mean) / rise) if rise else math.nan
        if math.isfinite(least):
            return min(max(least, low), high)
    return (low + high) / 2


def _zoom(
    evaluate: Callable[[float], Trial], start: Trial, ends: list[Trial], reach: float, tolerance: float, most: int
) -> Trial:
    """Divide the interval between two trials until one in it fits, or it is small; return the lowest."""
    low = int(ends[1].f < ends[0].f)
    close = False  # whether the last trial fell next to an end
    for _ in range(most):
        least, largest = sorted(end.t for end in ends)
        if (largest - least) * reach < tolerance:
            break
        t, margin = _between(ends[0], ends[1], least, largest), 0.1 * (largest - least)
        if min(largest - t, t - least) >= margin:
            close = False
        elif close or not least < t < largest:  # twice in a row, or at an end: go away from it
            t, close = largest - margin if largest - t < t - least else least + margin, False
        else:
            close = True
        trial = evaluate(t)
        if _too_high(trial, start) or trial.f >= ends[low].f:
            ends[1 - low] = trial
            low = int(ends[1].f < ends[0].f)
            continue
        if not _flat(trial, start) and trial.slope * (ends[1 - low].t - ends[low].t) >= 0:
            ends[1 - low] = ends[low]
        ends[low] = trial
        if _flat(trial, start):
            break
    return ends[low]
