"""What the tests of recurrent layers share."""

import cunet
from cunet import nn

LAYERS = [nn.RNN, nn.LSTM, nn.GRU]
NORMED = [nn.LayerNormRNN, nn.LayerNormLSTM, nn.LayerNormGRU]


def build(device, make, *sizes, dtype="float64", **options):
    return make(*sizes, dtype=dtype, **options).to(device)


def parts(state):
    """Return the states of a layer as a list: h, or h and c."""
    return list(state) if isinstance(state, tuple) else [state]


def total(output, state):
    """Return a number on which all outputs and states bear, each element with a weight of its own."""
    whole = 0.0
    for k, y in enumerate([output, *parts(state)]):
        xp = cunet.device.array_module(y.data)
        weights = xp.sin(xp.arange(y.size, dtype=y.dtype) + k).reshape(y.shape)
        whole = whole + (y * weights).sum()
    return whole
