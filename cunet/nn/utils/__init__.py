"""What changes the layers of a model, under PyTorch's names."""

import typing as _typing

from ...system.public import publish as _publish
from ...system.public import renamed as _renamed
from . import parametrizations as parametrizations
from . import parametrize as parametrize

__all__, __dir__ = _publish(__name__, "parametrizations", "parametrize")

if not _typing.TYPE_CHECKING:  # to type checkers it would say that every name is there
    __getattr__ = _renamed(
        __name__,
        clip_grad_norm_="cunet.optim.clip_grad_norm_",
        clip_grad_value_="cunet.optim.clip_grad_value_",
    )
