"""`grad` and `value_and_grad`."""

from collections import OrderedDict, defaultdict
from typing import Any, NamedTuple

import numpy as np
import pytest
from helpers import host

import cunet
from cunet import Tensor, grad, value_and_grad
from cunet import device as backend


def test_value_and_gradient_are_plain_arrays(dev):
    value, g = value_and_grad(lambda x: (x * x).sum())(dev([1.0, 2.0], np.float32))
    assert backend.is_array(value) and backend.is_array(g)
    assert host(value) == 5
    assert host(g).tolist() == [2, 4]
    assert g.dtype == np.float32


def test_several_positions(dev):
    def f(x, k, y):
        return (x * y).sum() * k

    x, y = dev([1.0, 2.0]), dev([3.0, 5.0])
    gx, gy = grad(f, argnums=(0, 2))(x, 10, y)
    assert host(gx).tolist() == [30, 50]
    assert host(gy).tolist() == [10, 20]
    assert host(grad(f, argnums=2)(x, 10, y)).tolist() == [10, 20]
    assert host(grad(f, argnums=-1)(x, 10, y)).tolist() == [10, 20]


def test_nested_containers_give_gradients_of_their_own_form(dev):
    params = {"layers": [(dev([[2.0]]), dev([1.0])), (dev([[3.0]]), dev([0.5]))], "scale": dev(4.0)}

    def f(params, x):
        for w, b in params["layers"]:
            x = x @ w + b
        return (x * params["scale"]).sum()

    g = grad(f)(params, dev([[1.0]]))
    (w0, b0), (w1, b1) = g["layers"]
    assert isinstance(g["layers"], list) and isinstance(g["layers"][0], tuple)
    assert [float(host(a).sum()) for a in (w0, b0, w1, b1, g["scale"])] == [12, 12, 12, 4, 9.5]
    assert w0.shape == (1, 1) and g["scale"].shape == ()


def test_a_list_of_numbers_is_one_array():
    g = grad(lambda x: (x**2).sum())([1.0, 2.0])
    assert isinstance(g, np.ndarray)
    assert g.tolist() == [2, 4]


def test_an_input_that_was_not_used_gets_zeros(dev):
    gx, gy = grad(lambda x, y: (x * 2).sum(), argnums=(0, 1))(dev([1.0]), dev([[5.0, 6.0]]))
    assert host(gx).tolist() == [2]
    assert host(gy).tolist() == [[0, 0]]


def test_the_gradients_are_arrays_of_their_own_that_can_be_written(dev):
    x, y = dev([1.0, 2.0]), dev([3.0, 4.0])
    gx, gy = grad(lambda x, y: (x + y).sum(), argnums=(0, 1))(x, y)
    gx *= 5
    assert host(gy).tolist() == [1, 1]
    assert host(gx).tolist() == [5, 5]


def test_the_identity(dev):
    value, g = value_and_grad(lambda x: x)(dev(3.0))
    assert host(value) == 3
    assert host(g) == 1


def test_a_0d_gradient_is_an_array(dev):
    g = grad(lambda x: x * x + x)(dev(3.0))
    assert backend.is_array(g)
    assert host(g) == 7


def test_gradients_of_captured_tensors_are_not_touched(dev):
    w = Tensor(dev([3.0]), requires_grad=True)
    w.grad = dev([100.0])
    assert host(grad(lambda x: (x * w).sum())(dev([2.0]))).tolist() == [3]
    assert host(w.grad).tolist() == [100]


def test_tensors_may_be_given_and_keep_no_history(dev):
    x = Tensor(dev([2.0]), requires_grad=True)
    assert host(grad(lambda x: (x * x).sum())(x * 3)).tolist() == [12]
    assert x.grad is None


def test_it_records_under_no_grad(dev):
    with cunet.no_grad():
        assert host(grad(lambda x: (x * x).sum())(dev([2.0]))).tolist() == [4]


def test_a_float_is_taken_as_float32():
    assert grad(lambda x: x * x)(3.0).dtype == np.float32


def test_keyword_arguments_are_passed_on(dev):
    assert host(grad(lambda x, *, k: (x * k).sum())(dev([2.0]), k=7.0)).tolist() == [7]


def test_integers_are_refused(dev):
    with pytest.raises(TypeError, match="floating dtype, got int64"):
        grad(lambda x: (x * 2.0).sum())(dev([1, 2]))


def test_more_than_one_element_is_refused(dev):
    with pytest.raises(ValueError, match=r"grad: <lambda> must return one element, got shape \(2,\)"):
        grad(lambda x: x * 2)(dev([1.0, 2.0]))


def test_grad_of_a_function_that_returns_an_array_is_refused(dev):
    with pytest.raises(TypeError, match="grad: <lambda> must return a Tensor, got .*array"):
        grad(lambda x: x.data)(dev([2.0]))


def test_the_name_of_the_function_is_kept():
    def energy(x):
        """Return the energy."""

    assert grad(energy).__name__ == "energy"
    assert value_and_grad(energy).__doc__ == "Return the energy."


class Weights(NamedTuple):
    w: Any
    b: Any


@pytest.mark.cpu_only
def test_trees_keep_their_structure():
    a = np.array([1.0, 2.0])
    trees = {
        "lists of lists": [[a, a], [a]],
        "a named tuple": Weights(a, (a, [1.0, 2.0])),
        "an ordered dict": OrderedDict(z=a, y=[a, Weights(a, 3.0)]),
        "a dict with a default": defaultdict(list, {"k": [a]}),
    }

    def total(tree):
        if isinstance(tree, dict):
            tree = list(tree.values())
        return sum((total(part) for part in tree), Tensor(0.0)) if isinstance(tree, (list, tuple)) else (tree * 2).sum()

    def same(gradient, tree):
        if isinstance(tree, (int, float)) or (isinstance(tree, list) and isinstance(tree[0], float)):
            tree = np.asarray(tree, np.float32)
        assert type(gradient) is type(tree)
        if isinstance(tree, np.ndarray):
            np.testing.assert_array_equal(gradient, np.full(tree.shape, 2.0))
        elif isinstance(tree, dict):
            assert list(gradient) == list(tree)
            [same(gradient[key], tree[key]) for key in tree]
        else:
            [same(g, t) for g, t in zip(gradient, tree, strict=True)]

    for tree in trees.values():
        same(grad(total)(tree), tree)
    assert grad(total)([[1.0, 2.0], [3.0, 4.0]]).shape == (2, 2)  # numbers alone: an array
