"""CIFAR-10: 60,000 small pictures in colour, of ten things."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from .finding import Archive, found
from .idx import CorruptFile
from .images import Images, Split, check_split

_FILES = {"train": [f"data_batch_{k}.bin" for k in range(1, 6)], "test": ["test_batch.bin"]}
#: By the MD5 c32a1d4ab5d03f1284b67883e8d87530 of the authors' page; this is what files of that MD5 have as SHA-256.
ARCHIVE = Archive(
    "cifar-10-binary.tar.gz", 170052171, "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"
)
_RECORD = 1 + 3 * 32 * 32  # bytes: the label, then red, green and blue, row by row


class CIFAR10(Images):
    """CIFAR-10: 50,000 pictures of 32 x 32 pixels in colour to train on, and 10,000 to test on.

    The files of its binary version (``cifar-10-binary.tar.gz``, unpacked) are looked for in `root` if it is given;
    otherwise in the folder ``cifar-10-batches-bin`` of the folder named by the environment variable ``CUNET_DATA``, and
    in ``~/.cache/cunet/cifar-10-batches-bin``, into which they are downloaded at last (170 MB), verified by SHA-256.
    Files that are found are read as they are. The Python version is made of pickles, which could run any code, and is
    not read.

    Args:
        split: "train" or "test".
        root: a folder that holds the files, or that folder.
        download: whether to download what is in none of the places; never happens when `root` is given.
        mirrors: addresses of folders that hold ``cifar-10-binary.tar.gz``, best first.

    `MEAN` and `STD` are figures that were published (github.com/khakhlyuk/fixedconv).

    Raises:
        DatasetUnavailable: the files are in none of the places and could not be downloaded.
        CorruptFile: a file is truncated, or holds something else.
        ValueError: there is no such split.

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

    def __init__(
        self,
        split: Split = "train",
        *,
        root: str | os.PathLike[str] | None = None,
        download: bool = True,
        mirrors: Sequence[str] = ("https://www.cs.toronto.edu/~kriz/",),
    ) -> None:
        """Find and load a split; see the class for the arguments."""
        check_split("CIFAR10", split)
        files = _FILES[split]

        def look(folder: Path) -> list[Path] | None:
            paths = [folder / name for name in files]
            return paths if all(path.is_file() for path in paths) else None

        def bring(folder: Path) -> None:
            names = [name for half in _FILES.values() for name in half]
            ARCHIVE.bring(folder, {f"cifar-10-batches-bin/{name}": name for name in names}, mirrors)

        paths = found("CIFAR10", root, ("cifar-10-batches-bin",), files, look, bring if download else None)
        records = np.concatenate([_records(path) for path in paths])
        super().__init__(split, records[:, 1:].reshape(-1, 3, 32, 32), records[:, 0].astype(np.int64))


def _records(path: os.PathLike[str]) -> np.ndarray:
    """Return the records of a file, uint8 (N, 3073)."""
    content = np.fromfile(path, np.uint8)
    if not content.size or content.size % _RECORD:
        raise CorruptFile(path, f"it must hold records of {_RECORD} bytes, got {content.size} bytes")
    records = content.reshape(-1, _RECORD)
    if records[:, 0].max() > 9:
        raise CorruptFile(path, f"labels must be from 0 to 9, got {records[:, 0].max()}")
    return records
