"""Every layer of cunet.nn is exported, and gives in onnxruntime what it gives here, for a batch of another length."""

import functools

import numpy as np
import pytest
from onnx_helpers import check_export, onnxruntime
from record_layers import LAYERS, LOSSES, NOT_ALONE, inputs_of

from cunet import F, nn, onnx

pytestmark = pytest.mark.cpu_only
EVERY = {**LAYERS, **LOSSES}
#: Layers over time whose batch is the second axis, and which go from step to step in Python.
SECOND = {"PositionalEncoding", "LayerNormRNN", "LayerNormLSTM", "LayerNormGRU"}


def test_every_layer_is_listed():
    layers = {n for n in nn.__all__ if isinstance(getattr(nn, n), type) and issubclass(getattr(nn, n), nn.Module)}
    assert layers == EVERY.keys() | NOT_ALONE


@pytest.mark.parametrize("name", EVERY)
def test_every_layer(name, rng, tmp_path):
    onnxruntime()
    arguments, _ = EVERY[name]
    axis = int(name in SECOND)
    example, others = ([np.swapaxes(x, 0, axis) for x in inputs_of(name, rng, n)] for n in (2, 3))
    check_export(getattr(nn, name)(*arguments), tuple(example), others, tmp_path / "model.onnx", axis)


FUSED = ["relu", "silu", F.gelu, functools.partial(F.leaky_relu, negative_slope=0.3), "softplus", F.tanhshrink]
MORE = {
    "conv, groups and dilation": (lambda: nn.Conv2d(4, 6, 3, 2, 2, 2, 2), (4, 9, 8)),
    "conv, same": (lambda: nn.Conv2d(2, 3, 4, padding="same", bias=False), (2, 6, 5)),
    "conv, reflected border": (lambda: nn.Conv2d(2, 3, 3, padding=1, padding_mode="reflect"), (2, 6, 5)),
    "conv, channels last": (lambda: nn.Conv2d(2, 3, 3, channels_last=True), (6, 5, 2)),
    "transposed conv": (lambda: nn.ConvTranspose2d(4, 6, 3, 2, 1, 1, 2), (4, 5, 4)),
    "max pool": (lambda: nn.MaxPool2d(3, 2, 1, ceil_mode=True), (2, 8, 7)),
    "max pool with places": (lambda: nn.MaxPool2d(2, return_indices=True), (2, 6, 6)),
    "max pool, channels last": (lambda: nn.MaxPool2d(2, channels_last=True), (6, 6, 2)),
    "mean pool": (lambda: nn.AvgPool2d(3, 2, 1), (2, 7, 7)),
    "mean pool without border": (lambda: nn.AvgPool2d(3, 2, 1, count_include_pad=False), (2, 7, 7)),
    "mean pool, own divisor": (lambda: nn.AvgPool2d(2, divisor_override=3), (2, 6, 6)),
    "uneven parts": (lambda: nn.AdaptiveAvgPool2d((3, None)), (2, 7, 5)),
    "uneven parts, largest": (lambda: nn.AdaptiveMaxPool2d((3, 1)), (2, 7, 5)),
    "upsampled to a size": (lambda: nn.Upsample((7, 5), mode="bilinear"), (2, 4, 3)),
    "upsampled by corners": (lambda: nn.Upsample((7, 5), mode="bilinear", align_corners=True), (2, 4, 3)),
    "upsampled bicubic": (lambda: nn.Upsample(scale_factor=2, mode="bicubic"), (2, 4, 5)),
    "upsampled by means": (lambda: nn.Upsample((3, 2), mode="area"), (2, 6, 5)),
    "batch norm of batches": (lambda: nn.BatchNorm2d(3, track_running_stats=False, activation="elu"), (3, 4, 4)),
    "batch norm, channels last": (lambda: nn.BatchNorm(3, axis=-1, activation="mish"), (4, 4, 3)),
    "instance norm": (lambda: nn.InstanceNorm2d(3, affine=True, activation="relu6"), (3, 4, 4)),
    "group norm, channels last": (lambda: nn.GroupNorm(2, 4, axis=-1, activation="celu"), (5, 3, 4)),
    "layer norm": (lambda: nn.LayerNorm((3, 4), elementwise_affine=False, activation="hardswish"), (2, 3, 4)),
    "rms norm": (lambda: nn.RMSNorm(4, 0.1, activation="sigmoid"), (3, 4)),
    "slopes of channels": (lambda: nn.PReLU(3), (3, 4, 4)),
    "softplus": (lambda: nn.Softplus(2.0), (4,)),
    "gelu by tanh": (lambda: nn.GELU("tanh"), (4,)),
    "rnn, relu": (lambda: nn.RNN(4, 5, 2, "relu", bias=False, batch_first=True), (6, 4)),
    "lstm both ways": (lambda: nn.LSTM(4, 5, 2, batch_first=True, bidirectional=True), (6, 4)),
    "gru both ways": (lambda: nn.GRU(4, 5, 2, batch_first=True, bidirectional=True), (6, 4)),
    "encoder": (lambda: nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 2), (5, 8)),
    "encoder, norm first": (
        lambda: nn.TransformerEncoderLayer(8, 2, 16, activation="gelu", batch_first=True, norm_first=True, bias=False),
        (5, 8),
    ),
    **{f"fused {k}": (functools.partial(nn.BatchNorm1d, 4, activation=f), (4,)) for k, f in enumerate(FUSED)},
}


@pytest.mark.parametrize("what", MORE)
def test_options(what, rng, tmp_path):
    onnxruntime()
    make, shape = MORE[what]
    example, other = (rng.normal(size=(n, *shape)).astype(np.float32) for n in (2, 3))
    check_export(make(), example, [other], tmp_path / "model.onnx")


class Masked(nn.Module):
    def __init__(self, mask, **options):
        self.mask, self.options = mask, options
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x):
        return self.attention(x, x, x, attn_mask=self.mask, **self.options)


@pytest.mark.parametrize("mask", [None, "bool", "added"])
def test_masks_of_attention(mask, rng, tmp_path):
    onnxruntime()
    hidden = np.triu(np.ones((5, 5), bool))  # the first query attends to nothing
    masks = {"bool": hidden, "added": np.where(hidden, -2.0, 0.5).astype(np.float32)}
    model = Masked(masks.get(mask), is_causal=mask is None, average_attn_weights=False)
    example, other = (rng.normal(size=(n, 5, 8)).astype(np.float32) for n in (2, 3))
    check_export(model, example, [other], tmp_path / "model.onnx")


class Continued(nn.Module):
    def __init__(self):
        self.lstm = nn.LSTM(4, 5)

    def forward(self, x, h, c):
        return self.lstm(x, (h, c))


def test_first_states_are_inputs(rng, tmp_path):
    onnxruntime()
    example, others = (
        [rng.normal(size=s).astype(np.float32) for s in ((6, n, 4), (1, n, 5), (1, n, 5))] for n in (2, 3)
    )
    check_export(Continued(), tuple(example), others, tmp_path / "model.onnx", batch_axis=1)


REFUSED = {
    "proj_size": (lambda: nn.LSTM(4, 5, proj_size=2), (3, 4)),
    "max_norm": (lambda: nn.Embedding(9, 4, max_norm=1.0), None),
    "loops over the batch": (lambda: nn.LayerNormRNN(4, 5), (3, 4)),
    "divisor_override and ceil_mode": (lambda: nn.AvgPool1d(2, ceil_mode=True, divisor_override=3), (2, 7)),
    "return_indices": (lambda: nn.AdaptiveMaxPool1d(3, return_indices=True), (2, 7)),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_not_exported_is_named(what, rng, tmp_path):
    pytest.importorskip("onnx.checker")
    make, shape = REFUSED[what]
    x = rng.integers(0, 9, (2, 3)) if shape is None else rng.normal(size=(2, *shape)).astype(np.float32)
    with pytest.raises(ValueError, match=what):
        onnx.export(make(), x, tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []
