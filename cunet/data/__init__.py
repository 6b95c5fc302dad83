"""Datasets and loaders."""

from .digits import Digits
from .idx import CorruptFile, read_idx, write_idx
from .images import DatasetUnavailable, Images
from .load import load_images
from .loader import Loader, collate
from .mnist import MNIST

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
