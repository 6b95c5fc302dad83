"""Functions at layer level, under PyTorch's names; import as ``from cunet import F``."""

from .ops.activation import hard_sigmoid, hard_tanh, identity, logsigmoid, relu6, sigmoid, softplus, softsign
from .ops.cross_entropy import cross_entropy
from .ops.divergence import binary_cross_entropy_with_logits, kl_div
from .ops.dropout import (
    alpha_dropout,
    dropout,
    dropout1d,
    dropout2d,
    dropout3d,
    dropout_channel,
    feature_alpha_dropout,
)
from .ops.embedding import embedding, one_hot
from .ops.gated import gelu, glu, hard_swish, mish, silu
from .ops.linalg import linear
from .ops.loss import huber_loss, l1_loss, mse_loss, smooth_l1_loss
from .ops.math import tanh
from .ops.nll import nll_loss
from .ops.norm import batch_norm, batch_norm_inference, group_norm, instance_norm, layer_norm, rms_norm
from .ops.rectifier import celu, elu, leaky_relu, prelu, relu, selu, threshold_relu
from .ops.softmax import log_softmax, softmax

__all__ = [
    "alpha_dropout",
    "batch_norm",
    "batch_norm_inference",
    "binary_cross_entropy_with_logits",
    "celu",
    "cross_entropy",
    "dropout",
    "dropout1d",
    "dropout2d",
    "dropout3d",
    "dropout_channel",
    "elu",
    "embedding",
    "feature_alpha_dropout",
    "gelu",
    "glu",
    "group_norm",
    "hard_sigmoid",
    "hard_swish",
    "hard_tanh",
    "huber_loss",
    "identity",
    "instance_norm",
    "kl_div",
    "l1_loss",
    "layer_norm",
    "leaky_relu",
    "linear",
    "log_softmax",
    "logsigmoid",
    "mish",
    "mse_loss",
    "nll_loss",
    "one_hot",
    "prelu",
    "relu",
    "relu6",
    "rms_norm",
    "selu",
    "sigmoid",
    "silu",
    "smooth_l1_loss",
    "softmax",
    "softplus",
    "softsign",
    "tanh",
    "threshold_relu",
]
