"""The tape: accumulation, and graphs of every form."""

import math

import numpy as np
import pytest
from helpers import host

import cunet
from cunet import Tensor, op
from cunet import device as backend


def test_gradients_accumulate_on_leaves_until_they_are_cleared(leaf):
    x = leaf([1.0, 2.0])
    (x * 3).sum().backward()
    (x * x).sum().backward()
    assert host(x.grad).tolist() == [5, 7]
    x.grad = None
    (x * 3).sum().backward()
    assert host(x.grad).tolist() == [3, 3]


def test_the_gradient_of_a_0d_leaf_stays_an_array_while_it_accumulates(leaf):
    x = leaf(2.0)
    for _ in range(3):
        (x * x).backward()
    assert backend.is_array(x.grad)
    assert x.grad.shape == () and x.grad.dtype == np.float32
    assert host(x.grad) == 12
    x.grad *= 2
    assert backend.is_array(x.grad)


def test_a_0d_tensor_used_several_times_gets_an_array(leaf):
    x = leaf(2.0)
    y = x * x
    (y + y * y + x).backward()
    assert backend.is_array(x.grad)
    assert host(x.grad) == 2 * 2 + 4 * 2**3 + 1


def test_a_tensor_used_twice_by_one_op_gets_both_gradients(leaf):
    x = leaf([3.0])
    (x * x).backward()
    assert host(x.grad) == 6
    y = leaf([3.0])
    cunet.concatenate([y, y, y]).sum().backward()
    assert host(y.grad) == 3


def test_a_function_used_twice_before_backward_keeps_what_each_call_saved(leaf):
    w, a, b = leaf([2.0]), leaf([3.0]), leaf([5.0])

    def layer(x):
        return (x * w).exp()

    (layer(a) + layer(b) * 2).backward()
    assert host(a.grad) == pytest.approx(2 * math.exp(6), rel=1e-6)
    assert host(b.grad) == pytest.approx(4 * math.exp(10), rel=1e-6)
    assert host(w.grad) == pytest.approx(3 * math.exp(6) + 10 * math.exp(10), rel=1e-6)


def test_diamonds_of_any_depth_visit_each_node_once(leaf):
    x = leaf([1.0], np.float64)
    y, calls = x, []

    @op
    def counted(z):
        return z + 0, lambda gz: (calls.append(1) or gz,)

    for _ in range(40):  # 2**40 paths
        y = counted(y)
        y = y + y
    y.backward()
    assert host(x.grad) == 2.0**40
    assert len(calls) == 40


def test_branches_of_unequal_length_meet_in_the_right_order(leaf):
    x = leaf([0.5], np.float64)
    a = x * 2
    long = a
    for _ in range(5):
        long = long * 1.5
    (long * a).backward()
    assert host(x.grad) == pytest.approx(2 * (2 * 1.5**5) * 2 * 0.5, rel=1e-14)


def test_retain_graph_allows_a_second_pass(leaf):
    x = leaf([2.0])
    y = x**3
    y.backward(retain_graph=True)
    y.backward()
    assert host(x.grad) == 24


def test_augmented_assignment_makes_a_new_tensor(leaf):
    x = leaf([2.0])
    y = x
    y += 1
    y *= y
    assert host(x) == 2
    y.backward()
    assert host(x.grad) == 6


def test_item_assignment_is_refused(leaf):
    with pytest.raises(TypeError, match=r"cunet\.where"):
        leaf([1.0, 2.0])[0] = 3.0


def test_python_scalars_keep_the_dtype(leaf):
    for dtype in (np.float16, np.float32, np.float64):
        x = leaf([1.0, 2.0], dtype)
        y = 2.5 * x + 1 - 3 / (x + 1) - (x - 1) / 7 + 2**x + x**2 + (1 - x)
        y = cunet.where(x.data > 1, y, 0.0) + cunet.maximum(y, 0.5) + cunet.clip(x, 0, 1)
        assert y.dtype == dtype
        y.sum().backward()
        assert x.grad.dtype == dtype


def test_gradients_of_mixed_dtypes_come_back_in_each_inputs_own(leaf):
    x, w, h = leaf([1.5], np.float32), leaf([2.5], np.float64), leaf([0.5], np.float16)
    y = x * w * h
    assert y.dtype == np.float64
    y.backward()
    assert [t.grad.dtype for t in (x, w, h)] == [np.float32, np.float64, np.float16]
    assert [float(host(t.grad)[0]) for t in (x, w, h)] == [1.25, 0.75, 3.75]


def test_scaling_one_gradient_in_place_changes_no_other(leaf):
    x, w = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    y = (x + w).retain_grad()
    z = (y + 0).retain_grad()
    seed = backend.like(np.ones(2, np.float32), y.data)
    z.backward(seed)
    gradients = [x.grad, w.grad, y.grad, z.grad, seed]
    for k, g in enumerate(gradients):
        g *= 2 + k
    assert [host(g).tolist() for g in gradients] == [[2, 2], [3, 3], [4, 4], [5, 5], [6, 6]]


def test_gradients_that_are_views_can_be_written(leaf):
    x, w = leaf([[1.0, 2.0]]), leaf([3.0, 4.0])
    (x.sum() + cunet.broadcast_to(w, (3, 2)).T.sum()).backward()
    x.grad[...] = 5
    w.grad[...] = 6
    assert host(x.grad).tolist() == [[5, 5]]


def test_retain_grad_keeps_the_gradient_of_an_intermediate_result(leaf):
    x = leaf([1.0, 2.0])
    y = x * 3
    assert y.retain_grad() is y
    (y * y).sum().backward()
    assert host(y.grad).tolist() == [6, 12]
    z = x * 3
    (z * z).sum().backward()
    assert z.grad is None


def test_several_outputs_with_some_unused(leaf):
    x = leaf([1.0, 2.0, 3.0])
    a, b, c = cunet.split(x, 3)
    (c * 5).backward(retain_graph=True)
    assert host(x.grad).tolist() == [0, 0, 5]
    (a * b).backward()  # the same call again, from other outputs
    assert host(x.grad).tolist() == [2, 1, 5]
    with pytest.raises(RuntimeError, match="freed"):
        c.backward()


def test_an_output_of_integers_takes_no_part(leaf):
    @op
    def largest(x):
        at = x.argmax()

        def vjp(gys):
            gy, nothing = gys
            assert nothing is None
            gx = x * 0
            gx[at] = gy
            return (gx,)

        return (x.max(), at), vjp

    x = leaf([1.0, 4.0, 3.0])
    value, at = largest(x)
    assert not at.requires_grad
    assert host(at) == 1
    value.backward()
    assert host(x.grad).tolist() == [0, 1, 0]


def test_backward_of_a_leaf_adds_to_its_own_gradient(leaf):
    x = leaf(3.0)
    x.backward()
    x.backward()
    assert host(x.grad) == 2


@pytest.mark.cpu_only
def test_a_gradient_owns_its_memory_and_a_reshaped_one_is_not_copied():
    kept = np.arange(6, dtype=np.float32)
    made = []

    @op
    def reshaped(x, *, fresh):
        def vjp(gy):
            g = np.full(6, 2, np.float32) if fresh else kept
            made.append(g.ctypes.data)
            return (g.reshape(2, 3),)

        return x + 0, vjp

    @op
    def part(x):
        return x + 0, lambda gy: (np.full(100, 2, np.float32)[:6].reshape(2, 3),)

    x = Tensor(np.ones((2, 3), np.float32), requires_grad=True)
    reshaped(x, fresh=True).backward(np.ones((2, 3), np.float32))
    assert x.grad.ctypes.data == made.pop()
    x.grad = None
    reshaped(x, fresh=False).backward(np.ones((2, 3), np.float32))
    x.grad *= 0
    assert kept.tolist() == [0, 1, 2, 3, 4, 5]
    x.grad = None
    part(x).backward(np.ones((2, 3), np.float32))
    assert x.grad.base is None  # not 100 elements held for 6
