"""Results that share memory with their inputs: one rule, that nobody writes into `data` of a result but into a copy."""

import numpy as np
import pytest
from helpers import host

import cunet
from cunet import F, Tensor

SHARING = {
    "reshape": lambda x: cunet.reshape(x, (3, 2)),
    "transpose": lambda x: cunet.transpose(x),
    "slice": lambda x: x[:, 1:],
    "einsum": lambda x: cunet.einsum("ij->ji", x),
    "diagonal": lambda x: cunet.diagonal(x),
    "split": lambda x: cunet.split(x, 2)[0],
    "broadcast": lambda x: cunet.broadcast_to(x, (4, 2, 3)),
    "clip": lambda x: cunet.clip(x, None, None),
    "pad": lambda x: cunet.pad(x, 0),
    "dropout in evaluation": lambda x: F.dropout(x, 0.5, False),
    "dropout of nothing": lambda x: F.dropout(x, 0.0),
    "detach": lambda x: x.detach(),
}


@pytest.mark.parametrize("name", SHARING)
def test_no_op_writes_into_an_input_that_a_result_shares(name, dev):
    x = Tensor(dev(np.arange(6.0).reshape(2, 3)), requires_grad=True)
    y = SHARING[name](x)
    before = host(y).copy()
    for z in (F.relu(y), F.softmax(y), y * 2, y + y, F.dropout(y, 0.5), cunet.exp(y)):
        if z.requires_grad:
            z.sum().backward(retain_graph=True)
    np.testing.assert_array_equal(host(x), np.arange(6.0).reshape(2, 3))
    np.testing.assert_array_equal(host(y), before)


@pytest.mark.parametrize("name", sorted(SHARING.keys() - {"detach"}))
def test_gradients_of_two_users_of_one_memory_stay_apart(name, dev):
    """A gradient that was passed on as it is may not be the array that another leaf got."""
    x = Tensor(dev(np.arange(6.0).reshape(2, 3)), requires_grad=True)
    SHARING[name](x).sum().backward()
    expected = host(x.grad).copy()
    twice = Tensor(x.data, requires_grad=True)
    (SHARING[name](x).sum() + SHARING[name](twice).sum()).backward()
    x.grad *= 0  # which users may do
    np.testing.assert_array_equal(host(twice.grad), expected)


@pytest.mark.cpu_only
def test_the_rule_stands_where_data_is_explained():
    assert "share memory" in Tensor.__doc__
