"""Backward refused: nothing recorded, gradients that do not fit, a graph that was used; and nothing has changed."""

import numpy as np
import pytest
from helpers import host

from cunet import Tensor, no_grad, op


def test_a_second_backward_is_an_error_that_says_what_to_do(leaf):
    x = leaf([2.0])
    y = (x * x) * 3
    y.backward()
    with pytest.raises(RuntimeError, match=r"'multiply' was freed .*retain_graph=True"):
        y.backward()
    assert host(x.grad) == 12


def test_a_graph_that_was_freed_below_is_an_error_and_no_gradient_changes(leaf):
    x, w = leaf([2.0]), leaf([5.0])
    shared = x * x
    (shared * 3).backward()
    with pytest.raises(RuntimeError, match="freed"):
        (shared * w).backward()
    assert host(x.grad) == 12
    assert w.grad is None


def test_an_error_in_a_gradient_leaves_all_gradients_unchanged(leaf):
    @op
    def broken(z):
        def vjp(gz):
            raise ZeroDivisionError

        return z + 0, vjp

    x, w = leaf([2.0]), leaf([5.0])
    x.grad = x.data * 7
    y = (w * 2).retain_grad()
    with pytest.raises(ZeroDivisionError):
        (broken(x * 2) * y).backward()
    assert host(x.grad) == 14
    assert w.grad is None
    assert y.grad is None


def test_a_leaf_changed_in_place_after_its_use_is_detected(leaf):
    x, w = leaf([2.0]), leaf([5.0])
    y = x * w
    w.data[...] = 1
    w.mark_modified()
    with pytest.raises(RuntimeError, match=r"shape \(1,\) was modified in place .* 'multiply'"):
        y.backward()
    assert x.grad is None
    z = x * w
    z.backward()
    assert host(x.grad) == 1


def test_backward_needs_something_recorded(leaf, dev):
    with pytest.raises(RuntimeError, match="nothing was recorded"):
        (Tensor(dev([1.0])) * 2).backward()
    x = leaf([1.0])
    with no_grad():
        y = x * 2
    with pytest.raises(RuntimeError, match="nothing was recorded"):
        y.backward()


def test_backward_checks_the_gradient_it_is_given(leaf, dev):
    x = leaf([1.0, 2.0])
    with pytest.raises(ValueError, match=r"a gradient is needed for shape \(2,\)"):
        (x * 2).backward()
    with pytest.raises(ValueError, match=r"must have shape \(2,\), got \(3,\)"):
        (x * 2).backward(dev([1.0, 2.0, 3.0]))
    (x * 2).backward(dev([1.0, 10.0], np.float64))
    assert host(x.grad).tolist() == [2, 20]
    assert x.grad.dtype == np.float32


def test_integers_take_no_gradient(leaf, dev):
    with pytest.raises(TypeError, match="floating dtype, got int64"):
        Tensor(dev([1, 2]), requires_grad=True)
    x, k = leaf([1.0, 2.0]), Tensor(dev([3, 4]))
    (x * k).sum().backward()
    assert host(x.grad).tolist() == [3, 4]
    assert k.grad is None
    assert not x.astype(np.int64).requires_grad


def test_a_gradient_of_the_wrong_shape_or_kind_is_refused(leaf, dev):
    x = leaf([1.0, 2.0])
    with pytest.raises(ValueError, match=r"shape of data \(2,\), got \(3,\)"):
        x.grad = dev(np.zeros(3, np.float32))
    with pytest.raises(TypeError, match="array or None, got list"):
        x.grad = [1.0, 2.0]
    assert x.grad is None


@pytest.mark.cpu_only
def test_a_gradient_that_was_lost_by_a_step_in_place_says_so():
    w = Tensor(np.ones(3), requires_grad=True)
    (w * w).sum().backward()
    with no_grad():
        w -= 0.1 * w.grad
    with pytest.raises(
        RuntimeError, match=r"`w -= step` there gives w a new Tensor .*: write w\.data = w\.data - step"
    ):
        (w * w).sum().backward()
