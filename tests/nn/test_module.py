"""Module and the containers: what counts as state, its names, modes, moves, copies and the strict report."""

import numpy as np
import pytest
from helpers import host
from module_helpers import Net, Scale, keys

import cunet
from cunet import nn
from cunet.autograd.tensor import Tensor
from cunet.nn import Module, Parameter
from cunet.nn.observe import observing
from cunet.ops.math import exp


def test_names_are_paths_of_attributes_in_order():
    names = ["first", "blocks.0", "blocks.1.0", "blocks.1.1", "by_name.a"]
    scales = [f"{name}.{part}" for name in names for part in ("factor", "total")]
    model = Net()
    assert keys(model) == [*scales, "by_name.b.0", "again.factor", "again.total"]
    assert [name for name, _ in model.named_modules()] == ["", *names]
    assert [name for name, _ in model.named_parameters()] == [*scales[::2], "by_name.b.0"]
    assert [name for name, _ in model.named_buffers()] == scales[1::2]
    assert len(list(model.children())) == 5


def test_a_parameter_is_trained_and_a_plain_tensor_is_a_buffer():
    model = Scale()
    assert list(model.parameters()) == [model.factor] and model.factor.requires_grad
    assert [b is model.total for _, b in model.named_buffers()] == [True] and not model.total.requires_grad


def test_results_kept_by_forward_are_no_state():
    class Keeps(Module):
        def __init__(self):
            self.weight = Parameter(np.ones(3, np.float32))

        def forward(self, x):
            self.last = x * self.weight  # recorded
            self._also = x * 2  # a leaf, as everything under no_grad
            return self.last

    model = Keeps()
    model(np.ones(3, np.float32))
    assert keys(model) == ["weight"]
    model.load_state_dict({"weight": np.zeros(3)})


def test_private_names_hide_buffers_but_neither_parameters_nor_modules():
    class Private(Module):
        def __init__(self):
            self._scale = Scale()
            self._weight = Parameter(np.ones(1, np.float32))
            self._cache = [Tensor(np.ones(1, np.float32))]

    model = Private()
    assert keys(model) == ["_scale.factor", "_scale.total", "_weight"]
    assert model.astype(np.float64)._cache[0].dtype == np.float64  # moved all the same


def test_tied_parameters_are_one_parameter_under_two_names():
    model = nn.Sequential(nn.Linear(3, 3, bias=False), nn.Linear(3, 3, bias=False))
    model[1].weight = model[0].weight
    assert len(list(model.parameters())) == 1
    assert keys(model) == ["0.weight", "1.weight"]
    model.astype(np.float64)
    assert model[1].weight is model[0].weight and model[0].weight.dtype == np.float64
    fresh = nn.Sequential(nn.Linear(3, 3, bias=False), nn.Linear(3, 3, bias=False))
    fresh[1].weight = fresh[0].weight
    fresh.load_state_dict(model.state_dict())
    np.testing.assert_array_equal(host(fresh[1].weight), host(model[0].weight).astype(np.float32))


def test_a_module_called_twice_adds_up_its_gradients(device, dev):
    model = Scale(3.0).to(device)
    model(model(dev(np.ones(3), np.float32))).sum().backward()
    np.testing.assert_array_equal(host(model.factor.grad), [6, 6, 6])  # d f**2 / df


def test_a_module_inside_itself_ends():
    model = Scale()
    model.friends = [model]
    model.partner = Scale()
    model.partner.back = model
    assert len(list(model.modules())) == 2
    assert len(list(model.parameters())) == 2
    assert keys(model) == ["factor", "total", "partner.factor", "partner.total"]
    model.load_state_dict(model.state_dict())
    assert model.eval().partner.training is False
    assert "..." in repr(model)


def test_modes_reach_every_module_and_evaluating_restores_each():
    model = nn.Sequential(Scale(), nn.Sequential(Scale(), Scale()))
    model[1][0].eval()
    modes = [m.training for m in model.modules()]
    assert modes == [True, True, True, False, True]
    with model.evaluating() as same:
        assert same is model and not any(m.training for m in model.modules())
        with model.evaluating():
            pass
        assert not any(m.training for m in model.modules())
    assert [m.training for m in model.modules()] == modes
    with pytest.raises(ZeroDivisionError), model.evaluating():
        raise ZeroDivisionError
    assert [m.training for m in model.modules()] == modes
    assert all(m.training for m in model.train().modules())


def test_zero_grad_and_apply():
    model = nn.Sequential(Scale(), Scale())
    model(np.ones(3, np.float32)).sum().backward()
    model.zero_grad()
    assert all(p.grad is None for p in model.parameters())
    seen = []
    assert model.apply(lambda m: seen.append(type(m).__name__)) is model
    assert sorted(seen) == ["Scale", "Scale", "Sequential"]


def test_parameter_takes_a_tensor_and_needs_a_floating_dtype():
    array = np.ones(2, np.float32)
    assert Parameter(Tensor(array)).data is array
    with pytest.raises(TypeError, match="floating"):
        Parameter(np.ones(2, np.int64))
    assert not Parameter(np.ones(2, np.int64), requires_grad=False).requires_grad


def test_forward_must_be_defined():
    with pytest.raises(NotImplementedError, match=r"Net must define forward\(\)"):
        Net()(1)


def test_repr_shows_the_tree():
    model = nn.Sequential(nn.Linear(3, 4), exp, nn.Sequential(nn.Linear(4, 2, bias=False), nn.LeakyReLU(0.2)))
    assert repr(model) == "\n".join(
        [
            "Sequential(",
            "  (0): Linear(3, 4)",
            "  (1): exp",
            "  (2): Sequential(",
            "    (0): Linear(4, 2, bias=False)",
            "    (1): LeakyReLU(negative_slope=0.2)",
            "  )",
            ")",
        ]
    )


def test_an_observer_sees_layers_and_functions_and_may_replace_outputs():
    seen = []

    def observe(layer, out, owner, key):
        seen.append((layer, owner, key))
        return out + 1

    model = nn.Sequential(Scale(2.0), exp)
    with observing(observe):
        y = model(np.zeros(3, np.float32))
        with pytest.raises(RuntimeError, match="active already"), observing(observe):
            pass
    assert seen == [(model[0], None, ""), (exp, model, "1"), (model, None, "")]
    np.testing.assert_allclose(y.data, np.full(3, np.e + 2), rtol=1e-6)
    model(np.zeros(3, np.float32))
    assert len(seen) == 3


def test_manual_seed_repeats_the_weights():
    cunet.manual_seed(3)
    first = nn.Linear(5, 4).state_dict()
    cunet.manual_seed(3)
    second = nn.Linear(5, 4).state_dict()
    assert all((first[name] == second[name]).all() for name in first)
