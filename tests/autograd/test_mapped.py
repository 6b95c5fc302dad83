"""What `vmap` makes of every op: what a loop over the samples does; and of the gradients within."""

import functools

import numpy as np
import pytest
from helpers import host, turn
from ops_helpers import TABLE, draw, number_of, run, which

import cunet
from cunet import Tensor, grad, vmap
from cunet import device as backend

#: Ops that have no rule, and rows that look at values, as NumPy's own code would.
REFUSED = {"lstsq", "cholesky_of_a_gram_matrix", "qr_with_a_positive_diagonal", "ramp", "tracked"}
#: What draws random numbers draws them for each sample.
DRAW = {
    "alpha_dropout", "drop_connect", "dropout", "dropout1d", "dropout2d", "dropout3d", "dropout_channel",
    "feature_alpha_dropout", "gaussian_dropout", "gumbel_softmax", "stochastic_depth", "variational_dropout",
}  # fmt: skip
#: The first row of each op.
FIRST = {(case.op.__module__, case.op.__name__): case for case in reversed(TABLE)}.values()
SAMPLES = 3


def is_array(a):
    return isinstance(a, np.ndarray)


def samples(case, rng):
    """Return the inputs of as many draws of a case, arrays stacked, and where these are."""
    draws = [draw(case, rng, np.float64) for _ in range(SAMPLES)]
    where = [k for k, a in enumerate(draws[0]) if is_array(a)]
    return [np.stack(parts) if is_array(parts[0]) else parts[0] for parts in zip(*draws, strict=True)], where


def sample(arrays, mapped, k):
    return [a[k] if j in mapped else a for j, a in enumerate(arrays)]


def lifted(arrays):
    """Return floating arrays as Tensors, as a function that is mapped sees them."""
    return [Tensor(a) if backend.is_array(a) and backend.is_floating(a.dtype) else a for a in arrays]


def run_on(case, *arrays):
    return run(case, arrays)


def assert_same(found, expected, atol):
    assert found.shape == expected.shape and found.dtype == expected.dtype
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=atol * max(1, np.abs(expected).max(initial=0)))


def draws_by_sample(case):
    return case.op.__name__ in DRAW or case.kwargs.get("dropout_p")


def test_every_row_is_done_as_a_loop_does_it(rng, dev):
    refused = set()
    for case in TABLE:
        stacked, where = samples(case, rng)
        alone = [[k] for k in where] if any(case is first for first in FIRST) and len(where) > 1 else []
        for mapped in [where, *alone] if not draws_by_sample(case) else []:
            with turn(case.id, mapped):
                full = [dev(a if k in mapped else a[0]) if is_array(a) else a for k, a in enumerate(stacked)]
                axes = tuple(0 if k in mapped else None for k in range(len(full)))
                try:
                    found = vmap(functools.partial(run_on, case), axes)(*full)
                except TypeError as error:
                    assert str(error).startswith("vmap: ")
                    refused.add(case.op.__name__)
                    continue
                for k in range(SAMPLES):
                    for y, z in zip(found, run(case, lifted(sample(full, mapped, k))), strict=True):
                        assert_same(host(y)[k], host(z), 1e-11)
    assert refused == REFUSED


def pulled(f, count):
    """Return a number made of a function's gradients."""
    return lambda *xs: sum((g * g).sum() for g in grad(f, tuple(range(count)))(*xs))


@pytest.mark.slow
@pytest.mark.parametrize("order", [1, 2])
def test_gradients_of_samples_are_those_of_a_loop(order, rng, dev):
    for case in FIRST:
        if case.op.__name__ in REFUSED or draws_by_sample(case) or not which(case, draw(case, rng, np.float64)):
            continue
        stacked, _ = samples(case, rng)
        first = [dev(a[0]) if is_array(a) else a for a in stacked]
        f, xs = number_of(case, first, rng, dev)
        every = range(len(xs))
        full = [dev(stacked[k]) for k in which(case, [a[0] if is_array(a) else a for a in stacked])]
        g = grad(f if order == 1 else pulled(f, len(xs)), tuple(every))
        for mapped in [list(every)] + ([[k] for k in every] if order == 1 and len(xs) > 1 else []):
            with turn(case.id, mapped):
                given = [a if k in mapped else a[0] for k, a in enumerate(full)]
                found = vmap(g, tuple(0 if k in mapped else None for k in every))(*given)
                for k in range(0, SAMPLES, 2):
                    for y, z in zip(found, g(*sample(given, mapped, k)), strict=True):
                        assert_same(host(y)[k], host(z), 1e-9)


@pytest.mark.parametrize("name", sorted(DRAW))
def test_what_draws_draws_for_each_sample(name, dev):
    case = next(case for case in TABLE if case.op.__name__ == name)
    x = np.ones((16, *draw(case, np.random.default_rng(0), np.float64)[0].shape))
    (y,) = vmap(lambda x: run(case, [x]))(dev(x))
    assert len(np.unique(host(y).reshape(16, -1), axis=0)) > 8
    (same,) = vmap(lambda _: run(case, [dev(x[0])]))(dev(x))
    assert len(np.unique(host(same).reshape(16, -1), axis=0)) == 1


def mapped_indices(other):
    """Return functions of an array and of places that differ by sample, and such places; `other` does not differ."""
    i, j = np.array([2, 0, -1]), np.array([[1, 0], [2, 2], [0, 3]])
    return (
        {
            "0-d": lambda x, i, j: x[i],
            "behind a slice": lambda x, i, j: x[:, i],
            "behind ...": lambda x, i, j: x[..., i],
            "a list": lambda x, i, j: x[j],
            "a list behind": lambda x, i, j: x[1:, :, j],
            "two": lambda x, i, j: x[i, :2, j],
            "two together": lambda x, i, j: x[:, i, j],
            "with an integer": lambda x, i, j: x[0, j, 1],
            "with None": lambda x, i, j: x[None, :, i],
            "no samples in x": lambda x, i, j: other[:, i, j],
            "of a list": lambda x, i, j: other[1, :, j],
            "beside a constant": lambda x, i, j: x[np.array([0, 1]), j],
            "apart from a constant": lambda x, i, j: x[np.array([0, 1]), :, j],
            "constants": lambda x, i, j: x[[0, 1], :, [1, 2]],
            "a mask": lambda x, i, j: x[np.array([True, False, True, True])],
            "along an axis": lambda x, i, j: cunet.take_along_axis(x[0], j[:, None], axis=0),
        },
        i,
        j,
    )


def test_places_that_differ_by_sample(rng, dev):
    table, i, j = mapped_indices(Tensor(dev(rng.standard_normal((4, 4, 4)))))
    x = rng.standard_normal((3, 4, 4, 4))
    for name, f in table.items():
        with turn(name):
            found = vmap(f)(dev(x), dev(i), dev(j))
            for k in range(3):
                assert_same(host(found)[k], host(f(Tensor(dev(x[k])), dev(i[k]), dev(j[k]))), 0)
    with pytest.raises(TypeError, match="vmap: getitem: a mask picks another number"):
        vmap(lambda x: x[x > 0])(dev(x))
