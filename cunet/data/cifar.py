"""CIFAR-10: 60,000 small pictures in colour, of ten things."""

from __future__ import annotations

import os

import numpy as np

from .idx import CorruptFile
from .images import Images, Split, check_split
from .relatives import not_found, places

_FILES = {"train": [f"data_batch_{k}.bin" for k in range(1, 6)], "test": ["test_batch.bin"]}
_RECORD = 1 + 3 * 32 * 32  # bytes: the label, then red, green and blue, row by row


class CIFAR10(Images):
    """CIFAR-10: 50,000 pictures of 32 x 32 pixels in colour to train on, and 10,000 to test on.

    The files of its binary version (``cifar-10-binary.tar.gz``, unpacked) are looked for in `root` if it is given;
    otherwise in the folder ``cifar-10-batches-bin`` of the folder named by the environment variable ``CUNET_DATA``, and
    in ``~/.cache/cunet/cifar-10-batches-bin``. Nothing is downloaded. The Python version is made of pickles, which
    could run any code, and is not read.

    Args:
        split: "train" or "test".
        root: a folder that holds the files, or that folder.

    Raises:
        DatasetUnavailable: the files are in none of the places.
        CorruptFile: a file is truncated, or holds something else.

    Source: Krizhevsky 2009, "Learning Multiple Layers of Features from Tiny Images".

    Example:
        >>> from cunet.data import CIFAR10
        >>> np.arange(2 * 3073, dtype=np.uint8).tofile("test_batch.bin")  # two records in the true format
        >>> test = CIFAR10("test", root=".")
        >>> test, test.arrays(flatten=False)[0].shape, CIFAR10.NAMES[0]
        (CIFAR10('test': 2 images of 32x32), (2, 3, 32, 32), 'airplane')
    """

    PEAK = 255
    MEAN = (0.4914, 0.4822, 0.4465)  # type: ignore[assignment]
    STD = (0.2470, 0.2435, 0.2616)  # type: ignore[assignment]
    NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

    def __init__(self, split: Split = "train", *, root: str | os.PathLike[str] | None = None) -> None:
        """Find and load a split; see the class for the arguments."""
        check_split("CIFAR10", split)
        looked = places(root, ("cifar-10-batches-bin",))
        for folder in looked:
            if all((folder / name).is_file() for name in _FILES[split]):
                records = np.concatenate([_records(folder / name) for name in _FILES[split]])
                images = records[:, 1:].reshape(-1, 3, 32, 32)
                super().__init__(split, images, records[:, 0].astype(np.int64))
                return
        raise not_found("CIFAR10", _FILES[split], looked)


def _records(path: os.PathLike[str]) -> np.ndarray:
    """Return the records of a file, uint8 (N, 3073)."""
    content = np.fromfile(path, np.uint8)
    if not content.size or content.size % _RECORD:
        raise CorruptFile(path, f"it must hold records of {_RECORD} bytes, got {content.size} bytes")
    records = content.reshape(-1, _RECORD)
    if records[:, 0].max() > 9:
        raise CorruptFile(path, f"labels must be from 0 to 9, got {records[:, 0].max()}")
    return records
