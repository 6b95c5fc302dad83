"""``linalg`` of the simulated device has CuPy's rules."""

import numpy as np
import pytest

import sim

xp = sim.namespace_or_skip()

A = np.stack([np.eye(2), np.ones((2, 2))])


def test_shapes_are_not_broadcast():
    a = xp.asarray(A)
    assert xp.linalg.solve(a, xp.ones((2, 2, 3))).shape == (2, 2, 3)
    assert xp.linalg.solve(a, xp.ones((2, 2))).shape == (2, 2)
    assert xp.linalg.solve(a, xp.ones(2)).shape == (2, 2)
    for shape in ((2, 3), (1, 2, 3)):
        with pytest.raises(ValueError, match=r"a must have \(\.\.\., M, M\) shape"):
            xp.linalg.solve(a, xp.ones(shape))


@pytest.mark.parametrize("name", ["inv", "solve", "cholesky"])
def test_a_matrix_that_is_refused_by_numpy_gives_what_is_not_finite(name):
    args = [xp.asarray(A)] if name != "solve" else [xp.asarray(A), xp.asarray(A)]
    y = getattr(xp.linalg, name)(*args).get()
    assert (y[0] == np.eye(2)).all() and np.isnan(y[1]).all()
    assert np.isnan(getattr(xp.linalg, name)(*[a[1] for a in args]).get()).all()
    with pytest.raises(np.linalg.LinAlgError, match="square"):
        getattr(xp.linalg, name)(*[xp.ones((2, 3)) for _ in args])


@pytest.mark.parametrize("name", ["eigh", "eigvalsh", "pinv", "svd"])
def test_a_matrix_that_is_not_finite_gives_nan_beside_others_that_are(name):
    """LAPACK refuses some of them, and others keep it for ever."""
    found = getattr(xp.linalg, name)(xp.asarray(np.stack([np.eye(2), np.diag([1.0, np.inf])])))
    for part in found if isinstance(found, tuple) else (found,):
        assert np.isfinite(part.get()[0]).all() and np.isnan(part.get()[1]).all()


def test_half_types_and_arrays_of_the_host_are_refused():
    with pytest.raises(TypeError, match="float16"):
        xp.linalg.inv(xp.ones((2, 2), np.float16))
    with pytest.raises(TypeError):
        xp.linalg.inv(np.eye(2))
    with pytest.raises(TypeError, match="no keyword"):
        xp.linalg.cholesky(xp.asarray(np.eye(2)), upper=True)
