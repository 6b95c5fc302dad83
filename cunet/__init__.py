"""cunet: autograd and neural networks for the arrays people already have, NumPy and CuPy."""

import typing as _typing

from . import fft as fft
from . import functional as functional
from . import init as init
from . import linalg as linalg
from . import native as native
from . import nn as nn
from . import random as random
from . import rowwise as rowwise
from .autograd.custom import checkpoint as checkpoint
from .autograd.custom import custom_jvp as custom_jvp
from .autograd.custom import custom_vjp as custom_vjp
from .autograd.derivatives import hvp as hvp
from .autograd.derivatives import jvp as jvp
from .autograd.derivatives import linearize as linearize
from .autograd.derivatives import vjp as vjp
from .autograd.differentiable import differentiable as differentiable
from .autograd.exchange import from_dlpack as from_dlpack
from .autograd.implicit import custom_root as custom_root
from .autograd.implicit import fixed_point as fixed_point
from .autograd.matrices import hessian as hessian
from .autograd.matrices import jacobian as jacobian
from .autograd.op import op as op
from .autograd.pytorch import TOP as _TOP
from .autograd.pytorch import refused as _refused
from .autograd.tape import is_recording as is_recording
from .autograd.tape import no_grad as no_grad
from .autograd.tensor import Tensor as Tensor
from .autograd.tensor import tensor as tensor
from .autograd.tracing import create_graph as create_graph
from .autograd.transforms import grad as grad
from .autograd.transforms import value_and_grad as value_and_grad
from .autograd.vmap import vmap as vmap
from .device import synchronize as synchronize
from .doctor.machine import device_info as device_info
from .kernels import elementwise as elementwise
from .kernels import reduction as reduction
from .kernels.backends.cuda.precision import precision as precision
from .kernels.calculus.helpers import derivative_of as derivative_of
from .nn.anomaly import Anomaly as Anomaly
from .nn.anomaly import detect_anomaly as detect_anomaly
from .nn.summary import summary as summary
from .ops.array import astype as astype
from .ops.array import broadcast_to as broadcast_to
from .ops.array import concatenate as concatenate
from .ops.array import expand_dims as expand_dims
from .ops.array import flip as flip
from .ops.array import pad as pad
from .ops.array import repeat as repeat
from .ops.array import reshape as reshape
from .ops.array import split as split
from .ops.array import squeeze as squeeze
from .ops.array import stack as stack
from .ops.array import swapaxes as swapaxes
from .ops.array import tile as tile
from .ops.array import transpose as transpose
from .ops.complex import Complex as Complex
from .ops.cumulative import cumprod as cumprod
from .ops.cumulative import cumsum as cumsum
from .ops.einsum import einsum as einsum
from .ops.error_function import erf as erf
from .ops.error_function import erfc as erfc
from .ops.indexing import getitem as getitem
from .ops.linalg import matmul as matmul
from .ops.logsumexp import logsumexp as logsumexp
from .ops.math import add as add
from .ops.math import divide as divide
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
from .ops.math import rsqrt as rsqrt
from .ops.math import sqrt as sqrt
from .ops.math import square as square
from .ops.math import subtract as subtract
from .ops.math import tanh as tanh
from .ops.pairwise import arctan2 as arctan2
from .ops.pairwise import hypot as hypot
from .ops.pairwise import lerp as lerp
from .ops.pairwise import logaddexp as logaddexp
from .ops.predicates import all as all
from .ops.predicates import any as any
from .ops.predicates import isfinite as isfinite
from .ops.predicates import isinf as isinf
from .ops.predicates import isnan as isnan
from .ops.products import dot as dot
from .ops.products import inner as inner
from .ops.products import outer as outer
from .ops.products import tensordot as tensordot
from .ops.rearrange import diag as diag
from .ops.rearrange import diagonal as diagonal
from .ops.rearrange import diff as diff
from .ops.rearrange import hstack as hstack
from .ops.rearrange import moveaxis as moveaxis
from .ops.rearrange import roll as roll
from .ops.rearrange import trace as trace
from .ops.rearrange import tril as tril
from .ops.rearrange import triu as triu
from .ops.rearrange import vstack as vstack
from .ops.reduce import max as max
from .ops.reduce import mean as mean
from .ops.reduce import min as min
from .ops.reduce import prod as prod
from .ops.reduce import std as std
from .ops.reduce import sum as sum
from .ops.reduce import var as var
from .ops.rounding import ceil as ceil
from .ops.rounding import divmod as divmod
from .ops.rounding import floor as floor
from .ops.rounding import floor_divide as floor_divide
from .ops.rounding import mod as mod
from .ops.rounding import remainder as remainder
from .ops.rounding import round as round
from .ops.rounding import sign as sign
from .ops.rounding import trunc as trunc
from .ops.selection import abs as abs
from .ops.selection import clip as clip
from .ops.selection import maximum as maximum
from .ops.selection import minimum as minimum
from .ops.selection import nan_to_num as nan_to_num
from .ops.selection import where as where
from .ops.sorting import argmax as argmax
from .ops.sorting import argmin as argmin
from .ops.sorting import argsort as argsort
from .ops.sorting import median as median
from .ops.sorting import sort as sort
from .ops.sorting import take_along_axis as take_along_axis
from .ops.sorting import topk as topk
from .ops.trigonometry import arccos as arccos
from .ops.trigonometry import arccosh as arccosh
from .ops.trigonometry import arcsin as arcsin
from .ops.trigonometry import arcsinh as arcsinh
from .ops.trigonometry import arctan as arctan
from .ops.trigonometry import arctanh as arctanh
from .ops.trigonometry import cos as cos
from .ops.trigonometry import cosh as cosh
from .ops.trigonometry import sin as sin
from .ops.trigonometry import sinh as sinh
from .ops.trigonometry import tan as tan
from .random import Generator as Generator
from .random import manual_seed as manual_seed
from .system.public import later as _later
from .system.public import publish as _publish

if _typing.TYPE_CHECKING:
    from . import data as data
    from . import diagnose as diagnose
    from . import onnx as onnx
    from . import optim as optim
    from . import plot as plot
    from . import search as search
    from . import train as train
    from .predictor.predictor import Predictor as Predictor
    from .predictor.predictor import load_predictor as load_predictor
    from .predictor.predictor import save_predictor as save_predictor
    from .predictor.registry import register_layer as register_layer
    from .record import compile as compile
    from .train import Trainer as Trainer

F = functional
__version__ = "0.2.0"

#: What nothing else needs: rooms, and names with the room that they are of.
_LATER = {
    "data": "",
    "diagnose": "",
    "onnx": "",
    "optim": "",
    "plot": "",
    "search": "",
    "train": "",
    "Predictor": "predictor.predictor",
    "load_predictor": "predictor.predictor",
    "register_layer": "predictor.registry",
    "save_predictor": "predictor.predictor",
    "compile": "record",
    "Trainer": "train",
}
__all__, __dir__ = _publish(
    __name__,
    *("F", "__version__", *_LATER),
    *("fft", "functional", "init", "linalg", "native", "nn", "random", "rowwise"),
)
if not _typing.TYPE_CHECKING:  # to type checkers it would say that every name is there
    __getattr__ = _later(__name__, _LATER, _refused(__name__, _TOP))
