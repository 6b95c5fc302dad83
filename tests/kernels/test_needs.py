"""What a net will need is read from its code: at least what it then runs, and not much more."""

import gc
import weakref

import numpy as np
import pytest
from native_helpers import needs_compiler

import cunet
from cunet import F, Tensor, nn
from cunet.kernels import KERNELS, Kernel, elementwise
from cunet.kernels.backends.native import build, native
from cunet.kernels.needs import needs
from cunet.nn.ahead import roots
from cunet.nn.module import Module

pytestmark = pytest.mark.cpu_only


def names(*wanted):
    """Return the names of what is needed that is compiled."""
    wide = np.dtype("f")
    found = needs(
        r for w in wanted for r in ([x for m in w.modules() for x in roots(m)] if isinstance(w, Module) else [w])
    )
    return [k if isinstance(k, str) else k.name for k in found if isinstance(k, str) or build.compilable(k, wide)]


class Own(nn.Module):
    def __init__(self):
        self.conv = nn.Conv2d(1, 2, 3)

    def forward(self, x):
        return helper(F.max_pool2d(F.relu(self.conv(x)), 2))


def helper(x):
    return F.log_softmax(x)


@pytest.mark.parametrize(
    ("what", "expected"),
    [
        (F.elu, ["elu_forward", "elu_backward"]),
        (nn.ELU(), ["elu_forward", "elu_backward"]),
        (F.mse_loss, ["mse_forward", "mse_backward"]),
        (nn.Linear(2, 3), ["cunet_panels"]),
        (nn.MaxPool2d(2), ["cunet_pool"]),
        (nn.Sequential(nn.Linear(2, 3), F.silu), ["silu_forward", "silu_backward", "cunet_panels"]),
        (Own(), ["relu_forward", "log_softmax_forward", "softmax_stats", "cunet_pool", "cunet_convolve", "cunet_panels",
                 "log_softmax_backward", "relu_backward"]),
    ],
    ids=["op", "layer", "loss", "products", "hand-written", "function in a container", "a user's module"],
)  # fmt: skip
def test_exactly(what, expected):
    assert sorted(names(what)) == sorted(expected)


def test_a_module_that_was_executed_in_a_namespace_without_a_name():
    space = {"nn": nn, "F": F}
    exec("class Own(nn.Module):\n    def forward(self, x):\n        return F.elu(x)", space)
    assert names(space["Own"]()) in ([], ["elu_backward", "elu_forward"], ["elu_forward", "elu_backward"])


def test_ways_back_come_last():
    found = names(nn.Sequential(nn.LayerNorm(3), nn.ELU(), nn.Softplus()))
    assert found.index("softplus_forward") < found.index("elu_backward")


def test_a_norm_needs_the_kernels_of_its_activation():
    assert "normalize_gelu" in names(nn.LayerNorm(3, activation="gelu"))
    assert "gelu_forward" not in names(nn.LayerNorm(3, activation="gelu"))
    assert "normalize" in names(nn.BatchNorm1d(3))


def test_users_kernels_are_looked_through_and_not_compiled_ahead(monkeypatch):
    @elementwise("T x", "T y", "y = x * 3")
    def tripled(x):
        return x * 3

    def forward(x):
        return F.elu(tripled(x))

    assert [k.name for k in needs([forward])] == ["elu_forward", "elu_backward"]
    monkeypatch.setattr(KERNELS["elu_forward"], "prepared", {})
    expected = build.expected([tripled, KERNELS["elu_forward"]], np.dtype("f"))
    assert [part.name for unit in expected for part in unit.parts] == ["elu_forward_f"]


def test_code_that_is_of_no_module_is_looked_into_no_further():
    space = {"F": F}
    exec("def forward(x):\n    return F.elu(x)", space)
    del space["__builtins__"]
    assert needs([space["forward"]]) == []  # it says nothing of where it is at home
    assert needs([eval("lambda x: F.elu(x)", space)]) == []


def test_attributes_of_a_class_are_not_asked_for_others():
    class Proxy:
        def __getattr__(self, name):
            raise RuntimeError(name)

    class Strange(nn.Module):
        proxy = Proxy()

        @property
        def slope(self):
            return F.silu

        @staticmethod
        def apart(x):
            return F.elu(x)

        def forward(self, x):
            return self.apart(x)

    assert {"elu_forward", "silu_forward"} <= set(names(Strange()))


def test_what_was_looked_into_is_not_held():
    def forward(x):
        return F.elu(x)

    assert len(needs([forward])) == 2
    gone = weakref.ref(forward)
    del forward
    gc.collect()
    assert gone() is None


X = {"rows": (4, 6), "image": (2, 3, 8, 8), "steps": (5, 2, 6)}


@needs_compiler
@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (lambda: nn.Sequential(nn.Linear(6, 6), nn.BatchNorm1d(6), F.gelu, nn.Dropout(), nn.Softmax()), "rows"),
        (lambda: nn.Sequential(nn.LayerNorm(6, activation="tanh"), nn.RMSNorm(6), nn.PReLU(6)), "rows"),
        (lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, activation="relu"), nn.AvgPool2d(2)), "image"),
        (lambda: nn.Sequential(nn.GroupNorm(3, 3), nn.InstanceNorm2d(3), nn.Dropout2d(), nn.Mish()), "image"),
        (lambda: nn.LSTM(6, 3), "steps"),
        (lambda: nn.GRU(6, 3, num_layers=2, dropout=0.5), "steps"),
        (lambda: nn.TransformerEncoderLayer(6, 2, 8), "steps"),
    ],
    ids=["mlp", "row norms", "cnn", "image norms", "lstm", "gru", "transformer"],
)
def test_nothing_is_run_that_was_not_foreseen(make, kind, monkeypatch, rng):
    monkeypatch.setattr(native, "active", True)
    model = make()
    foreseen = names(model)
    for kernel in KERNELS.values():
        monkeypatch.setattr(kernel, "prepared", {})
    x = Tensor(rng.standard_normal(X[kind]).astype("f"), requires_grad=True)
    y = model(x)
    (y[0] if isinstance(y, tuple) else y).sum().backward()
    model.eval()
    with cunet.no_grad():
        model(x)
    run = {k.name for k in KERNELS.values() if k.prepared.get("f") and build.compilable(k, np.dtype("f"))}
    assert run <= set(foreseen)
    assert len(set(foreseen) - run) <= 6  # what its options leave out
    assert all(isinstance(KERNELS[name], Kernel) for name in run)
