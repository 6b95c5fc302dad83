"""Layers and containers, under PyTorch's names."""

from .activation import (
    CELU,
    ELU,
    GELU,
    GLU,
    SELU,
    Hardsigmoid,
    Hardswish,
    Hardtanh,
    LeakyReLU,
    LogSigmoid,
    LogSoftmax,
    Mish,
    PReLU,
    ReLU,
    ReLU6,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Softsign,
    Tanh,
    ThresholdedReLU,
)
from .container import ModuleDict, ModuleList, Sequential
from .linear import Bilinear, Embedding, Flatten, Identity, Linear
from .module import Module, Parameter
from .report import variance_report
