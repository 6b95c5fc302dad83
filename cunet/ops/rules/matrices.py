"""Functions of matrices."""

from __future__ import annotations

from ...autograd.rules import composite
from .. import math
from ..matrix.determinant import _slogdet, det


@composite(det)
def _(a):
    sign, log = _slogdet(a)
    if not sign.data.all():
        raise ValueError("det: of a singular matrix there is a first derivative only")
    return math.multiply(math.exp(log), sign.data)
