"""tools/write_activations.py: nothing of the registry is missing, and what it would write is right."""

import doctest
import inspect
import sys
from pathlib import Path

import pytest

from cunet import F, nn
from cunet.ops.activation import rectifier
from cunet.ops.activation.registry import ACTIVATIONS

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))

import write_activations as tool  # noqa: E402

pytestmark = pytest.mark.cpu_only


def test_every_activation_has_its_names():
    missing = [f"{path}: {text}" for path, text in tool.missing()]
    assert not missing, "run python tools/write_activations.py\n" + "\n".join(missing)


def test_the_names_are_those_of_the_registry():
    for entry in ACTIVATIONS.values():
        assert getattr(F, entry.name) is entry.function
        if entry.layer not in (None, "Identity", "PReLU"):  # these two are more than a function
            assert getattr(nn, entry.layer).function is entry.function


def test_every_activation_is_registered():
    """All public ops of the room; no layer of `nn.activation` or `nn.squashing` stands for another function."""
    found = {
        name: f for name, f in vars(F).items() if ".ops.activation." in getattr(inspect.unwrap(f), "__module__", "")
    }
    assert {n for n in found if not n.startswith("_")} <= set(ACTIVATIONS)
    here = {c.__name__ for c in vars(nn).values() if isinstance(c, type) and c.__module__.startswith("cunet.nn")}
    source = inspect.getsource(nn.activation) + inspect.getsource(nn.squashing)
    classes = {n for n in here if "class " + n + "(" in source}
    assert classes == {e.layer for e in ACTIVATIONS.values() if e.layer} - {"Identity"}


@pytest.mark.parametrize("name", [n for n, e in ACTIVATIONS.items() if e.layer not in (None, "Identity", "PReLU")])
def test_what_it_writes_is_the_class_that_stands_there(name):
    entry = ACTIVATIONS[name]
    namespace = {
        "Unary": tool.layers.Unary,
        tool.home(entry).rpartition(".")[2]: sys.modules[f"cunet.{tool.home(entry)}"],
    }
    exec("from __future__ import annotations\n" + tool.layer_text(entry), namespace)
    written, there = namespace[entry.layer], getattr(nn, entry.layer)
    assert written.function is there.function
    assert written.__doc__.partition("\n")[0] == there.__doc__.partition("\n")[0]
    assert str(inspect.signature(written)) == str(inspect.signature(there))
    (example,) = doctest.DocTestFinder(recurse=False).find(written, module=False, globs={"nn": nn})
    assert example.examples and doctest.DocTestRunner().run(example).failed == 0


def test_it_writes_what_is_missing(monkeypatch, tmp_path, capsys):
    files = ("cunet/functional.py", "cunet/nn/__init__.py", "cunet/nn/activation.py")
    for path in files:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text('"""Names."""\n\nfrom .tensor import op as op\n\nclass Last:\n    pass\n')
    monkeypatch.setattr(tool, "ROOT", tmp_path)
    monkeypatch.setattr(rectifier.elu.__wrapped__, "__module__", "cunet.ops.activation.other")
    monkeypatch.delattr(F, "elu")
    monkeypatch.delattr(nn, "ELU")
    pytest.importorskip("ruff")
    assert tool.main() == 0
    assert len(capsys.readouterr().out.split()) == 3
    written = {path: (tmp_path / path).read_text() for path in files}
    assert "\nfrom .ops.activation.other import elu as elu\n" in written["cunet/functional.py"]
    assert "\nfrom .activation import ELU as ELU\n" in written["cunet/nn/__init__.py"]
    assert "\nfrom ..ops.activation import other\n" in written["cunet/nn/activation.py"]
    assert written["cunet/nn/activation.py"].endswith(
        "    function = staticmethod(other.elu)\n    alpha: float = 1.0\n    inplace: bool = False\n"
    )
