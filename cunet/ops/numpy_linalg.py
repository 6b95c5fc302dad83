"""The functions of `numpy.linalg` that run ops on Tensors; see `numpy_signatures`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .matrix import determinant, equations, norms, spectral, triangular


def _svd(a: Any, full_matrices: bool = True, compute_uv: bool = True) -> Any:
    return spectral.svd(a, full_matrices=full_matrices) if compute_uv else spectral.svdvals(a)


LINALG: dict[Callable[..., Any], Callable[..., Any]] = {
    np.linalg.cholesky: triangular.cholesky,
    np.linalg.det: determinant.det,
    np.linalg.eigh: spectral.eigh,
    np.linalg.eigvalsh: spectral.eigvalsh,
    np.linalg.inv: equations.inv,
    np.linalg.lstsq: equations.lstsq,
    np.linalg.matrix_power: equations.matrix_power,
    np.linalg.norm: norms.norm,
    np.linalg.pinv: equations.pinv,
    np.linalg.qr: triangular.qr,
    np.linalg.slogdet: determinant.slogdet,
    np.linalg.solve: equations.solve,
    np.linalg.svd: _svd,
    np.linalg.svdvals: spectral.svdvals,
}
