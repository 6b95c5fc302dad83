"""cunet: autograd and neural networks for the arrays people already have, NumPy and CuPy."""

from . import data as data
from . import functional as functional
from . import init as init
from . import native as native
from . import nn as nn
from . import optim as optim
from . import random as random
from . import rowwise as rowwise
from . import train as train
from .autograd.op import op as op
from .autograd.tape import is_recording as is_recording
from .autograd.tape import no_grad as no_grad
from .autograd.tensor import Tensor as Tensor
from .autograd.tensor import tensor as tensor
from .autograd.transforms import grad as grad
from .autograd.transforms import value_and_grad as value_and_grad
from .device import synchronize as synchronize
from .doctor.machine import device_info as device_info
from .kernels import elementwise as elementwise
from .kernels import reduction as reduction
from .ops.array import astype as astype
from .ops.array import broadcast_to as broadcast_to
from .ops.array import concatenate as concatenate
from .ops.array import diagonal as diagonal
from .ops.array import expand_dims as expand_dims
from .ops.array import flip as flip
from .ops.array import getitem as getitem
from .ops.array import pad as pad
from .ops.array import repeat as repeat
from .ops.array import reshape as reshape
from .ops.array import split as split
from .ops.array import squeeze as squeeze
from .ops.array import stack as stack
from .ops.array import swapaxes as swapaxes
from .ops.array import tile as tile
from .ops.array import transpose as transpose
from .ops.linalg import einsum as einsum
from .ops.linalg import matmul as matmul
from .ops.logsumexp import logsumexp as logsumexp
from .ops.math import add as add
from .ops.math import arccos as arccos
from .ops.math import arccosh as arccosh
from .ops.math import arcsin as arcsin
from .ops.math import arcsinh as arcsinh
from .ops.math import arctan as arctan
from .ops.math import arctanh as arctanh
from .ops.math import cos as cos
from .ops.math import cosh as cosh
from .ops.math import divide as divide
from .ops.math import erf as erf
from .ops.math import exp as exp
from .ops.math import exp2 as exp2
from .ops.math import expm1 as expm1
from .ops.math import log as log
from .ops.math import log1p as log1p
from .ops.math import log2 as log2
from .ops.math import log10 as log10
from .ops.math import multiply as multiply
from .ops.math import negative as negative
from .ops.math import power as power
from .ops.math import reciprocal as reciprocal
from .ops.math import sin as sin
from .ops.math import sinh as sinh
from .ops.math import sqrt as sqrt
from .ops.math import square as square
from .ops.math import subtract as subtract
from .ops.math import tan as tan
from .ops.math import tanh as tanh
from .ops.products import dot as dot
from .ops.products import inner as inner
from .ops.products import outer as outer
from .ops.products import tensordot as tensordot
from .ops.reduce import cumsum as cumsum
from .ops.reduce import max as max
from .ops.reduce import mean as mean
from .ops.reduce import min as min
from .ops.reduce import prod as prod
from .ops.reduce import std as std
from .ops.reduce import sum as sum
from .ops.reduce import var as var
from .ops.selection import abs as abs
from .ops.selection import clip as clip
from .ops.selection import maximum as maximum
from .ops.selection import minimum as minimum
from .ops.selection import where as where
from .random import Generator as Generator
from .random import manual_seed as manual_seed
from .system.public import publish as _publish
from .train import Trainer as Trainer

F = functional
__version__ = "0.1.0"

__all__, __dir__ = _publish(
    __name__, "F", "__version__", "data", "functional", "init", "native", "nn", "optim", "random", "rowwise", "train"
)
