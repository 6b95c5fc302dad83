"""Functions of NumPy that move elements, on Tensors."""

import numpy as np
import pytest
from helpers import host
from numpy_helpers import check_calls

from cunet import Tensor
from cunet.ops.numpy_shapes import SHAPES

#: of an array (4, 3) and another
CALLS = {
    "append": lambda x, b: np.append(x, b),
    "append of an axis": lambda x, b: np.append(x, b, axis=1),
    "append of numbers": lambda x, b: np.append(x[0], [1.0, 2.0]),
    "append to numbers": lambda x, b: np.append([1.0, 2.0], x[0]),
    "append of Tensors": lambda x, b: np.append([x[0], x[1]], x),
    "array_split": lambda x, b: np.array_split(x, 3),
    "array_split of more parts than there are": lambda x, b: np.array_split(x, 5)[:4],
    "array_split at places": lambda x, b: np.array_split(x, [1, 2], axis=1),
    "atleast_1d": lambda x, b: np.atleast_1d(x[0, 0], x[0]),
    "atleast_2d": lambda x, b: np.atleast_2d(x[0, 0], x[0], x),
    "atleast_3d": lambda x, b: np.atleast_3d(x[0, 0], x[0], x, x[None]),
    "block": lambda x, b: np.block([[x, b], [b[:1], x[1:2]]]),
    "block of vectors": lambda x, b: np.block([x[0], b[1], 1.0]),
    "block of one": lambda x, b: np.block(x),
    "broadcast_arrays": lambda x, b: np.broadcast_arrays(x[:1], x[:, :1])[0],
    "column_stack": lambda x, b: np.column_stack([x, b[:, 0], x[:, 1]]),
    "compress": lambda x, b: np.compress([True, False, True], x, axis=1),
    "compress of all": lambda x, b: np.compress([False, True, True, False, True], x),
    "copy": lambda x, b: np.copy(x),
    "delete": lambda x, b: np.delete(x, 1, axis=0),
    "delete of several": lambda x, b: np.delete(x, [0, -1]),
    "delete of a slice": lambda x, b: np.delete(x, slice(0, 2), 1),
    "diagflat": lambda x, b: np.diagflat(x[:2], 1),
    "dsplit": lambda x, b: np.dsplit(x.reshape(2, 2, 3), [1]),
    "dstack": lambda x, b: np.dstack([x, b]),
    "dstack of rows": lambda x, b: np.dstack((x[0], b[0])),
    "ediff1d": lambda x, b: np.ediff1d(x),
    "ediff1d with ends": lambda x, b: np.ediff1d(x, to_begin=b[0], to_end=1.0),
    "extract": lambda x, b: np.extract(np.arange(12).reshape(4, 3) % 3 == 1, x),
    "fliplr": lambda x, b: np.fliplr(x),
    "flipud": lambda x, b: np.flipud(x),
    "hsplit": lambda x, b: np.hsplit(x, 3),
    "hsplit of a row": lambda x, b: np.hsplit(x[0], [1]),
    "matrix_transpose": lambda x, b: np.matrix_transpose(x[None]),
    "meshgrid": lambda x, b: np.meshgrid(x[0], x[:, 0]),
    "meshgrid by axes": lambda x, b: np.meshgrid(x[0], x[:, 0], x[1, :2], indexing="ij"),
    "meshgrid, sparse": lambda x, b: np.meshgrid(x[0], x[:, 0], sparse=True),
    "pad by edges": lambda x, b: np.pad(x, ((1, 2), (0, 1)), mode="edge"),
    "pad by reflection": lambda x, b: np.pad(x, 2, mode="reflect"),
    "pad by wrapping": lambda x, b: np.pad(x, (1, 2), "wrap"),
    "pad symmetric": lambda x, b: np.pad(x, ((2, 1),), mode="symmetric"),
    "rollaxis": lambda x, b: np.rollaxis(x.reshape(2, 2, 3), 2),
    "rollaxis to the end": lambda x, b: np.rollaxis(x.reshape(2, 2, 3), 0, 3),
    "rot90": lambda x, b: [np.rot90(x, k) for k in range(-1, 5)],
    "rot90 of other axes": lambda x, b: np.rot90(x.reshape(2, 2, 3), 1, (2, 0)),
    "select": lambda x, b: np.select([b > 2, b > 1], [x, x * b], 0.5),
    "select of a default": lambda x, b: np.select([b > 2], [x * b], default=x),
    "take": lambda x, b: np.take(x, [0, 5, 5, -1]),
    "take along an axis": lambda x, b: np.take(x, [[0, 2], [1, 1]], axis=1),
    "take one": lambda x, b: np.take(x, 1, axis=-1),
    "take by bools, which are 0 and 1": lambda x, b: np.take(x, np.array([True, False])),
    "take nothing and something": lambda x, b: np.append(np.take(x, np.array([], int)), x[0]),
    "vsplit": lambda x, b: np.vsplit(x, 2),
}


def test_calls(rng, dev):
    check_calls(CALLS, rng, dev)


@pytest.mark.skipif(not hasattr(np, "unstack"), reason="newer than this NumPy")
def test_unstack(rng, dev):
    check_calls({"unstack": lambda x, b: np.unstack(x, axis=1)}, rng, dev)


@pytest.mark.cpu_only
def test_every_function_is_called():
    called = {name.split()[0].rstrip(",") for name in CALLS} | {"array", "asarray", "asanyarray", "split", "unstack"}
    assert {f.__name__ for f in SHAPES} <= called


def test_nested_lists_of_tensors(dev):
    """NumPy itself reads lists, and asks who it is like."""
    x = Tensor(dev(np.array([1.0, 2.0])), requires_grad=True)
    for make in (np.array, np.asarray, np.asanyarray):
        y = make([[x[0], 0.5], [x[1] * 2, x[0]]], like=x)
        assert y.requires_grad and host(y).tolist() == [[1, 0.5], [4, 1]]
    y.backward(dev(np.array([[1.0, 10.0], [100.0, 1000.0]])))
    assert host(x.grad).tolist() == [1001, 200]
    assert np.array((x, x), np.float32, ndmin=3, like=x).shape == (1, 2, 2)
    assert np.array((x, x), np.float32, like=x).dtype == np.float32
    assert type(np.array([1, 2], like=x)) is np.ndarray
    with pytest.raises(TypeError, match=r"np\.array would lose .*takes no order="):
        np.array([x, x], order="F", like=x)


@pytest.mark.cpu_only
@pytest.mark.parametrize("make", [np.array, np.asarray, lambda x: np.r_[x], lambda x: np.mean([x[0], x[1]])])
def test_what_numpy_makes_of_lists_without_being_told_is_refused(make):
    x = Tensor(np.array([1.0, 2.0]), requires_grad=True)
    with pytest.raises(TypeError, match=r"would lose its gradient; .*np\.array\(\.\.\., like=x\)"):
        make(x)


@pytest.mark.cpu_only
@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda x: np.array_split(x, 0), "array_split: the number of parts must be at least 1, got 0"),
        (lambda x: np.vsplit(x[0], 1), r"vsplit: at least 2 axes are required, got shape \(3,\)"),
        (lambda x: np.fliplr(x[0]), "fliplr: at least 2 axes"),
        (lambda x: np.rot90(x, axes=(1, -1)), r"rot90: two different axes are required, got \(1, -1\)"),
        (lambda x: np.select([], [x]), "select: as many conditions as choices are required.* got 0 and 1"),
        (lambda x: np.split(x, 3), "equal division"),
    ],
)
def test_what_does_not_fit_is_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call(Tensor(np.ones((4, 3)), requires_grad=True))


@pytest.mark.cpu_only
@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda x: np.pad(x, 1, mode="mean"), r"np\.pad would lose .*takes no mode='mean'"),
        (lambda x: np.take(x, [0], mode="wrap"), r"np\.take would lose .*takes no mode="),
        (lambda x: np.take(x, [0], out=np.empty(1)), r"np\.take would lose .*takes no out="),
        (lambda x: np.copy(x, order="F"), r"np\.copy would lose .*takes no order="),
    ],
)
def test_what_is_not_supported_is_named(call, words):
    with pytest.raises(TypeError, match=words):
        call(Tensor(np.ones((4, 3)), requires_grad=True))
