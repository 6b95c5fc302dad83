"""ONNX files of models on a device, and loaded models on it."""

import numpy as np
import pytest
from helpers import host

from cunet import nn, onnx

pytest.importorskip("onnx.checker", reason='needs onnx: pip install "cunet[onnx]"')


def test_a_model_goes_out_from_a_device_and_comes_back_to_it(dev, device, rng, tmp_path):
    path = tmp_path / "model.onnx"
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4, activation="silu"), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(4 * 3 * 3, 5), nn.LayerNorm(5, activation="relu"), nn.Tanhshrink(),
    ).eval()  # fmt: skip
    x = rng.normal(size=(3, 1, 6, 6)).astype(np.float32)
    expected = model(x).data
    model.to(device)
    onnx.export(model, dev(x[:2]), path)
    loaded = onnx.load(path).to(device)
    y = loaded(dev(x))
    assert type(y.data) is type(dev(x))
    np.testing.assert_allclose(host(y), expected, atol=1e-5, rtol=1e-5)
    (y * y).sum().backward()
    assert all(type(p.grad) is type(dev(x)) for p in loaded.parameters())


def test_recurrence_and_attention_on_a_device(dev, device, rng, tmp_path):
    x = rng.normal(size=(3, 4, 8)).astype(np.float32)
    layers = nn.LSTM(8, 5, batch_first=True), nn.TransformerEncoderLayer(8, 2, 6, batch_first=True)
    for k, layer in enumerate(layers):
        path = tmp_path / f"{k}.onnx"
        layer.eval()
        made = layer(x)
        onnx.export(layer, x[:2], path)
        loaded = onnx.load(path).to(device)(dev(x))
        y, z = (loaded[0], made[0]) if isinstance(made, tuple) else (loaded, made)
        np.testing.assert_allclose(host(y), z.data, atol=1e-5, rtol=1e-5)
