"""Module and the containers: what counts as state, its names, modes, moves, copies and the strict report."""

import copy
import pickle

import numpy as np
import pytest
from helpers import host

import cunet
from cunet import nn
from cunet.autograd.tensor import Tensor
from cunet.nn import Module, Parameter
from cunet.nn.observe import observing
from cunet.ops.math import exp


class Scale(Module):
    """Multiply by a trained factor; count what came in a buffer."""

    def __init__(self, factor=2.0, dtype=np.float32):
        self.factor = Parameter(np.full(3, factor, dtype))
        self.total = Tensor(np.zeros((), dtype))

    def forward(self, x):
        return x * self.factor


class Net(Module):
    """Every way in which something can belong to a module."""

    def __init__(self):
        self.first = Scale(1.0)
        self.blocks = [Scale(2.0), (Scale(3.0), Scale(4.0))]
        self.by_name = {"a": Scale(5.0), "b": [Parameter(np.ones(2, np.float32))]}
        self.rate = 0.5
        self.label = "net"
        self.none = None
        self.again = self.first


def keys(model):
    return list(model.state_dict())


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


def test_state_dict_is_a_copy_on_the_device(device):
    model = Scale().to(device)
    state = model.state_dict()
    assert type(state["factor"]) is type(model.factor.data)
    state["factor"][...] = 7
    np.testing.assert_array_equal(host(model.factor), [2, 2, 2])


def test_load_state_dict_lists_every_problem_and_changes_nothing():
    model = Net()
    before = model.state_dict()
    state = {name: array + 1 for name, array in before.items()}
    del state["blocks.0.factor"], state["again.total"]
    state["stranger"] = np.ones(1)
    state["first.factor"] = np.ones((2, 2))
    state["by_name.a.factor"] = np.array(["x", "y", "z"])
    with pytest.raises(ValueError) as error:
        model.load_state_dict(state)
    assert str(error.value).split("\n") == [
        "Net.load_state_dict: the state does not fit the model:",
        "  missing: blocks.0.factor, again.total",
        "  unexpected: stranger",
        "  first.factor: shape must be (3,), got (2, 2)",
        "  by_name.a.factor: values must be real numbers, got dtype <U1",
    ]
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


def test_not_strict_loads_what_fits_and_reports_the_rest_but_never_a_wrong_shape():
    model = Scale()
    report = model.load_state_dict({"factor": [7, 8, 9], "stranger": 1}, strict=False)
    assert report == (["total"], ["stranger"])
    np.testing.assert_array_equal(model.factor.data, [7, 8, 9])
    with pytest.raises(ValueError, match=r"shape must be \(3,\), got \(2,\)"):
        model.load_state_dict({"factor": [7, 8]}, strict=False)


def test_load_converts_to_the_models_dtype_and_copies():
    model = Scale(dtype=np.float16)
    source = {"factor": np.array([1.0, 2.5, -3.0]), "total": np.array(4, np.int64)}
    model.load_state_dict(source)
    assert model.factor.dtype == model.total.dtype == np.float16
    np.testing.assert_array_equal(model.factor.data, [1, 2.5, -3])
    same = Scale(dtype=np.float64)
    same.load_state_dict(source)
    source["factor"][0] = 99
    assert same.factor.data[0] == 1


def test_loading_does_not_disturb_a_recorded_graph():
    model = Scale(3.0)
    y = (model(np.ones(3, np.float32)) * model.factor).sum()
    model.load_state_dict({"factor": np.zeros(3), "total": 0})
    y.backward()
    np.testing.assert_array_equal(model.factor.grad, [6, 6, 6])


def test_frozen_parameters_are_saved_and_moved_but_get_no_gradient():
    model = nn.Sequential(Scale(2.0), Scale(3.0))
    model[0].requires_grad_(False)
    model(np.ones(3, np.float32)).sum().backward()
    assert model[0].factor.grad is None
    np.testing.assert_array_equal(model[1].factor.grad, [2, 2, 2])
    assert "0.factor" in model.state_dict()
    assert model.astype(np.float64)[0].factor.dtype == np.float64
    model.requires_grad_()
    assert all(p.requires_grad for p in model.parameters())


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


def test_to_moves_values_gradients_and_buffers(device):
    model = Scale()
    model(np.ones(3, np.float32)).sum().backward()
    gradient = model.factor.grad.copy()
    assert model.to(device) is model
    assert model.factor.device == model.total.device == device
    assert type(model.factor.grad) is type(model.factor.data)
    np.testing.assert_array_equal(host(model.factor.grad), gradient)
    model.to("cpu")
    assert type(model.factor.data) is type(model.total.data) is type(model.factor.grad) is np.ndarray
    with pytest.raises(ValueError, match="device must be"):
        model.to("moon")


def test_loading_keeps_the_device(device, dev):
    model = Scale().to(device)
    model.load_state_dict({"factor": np.arange(3), "total": dev(5.0)})
    assert model.factor.device == model.total.device == device
    np.testing.assert_array_equal(host(model.factor), [0, 1, 2])


def test_astype_converts_floating_state_only():
    model = Scale()
    model.count = Tensor(np.array(3))
    model(np.ones(3, np.float32)).sum().backward()
    model.astype("float64")
    assert model.factor.dtype == model.factor.grad.dtype == model.total.dtype == np.float64
    assert model.count.dtype == np.int64
    with pytest.raises(TypeError, match="astype: dtype must be floating, got int32"):
        model.astype(np.int32)


@pytest.mark.parametrize("again", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))], ids=["deepcopy", "pickle"])
def test_a_model_can_be_copied_and_pickled(again):
    model = nn.Sequential(nn.Linear(3, 4), exp, nn.Linear(4, 3, bias=False), nn.ReLU())
    model[2].weight = Parameter(np.arange(12, dtype=np.float32).reshape(3, 4))
    model.tied = model[0].weight
    model[0].weight.requires_grad = False
    model[0].weight.mark_modified()  # as an optimiser does: its clock means nothing in another process
    twin = again(model)
    x = np.ones((2, 3), np.float32)
    np.testing.assert_array_equal(twin(x).data, model(x).data)
    assert twin[0].weight is not model[0].weight and twin.tied is twin[0].weight
    assert type(twin[0].weight) is Parameter and not twin[0].weight.requires_grad
    assert twin[0].weight._modified == 0
    twin[0].bias.data[...] = 0
    assert (model[0].bias.data != 0).any()
    twin(x).sum().backward()
    assert model[2].weight.grad is None and twin[2].weight.grad is not None


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


def test_sequential_applies_in_order_and_takes_functions_and_names():
    model = nn.Sequential({"double": lambda x: x * 2, "scale": Scale(3.0)})
    np.testing.assert_array_equal(model(np.ones(3, np.float32)).data, [6, 6, 6])
    assert keys(model) == ["scale.factor", "scale.total"]
    assert nn.Sequential()("unchanged") == "unchanged"
    with pytest.raises(TypeError, match="layer '1' must be callable, got int"):
        nn.Sequential(exp, 3)
    with pytest.raises(ValueError, match=r"string without dots, got 'a\.b'"):
        nn.Sequential({"a.b": exp})


def test_sequential_as_a_list():
    model = nn.Sequential(Scale(1.0), exp, Scale(2.0))
    assert len(model) == 3 and list(model) == [model[0], exp, model[-1]]
    assert keys(model[1:]) == ["2.factor", "2.total"]  # shared, under their keys, as PyTorch's
    assert model[1:][-1] is model[2]
    model[-1] = Scale(5.0)
    model.append(Scale(6.0))
    assert [host(layer.factor)[0] for layer in (model[2], model[3])] == [5, 6]
    assert keys(model)[-2:] == ["3.factor", "3.total"]
    with pytest.raises(IndexError):
        model[4]


def test_what_a_subclass_of_a_container_adds_is_state_too():
    class Residual(nn.Sequential):
        def __init__(self):
            super().__init__(Scale())
            self.gain = Parameter(np.ones(1, np.float32))

        def forward(self, x):
            return x + self.gain * super().forward(x)

    model = Residual()
    assert keys(model) == ["0.factor", "0.total", "gain"]
    assert model.eval()[0].training is False


def test_module_list_and_dict():
    scales = nn.ModuleList(Scale(float(i)) for i in range(3))
    scales.append(Scale(3.0))
    assert len(scales) == 4 and [s.factor.data[0] for s in scales] == [0, 1, 2, 3]
    assert keys(scales[1:3]) == ["0.factor", "0.total", "1.factor", "1.total"]
    scales[0] = scales[3]
    assert scales[0] is scales[-1]
    named = nn.ModuleDict({"a": Scale()})
    named["b"] = Scale()
    assert list(named) == list(named.keys()) == ["a", "b"] and "b" in named and len(named) == 2
    assert keys(named) == ["a.factor", "a.total", "b.factor", "b.total"]
    assert dict(named.items())["a"] is named["a"] is next(iter(named.values()))
    with pytest.raises(TypeError, match="ModuleList: item '0' must be a Module, got function"):
        nn.ModuleList([lambda x: x])
    with pytest.raises(TypeError, match="ModuleDict: item 'c' must be a Module, got int"):
        named["c"] = 3


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


def test_save_and_load_files(tmp_path):
    pytest.importorskip("safetensors")
    model, other = Net(), Net()
    for p in model.parameters():
        p.data = p.data * 3
    model.save(tmp_path / "net.safetensors")
    assert other.load(tmp_path / "net.safetensors") == ([], [])
    for name, array in other.state_dict().items():
        assert array.shape == model.state_dict()[name].shape
        np.testing.assert_array_equal(array, model.state_dict()[name])
    with pytest.raises(ValueError, match="missing: factor, total"):
        Scale().load(tmp_path / "net.safetensors")


def test_manual_seed_repeats_the_weights():
    cunet.manual_seed(3)
    first = nn.Linear(5, 4).state_dict()
    cunet.manual_seed(3)
    second = nn.Linear(5, 4).state_dict()
    assert all((first[name] == second[name]).all() for name in first)
