"""Models as ONNX files: names, batches, ops of users, and what is refused."""

import functools

import numpy as np
import pytest
from onnx_helpers import check_export, onnxruntime, run_file

import cunet
from cunet import F, nn, onnx

pytestmark = pytest.mark.cpu_only


@pytest.fixture
def path(tmp_path):
    onnxruntime()
    return tmp_path / "model.onnx"


@cunet.elementwise("T x, A k", "T y", "A s = sin(k * x); y = x + s * s / k")
def snake_forward(x, k):
    return x + np.sin(k * x) ** 2 / k


@cunet.elementwise("T gy, T x, A k", "T gx", "gx = gy * (1 + sin(2 * k * x))")
def snake_backward(gy, x, k):
    return gy * (1 + np.sin(2 * k * x))


@cunet.op
def snake(x, *, k=2.0):
    return snake_forward(x, k), lambda gy: (snake_backward(gy, x, k),)


def cnn():
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4, activation="relu"), nn.MaxPool2d(2), nn.Dropout(),
        nn.Flatten(), nn.Linear(4 * 7 * 7, 10),
    )  # fmt: skip


def images(rng, n):
    return rng.normal(size=(n, 1, 14, 14)).astype(np.float32)


def test_a_cnn_keeps_the_names_of_its_weights(rng, path):
    import onnx as package

    model = cnn()
    check_export(model, images(rng, 2), [images(rng, 5)], path)
    made = package.load(path)
    assert {w.name for w in made.graph.initializer} >= model.state_dict().keys() - {"1.num_batches_tracked"}
    assert [node.op_type for node in made.graph.node] == [
        "Conv", "BatchNormalization", "Relu", "MaxPool", "Reshape", "Gemm", "Identity",
    ]  # fmt: skip
    assert made.graph.node[0].name == "0/Conv"
    assert [(i.name, i.type.tensor_type.shape.dim[0].dim_param) for i in made.graph.input] == [("x", "batch")]
    assert model.training


def test_a_model_that_was_trained(rng, path):
    model = cnn()
    model(images(rng, 9)).sum().backward()
    cunet.optim.SGD(model.parameters(), lr=0.1).step()
    check_export(model, images(rng, 2), [images(rng, 3)], path)


def test_float64(rng, path):  # of which onnxruntime has no convolution and no GELU
    model = nn.Sequential(nn.Linear(None, 6), nn.LayerNorm(6, activation="tanh"), nn.Linear(6, 3)).astype(np.float64)
    example, other = rng.normal(size=(2, 4)), rng.normal(size=(5, 4))
    check_export(model, example, [other], path, tolerance=1e-12)


def test_big_endian_and_strided_examples(rng, path):
    x = rng.normal(size=(4, 14, 1, 14)).astype(">f4").swapaxes(1, 2)[::2]
    check_export(cnn(), x, [images(rng, 3)], path)


def test_batches_of_one_and_of_none(rng, path):
    onnx.export(cnn(), images(rng, 1), path)
    assert [run_file(path, [images(rng, n)])[0].shape for n in (1, 4)] == [(1, 10), (4, 10)]


def test_a_fixed_batch(rng, path):
    class Sums(nn.Module):
        def forward(self, x):
            return sum([x[k] * k for k in range(len(x))])

    with pytest.raises(ValueError, match="batch_axis=None"):
        onnx.export(Sums(), images(rng, 2), path)
    check_export(Sums(), images(rng, 2), [images(rng, 2)], path, batch_axis=None)


def test_an_op_of_a_user_is_written_from_its_text(rng, path):
    class Own(nn.Module):
        def __init__(self):
            self.linear, self.k = nn.Linear(4, 3), 1.5

        def forward(self, x):
            return snake(self.linear(x), k=self.k)

    example, other = (rng.normal(size=(n, 4)).astype(np.float32) for n in (2, 3))
    check_export(Own(), example, [other], path)


class Of(nn.Module):
    def __init__(self, function):
        self.function = function

    def forward(self, *arrays):
        return self.function(*arrays)


def each(names, call, kind=""):
    return {name + kind: functools.partial(call, getattr(cunet, name)) for name in names.split()}


FOLDS = "sum mean max min prod var std logsumexp"
FUNCTIONS = {
    **each(
        "abs arctan arcsinh cos cosh erf erfc exp exp2 expm1 floor ceil trunc sign negative sin sinh square tan tanh "
        "round nan_to_num tril triu",
        lambda f, x: f(x),
    ),
    **each("log log1p log2 log10 sqrt rsqrt reciprocal arccosh", lambda f, x: f(abs(x) + 1.5)),
    **each("arccos arcsin arctanh", lambda f, x: f(x * 0.1)),
    **each(FOLDS, lambda f, x: f(x, axis=(1, -1)), " over axes"),
    **each(FOLDS, lambda f, x: f(x, axis=1, keepdims=True), " kept"),
    **each(
        "add subtract multiply divide maximum minimum hypot logaddexp remainder floor_divide",
        lambda f, x: f(x, x[:, ::-1] * 0.5),
    ),
    "numbers": lambda x: (2 - x) * 3 / 4 + x**2 - 1,
    "power": lambda x: abs(x) ** 1.5,
    "var, ddof": lambda x: x.var(axis=2, ddof=1),
    "lerp": lambda x: cunet.lerp(x, x * x, 0.3),
    "clip": lambda x: x.clip(-0.5, None),
    "where": lambda x: cunet.where(np.array([True, False, True, False, True]), x, -x),
    "mixed dtypes": lambda x: x * np.arange(5),
    "matmul": lambda x: x @ x.swapaxes(1, 2),
    "einsum": lambda x: cunet.einsum("nij,nkj->nik", x, x),
    "concatenate": lambda x: cunet.concatenate([x, x * 2], axis=1),
    "stack": lambda x: cunet.stack([x, x * 2], axis=-1),
    "split": lambda x: cunet.split(x, [1, 3], axis=2),
    "slices": lambda x: x[:, ::-2, 1:-1],
    "integers and new axes": lambda x: x[:, None, -1, ..., None],
    "a vector of places": lambda x: x[:, :, np.array([3, 0, 0])],
    "expand and squeeze": lambda x: cunet.squeeze(cunet.expand_dims(x, axis=(1, 3)), axis=1),
    "flat batch": lambda x: x.reshape(-1, 5).mean(axis=0),
    "batch joined with an axis": lambda x: x.reshape(x.shape[0] * 4, 5) * 2,
    "broadcast": lambda x: cunet.broadcast_to(x[:, :1], (x.shape[0], 3, 5)),
    "zeros of the batch": lambda x: x.sum(axis=(1, 2)) + np.zeros(x.shape[0], np.float32),
    "mean over the batch": lambda x: x.mean(),
    "flip": lambda x: cunet.flip(x, axis=(1, 2)),
    "tile": lambda x: cunet.tile(x, (1, 2, 1)),
    "repeat": lambda x: cunet.repeat(x, 2, axis=0),
    "roll": lambda x: cunet.roll(x, (1, 2), axis=(1, 2)),
    "cumsum": lambda x: cunet.cumsum(x, axis=1),
    "pad": lambda x: cunet.pad(x, ((0, 0), (1, 2), (0, 1)), 3.0),
    "normalize": F.normalize,
    "normalize by a sum": functools.partial(F.normalize, p=1.0, dim=-1),
    "distance": lambda x: F.pairwise_distance(x, -x, p=3.0),
    "float16 and back": lambda x: x.astype(np.float16).astype(np.float32),
}  # fmt: skip


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions(name, rng, path):
    example, other = (rng.normal(size=(n, 4, 5)).astype(np.float32) for n in (2, 3))
    check_export(Of(FUNCTIONS[name]), example, [other], path, tolerance=1e-3 if name.startswith("float16") else 1e-5)


def test_tied_weights_and_two_inputs(rng, path):
    class Tied(nn.Module):
        def __init__(self):
            self.table = nn.Embedding(7, 4)
            self.out = nn.Linear(4, 7, bias=False)
            self.out.weight = self.table.weight

        def forward(self, words, scale):
            return {"scores": self.out(self.table(words)) * scale, "mean": scale.mean()}

    model = Tied()
    words, scale = rng.integers(0, 7, (3, 5)), rng.normal(size=(3, 5, 7)).astype(np.float32)
    onnx.export(model, (words[:2], scale[:2]), path)
    scores, mean = run_file(path, [words, scale])
    expected = model(words, cunet.tensor(scale))
    np.testing.assert_allclose(scores, expected["scores"].data, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(mean, expected["mean"].data, rtol=1e-5)


def test_what_numpy_computes_from_the_input_is_refused(rng, path):
    class Outside(nn.Module):
        def forward(self, x):
            return x * np.tanh(x.data)

    class Compared(nn.Module):
        def forward(self, x):
            return cunet.where(x > 0, x, 0.0)

    for model in (Outside(), Compared()):
        for n in (1, 2):
            with pytest.raises(ValueError, match=r"onnx.export: (multiply|where) in .*outside of cunet's ops"):
                onnx.export(model, images(rng, n), path)


def test_an_op_without_a_form_is_named_with_its_layer(rng, path):
    class Deep(nn.Module):
        def forward(self, x):
            return cunet.linalg.svdvals(x)

    with pytest.raises(ValueError, match=r"onnx.export: svdvals in 1 \(Deep\), called at .*test_export.py"):
        onnx.export(nn.Sequential(nn.ReLU(), Deep()), rng.normal(size=(2, 3, 4)).astype(np.float32), path)


def test_arguments(rng, path):
    with pytest.raises(TypeError, match="must be a Module, got function"):
        onnx.export(F.relu, images(rng, 2), path)
    with pytest.raises(ValueError, match="one length, above 0, along batch_axis = 0"):
        onnx.export(nn.Bilinear(2, 2, 2), (np.zeros((2, 2)), np.zeros((3, 2))), path)
    with pytest.raises(ValueError, match="empty tuple"):
        onnx.export(nn.ReLU(), (), path)
    with pytest.raises(FileNotFoundError, match="make it first"):
        onnx.export(nn.ReLU(), images(rng, 2), path.parent / "no" / "model.onnx")
