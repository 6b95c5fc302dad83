"""What modules are given: plain arrays take the dtype of the weights, and what is no array of numbers is named."""

import numpy as np
import pytest
from helpers import host

import cunet
from cunet import F, Tensor, Trainer, nn
from cunet.data import StandardScaler
from cunet.nn.inputs import as_input

FEATURES = {
    "Linear": lambda: nn.Linear(4, 2),
    "PReLU": lambda: nn.PReLU(),
    "LayerNorm": lambda: nn.LayerNorm(4),
    "RMSNorm": lambda: nn.RMSNorm(4),
    "BatchNorm1d": lambda: nn.BatchNorm1d(4),
    "GroupNorm": lambda: nn.GroupNorm(2, 4),
    "RNNCell": lambda: nn.RNNCell(4, 2),
    "GRUCell": lambda: nn.GRUCell(4, 2),
    "LSTMCell": lambda: nn.LSTMCell(4, 2),
    "LayerNormLSTMCell": lambda: nn.LayerNormLSTMCell(4, 2),
    "LSTM": lambda: nn.LSTM(4, 2),
    "LayerNormGRU": lambda: nn.LayerNormGRU(4, 2),
}
IMAGES = {
    "Conv2d": lambda: nn.Conv2d(3, 2, 3),
    "Conv2d padded": lambda: nn.Conv2d(3, 2, 3, padding=1, padding_mode="reflect"),
    "ConvTranspose2d": lambda: nn.ConvTranspose2d(3, 2, 3),
    "BatchNorm2d": lambda: nn.BatchNorm2d(3),
    "InstanceNorm2d": lambda: nn.InstanceNorm2d(3, affine=True),
}
FEATURES |= {"DropConnect": lambda: nn.DropConnect(4, 2), "Encoder": lambda: nn.TransformerEncoderLayer(4, 2, 8)}
LAYERS = {**FEATURES, **IMAGES}


def given(name, rng):
    return rng.integers(0, 5, (6, 4) if name in FEATURES else (2, 3, 5, 5))


def first(y):
    return y[0] if isinstance(y, tuple) else y


@pytest.mark.parametrize("name", LAYERS)
def test_plain_arrays_take_the_dtype_of_the_weights(name, device, dev, rng):
    layer, x = LAYERS[name]().to(device).eval(), given(name, rng)
    expected = first(layer(dev(x, np.float32)))
    assert expected.dtype == np.float32
    for dtype in (np.float64, np.float16, np.int64, np.uint8, ">f8"):
        if device == "gpu" and dtype == ">f8":
            continue  # CuPy has no big-endian arrays
        y = first(layer(dev(x, dtype)))
        assert y.dtype == np.float32
        np.testing.assert_array_equal(host(y), host(expected))
    np.testing.assert_array_equal(host(first(layer(dev(x > 2)))), host(first(layer(dev(x > 2, np.float32)))))
    wide = layer.astype(np.float64)
    assert first(wide(dev(x, np.float32))).dtype == np.float64


@pytest.mark.parametrize("name", LAYERS)
def test_a_tensor_that_requires_a_gradient_keeps_its_dtype(name, device, dev, rng):
    layer, x = LAYERS[name]().to(device).eval(), given(name, rng)
    wide = Tensor(dev(x, np.float64), requires_grad=True)
    y = first(layer(wide))
    assert y.dtype == np.float64
    y.sum().backward()
    assert wide.grad.dtype == np.float64
    assert {p.grad.dtype for p in layer.parameters() if p.grad is not None} <= {np.dtype(np.float32)}


@pytest.mark.parametrize("name", LAYERS)
def test_tensors_of_data_take_the_dtype_of_the_weights(name, device, dev, rng):
    layer, x = LAYERS[name]().to(device).eval(), given(name, rng)
    expected = host(first(layer(dev(x, np.float32))))
    for dtype in (np.float64, np.int64, np.uint8):
        y = first(layer(Tensor(dev(x, dtype))))
        assert y.dtype == np.float32
        np.testing.assert_array_equal(host(y), expected)
    narrow = Tensor(dev(x, np.float16))
    assert first(layer(narrow)).dtype in (np.float16, np.float32)  # as in a net whose norms alone are float32
    half = layer.astype(np.float16)
    assert first(half(Tensor(dev(x, np.float32)))).dtype == np.float32


def test_attention_and_bilinear_take_plain_arrays(device, dev, rng):
    x = rng.standard_normal((3, 2, 4))
    layer = nn.MultiheadAttention(4, 2).to(device)
    mask = dev(np.zeros((3, 3)))
    array, narrow = dev(x), dev(x, np.float32)
    y, weights = layer(array, array, array, attn_mask=mask)
    assert y.dtype == weights.dtype == np.float32
    expected, _ = layer(narrow, narrow, narrow, attn_mask=dev(mask, np.float32) if device == "cpu" else mask)
    np.testing.assert_array_equal(host(y), host(expected))
    assert layer(array, array, array, need_weights=False)[0].dtype == np.float32
    both = nn.Bilinear(4, 4, 2).to(device)
    assert both(array, narrow).dtype == np.float32


def test_first_states_take_the_dtype_too(device, dev):
    x, h = dev(np.ones((5, 2, 3))), dev(np.ones((1, 2, 4)))
    for kind, hx in ((nn.LSTM, (h, h)), (nn.GRU, h), (nn.LayerNormLSTM, (h, h))):
        y, after = kind(3, 4).to(device)(x, hx)
        assert {t.dtype for t in (y, *(after if isinstance(after, tuple) else [after]))} == {np.dtype(np.float32)}
    for cell, hx in ((nn.LSTMCell, (h[0], h[0])), (nn.RNNCell, h[0])):
        assert first(cell(3, 4).to(device)(x[0], hx)).dtype == np.float32


class Scaled(nn.Module):
    """A model whose first step is no layer."""

    def __init__(self):
        self.layers = [nn.Conv2d(1, 2, 3), nn.Linear(2, 3)]

    def forward(self, x, scale=1.0):
        y = F.relu(self.layers[0](F.max_pool2d(x, 2) * scale))
        return self.layers[1](y.mean(axis=(2, 3)))


def test_what_is_made_of_data_before_the_first_weight_takes_its_dtype(device, dev, rng):
    image = dev(rng.standard_normal((2, 1, 8, 8)))
    flat = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.ReLU(), nn.Linear(64, 3)).to(device)
    assert flat(image).dtype == flat(Tensor(image)).dtype == np.float32
    model = Scaled().to(device)
    assert model(image).dtype == model(image, dev(2.0)).dtype == model(x=Tensor(image)).dtype == np.float32
    with cunet.no_grad():
        assert model(image).dtype == np.float32
    assert model.astype(np.float64)(image).dtype == np.float64
    assert nn.Sequential(nn.Flatten(), nn.ReLU())(image).dtype == np.float64  # no weights: as it came


def test_a_scaler_in_front_sees_the_data_as_they_are(device, dev, rng):
    x = 1e9 + rng.standard_normal((64, 3))  # float32 holds multiples of 64 there
    model = nn.Sequential(StandardScaler().fit(dev(x)), nn.Identity(), nn.Linear(3, 3, bias=False)).to(device)
    model[2].weight.data = dev(np.eye(3, dtype=np.float32))
    expected = ((x - x.mean(0)) / x.std(0)).astype(np.float32)
    for y in (model(dev(x)), model(Tensor(dev(x)))):
        assert y.dtype == np.float32
        np.testing.assert_allclose(host(y), expected, rtol=1e-5, atol=1e-6)
    trainer = Trainer(model, F.mse_loss, device=device, progress=False)
    np.testing.assert_allclose(trainer.predict(dev(x)), expected, rtol=1e-5, atol=1e-6)


def test_indices_and_lengths_stay_integers(device, dev):
    model = nn.Sequential(nn.Embedding(5, 3), nn.Linear(3, 2)).to(device)
    assert model(dev([[0, 4]])).shape == (1, 2, 2)
    y, _ = nn.GRU(3, 2).to(device)(dev(np.ones((4, 2, 3))), lengths=np.array([4, 2]))
    assert not host(y)[2:, 1].any()


def test_losses_take_targets_in_the_dtype_of_the_prediction(dev):
    prediction = Tensor(dev(np.full((2, 3), 0.5), np.float32), requires_grad=True)
    for loss in (nn.MSELoss(), nn.L1Loss(), nn.BCEWithLogitsLoss(), nn.CrossEntropyLoss(), nn.HuberLoss()):
        assert loss(prediction, dev(np.full((2, 3), 1 / 3))).dtype == np.float32
    wide = dev(np.full((2, 3), 1 / 3))
    for of_three in (nn.TripletMarginLoss(), nn.GaussianNLLLoss(), nn.MarginRankingLoss()):
        assert of_three(prediction, wide, wide).dtype == np.float32
    assert nn.CosineSimilarity()(wide, prediction).dtype == nn.PairwiseDistance()(wide, prediction).dtype == np.float32
    assert nn.MSELoss()(Tensor(wide, requires_grad=True), wide).dtype == np.float64
    assert nn.CrossEntropyLoss()(prediction, dev([0, 2])).dtype == np.float32


class DataFrame:
    """Stands for that of pandas: it can be read as an array, and is none."""

    __module__ = "pandas.core.frame"

    def __init__(self, values):
        self.values, self.shape = values, values.shape

    def to_numpy(self):
        return self.values

    def __array__(self, dtype=None, copy=None):
        return self.values

    def __len__(self):
        return len(self.values)

    def __getitem__(self, column):
        raise KeyError(column)


class ForeignTensor:
    """Stands for PyTorch's."""

    __module__ = "torch"

    def __array__(self, dtype=None, copy=None):
        return np.ones((6, 4), np.float32)

    def detach(self):
        return self

    cpu = detach


NO_ARRAYS = {
    "None": (None, "got None"),
    "a string": ("x", "got 'x'"),
    "a frame": (DataFrame(np.ones((6, 4))), r"got pandas DataFrame; pass its \.to_numpy\(\)"),
    "a foreign tensor": (ForeignTensor(), r"got torch ForeignTensor; pass its \.detach\(\)\.cpu\(\)\.numpy\(\)"),
    "a pair": ((np.ones((6, 4)), np.ones((6, 4))), "must be one array, got a tuple of 2; recurrent layers return"),
    "complex numbers": (np.ones((6, 4), complex), "must hold real numbers, got complex128"),
    "objects": (np.ones((6, 4), object), "got an array of objects"),
    "a layer": (nn.ReLU(), "got ReLU"),
}
PLAIN = {"ReLU": nn.ReLU, "Flatten": nn.Flatten, "Dropout": nn.Dropout, "MaxPool1d": lambda: nn.MaxPool1d(2)}
PLAIN |= {"ZeroPad1d": lambda: nn.ZeroPad1d(1), "PositionalEncoding": lambda: nn.PositionalEncoding(4)}


@pytest.mark.cpu_only
@pytest.mark.parametrize("kind", NO_ARRAYS)
@pytest.mark.parametrize("name", [*LAYERS, *PLAIN])
def test_what_is_no_array_is_named(name, kind):
    x, message = NO_ARRAYS[kind]
    layer = {**LAYERS, **PLAIN}[name]()
    with pytest.raises(TypeError, match=rf"^{type(layer).__name__}: (x|src):? .*{message}"):
        layer(x)


@pytest.mark.cpu_only
def test_attention_names_which_of_its_inputs_is_none():
    layer, x = nn.MultiheadAttention(4, 2), np.ones((3, 2, 4), np.float32)
    for name, args in (("query", (None, x, x)), ("key", (x, None, x)), ("value", (x, x, None))):
        with pytest.raises(TypeError, match=f"^MultiheadAttention: {name} must be an array, got None"):
            layer(*args)
    with pytest.raises(TypeError, match="^LSTM: the first state must be an array, got 'h'"):
        nn.LSTM(4, 2)(x, ("h", "c"))
    with pytest.raises(TypeError, match="^Bilinear: x2 must be an array, got None"):
        nn.Bilinear(4, 4, 2)(x, None)


def test_a_sequential_names_the_layer_that_returns_a_tuple(device, dev):
    x = dev(np.ones((5, 2, 3)), np.float32)
    for recurrent, after in ((nn.LSTM, nn.Linear(4, 2)), (nn.GRU, F.relu), (nn.GRU, nn.Sequential(nn.Linear(4, 2)))):
        model = nn.Sequential(nn.Linear(3, 3), recurrent(3, 4), after).to(device)
        name = getattr(after, "__name__", type(after).__name__)
        words = (
            rf"layer '1' \({recurrent.__name__}\) returns a tuple of 2, on which layer '2' \({name}\) failed; .*y\[0\]"
        )
        with pytest.raises(TypeError, match=words):
            model(x)
        model.insert(2, lambda y: y[0])
        assert model(x).shape[:2] == (5, 2)


@pytest.mark.cpu_only
def test_errors_of_a_layer_that_was_given_one_array_come_as_they_are():
    with pytest.raises(ValueError, match="^linear: input must have shape"):
        nn.Sequential(nn.ReLU(), nn.Linear(3, 2))(np.ones((2, 5), np.float32))
    with pytest.raises(TypeError, match="^Linear: x must be one array"):
        nn.Sequential(nn.Linear(3, 2))((np.ones(3), np.ones(3)))


@pytest.mark.cpu_only
def test_arrays_that_agree_are_not_copied():
    layer, x = nn.Linear(3, 2), np.ones((2, 3), np.float32)
    assert as_input(layer, x, layer.weight) is x
    tensor = Tensor(x)
    assert as_input(layer, tensor, layer.weight) is tensor
    assert as_input(layer, x, None) is x
