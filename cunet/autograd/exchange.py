"""Arrays of other libraries without a copy: DLPack in."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..device import Device, gpu, to_device
from .tensor import Tensor

#: Kinds of memory in DLPack that NumPy reads, and CuPy: those of the CPU; of CUDA's devices, and what they share.
_HOST, _CUDA = {1, 3}, {2, 13}


def from_dlpack(ext_tensor: Any, *, device: Device | None = None, copy: bool | None = None) -> Tensor:
    """Return a Tensor on the memory of an array of another library: PyTorch, JAX, CuPy, NumPy, ...

    Nothing is copied, so what is written here is seen there. The other way ``torch.from_dlpack(x)`` and
    ``numpy.from_dlpack(x)`` take a Tensor as it is.

    Args:
        ext_tensor: an object with ``__dlpack__`` and ``__dlpack_device__``.
        device: "cpu", "gpu", "auto"; another one than where the memory lies means a copy.
        copy: True copies, False never does, None where another device is asked for.

    Raises:
        TypeError: it has no such methods.
        ValueError: its memory or its dtype is of a kind that neither NumPy nor CuPy reads, or ``copy=False`` and
            another device.
        BufferError: it does not give its memory away, as PyTorch's tensors that require gradients.

    Example:
        >>> theirs = np.arange(3.0)
        >>> x = cunet.from_dlpack(theirs)
        >>> theirs[0] = 7
        >>> x
        Tensor([7., 1., 2.], dtype=float64)
    """
    if not (hasattr(ext_tensor, "__dlpack__") and hasattr(ext_tensor, "__dlpack_device__")):
        raise TypeError(f"from_dlpack: an object with __dlpack__ is needed, got {type(ext_tensor).__name__}")
    kind = int(ext_tensor.__dlpack_device__()[0])
    module = np if kind in _HOST else gpu() if kind in _CUDA else None
    if module is None:
        lies = "on a GPU, where CuPy is needed" if kind in _CUDA else f"on a device of kind {kind}"
        raise ValueError(f"from_dlpack: the memory lies {lies}; move it to the CPU first")
    try:
        array = module.from_dlpack(ext_tensor)
    except RuntimeError as error:
        raise ValueError(f"from_dlpack: {error}; convert it to float32 first") from error
    made = array if device is None else to_device(array, device)
    if made is not array and copy is False:
        raise ValueError(f"from_dlpack: copy must not be False where the memory is to go to {device!r}")
    return Tensor(made.copy() if copy and made is array else made)
