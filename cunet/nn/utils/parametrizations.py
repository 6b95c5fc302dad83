"""Weights that are computed of what is trained in their place."""

from ...system.public import publish as _publish
from ..weight_norms import spectral_norm as spectral_norm
from ..weight_norms import weight_norm as weight_norm

__all__, __dir__ = _publish(__name__)
