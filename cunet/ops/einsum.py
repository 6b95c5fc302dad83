"""Einstein's sum of any arrays, by products of matrices where two of them are summed over."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..autograd.op import Result, op
from ..autograd.tensor import beside
from ..device import Array, accumulator, array_module, is_floating
from ..kernels import primitive
from ..kernels.assign import reshaped
from ..kernels.capture import multiplied
from ..kernels.sum_to import sum_over
from .linalg import product
from .softmax import softmax_dot

Lengths = dict[str, int]  # of an operand's axes, by letter


def _summed(a: Array, axes: tuple[int, ...]) -> Array:
    """Return the sums over axes, in the array's dtype; of bool whether any is true."""
    if is_floating(a.dtype):
        return sum_over(a, axes, keepdims=False)
    return a.any(axis=axes) if a.dtype.kind == "b" else a.sum(axis=axes, dtype=a.dtype)


class Arranged(NamedTuple):
    """How an operand is made ready: axes that are summed, an order of those left, and the shape in which it is seen."""

    summed: tuple[int, ...]
    order: tuple[int, ...]
    shape: tuple[int, ...]

    def of(self, a: Array) -> Array:
        """Return an array so; it is a view if nothing is summed and none of what becomes one axis lies apart."""
        a = _summed(a, self.summed) if self.summed else a
        return reshaped(a.transpose(self.order), self.shape)


class Pair(NamedTuple):
    """How two operands become one.

    Attributes:
        places: of the operands among those that are left, the later one first; the result comes behind those.
        swapped: whether the later one stands on the left.
        left, right: how they are made ready.
        shape: of the result.
        way: "elements" where no letter of both is summed, "rows" where neither has a letter of its own, or "matrices".
    """

    places: tuple[int, int]
    swapped: bool
    left: Arranged
    right: Arranged
    shape: tuple[int, ...]
    way: str

    def of(self, later: Array, earlier: Array) -> Array:
        """Return the result."""
        x, y = (later, earlier) if self.swapped else (earlier, later)
        a, b = self.left.of(x), self.right.of(y)
        if self.way == "elements":
            return multiplied(a, b)
        if self.way == "matrices":
            return product(a, b).reshape(self.shape)
        last = a.ndim - 1  # of two rows BLAS makes a sum in one thread, and of many of them no faster
        return softmax_dot(a, b, axis=last, keepdims=False) if is_floating(a.dtype) else _summed(a * b, (last,))


def _arranged(given: Lengths, order: Sequence[str], shape: Sequence[int]) -> Arranged:
    """Return how an operand is arranged whose letters beside those of `order` are summed, or 1 long."""
    summed = tuple([k for k, (c, n) in enumerate(given.items()) if n != 1 and c not in order])
    left = [c for c, n in given.items() if n == 1 or c in order]
    letters = (*order, *[c for c in left if c not in order])
    return Arranged(summed, tuple([left.index(c) for c in letters]), tuple(shape))


def _pair(places: tuple[int, int], operands: Sequence[Lengths], needed: str) -> tuple[Pair, Lengths]:
    """Return how two operands become one that has letters of `needed`, in that order if it can, and its lengths."""
    later, earlier = (operands[k] for k in places)
    first = next((c for c in needed if (c in later) != (c in earlier)), "")
    swapped = first in later if first else False
    x, y = (later, earlier) if swapped else (earlier, later)
    a = {c: n for c, n in x.items() if n != 1 or c not in y}  # what is 1 long in one is the other's alone
    b = {c: n for c, n in y.items() if n != 1 or c not in a}
    both, rows = [c for c in a if c in needed and c in b], [c for c in a if c in needed and c not in b]
    columns = [c for c in b if c in needed and c not in a]
    longer, shorter = (a, b) if math.prod(a.values()) >= math.prod(b.values()) else (b, a)
    sums = [c for c in longer if c in shorter and c not in needed]
    batch, m, n = ([lengths[c] for c in letters] for lengths, letters in ((a, both), (a, rows), (b, columns)))
    k = math.prod([a[c] for c in sums])
    if not sums:
        way, left, right = "elements", [*m, *[1] * len(n)], [*[1] * len(m), *n]
    elif not rows and not columns:
        way, left, right = "rows", [k], [k]
    else:
        way, left, right = "matrices", [math.prod(m), k], [k, math.prod(n)]
    one, other = _arranged(x, both + rows + sums, batch + left), _arranged(y, both + sums + columns, batch + right)
    found = dict(zip(both + rows + columns, batch + m + n, strict=True))
    return Pair(places, swapped, one, other, tuple(found.values()), way), found


class Plan(NamedTuple):
    """How a sum is computed: pairs, one after the other, then the arrangement of what is left."""

    pairs: tuple[Pair, ...]
    last: Arranged


@functools.lru_cache(1024)
def plan_of(subscripts: str, shapes: tuple[tuple[int, ...], ...]) -> Plan:
    """Return how operands of some shapes, in each of which no letter is repeated, are summed with little work.

    Raises:
        ValueError: a letter stands for two lengths, neither of which is 1; or one of the output is of no operand.
    """
    left, output = subscripts.split("->")
    operands = [dict(zip(s, shape, strict=True)) for s, shape in zip(left.split(","), shapes, strict=True)]
    empty = [np.broadcast_to(np.float32(0), shape) for shape in shapes]
    pairs: list[Pair] = []
    for step in np.einsum_path(subscripts, *empty, optimize=True)[0][1:]:
        group = list(step)
        while len(group) > 1:
            pair, found = _smallest(operands, group, output)
            pairs.append(pair)
            operands = [x for k, x in enumerate(operands) if k not in pair.places] + [found]
            group = [k - sum(place < k for place in pair.places) for k in group if k not in pair.places]
            group.append(len(operands) - 1)
    return Plan(tuple(pairs), _arranged(operands[0], output, [operands[0][c] for c in output]))


def _smallest(operands: Sequence[Lengths], group: Sequence[int], output: str) -> tuple[Pair, Lengths]:
    """Return the pair of some operands that has the smallest result."""
    found = []
    for places in itertools.combinations(sorted(group, reverse=True), 2):
        others = [c for k, lengths in enumerate(operands) if k not in places for c in lengths]
        found.append(_pair(places, operands, output + "".join(others)))
    return min(found, key=lambda made: math.prod(made[0].shape))


@primitive
def contract(subscripts: str, *operands: Array) -> Array:
    """Return Einstein's sum of arrays of one dtype, two at a time in an order that takes little work.

    Raises:
        ValueError: a letter stands for two lengths.
    """
    inputs, output = subscripts.split("->")
    made = [_diagonals(a, letters) for a, letters in zip(operands, inputs.split(","), strict=True)]
    arrays = [a for a, _ in made]
    plan = plan_of(",".join(letters for _, letters in made) + "->" + output, tuple([a.shape for a in arrays]))
    for pair in plan.pairs:
        arrays.append(pair.of(*[arrays.pop(k) for k in pair.places]))
    return plan.last.of(arrays[0])


def _diagonals(a: Array, letters: str) -> tuple[Array, str]:
    """Return a view in which no letter is repeated, and its letters."""
    for c in letters:
        while letters.count(c) > 1:
            one, other = letters.index(c), letters.rindex(c)
            if a.shape[one] != a.shape[other]:
                raise ValueError(
                    f"einsum: {c!r} is repeated, and stands for lengths {a.shape[one]} and {a.shape[other]}"
                )
            a = a.diagonal(axis1=one, axis2=other)
            letters = letters[:one] + letters[one + 1 : other] + letters[other + 1 :] + c
    return a, letters


@op
def _einsum(*operands, inputs, output) -> Result:
    xp = array_module(*operands)
    dtype = xp.result_type(*operands)
    operands = tuple(a.astype(accumulator(dtype), copy=False) for a in operands)
    shapes = [dict(zip(s, a.shape, strict=True)) for s, a in zip(inputs, operands, strict=True)]

    def gradient(k: int, gy: Array) -> Array:
        mine = inputs[k]
        unique = "".join(dict.fromkeys(mine))
        others = [s for i, s in enumerate(inputs) if i != k]
        arrays = [a for i, a in enumerate(operands) if i != k]
        known = set(output).union(*others)
        # Letters found nowhere else were summed alone: the gradient is constant along them.
        target = "".join(c for c in unique if c in known)
        g = contract(",".join([output, *others]) + "->" + target, gy.astype(accumulator(dtype), copy=False), *arrays)
        g = g.reshape([g.shape[target.index(c)] if c in target else 1 for c in unique])
        full = tuple(shapes[k][c] for c in unique)
        stretched = tuple(i for i, n in enumerate(full) if n == 1 != g.shape[i])
        g = sum_over(g, stretched) if stretched else g
        g = g if g.shape == full else xp.broadcast_to(g, full)
        if unique == mine:
            return g
        gx = xp.zeros(operands[k].shape, g.dtype)  # a repeated letter read a diagonal: write to it
        grids = xp.meshgrid(*[xp.arange(shapes[k][c]) for c in unique], indexing="ij")
        gx[tuple(grids[unique.index(c)] for c in mine)] = g
        return gx

    y = contract(",".join(inputs) + "->" + output, *operands).astype(dtype, copy=False)
    return y, lambda gy: [lambda k=k: gradient(k, gy) for k in range(len(operands))]


def einsum(subscripts: str, *operands: Any) -> Any:
    """Return Einstein's sum, as `numpy.einsum`: ``einsum("bij,bjk->bik", x, y)``.

    Ellipsis, implicit output and repeated letters (diagonals) are supported.

    Raises:
        TypeError: the subscripts are no string: lists of axes are not supported.
        ValueError: the number of operands or of axes does not fit the subscripts.

    Example:
        >>> x, y = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[1.0, 0.0], [10.0, 1.0]])
        >>> cunet.einsum("ij,ij->i", x, y), cunet.einsum("ii", x)  # dot products of rows; the trace
        (Tensor([ 1., 34.], dtype=float64), Tensor(5., dtype=float64))
    """
    given: object = subscripts
    if not isinstance(given, str):
        got = type(given).__name__
        raise TypeError(f'einsum: subscripts must be a string such as "ij,jk->ik", before all operands, got {got}')
    left, arrow, output = subscripts.replace(" ", "").partition("->")
    inputs = left.split(",")
    if len(inputs) != len(operands):
        raise ValueError(f"einsum: {subscripts!r} names {len(inputs)} operands, got {len(operands)}")
    operands = tuple(beside(x, *operands) for x in operands)
    ndims = [x.ndim for x in operands]
    free = [c for c in "ZYXWVUTSRQPONMLKJIHGFEDCBA" if c not in subscripts]
    widths = [n - len(s.replace("...", "")) for s, n in zip(inputs, ndims, strict=True)]
    for s, n, w in zip(inputs, ndims, widths, strict=True):
        if w < 0 or (w and "..." not in s):
            raise ValueError(f"einsum: {s!r} does not fit an operand of {n} axes")
    dots = "".join(free[: max(widths, default=0)][::-1])
    inputs = [s.replace("...", dots[len(dots) - w :]) for s, w in zip(inputs, widths, strict=True)]
    if arrow:
        output = output.replace("...", dots)
    else:
        letters = "".join(inputs).replace(" ", "")
        output = dots + "".join(sorted(c for c in set(letters) - set(dots) if letters.count(c) == 1))
    return _einsum(*operands, inputs=tuple(inputs), output=output)
