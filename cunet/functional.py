"""Functions at layer level, under PyTorch's names; import as ``from cunet import F``."""

from .ops.activation import hard_sigmoid, hard_tanh, identity, logsigmoid, relu6, sigmoid, softplus, softsign
from .ops.dropout import (
    alpha_dropout,
    dropout,
    dropout1d,
    dropout2d,
    dropout3d,
    dropout_channel,
    feature_alpha_dropout,
)
from .ops.gated import gelu, glu, hard_swish, mish, silu
from .ops.linalg import linear
from .ops.math import tanh
from .ops.norm import batch_norm, batch_norm_inference, group_norm, instance_norm, layer_norm, rms_norm
from .ops.rectifier import celu, elu, leaky_relu, prelu, relu, selu, threshold_relu

__all__ = [
    "alpha_dropout",
    "batch_norm",
    "batch_norm_inference",
    "celu",
    "dropout",
    "dropout1d",
    "dropout2d",
    "dropout3d",
    "dropout_channel",
    "elu",
    "feature_alpha_dropout",
    "gelu",
    "glu",
    "group_norm",
    "hard_sigmoid",
    "hard_swish",
    "hard_tanh",
    "identity",
    "instance_norm",
    "layer_norm",
    "leaky_relu",
    "linear",
    "logsigmoid",
    "mish",
    "prelu",
    "relu",
    "relu6",
    "rms_norm",
    "selu",
    "sigmoid",
    "silu",
    "softplus",
    "softsign",
    "tanh",
    "threshold_relu",
]
