"""Datasets and loaders."""

from cunet.data.digits import Digits
from cunet.data.idx import CorruptFile, read_idx, write_idx
from cunet.data.images import DatasetUnavailable, Images
from cunet.data.load import load_images
from cunet.data.loader import Loader, collate
from cunet.data.mnist import MNIST

__all__ = [
    "MNIST",
    "CorruptFile",
    "DatasetUnavailable",
    "Digits",
    "Images",
    "Loader",
    "collate",
    "load_images",
    "read_idx",
    "write_idx",
]
