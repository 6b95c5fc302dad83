"""Functions at layer level, under PyTorch's names; import as ``from cunet import F``.

Arguments have PyTorch's names and order too (`input`, `dim`, ...); where PyTorch has ``dim``, NumPy's ``axis`` is taken
as well. What it does not have follows behind or goes by name: ``axis`` of channels or classes, `channels_last`,
`activation`, `generator`. ``inplace=True`` is taken and changes nothing: no function writes into what it was given.
"""

import typing as _typing

from .ops.activation.clipping import hardsigmoid as hardsigmoid
from .ops.activation.clipping import hardtanh as hardtanh
from .ops.activation.clipping import relu6 as relu6
from .ops.activation.gated import gelu as gelu
from .ops.activation.gated import glu as glu
from .ops.activation.gated import hardswish as hardswish
from .ops.activation.gated import mish as mish
from .ops.activation.gated import silu as silu
from .ops.activation.rectifier import celu as celu
from .ops.activation.rectifier import elu as elu
from .ops.activation.rectifier import leaky_relu as leaky_relu
from .ops.activation.rectifier import prelu as prelu
from .ops.activation.rectifier import relu as relu
from .ops.activation.rectifier import selu as selu
from .ops.activation.rectifier import threshold as threshold
from .ops.activation.shrink import hardshrink as hardshrink
from .ops.activation.shrink import softshrink as softshrink
from .ops.activation.shrink import tanhshrink as tanhshrink
from .ops.activation.squashing import identity as identity
from .ops.activation.squashing import logsigmoid as logsigmoid
from .ops.activation.squashing import sigmoid as sigmoid
from .ops.activation.squashing import softplus as softplus
from .ops.activation.squashing import softsign as softsign
from .ops.attention import scaled_dot_product_attention as scaled_dot_product_attention
from .ops.attention import sinusoidal_positions as sinusoidal_positions
from .ops.conv.convolution import conv1d as conv1d
from .ops.conv.convolution import conv2d as conv2d
from .ops.conv.convolution import conv3d as conv3d
from .ops.conv.convolution import conv_transpose1d as conv_transpose1d
from .ops.conv.convolution import conv_transpose2d as conv_transpose2d
from .ops.conv.convolution import conv_transpose3d as conv_transpose3d
from .ops.distance import cosine_similarity as cosine_similarity
from .ops.distance import normalize as normalize
from .ops.distance import pairwise_distance as pairwise_distance
from .ops.dropout import alpha_dropout as alpha_dropout
from .ops.dropout import dropout as dropout
from .ops.dropout import dropout1d as dropout1d
from .ops.dropout import dropout2d as dropout2d
from .ops.dropout import dropout3d as dropout3d
from .ops.dropout import dropout_channel as dropout_channel
from .ops.dropout import feature_alpha_dropout as feature_alpha_dropout
from .ops.dropout import stochastic_depth as stochastic_depth
from .ops.embedding import embedding as embedding
from .ops.embedding import one_hot as one_hot
from .ops.gaussian_dropout import gaussian_dropout as gaussian_dropout
from .ops.linalg import linear as linear
from .ops.loss.bernoulli import binary_cross_entropy as binary_cross_entropy
from .ops.loss.cross_entropy import cross_entropy as cross_entropy
from .ops.loss.divergence import binary_cross_entropy_with_logits as binary_cross_entropy_with_logits
from .ops.loss.divergence import kl_div as kl_div
from .ops.loss.embedding import cosine_embedding_loss as cosine_embedding_loss
from .ops.loss.embedding import triplet_margin_loss as triplet_margin_loss
from .ops.loss.embedding import triplet_margin_with_distance_loss as triplet_margin_with_distance_loss
from .ops.loss.likelihood import gaussian_nll_loss as gaussian_nll_loss
from .ops.loss.likelihood import poisson_nll_loss as poisson_nll_loss
from .ops.loss.margin import hinge_embedding_loss as hinge_embedding_loss
from .ops.loss.margin import margin_ranking_loss as margin_ranking_loss
from .ops.loss.margin import multi_margin_loss as multi_margin_loss
from .ops.loss.margin import soft_margin_loss as soft_margin_loss
from .ops.loss.nll import nll_loss as nll_loss
from .ops.loss.regression import huber_loss as huber_loss
from .ops.loss.regression import l1_loss as l1_loss
from .ops.loss.regression import mse_loss as mse_loss
from .ops.loss.regression import smooth_l1_loss as smooth_l1_loss
from .ops.math import tanh as tanh
from .ops.norm.group_norm import group_norm as group_norm
from .ops.norm.layer_norm import layer_norm as layer_norm
from .ops.norm.layer_norm import rms_norm as rms_norm
from .ops.norm.running import batch_norm as batch_norm
from .ops.norm.running import instance_norm as instance_norm
from .ops.pool.pooling import adaptive_avg_pool1d as adaptive_avg_pool1d
from .ops.pool.pooling import adaptive_avg_pool2d as adaptive_avg_pool2d
from .ops.pool.pooling import adaptive_avg_pool3d as adaptive_avg_pool3d
from .ops.pool.pooling import adaptive_max_pool1d as adaptive_max_pool1d
from .ops.pool.pooling import adaptive_max_pool2d as adaptive_max_pool2d
from .ops.pool.pooling import adaptive_max_pool3d as adaptive_max_pool3d
from .ops.pool.pooling import avg_pool1d as avg_pool1d
from .ops.pool.pooling import avg_pool2d as avg_pool2d
from .ops.pool.pooling import avg_pool3d as avg_pool3d
from .ops.pool.pooling import max_pool1d as max_pool1d
from .ops.pool.pooling import max_pool2d as max_pool2d
from .ops.pool.pooling import max_pool3d as max_pool3d
from .ops.recurrent.dropout import drop_connect as drop_connect
from .ops.recurrent.dropout import variational_dropout as variational_dropout
from .ops.resize import interpolate as interpolate
from .ops.resize import pad as pad
from .ops.sampling import gumbel_softmax as gumbel_softmax
from .ops.shuffle import pixel_shuffle as pixel_shuffle
from .ops.shuffle import pixel_unshuffle as pixel_unshuffle
from .ops.softmax import log_softmax as log_softmax
from .ops.softmax import softmax as softmax
from .ops.softmax import softmin as softmin
from .system.public import publish as _publish
from .system.public import renamed as _renamed

__all__, __dir__ = _publish(__name__)
if not _typing.TYPE_CHECKING:  # to type checkers it would say that every name is there
    __getattr__ = _renamed(
        __name__,
        batch_norm_inference="batch_norm, which takes running statistics",
        hard_sigmoid="hardsigmoid",
        hard_swish="hardswish",
        hard_tanh="hardtanh",
        threshold_relu="threshold",
    )
