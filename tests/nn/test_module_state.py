"""State of modules: dicts, files, loading, moving, copies."""

import copy
import pickle

import numpy as np
import pytest
from helpers import host
from module_helpers import Net, Scale

from cunet import nn
from cunet.autograd.tensor import Tensor
from cunet.nn import Parameter
from cunet.ops.math import exp


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
        "  missing: blocks.0.factor",  # not again.total, which is first.total
        "  unexpected: stranger",
        "  first.factor: shape must be (3,), got (2, 2)",
        "  by_name.a.factor: values must be real numbers, got an array of strings",
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


def test_save_and_load_files(tmp_path):
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


@pytest.mark.cpu_only
def test_state_is_arrays_that_other_libraries_store(tmp_path):
    numpy_files = pytest.importorskip("safetensors.numpy")
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    model.gain = Parameter(np.float32(2))
    model.gain.data = model.gain.data - 0.5 * np.float32(1)  # a NumPy scalar, in NumPy's own arithmetic
    model(np.eye(2, dtype=np.float32))
    state = model.state_dict()
    assert {type(array) for array in state.values()} == {np.ndarray}
    numpy_files.save_file(state, tmp_path / "x")
    assert model.load(tmp_path / "x") == ([], [])


@pytest.mark.cpu_only
def test_a_copy_of_a_tensor_begins_with_a_clock_of_its_own():
    x = Tensor(np.ones(2), requires_grad=True)
    x.mark_modified()
    for twin in (copy.deepcopy(x), copy.copy(x), pickle.loads(pickle.dumps(x))):
        assert twin._modified == 0 and twin.requires_grad and twin.is_leaf


@pytest.mark.cpu_only
@pytest.mark.parametrize("kept", ["first", "second"])
def test_a_tied_weight_may_stand_under_one_name(kept):
    def tied():
        model = nn.Sequential({"first": nn.Linear(3, 3), "second": nn.Linear(3, 3)})
        model[1].weight = model[0].weight
        return model

    model, other = tied(), tied()
    state = {name: array for name, array in model.state_dict().items() if "weight" not in name or kept in name}
    assert other.load_state_dict(state) == ([], [])
    np.testing.assert_array_equal(other[0].weight.data, model[0].weight.data)
    assert other[1].weight is other[0].weight
    del state[f"{kept}.weight"]
    with pytest.raises(ValueError, match=r"missing: first\.weight, second\.weight"):
        other.load_state_dict(state)


@pytest.mark.cpu_only
def test_a_bfloat16_state_of_pytorch_loads():
    torch = pytest.importorskip("torch")
    theirs = torch.nn.Linear(3, 2).to(torch.bfloat16)
    model = nn.Linear(3, 2)
    for state in (theirs.state_dict(), dict(theirs.named_parameters())):  # the latter require gradients
        model.load_state_dict(state)
        np.testing.assert_array_equal(model.weight.data, theirs.weight.detach().float().numpy())


@pytest.mark.parametrize("state", [None, "weights.safetensors", [1, 2]], ids=["None", "path", "list"])
def test_a_state_is_a_dict(state):
    with pytest.raises(TypeError, match=r"Linear.load_state_dict: state must be a dict .*; load\(\) takes a path"):
        nn.Linear(2, 3).load_state_dict(state)
