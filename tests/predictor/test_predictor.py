"""Models in one file: every layer comes back as it was, files of others are refused, and answers come soon."""

import functools
import json
import subprocess
import sys

import numpy as np
import pytest
from record_layers import LAYERS, LOSSES, flat, inputs_of

import cunet
from cunet import F, nn
from cunet.predictor import registry
from cunet.system import files

pytestmark = pytest.mark.cpu_only
EVERY = {**LAYERS, **LOSSES}


@cunet.register_layer("tests.Block")
class Block(nn.Module):
    def __init__(self, width):
        self.layers = {"in": nn.Linear(width, width), "out": [nn.Linear(width, width), np.tanh]}
        self.scale, self.table, self.kinds = np.float64("inf"), np.arange(3), {"a", "b"}
        self.layers["out"][1] = F.tanh

    def forward(self, x):
        linear, function = self.layers["out"]
        return function(linear(self.layers["in"](x))) / self.scale + self.table.sum()


@cunet.register_layer("tests.double")
def double(x):
    return x * 2


def same(model, loaded, inputs):
    with model.evaluating(), cunet.no_grad():
        expected = flat(model(*map(cunet.tensor, inputs)))
    found = flat(loaded(*inputs))
    assert len(found) == len(expected)
    for y, z in zip(found, expected, strict=True):
        assert type(y) is np.ndarray and y.tobytes() == z.data.tobytes()


@pytest.mark.parametrize("name", EVERY)
def test_every_layer_comes_back(name, rng, tmp_path):
    path = tmp_path / "model.safetensors"
    arguments, _ = EVERY[name]
    model = getattr(nn, name)(*arguments)
    inputs = inputs_of(name, rng, 2)
    model(*map(cunet.tensor, inputs))
    cunet.save_predictor(model, path)
    loaded = cunet.load_predictor(path)
    same(model, loaded, inputs)
    assert repr(loaded.model) == repr(model)
    assert loaded.model.state_dict().keys() == model.state_dict().keys()


def tied():
    model = nn.Sequential(nn.Linear(4, 4), F.elu, nn.Linear(4, 4), double, functools.partial(F.softmax, dim=1))
    model[2].weight = model[0].weight
    model.append(model[0])
    model[0].bias.requires_grad = False
    return model


MODELS = {
    "tied weights and layers, functions": tied,
    "own layer": lambda: nn.Sequential(Block(4), nn.LogSoftmax(1, np.float64)),
    "norms": lambda: nn.Sequential(
        nn.BatchNorm1d(4, activation=functools.partial(F.leaky_relu, negative_slope=0.3)),
        nn.LayerNorm(4, activation="gelu"),
    ),
    "encoder": lambda: nn.Sequential(nn.Linear(None, 8), nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 5), 2)),
}


@pytest.mark.parametrize("name", MODELS)
def test_models(name, rng, tmp_path):
    path, x = tmp_path / "model.safetensors", rng.normal(size=(3, 4)).astype(np.float32)
    model = MODELS[name]()
    model(x)
    cunet.save_predictor(model, path, metadata={"classes": "a b"})
    loaded = cunet.load_predictor(path)
    same(model, loaded, [x])
    assert loaded.metadata == {"classes": "a b"} and not loaded.model.training
    if name.startswith("tied"):
        again = loaded.model
        assert again[2].weight is again[0].weight and again[5] is again[0] and not again[0].bias.requires_grad
        assert len(list(again.parameters())) == 3


def test_the_file_is_one_of_weights_too(rng, tmp_path):
    model, other, path = nn.Linear(4, 3), nn.Linear(4, 3), tmp_path / "model.safetensors"
    cunet.save_predictor(model, path)
    other.load(path)
    np.testing.assert_array_equal(other.weight.data, model.weight.data)


def test_answers_of_one_sample_are_replayed_and_the_same(rng, tmp_path):
    path = tmp_path / "model.safetensors"
    model = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3, activation="relu"), nn.Dropout(), nn.Flatten(),
                          nn.Linear(48, 5))  # fmt: skip
    cunet.save_predictor(model, path)
    predictor = cunet.load_predictor(path)
    kept = []
    for n in (1, 1, 1, 1, 1, 1, 4, 1):
        x = rng.normal(size=(n, 1, 6, 6))
        kept.append((predictor(x), x))
    for y, x in kept:  # no answer was written over by a later one
        with model.evaluating():
            np.testing.assert_allclose(y, model(x.astype(np.float32)).data, rtol=1e-6, atol=1e-6)
    report = predictor._recorded.report()
    assert report.replays >= 2 or "NumPy" in str(report)
    assert predictor(rng.normal(size=(1, 1, 6, 6)).tolist()).shape == (1, 5)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: nn.Sequential(nn.Linear(2, 2), lambda x: x), r"save_predictor: 1 is .*register_layer"),
        (lambda: nn.Sequential(nn.ReLU(), type("Mine", (nn.Module,), {})()), "1 is a Mine, which is not registered"),
        (lambda: nn.Linear(None, 3), "weight waits for its first input"),
    ],
    ids=["lambda", "own class", "no shape yet"],
)
def test_what_has_no_form_is_named(make, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        cunet.save_predictor(make(), tmp_path / "model.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_registering():
    with pytest.raises(ValueError, match=r"not beginning with \"cunet.\""):
        cunet.register_layer("cunet.nn.Linear")
    with pytest.raises(ValueError, match="'tests.double' is .*double already"):
        cunet.register_layer("tests.double")(lambda x: x)
    with pytest.raises(TypeError, match="class of a Module or a function"):
        cunet.register_layer("tests.int")(int)
    assert cunet.register_layer("tests.double")(double) is double


def test_every_layer_and_activation_has_a_name():
    for name in nn.__all__:
        layer = getattr(nn, name)
        if isinstance(layer, type) and issubclass(layer, nn.Module):
            assert registry.named(registry.name_of(layer), type) is layer
    for name in F.__all__:
        assert registry.named(registry.name_of(getattr(F, name)), object) is getattr(F, name)
    for name in ("exp", "sum", "matmul"):
        assert registry.named(f"cunet.{name}", object) is getattr(cunet, name)


LINEAR = {"layer": "cunet.nn.Linear", "state": {"weight": {"parameter": "weight"}, "bias": None, "in_features": 2}}
HOSTILE = {
    "a function of the system": {"layer": "os.system", "state": {}},
    "a class that is no layer": {"layer": "cunet.nn.VarianceReport", "state": {}},
    "a function that writes": {"layer": "cunet.nn.Sequential", "state": {"_items": {"dict": [
        ["0", {"function": "cunet.save_predictor"}]]}}},
    "a private module": {"layer": "cunet.nn.module.Module", "state": {}},
    "a method": {**LINEAR, "state": {**LINEAR["state"], "forward": {"function": "cunet.exp"}}},
    "a dunder": {**LINEAR, "state": {**LINEAR["state"], "__class__": {"function": "cunet.exp"}}},
    "an array that is not there": {"layer": "cunet.nn.Linear", "state": {"weight": {"parameter": "nothing"}}},
    "an array that is not used": {"layer": "cunet.nn.ReLU", "state": {}},
    "a layer inside itself that is not there": {"layer": "cunet.nn.Sequential", "state": {"_items": {"same": 3}}},
    "an unknown kind": {"layer": "cunet.nn.ReLU", "state": {"x": {"value": 1}}},
    "a builder's method": {"layer": "cunet.nn.ReLU", "state": {"x": {"__init__": 1}}},
    "no layer": [1, 2],
    "no state": {"layer": "cunet.nn.ReLU"},
    "a record": {"layer": "cunet.nn.ReLU", "state": {"x": {"record": "Popen", "values": []}}},
    "wrong pairs": {"layer": "cunet.nn.ReLU", "state": {"x": {"dict": [1]}}},
}  # fmt: skip


def written(path, text):
    files.save_arrays(path, {"weight": np.ones((2, 2), np.float32)}, metadata={"cunet.predictor": text})
    return path


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_and_broken_descriptions_are_refused(what, tmp_path):
    path = written(tmp_path / "model.safetensors", json.dumps({"version": 1, "model": HOSTILE[what]}))
    with pytest.raises(ValueError, match=r"load_predictor: .*model.safetensors: "):
        cunet.load_predictor(path)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"version": 2, "model": {}}', '{"version": "x"}',
                                  '{"version": 1, "model": ' + "[" * 100_000])  # fmt: skip
def test_broken_json_is_refused(text, tmp_path, request):
    with pytest.raises(ValueError, match="load_predictor: "):
        cunet.load_predictor(written(tmp_path / "model.safetensors", text))


def test_files_of_weights_and_missing_ones(tmp_path):
    nn.Linear(2, 2).save(tmp_path / "weights.safetensors")
    with pytest.raises(ValueError, match="has weights and no layers"):
        cunet.load_predictor(tmp_path / "weights.safetensors")
    with pytest.raises(FileNotFoundError):
        cunet.load_predictor(tmp_path / "none.safetensors")
    with pytest.raises(TypeError, match="must be a Module, got dict"):
        cunet.save_predictor({}, tmp_path / "model.safetensors")


FIRST = """
import sys, time
import numpy as np
import cunet
begin = time.process_time()
predict = cunet.load_predictor(sys.argv[1])
y = predict(np.zeros((1, 1, 28, 28)))
print(time.process_time() - begin, y.shape[1], "torch" in sys.modules)
"""


def test_the_first_answer_of_a_process_comes_soon(tmp_path):
    """On a warm cache, in processor time: seconds of a clock say nothing on a busy machine."""
    path = tmp_path / "model.safetensors"
    model = nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Dropout(0.25), nn.Flatten(), nn.Linear(64 * 14 * 14, 128), nn.ReLU(), nn.Dropout(), nn.Linear(128, 10),
    )  # fmt: skip
    cunet.save_predictor(model, path)
    command = [sys.executable, "-W", "error", "-c", FIRST, str(path)]
    for _ in range(2):  # the first one may compile
        seconds, classes, torch = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert (classes, torch) == ("10", "False") and float(seconds) < 0.3
