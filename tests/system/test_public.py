"""The public face: what `dir` shows, where names say that they live, what type checkers see."""

import ast
import copy
import importlib
import inspect
import pickle
import subprocess
import sys
from pathlib import Path
from types import FunctionType

import numpy as np
import pytest

import cunet
from cunet.system.public import origin, publish

pytestmark = pytest.mark.cpu_only

PACKAGE = Path(cunet.__file__).parent
ROOMS = ["data", "init", "nn", "optim", "train"]
FACES = ["cunet", *[f"cunet.{name}" for name in ["functional", *ROOMS, "nn.init", "optim.lr_scheduler"]]]
every_face = pytest.mark.parametrize("face", FACES)


def exports(face):
    module = importlib.import_module(face)
    return {name: getattr(module, name) for name in module.__all__ if callable(getattr(module, name))}


@every_face
def test_dir_shows_what_all_says(face):
    module = importlib.import_module(face)
    assert module.__all__ == sorted(set(module.__all__))
    assert [name for name in dir(module) if not name.startswith("__")] == [n for n in module.__all__ if n[0] != "_"]
    assert {"__doc__", "__name__", "__all__"} <= {*dir(module)}


def test_rooms_behind_the_face_are_hidden_and_can_be_imported():
    for room in ("autograd", "device", "kernels", "ops", "system"):
        assert room not in dir(cunet)
        assert importlib.import_module(f"cunet.{room}") is getattr(cunet, room)


@every_face
def test_what_is_public_names_a_public_place(face):
    for name, value in exports(face).items():
        if not isinstance(value, FunctionType):
            continue
        home = value.__module__
        assert home in [*FACES, "cunet.doctor", "cunet.random"], f"{face}.{name} says {home}"
        assert getattr(sys.modules[home], value.__qualname__) is value


@every_face
def test_functions_are_pickled_by_their_public_name(face):
    for value in exports(face).values():
        text = pickle.dumps(value)
        assert pickle.loads(text) is value
        assert copy.deepcopy(value) is value
        assert b"cunet.ops" not in text or isinstance(value, type)  # classes keep the module that defines them


def test_functions_and_classes_show_their_source():
    for value in (cunet.F.elu, cunet.nn.Linear, cunet.nn.ELU, cunet.optim.Adam, cunet.Trainer, cunet.Tensor):
        assert value.__name__ in inspect.getsource(value)


def test_models_and_tensors_go_through_pickle():
    model = cunet.nn.Sequential(cunet.nn.Linear(3, 4), cunet.F.elu, cunet.nn.BatchNorm1d(4), cunet.nn.MaxPool1d(1))
    text = pickle.dumps(model)
    weights = pickle.loads(text).state_dict()
    assert weights.keys() == model.state_dict().keys()
    np.testing.assert_array_equal(weights["0.weight"], model[0].weight.data)


def test_origin_is_where_something_is_defined():
    assert cunet.F.elu.__module__ == "cunet.functional"
    assert origin(cunet.F.elu) == "cunet.ops.activation.rectifier"
    assert origin(cunet.nn.Linear) == "cunet.nn.linear"
    assert origin(len) == "builtins"
    assert origin([]) == ""


def test_publish_leaves_what_is_published_further_inside(monkeypatch):
    face = type(sys)("outer")
    face.relu, face.fresh, face._hidden, face.LIMIT = cunet.F.relu, lambda: None, lambda: None, 3
    monkeypatch.setitem(sys.modules, "outer", face)
    names, listing = publish("outer", "LIMIT")
    assert names == ["LIMIT", "fresh", "relu"]
    assert face.relu.__module__ == "cunet.functional"
    assert face.fresh.__module__ == "outer"
    assert {"LIMIT", "fresh", "relu", "__name__"} <= {*listing()}
    assert "_hidden" not in listing()


@pytest.mark.slow
def test_type_checkers_see_every_public_name(tmp_path):
    """Re-exports as --strict does, by the settings of the project: so what mypy found out of cunet before is used."""
    pytest.importorskip("mypy")
    pairs = [(face, name) for face in FACES for name in importlib.import_module(face).__all__]
    lines = [f"from {face} import {name} as name{i}" for i, (face, name) in enumerate(pairs)]
    program = tmp_path / "user.py"
    program.write_text("\n".join([*lines, "from cunet.data.given import Tensor"]) + "\n")
    done = subprocess.run([sys.executable, "-m", "mypy", program], cwd=PACKAGE.parent, capture_output=True, text=True)
    (problem,) = [line for line in done.stdout.splitlines() if "error:" in line]
    assert 'Module "cunet.data.given" does not explicitly export attribute "Tensor"' in problem  # it does look


@pytest.mark.parametrize("room", [*ROOMS, "doctor", "parity", "system"])
def test_no_file_imports_the_private_names_of_another(room):
    for path in (PACKAGE / room).glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom):
                assert not [a.name for a in node.names if a.name[0] == "_" and a.name[:2] != "__"], path


def test_some_rooms_are_loaded_when_they_are_asked_for():
    code = """
import sys, cunet
later = ["diagnose", "onnx", "plot", "search", "train"]
assert not [name for name in later if f"cunet.{name}" in sys.modules], "loaded before"
assert set(later) <= set(dir(cunet))
assert "Trainer" in dir(cunet) and "Trainer" not in vars(cunet)
assert cunet.Trainer is cunet.train.Trainer is vars(cunet)["Trainer"]
assert [getattr(cunet, name).__name__ for name in later] == [f"cunet.{name}" for name in later]
"""
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(AttributeError, match="module 'cunet' has no attribute 'onyx'"):
        _ = cunet.onyx
