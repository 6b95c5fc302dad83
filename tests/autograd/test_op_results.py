"""What a user's op or its vjp may not return is named, and what it had to be."""

import numpy as np
import pytest
from helpers import host

import cunet
from cunet import Tensor, op


def op_that_returns(made):
    @op
    def mine(x, y=None):
        return made(x)

    return mine


def vjp_that_returns(made):
    @op
    def mine(x, y=None):
        return x * 2, lambda gy: made(gy)

    return mine


def identity(gy):
    return (gy,)


@pytest.mark.parametrize(
    "made, got",
    [
        (lambda x: (3.0, identity), r"\(float, function\)"),
        (lambda x: ([x, x], identity), r"\(list, function\)"),
        (lambda x: (Tensor(x), identity), r"\(Tensor, function\)"),
        (lambda x: ((x, 1.0), identity), r"\(\(\w*ndarray, float\), function\)"),
        (lambda x: (None, identity), r"\(NoneType, function\)"),
        (lambda x: x, r"\w*ndarray"),
        (lambda x: (x, identity, x), r"\(\w*ndarray, function, \w*ndarray\)"),
        (lambda x: (x, x), r"\(\w*ndarray, \w*ndarray\)"),
        (lambda x: (x, None), r"\(\w*ndarray, NoneType\)"),
        (lambda x: None, "NoneType"),
    ],
    ids=[
        "number",
        "list",
        "Tensor",
        "number in tuple",
        "None",
        "array alone",
        "three",
        "no vjp",
        "vjp None",
        "nothing",
    ],
)
def test_an_op_returns_arrays_and_a_vjp(made, got, dev):
    mine = op_that_returns(made)
    for requires_grad in (False, True):
        with pytest.raises(TypeError, match=rf"^mine: an op must return \(result, vjp\), .* got {got}$"):
            mine(Tensor(dev(np.ones((2, 3))), requires_grad=requires_grad))


@pytest.mark.parametrize(
    "made, message",
    [
        (lambda gy: 3.0, "must return a tuple with one entry for each array argument, 2, got float"),
        (lambda gy: None, "must return a tuple .*, got NoneType"),
        (lambda gy: gy, r"must return a tuple .*, got \w*ndarray"),
        (lambda gy: (), "must return a tuple .*, 2, got 0 entries"),
        (lambda gy: (gy, None, None), "must return a tuple .*, 2, got 3 entries"),
        (lambda gy: (2.0,), "must return arrays, None or functions that return arrays, got float"),
        (lambda gy: ([1.0, 2.0],), "must return arrays, .*, got list"),
        (lambda gy: (Tensor(gy),), "must return arrays, .*, got Tensor"),
        (lambda gy: (lambda: Tensor(gy),), "must return arrays, .*, got Tensor"),
        (lambda gy: (lambda: None,), "must return arrays, .*, got NoneType"),
    ],
    ids=[
        "number",
        "None",
        "array alone",
        "none",
        "three",
        "number in",
        "list in",
        "Tensor in",
        "Tensor later",
        "None later",
    ],
)
def test_a_vjp_returns_an_array_for_each_argument(made, message, dev):
    x = Tensor(dev(np.ones((2, 3))), requires_grad=True)
    with pytest.raises(TypeError, match=f"^mine: vjp {message}"):
        vjp_that_returns(made)(x).sum().backward()
    assert x.grad is None


def test_a_vjp_may_leave_out_what_was_not_given_and_return_a_list(dev):
    for made in (lambda gy: (gy,), lambda gy: [gy * 2, None], lambda gy: (lambda: gy, None)):
        x = Tensor(dev(np.ones((2, 3))), requires_grad=True)
        vjp_that_returns(made)(x).sum().backward()
        assert x.grad.shape == (2, 3)
    y = Tensor(dev(np.ones((2, 3))), requires_grad=True)
    with pytest.raises(TypeError, match="got 1 entries"):
        vjp_that_returns(identity)(dev(np.ones((2, 3))), y).sum().backward()


@pytest.mark.cpu_only
def test_numbers_of_numpy_are_arrays_and_numbers_give_numbers():
    mean = op_that_returns(lambda x: (x.mean(), lambda gy: (gy * np.ones(3) / 3,)))
    x = Tensor(np.arange(3.0), requires_grad=True)
    y = mean(x)
    assert isinstance(y.data, np.ndarray) and y.shape == ()
    y.backward()
    assert host(x.grad).tolist() == [1 / 3] * 3
    total = cunet.add(1, 2.5)
    assert isinstance(total.data, np.ndarray) and total.data == 3.5
