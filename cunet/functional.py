"""Functions at layer level, under PyTorch's names; import as ``from cunet import F``."""

from .ops.activation.gated import gelu, glu, hard_swish, mish, silu
from .ops.activation.rectifier import celu, elu, leaky_relu, prelu, relu, selu, threshold_relu
from .ops.activation.squashing import hard_sigmoid, hard_tanh, identity, logsigmoid, relu6, sigmoid, softplus, softsign
from .ops.attention import scaled_dot_product_attention, sinusoidal_positions
from .ops.conv.convolution import conv1d, conv2d, conv3d, conv_transpose1d, conv_transpose2d, conv_transpose3d
from .ops.dropout import alpha_dropout, dropout, dropout1d, dropout2d, dropout3d, dropout_channel, feature_alpha_dropout
from .ops.embedding import embedding, one_hot
from .ops.linalg import linear
from .ops.loss.cross_entropy import cross_entropy
from .ops.loss.divergence import binary_cross_entropy_with_logits, kl_div
from .ops.loss.nll import nll_loss
from .ops.loss.regression import huber_loss, l1_loss, mse_loss, smooth_l1_loss
from .ops.math import tanh
from .ops.norm.batch_norm import batch_norm, batch_norm_inference
from .ops.norm.group_norm import group_norm, instance_norm
from .ops.norm.layer_norm import layer_norm, rms_norm
from .ops.pool.pooling import (
    adaptive_avg_pool1d,
    adaptive_avg_pool2d,
    adaptive_avg_pool3d,
    adaptive_max_pool1d,
    adaptive_max_pool2d,
    adaptive_max_pool3d,
    avg_pool1d,
    avg_pool2d,
    avg_pool3d,
    max_pool1d,
    max_pool2d,
    max_pool3d,
)
from .ops.recurrent.dropout import drop_connect, variational_dropout
from .ops.resize import interpolate, pad
from .ops.softmax import log_softmax, softmax

__all__ = [
    "adaptive_avg_pool1d",
    "adaptive_avg_pool2d",
    "adaptive_avg_pool3d",
    "adaptive_max_pool1d",
    "adaptive_max_pool2d",
    "adaptive_max_pool3d",
    "alpha_dropout",
    "avg_pool1d",
    "avg_pool2d",
    "avg_pool3d",
    "batch_norm",
    "batch_norm_inference",
    "binary_cross_entropy_with_logits",
    "celu",
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "cross_entropy",
    "drop_connect",
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
    "interpolate",
    "kl_div",
    "l1_loss",
    "layer_norm",
    "leaky_relu",
    "linear",
    "log_softmax",
    "logsigmoid",
    "max_pool1d",
    "max_pool2d",
    "max_pool3d",
    "mish",
    "mse_loss",
    "nll_loss",
    "one_hot",
    "pad",
    "prelu",
    "relu",
    "relu6",
    "rms_norm",
    "scaled_dot_product_attention",
    "selu",
    "sigmoid",
    "silu",
    "sinusoidal_positions",
    "smooth_l1_loss",
    "softmax",
    "softplus",
    "softsign",
    "tanh",
    "threshold_relu",
    "variational_dropout",
]
