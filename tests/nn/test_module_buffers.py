"""Which tensors of a module are its state: what it has before its first call, and what is said to be a buffer."""

import copy

import numpy as np
import pytest
from module_helpers import keys

from cunet import nn, no_grad
from cunet.autograd.tensor import Tensor
from cunet.nn import Module, Parameter

pytestmark = pytest.mark.cpu_only


class Keeps(Module):
    """Keep what went through, in attributes that are there before and in others."""

    def __init__(self):
        self.scale = Parameter(np.ones(2, np.float32))
        self.mean = Tensor(np.zeros(2, np.float32))
        self.last = None
        self.seen = []

    def forward(self, x):
        y = x * self.scale
        self.last = y
        self.new = y
        self.seen.append(y)
        with no_grad():
            self.mean = self.mean * 0.5 + y * 0.5
        return y


@pytest.mark.parametrize("recorded", [True, False])
def test_what_forward_keeps_is_no_state(recorded):
    model = nn.Sequential(Keeps())
    fresh = keys(model)
    x = np.array([2.0, 4.0], np.float32)
    if recorded:
        model(x)
    else:
        with no_grad():
            model(x)
    assert list(model.state_dict()) == fresh == ["0.scale", "0.mean"]
    np.testing.assert_array_equal(model.state_dict()["0.mean"], [1, 2])  # a buffer that is replaced is one
    assert nn.Sequential(Keeps()).load_state_dict(model.state_dict()) == ([], [])
    if not recorded:
        assert keys(copy.deepcopy(model)) == fresh


def test_a_buffer_can_be_said_to_be_one():
    model = Keeps()
    model(np.ones(2, np.float32))
    model.register_buffer("count", np.array(3))
    model.register_buffer("_hidden", Tensor(np.ones(1)))
    model.register_buffer("table", np.ones(4), persistent=False)
    model.register_buffer("later", None)
    assert keys(model) == ["scale", "mean", "count", "_hidden"]
    model.later = Tensor(np.ones(1))
    assert keys(model)[-1] == "later"
    assert {"count", "table"} <= {name for name, _ in model.named_buffers()}
    assert keys(Keeps()) == ["scale", "mean"]


@pytest.mark.parametrize(
    ("args", "kind", "message"),
    [
        (("a.b", None), ValueError, "name must be that of an attribute, got 'a.b'"),
        (("a", 3), TypeError, "a must be a Tensor, an array or None, got int"),
        (("a", Parameter(np.ones(1))), TypeError, "got Parameter"),
    ],
)
def test_what_is_no_buffer_is_refused(args, kind, message):
    with pytest.raises(kind, match=message):
        Module().register_buffer(*args)
