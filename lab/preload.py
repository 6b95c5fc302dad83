"""What the processes of pieces are forked from: numpy, cunet and the images are loaded once, when this is imported."""

import contextlib

from cunet.data import DatasetUnavailable

from . import nets, worker

with contextlib.suppress(DatasetUnavailable):  # a piece that needs them says so
    nets.images(download=False)

__all__ = ["worker"]
