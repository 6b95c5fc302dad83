"""Compute the coefficients of erf_tables.py: weighted rational minimax fits by Remez' exchange, in 50 digits.

Run ``python tools/fit_erf.py`` to print the tables, ``python tools/fit_erf.py --check`` to compare them with
those that stand in the code. Needs mpmath and takes about 10 seconds.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Callable

import mpmath as mp

mp.mp.dps = 50
GRID = 500
Function = Callable[[mp.mpf], mp.mpf]


def erfc_rest(t: mp.mpf) -> mp.mpf:
    """Return ``erfc(t) * exp(t*t) * (1 + 2 t)``."""
    return mp.erfc(t) * mp.exp(t * t) * (1 + 2 * t)


def normal_rest(t: mp.mpf) -> mp.mpf:
    """Return ``Phi(-t) * exp(t*t / 2) * (2 + 2 t)``."""
    return mp.erfc(t / mp.sqrt(2)) * mp.exp(t * t / 2) * (1 + t)


def one(t: mp.mpf) -> mp.mpf:
    """Return 1: a relative error counts alike everywhere."""
    return mp.mpf(1)


def atanh_erf(s: mp.mpf) -> mp.mpf:
    """Return ``atanh(erf(t)) / t`` for ``t = sqrt(s)``."""
    if s == 0:
        return 2 / mp.sqrt(mp.pi)
    t = mp.sqrt(s)
    return mp.log(2 / mp.erfc(t) - 1) / 2 / t


def tanh_condition(s: mp.mpf) -> mp.mpf:
    """Return how much of a relative error in ``q = atanh(erf(t))`` reaches ``tanh(q)``, but at least 1/1000."""
    q = atanh_erf(s) * mp.sqrt(s)
    return max(q / (mp.sinh(q) * mp.cosh(q)), mp.mpf("1e-3")) if s else mp.mpf(1)


# Of each table: function, weight, end of the interval, degrees of numerator and denominator.
FITS: dict[str, tuple[Function, Function, float, int, int]] = {
    "ATANH_ERF32": (atanh_erf, tanh_condition, 16.0, 4, 3),
    "ATANH_ERF64": (atanh_erf, tanh_condition, 36.0, 11, 11),
    "ERFC32": (erfc_rest, one, 10.5, 5, 5),
    "ERFC64": (erfc_rest, one, 28.0, 11, 11),
    "NORMAL32": (normal_rest, one, 14.75, 5, 5),
    "NORMAL64": (normal_rest, one, 39.5, 11, 11),
}


def polynomial(ascending: list, x: mp.mpf) -> mp.mpf:
    """Return a polynomial at `x` (mpmath's own took its coefficients the other way round until 1.4)."""
    y = mp.mpf(0)
    for c in reversed(ascending):
        y = c + x * y
    return y


def grid(high: mp.mpf) -> list[mp.mpf]:
    """Return points of [0, high], dense at both ends: Chebyshev's in ``(x - 2) / (x + 2)``."""
    end = (high - 2) / (high + 2)
    places = [(end - 1) / 2 - (end + 1) / 2 * mp.cos(mp.pi * i / (GRID - 1)) for i in range(GRID)]
    return [2 * (1 + v) / (1 - v) for v in places]


def solve(at: list[int], x: list, f: list, w: list, q: list, m: int, n: int) -> tuple[list, list, mp.mpf]:
    """Return P, Q and the error that levels ``w * (1 - P / (Q f))`` on the points `at`, Q taken from `q` there."""
    size = m + n + 2
    rows, right = mp.matrix(size, size), mp.matrix(size, 1)
    for row, i in enumerate(at):
        for k in range(m + 1):
            rows[row, k] = x[i] ** k / f[i]
        for k in range(1, n + 1):
            rows[row, m + k] = -(x[i] ** k)
        rows[row, size - 1] = (-1) ** row * q[i] / w[i]
        right[row] = 1
    found = list(mp.lu_solve(rows, right))
    return found[: m + 1], [mp.mpf(1), *found[m + 1 : -1]], found[-1]


def extrema(error: list, size: int) -> list[int]:
    """Return the places of `size` extrema of alternating sign, the smaller ones at the ends left out."""
    found: list[int] = []
    for i, e in enumerate(error):
        if found and (e > 0) == (error[found[-1]] > 0):
            if abs(e) > abs(error[found[-1]]):
                found[-1] = i
        else:
            found.append(i)
    while len(found) > size:
        found.pop(0 if abs(error[found[0]]) < abs(error[found[-1]]) else -1)
    if len(found) < size:
        raise ArithmeticError(f"only {len(found)} of {size} alternations: try other degrees")
    return found


def remez(function: Function, weight: Function, high: float, m: int, n: int) -> tuple[list, list, mp.mpf]:
    """Return P (degree m), Q (degree n, Q[0] = 1) and the largest ``weight * |1 - P / (Q function)|`` on [0, high]."""
    x = grid(mp.mpf(high))
    f, w = [function(v) for v in x], [weight(v) for v in x]
    size = m + n + 2
    at = [round(i * (GRID - 1) / (size - 1)) for i in range(size)]
    q = [mp.mpf(1)] * GRID
    for _ in range(30):
        for _ in range(4):
            top, bottom, level = solve(at, x, f, w, q, m, n)
            q = [polynomial(bottom, v) for v in x]
        error = [wi * (1 - polynomial(top, v) / (qi * fi)) for v, wi, qi, fi in zip(x, w, q, f, strict=True)]
        worst = max(abs(e) for e in error)
        if worst < abs(level) * mp.mpf("1.001"):
            break
        at = extrema(error, size)
    return top, bottom, worst


def table(name: str) -> tuple[tuple[tuple[float, ...], tuple[float, ...]], float]:
    """Return one table of erf_tables.py and the error of its fit.

    A table is P - Q and Q, highest power first: the code adds the 1 of ``1 + (P - Q) / Q`` last, in the way that
    rounds least.
    """
    function, weight, high, m, n = FITS[name]
    top, bottom, worst = remez(function, weight, high, m, n)
    rest = [a - b for a, b in itertools.zip_longest(top, bottom, fillvalue=0)]
    return (tuple(map(float, reversed(rest))), tuple(map(float, reversed(bottom)))), float(worst)


def main() -> int:
    """Print the tables, or compare them with the code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare with erf_tables.py; exit status 1 if unequal")
    check = parser.parse_args().check
    unequal = 0
    for name in FITS:
        found, worst = table(name)
        print(f"# largest error of the fit: {worst:.2g}")
        if not check:
            print(f"{name} = {found}")
            continue
        from cunet.kernels.backends.numpy import erf_tables

        same = getattr(erf_tables, name) == found
        unequal += not same
        print(f"{name}: {'as in erf_tables.py' if same else 'NOT as in erf_tables.py'}")
    return int(unequal > 0)


if __name__ == "__main__":
    sys.exit(main())
