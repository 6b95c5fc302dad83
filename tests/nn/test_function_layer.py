"""Layers that hold a function's options: their constructors, as Python, help() and type checkers see them."""

import copy
import inspect
import pickle
import subprocess
import sys

import numpy as np
import pytest

from cunet import nn
from cunet.nn.function_layer import FunctionLayer
from cunet.nn.module import Module

pytestmark = pytest.mark.cpu_only

LAYERS = {n: c for n, c in vars(nn).items() if isinstance(c, type) and issubclass(c, FunctionLayer)}


def options_of(function, arrays):
    """Return name, default and annotation of what follows the arrays of a function."""
    parameters = list(inspect.signature(function).parameters.values())[arrays:]
    return {p.name: (p.default, p.annotation) for p in parameters}


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_has_the_options_of_its_function(name):
    cls = LAYERS[name]
    expected = options_of(cls.function, len(inspect.signature(cls.forward).parameters) - 1)  # as many arrays
    found = options_of(cls, 0)
    assert found == expected
    assert name.startswith("MaxPool") or list(found) == list(expected)  # PyTorch's layers have another order there
    assert not [option for option in found if hasattr(Module, option)]


def test_an_option_is_an_attribute():
    layer = nn.LeakyReLU()
    assert layer.negative_slope == 0.01 and layer.options == {} and repr(layer) == "LeakyReLU()"
    layer.negative_slope = 0.5
    assert layer(np.array([-2.0])).data.tolist() == [-1.0]
    for other in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert other.options == {"negative_slope": 0.5} and repr(other) == "LeakyReLU(negative_slope=0.5)"


def test_the_signature_is_shown():
    assert str(inspect.signature(nn.ELU)) == "(alpha: 'float' = 1.0, inplace: 'bool' = False)"
    assert str(inspect.signature(nn.Sigmoid)) == "()"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nn.ELU(beta=1.0), "ELU: got an unexpected keyword argument 'beta'; its options are (alpha, inplace)"),
        (lambda: nn.Sigmoid(1), "Sigmoid: too many positional arguments; its options are ()"),
        (
            lambda: nn.AdaptiveAvgPool2d(),
            "AdaptiveAvgPool2d: missing a required argument: 'output_size'; its options are",
        ),
    ],
)
def test_wrong_options_are_named_at_once(make, message):
    with pytest.raises(TypeError) as error:
        make()
    assert str(error.value).startswith(message)


def test_an_array_too_many_is_no_option():
    with pytest.raises(TypeError, match="forward"):
        nn.ELU()(np.ones(2), 0.5)


def test_weights_of_a_loss_are_buffers_also_when_they_are_set_later():
    loss = nn.CrossEntropyLoss()
    loss.weight = [1.0, 2.0]
    assert [name for name, _ in loss.named_buffers()] == ["weight"]


TYPED = """
from cunet import nn

nn.ReLU()
nn.ELU(0.5)
nn.ELU(alpha=0.5)
slope: float = nn.LeakyReLU(0.1).negative_slope
nn.Sequential(nn.GELU("tanh"), nn.Hardtanh(-2.0, max_val=2.0))
nn.CrossEntropyLoss(label_smoothing=0.1)
nn.MaxPool2d(2, stride=3)
nn.ELU(beta=0.5)  # wrong
nn.Sigmoid(1)  # wrong
nn.GELU(approximate=1)  # wrong
nn.CrossEntropyLoss(smoothing=0.1)  # wrong
nn.MaxPool2d()  # wrong
"""


@pytest.mark.slow
def test_type_checkers_know_the_constructors(tmp_path):
    pytest.importorskip("mypy")
    (tmp_path / "uses.py").write_text(TYPED)
    command = [sys.executable, "-m", "mypy", "--no-error-summary", str(tmp_path / "uses.py")]
    done = subprocess.run(command, capture_output=True, text=True)
    found = {int(line.split(":")[1]) for line in done.stdout.splitlines() if ": error:" in line}
    expected = {k for k, line in enumerate(TYPED.splitlines(), 1) if "# wrong" in line}
    assert found == expected, done.stdout + done.stderr
