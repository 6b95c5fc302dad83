"""CUDA's words for dtypes, and what stands before the text of a RawKernel."""

from __future__ import annotations

from typing import Any

import numpy as np

from ....device import is_gpu_array
from ...spec import arithmetic

_WORDS = {
    "float16": "float16", "bfloat16": "bfloat16", "float32": "float", "float64": "double", "bool": "bool",
    "int32": "int", "uint32": "unsigned int", "int64": "long long", "uint64": "unsigned long long",
}  # fmt: skip
_INCLUDES = {name: f"#include <cupy/{name}.cuh>\n" for name in ("float16", "bfloat16")}


def c_type(kind: str) -> str | None:
    """Return what C calls the type of a parameter, or None for a placeholder other than ``T`` and ``A``."""
    return kind if kind in ("T", "A") else _WORDS.get(kind)


def placeholders(dtype: np.dtype) -> dict[str, np.dtype]:
    """Return what ``T`` and ``A`` stand for beside data of `dtype`."""
    return {"T": dtype, "A": arithmetic(dtype)}


def types(wide: np.dtype, gradient: np.dtype) -> str:
    """Return the definitions of ``A``, the type `wide`, and of ``G``."""
    return f"{_INCLUDES.get(gradient.name, '')}typedef {_WORDS[wide.name]} A;\ntypedef {_WORDS[gradient.name]} G;"


def data_types(dtype: np.dtype) -> str:
    """Return the definitions of ``T``, the type `dtype`, and of ``A``."""
    wide = _WORDS[arithmetic(dtype).name]
    return f"{_INCLUDES.get(dtype.name, '')}typedef {_WORDS[dtype.name]} T;\ntypedef {wide} A;\n"


def prelude(wide: np.dtype) -> str:
    """Return what stands before the preamble of a kernel that CuPy makes: the type ``A``."""
    return f"typedef {'double' if wide.char == 'd' else 'float'} A;\n"


def on_device(a: Any) -> bool:
    """Tell whether an argument is an array of the device; refuse NumPy's, as CuPy's own kernels do."""
    if isinstance(a, np.ndarray):
        raise TypeError(f"Unsupported type {type(a)}")
    return is_gpu_array(a)
