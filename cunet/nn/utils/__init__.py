"""What changes the layers of a model, under PyTorch's names."""

import typing as _typing

from ...autograd.pytorch import UTILS as _UTILS
from ...autograd.pytorch import refused as _refused
from ...system.public import publish as _publish
from . import parametrizations as parametrizations
from . import parametrize as parametrize

__all__, __dir__ = _publish(__name__, "parametrizations", "parametrize")
if not _typing.TYPE_CHECKING:  # to type checkers it would say that every name is there
    __getattr__ = _refused(__name__, _UTILS)
