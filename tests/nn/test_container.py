"""Containers: Sequential, ModuleList, ModuleDict."""

import numpy as np
import pytest
from helpers import host
from module_helpers import Scale, keys

from cunet import nn
from cunet.nn import Parameter
from cunet.ops.math import exp


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


def numbered(container):
    """Return what the factor of each item was made with, by key."""
    return {name.removesuffix(".factor"): float(host(p)[0]) for name, p in container.named_parameters()}


@pytest.mark.parametrize("make", [nn.ModuleList, lambda items: nn.Sequential(*items)], ids=["ModuleList", "Sequential"])
def test_numbered_containers_change_like_lists(make):
    items = make([Scale(float(i)) for i in range(3)])
    items.insert(1, Scale(9.0))
    items.insert(-1, Scale(8.0))
    assert numbered(items) == {"0": 0, "1": 9, "2": 1, "3": 8, "4": 2}
    assert items.extend([Scale(5.0), Scale(6.0)]) is items
    del items[0]
    del items[1:3]
    assert numbered(items) == {"0": 9, "1": 2, "2": 5, "3": 6}
    assert host(items.pop().factor)[0] == 6 and host(items.pop(0).factor)[0] == 9
    assert numbered(items) == {"0": 2, "1": 5}
    with pytest.raises(TypeError, match="'3' must be"):
        items.extend([Scale(), 3])
    with pytest.raises(TypeError, match="'2' must be"):
        items.insert(0, 3)
    with pytest.raises(IndexError):
        del items[2]
    assert numbered(items) == {"0": 2, "1": 5}


def test_a_slice_of_a_sequential_keeps_its_keys_and_takes_more():
    model = nn.Sequential(*[Scale(float(i)) for i in range(3)])
    part = model[1:]
    part.append(Scale(7.0))
    assert numbered(part) == {"1": 1, "2": 2, "3": 7}
    part.insert(0, Scale(6.0))
    assert list(numbered(part).values()) == [6, 1, 2, 7] and len(model) == 3
    named = nn.Sequential({"first": Scale(1.0), "last": Scale(2.0)})
    del named[0]
    named.insert(0, Scale(3.0))
    assert numbered(named) == {"1": 3, "last": 2}


def test_a_module_dict_changes_like_a_dict():
    named = nn.ModuleDict({"a": Scale(1.0), "b": Scale(2.0)})
    assert host(named.pop("a").factor)[0] == 1 and list(named) == ["b"]
    named.update({"b": Scale(3.0), "c": Scale(4.0)})
    named.update([("d", Scale(5.0))])
    named.update(nn.ModuleDict({"e": Scale(6.0)}))
    assert numbered(named) == {"b": 3, "c": 4, "d": 5, "e": 6}
    with pytest.raises(TypeError, match="item 'z' must be a Module, got int"):
        named.update({"y": Scale(), "z": 3})
    del named["c"]
    assert list(named) == ["b", "d", "e"]
    with pytest.raises(KeyError):
        named.pop("a")
    named.clear()
    assert len(named) == 0


@pytest.mark.parametrize(
    "kind", [nn.Sequential, lambda *layers: nn.ModuleList(layers)], ids=["Sequential", "ModuleList"]
)
def test_a_position_that_is_none_is_named(kind):
    model = kind(nn.ReLU(), nn.Tanh())
    who = type(model).__name__

    def put(key):
        model[key] = nn.ReLU()

    for use in (put, lambda key: model.pop(key)):
        with pytest.raises(
            TypeError, match=rf"{who}: the position of one item must be a whole number, got slice\(0, 1"
        ):
            use(slice(0, 1))
    for use in (put, model.pop, model.__getitem__, model.__delitem__):
        with pytest.raises(TypeError, match=f"{who}: the position of one item must be a whole number, got '0'"):
            use("0")
        with pytest.raises(IndexError, match=f"{who}: there is no item 2 among 2"):
            use(2)
    assert [type(m) for m in model] == [nn.ReLU, nn.Tanh]
    model[np.int64(1)] = nn.ELU()
    assert isinstance(model[-1], nn.ELU)
