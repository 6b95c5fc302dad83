"""ONNX files as modules: they give what they gave where they come from, and can be trained; broken ones are refused."""

import importlib
import warnings

import numpy as np
import pytest

import cunet
from cunet import F, nn, onnx

# Not "onnx" alone: without the package that would be the folder of these tests.
pytest.importorskip("onnx.checker", reason='needs onnx: pip install "cunet[onnx]"')
package = importlib.import_module("onnx")
pytestmark = pytest.mark.cpu_only


def images(rng, n):
    return rng.normal(size=(n, 1, 8, 8)).astype(np.float32)


def cnn():
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4, activation="relu"), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(4 * 4 * 4, 3),
    )  # fmt: skip


MODELS = {
    "cnn": (cnn, (1, 8, 8)),
    "norms": (lambda: nn.Sequential(nn.GroupNorm(2, 4), nn.InstanceNorm1d(4), nn.LayerNorm(5), nn.RMSNorm(5)), (4, 5)),
    "lstm": (lambda: nn.LSTM(4, 5, 2, batch_first=True, bidirectional=True), (6, 4)),
    "gru": (lambda: nn.GRU(4, 5, batch_first=True), (6, 4)),
    "rnn": (lambda: nn.RNN(4, 5, 1, "relu", batch_first=True), (6, 4)),
    "encoder": (lambda: nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, activation="gelu"), (5, 8)),
    "upsampled": (
        lambda: nn.Sequential(nn.Upsample(scale_factor=2, mode="bilinear"), nn.AvgPool2d(3, 2, 1)),
        (2, 4, 3),
    ),
    "transposed": (lambda: nn.ConvTranspose2d(2, 3, 3, 2, 1, 1), (2, 4, 3)),
    "flat": (lambda: nn.Sequential(nn.Conv1d(2, 3, 4, padding="same"), nn.Softplus(), nn.Softmax(1)), (2, 7)),
}


def leaves(made):
    return [y for part in made for y in leaves(part)] if isinstance(made, tuple) else [made.data]


@pytest.mark.parametrize("name", MODELS)
def test_what_is_exported_is_loaded(name, rng, tmp_path):
    make, shape = MODELS[name]
    model, path = make(), tmp_path / "model.onnx"
    model(rng.normal(size=(4, *shape)).astype(np.float32))  # statistics move
    onnx.export(model, rng.normal(size=(2, *shape)).astype(np.float32), path)
    x = rng.normal(size=(5, *shape)).astype(np.float32)
    loaded = onnx.load(path)
    with model.evaluating(), loaded.evaluating():
        for y, z in zip(leaves(loaded(x)), leaves(model(x)), strict=True):
            np.testing.assert_allclose(y, z, atol=1e-5, rtol=1e-5)


def test_weights_have_their_names_and_are_trained(rng, tmp_path):
    model, path = cnn(), tmp_path / "model.onnx"
    onnx.export(model, images(rng, 2), path)
    loaded = onnx.load(path)
    assert {n: p.shape for n, p in loaded.named_parameters()} == {n: p.shape for n, p in model.named_parameters()}
    assert dict(loaded.named_buffers()).keys() == {"1.running_mean", "1.running_var"}
    assert loaded.input_names == ["x"] and repr(loaded) == "OnnxModel(x -> output, 7 nodes)"
    x, y = images(rng, 12), rng.integers(0, 3, 12)
    optimizer = cunet.optim.Adam(loaded.parameters(), lr=0.01)
    losses = []
    for _ in range(20):
        optimizer.zero_grad()
        loss = F.cross_entropy(loaded(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
    loaded.save(tmp_path / "weights.safetensors")
    other = cnn()
    assert other.load(tmp_path / "weights.safetensors", strict=False).missing == ["1.num_batches_tracked"]
    with other.evaluating():
        np.testing.assert_allclose(other(x).data, loaded(x).data, atol=1e-5, rtol=1e-5)


def test_gradients_are_those_of_the_model(rng, tmp_path):
    model, path = cnn().eval(), tmp_path / "model.onnx"
    onnx.export(model, images(rng, 2), path)
    loaded = onnx.load(path)
    x = images(rng, 3)
    for m in (model, loaded):
        (m(x) ** 2).sum().backward()
    expected = dict(model.named_parameters())
    for name, parameter in loaded.named_parameters():
        np.testing.assert_allclose(parameter.grad, expected[name].grad, atol=1e-4, rtol=1e-4)


def torch_cnn():
    torch = pytest.importorskip("torch", reason="compares with PyTorch, which is not installed")
    torch.manual_seed(0)
    return torch, torch.nn.Sequential(
        torch.nn.Conv2d(1, 4, 3, padding=1), torch.nn.BatchNorm2d(4), torch.nn.ReLU(), torch.nn.MaxPool2d(2),
        torch.nn.Conv2d(4, 6, 3, stride=2), torch.nn.GELU(), torch.nn.Dropout(), torch.nn.AdaptiveAvgPool2d(1),
        torch.nn.Flatten(), torch.nn.Linear(6, 10), torch.nn.LogSoftmax(1),
    ).eval()  # fmt: skip


@pytest.mark.parametrize("dynamo", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_model_of_pytorchs_exporter(dynamo, rng, tmp_path):
    torch, net = torch_cnn()
    path, example = tmp_path / "model.onnx", torch.zeros(2, 1, 8, 8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter
        if dynamo:
            pytest.importorskip("onnxscript", reason="PyTorch's exporter needs onnxscript")
            shapes = ({0: torch.export.Dim("batch")},)
            torch.onnx.export(net, (example,), str(path), dynamo=True, dynamic_shapes=shapes, verbose=False)
        else:
            torch.onnx.export(net, (example,), str(path), dynamo=False, dynamic_axes={"x": {0: "n"}}, input_names=["x"])
    loaded, x = onnx.load(path), images(rng, 5)
    with torch.no_grad():
        np.testing.assert_allclose(loaded(x).data, net(torch.from_numpy(x)).numpy(), atol=1e-5, rtol=1e-5)
    assert {"4.weight", "9.weight", "9.bias"} <= loaded.state_dict().keys()
    loaded(x).sum().backward()
    assert all(p.grad is not None for p in loaded.parameters())


def made(nodes, weights=(), inputs=("x",), outputs=("y",), opset=20, domain=""):
    helper = package.helper
    graph = helper.make_graph(
        nodes, "graph", [helper.make_tensor_value_info(n, 1, [None]) for n in inputs],
        [helper.make_tensor_value_info(n, 1, [None]) for n in outputs], list(weights),
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid(domain, opset)], ir_version=9)


def node(kind, *inputs, outputs=("y",), **attributes):
    return package.helper.make_node(kind, list(inputs), list(outputs), **attributes)


def written(tmp_path, model):
    path = tmp_path / "model.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def outside(location, **more):
    tensor = package.TensorProto(name="w", data_type=1, dims=[3], data_location=1)
    for key, value in {"location": location, **more}.items():
        tensor.external_data.add(key=key, value=str(value))
    return tensor


def test_weights_beside_the_file(tmp_path):
    (tmp_path / "weights.bin").write_bytes(np.arange(5, dtype=np.float32).tobytes())
    path = written(tmp_path, made([node("Mul", "x", "w")], [outside("weights.bin", offset=4, length=12)]))
    assert onnx.load(path)(np.ones(3, np.float32)).data.tolist() == [1, 2, 3]


@pytest.mark.parametrize("location", ["../secret", "/etc/hostname", "inside/../../secret", "", "link", "missing.bin"])
def test_weights_outside_of_the_folder_are_refused(location, tmp_path):
    folder = tmp_path / "folder"
    (folder / "inside").mkdir(parents=True)
    (tmp_path / "secret").write_bytes(bytes(12))
    (folder / "link").symlink_to(tmp_path / "secret")
    path = written(folder, made([node("Mul", "x", "w")], [outside(location)]))
    with pytest.raises(ValueError, match=r"weight 'w' is said to lie in .* no file in the model's folder"):
        onnx.load(path)


@pytest.mark.parametrize("more", [{"offset": 8}, {"length": 99}, {"offset": -4}, {"length": "x"}, {"offset": 99}])
def test_weights_beyond_the_end_of_their_file_are_refused(more, tmp_path):
    (tmp_path / "weights.bin").write_bytes(bytes(12))
    path = written(tmp_path, made([node("Mul", "x", "w")], [outside("weights.bin", **more)]))
    with pytest.raises(ValueError, match="weight 'w' is (said to lie beyond the end|broken)"):
        onnx.load(path)


SHORT = package.TensorProto(name="w", data_type=1, dims=[2**40], raw_data=bytes(8))
NO_FILE = "no ONNX file, or a broken one"
BROKEN = {
    "a zip archive": (NO_FILE, b"PK\x03\x04 something else"),
    "nothing": (NO_FILE, b""),
    "an input that nothing makes": (NO_FILE, made([node("Relu", "nothing")])),
    "a name that is made twice": (NO_FILE, made([node("Relu", "x"), node("Relu", "x")])),
    "an output that nothing makes": (NO_FILE, made([node("Relu", "x", outputs=["a"])])),
    "a weight of a terabyte": (f"weight 'w' is broken|{NO_FILE}", made([node("Mul", "x", "w")], [SHORT])),
    "no operator": (NO_FILE, made([node("Mystery", "x")])),
    "unknown nodes": (
        "does not know: Bernoulli, NonMaxSuppression$",
        made([node("Bernoulli", "x", outputs=["a"]), node("NonMaxSuppression", "a", "x")]),
    ),
    "an operator of somebody": ("does not know: mine.Own", made([node("Own", "x", domain="mine")], domain="mine")),
}


@pytest.mark.parametrize("what", BROKEN)
def test_broken_and_foreign_files_are_refused(what, tmp_path):
    message, content = BROKEN[what]
    path = tmp_path / "model.onnx"
    path.write_bytes(content if isinstance(content, bytes) else content.SerializeToString())
    with pytest.raises(ValueError, match=message):
        onnx.load(path)


def test_truncated_and_flipped_files_are_refused_or_loaded_whole(rng, tmp_path):
    path = tmp_path / "model.onnx"
    onnx.export(cnn(), images(rng, 2), path)
    content = path.read_bytes()
    for _ in range(60):
        cut = int(rng.integers(1, len(content)))
        flipped = bytearray(content)
        flipped[cut] ^= 1 << int(rng.integers(8))
        for damaged in (content[:cut], bytes(flipped)):
            path.write_bytes(damaged)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                try:
                    onnx.load(path)
                except ValueError as error:
                    assert str(error).startswith("onnx.load: ")


def test_missing_files_and_wrong_calls(rng, tmp_path):
    with pytest.raises(FileNotFoundError):
        onnx.load(tmp_path / "none.onnx")
    path = written(tmp_path, made([node("Reshape", "x", "s")], [package.numpy_helper.from_array(np.array([7]), "s")]))
    loaded = onnx.load(path)
    with pytest.raises(ValueError, match="1 inputs are needed, x; got 2"):
        loaded(1.0, 2.0)
    with pytest.raises(ValueError, match=r"model.onnx: Reshape 'Reshape' of inputs \(3,\), \(1,\)"):
        loaded(np.ones(3, np.float32))
    training = written(tmp_path, made([node("BatchNormalization", *"xabcd", training_mode=1)], inputs="xabcd"))
    with pytest.raises(ValueError, match="training_mode must be 0"):
        onnx.load(training)(np.ones((2, 3, 4)), *[np.ones(3)] * 4)


def test_older_operators(tmp_path):
    x = np.arange(12, dtype=np.float32).reshape(2, 2, 3) - 4
    softmax = onnx.load(written(tmp_path, made([node("Softmax", "x")], opset=11)))
    rows = np.exp(x.reshape(2, 6))
    np.testing.assert_allclose(softmax(x).data.reshape(2, 6), rows / rows.sum(1, keepdims=True), rtol=1e-6)
    clip = onnx.load(written(tmp_path, made([node("Clip", "x", min=-1.0, max=2.0)], opset=6)))
    assert clip(x).data.tolist() == x.clip(-1, 2).tolist()
    squeezed = onnx.load(written(tmp_path, made([node("Unsqueeze", "x", axes=[0, 2])], opset=11)))
    assert squeezed(x).shape == (1, 2, 1, 2, 3)
    means = onnx.load(written(tmp_path, made([node("ReduceMean", "x", axes=[1], keepdims=0)], opset=13)))
    np.testing.assert_allclose(means(x).data, x.mean(1), rtol=1e-6)
