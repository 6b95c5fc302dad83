"""Relatives of MNIST in its format: Fashion-MNIST and EMNIST, from files that lie here."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from ..system.paths import user_cache
from .images import DatasetUnavailable, Images, Split, check_split
from .mnist import FILES, IdxFile, find_all, read_pair

Part = Literal["balanced", "byclass", "bymerge", "digits", "letters", "mnist"]
_CLASSES = {"balanced": 47, "byclass": 62, "bymerge": 47, "digits": 10, "letters": 26, "mnist": 10}


class FashionMNIST(Images):
    """Fashion-MNIST: 60,000 pictures of clothes of 28 x 28 pixels to train on, and 10,000 to test on.

    Its four files, which have MNIST's names, are looked for in `root` if it is given; otherwise in the folder
    ``fashion-mnist``, or torchvision's ``FashionMNIST/raw``, of the folder named by the environment variable
    ``CUNET_DATA``, and in ``~/.cache/cunet/fashion-mnist``. Nothing is downloaded.

    Args:
        split: "train" or "test".
        root: a folder that holds the files, or one of those two folders.

    Raises:
        DatasetUnavailable: the files are in none of the places.
        CorruptFile: a file is truncated or damaged.

    Source: Xiao, Rasul and Vollgraf 2017, arXiv:1708.07747.

    Example:
        >>> from cunet.data import FashionMNIST, write_idx
        >>> write_idx("t10k-images-idx3-ubyte.gz", np.zeros((5, 28, 28), np.uint8))  # a small file in its place
        >>> write_idx("t10k-labels-idx1-ubyte.gz", np.arange(5, dtype=np.uint8))
        >>> test = FashionMNIST("test", root=".")
        >>> test, FashionMNIST.NAMES[test.labels[1]]
        (FashionMNIST('test': 5 images of 28x28), 'trouser')
    """

    PEAK = 255
    MEAN = 0.2860
    STD = 0.3530
    NAMES = ("T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")

    def __init__(self, split: Split = "train", *, root: str | os.PathLike[str] | None = None) -> None:
        """Find and load a split; see the class for the arguments."""
        check_split("FashionMNIST", split)
        files = FILES[split]
        super().__init__(split, *_read_found("FashionMNIST", root, files, ("fashion-mnist", "FashionMNIST/raw")))


class EMNIST(Images):
    """EMNIST: handwritten letters and digits of 28 x 28 pixels, upright as MNIST's are.

    Files such as ``emnist-letters-train-images-idx3-ubyte.gz`` are looked for in `root` if it is given; otherwise in
    the folder ``emnist``, or torchvision's ``EMNIST/raw``, of the folder named by the environment variable
    ``CUNET_DATA``, and in ``~/.cache/cunet/emnist``. Nothing is downloaded.

    Args:
        split: "train" or "test".
        part: "balanced", "byclass", "bymerge", "digits", "letters" (labels from 0 here, not from 1) or "mnist".
        root: a folder that holds the files, or one of those two folders.

    `MEAN` and `STD` are those of "balanced".

    Raises:
        DatasetUnavailable: the files are in none of the places.
        CorruptFile: a file is truncated or damaged.

    Source: Cohen, Afshar, Tapson and van Schaik 2017, arXiv:1702.05373.

    Example:
        >>> from cunet.data import EMNIST, write_idx
        >>> write_idx("emnist-letters-test-images-idx3-ubyte.gz", np.zeros((2, 28, 28), np.uint8))  # a small file
        >>> write_idx("emnist-letters-test-labels-idx1-ubyte.gz", np.array([1, 26], np.uint8))
        >>> test = EMNIST("test", "letters", root=".")
        >>> test.labels, test.CLASSES
        (array([ 0, 25]), 26)
    """

    PEAK = 255
    MEAN = 0.1751
    STD = 0.3332

    def __init__(
        self, split: Split = "train", part: Part = "balanced", *, root: str | os.PathLike[str] | None = None
    ) -> None:
        """Find and load a split; see the class for the arguments."""
        check_split("EMNIST", split)
        if part not in get_args(Part):
            raise ValueError(f"EMNIST: part must be one of {', '.join(get_args(Part))}, got {part!r}")
        files = [IdxFile(f"emnist-{part}-{split}-{name}-ubyte", 0, "") for name in ("images-idx3", "labels-idx1")]
        images, labels = _read_found("EMNIST", root, files, ("emnist", "EMNIST/raw"))
        self.CLASSES = _CLASSES[part]  # type: ignore[misc]
        super().__init__(split, images.swapaxes(1, 2).copy(), labels - (part == "letters"))


def places(root: str | os.PathLike[str] | None, folders: Sequence[str]) -> list[Path]:
    """Return the folders in which a data set may lie; `folders` are the names of its own."""
    if root is not None:
        base = Path(root).expanduser()
        return [base, *(base / name for name in folders)]
    data, found = os.environ.get("CUNET_DATA"), []
    if data:
        found += [Path(data).expanduser() / name for name in folders]
    try:
        return [*found, user_cache(folders[0])]
    except OSError:
        return found


def not_found(who: str, names: Sequence[str], looked: Sequence[Path]) -> DatasetUnavailable:
    """Return the error for a data set that is nowhere."""
    return DatasetUnavailable(
        f"{who}: there is no {' and no '.join(names)} in {', '.join(map(str, looked)) or 'any place'}; put the files "
        "there, set CUNET_DATA to the folder above, or pass root="
    )


def _read_found(
    who: str, root: str | os.PathLike[str] | None, files: Sequence[IdxFile], folders: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    looked = places(root, folders)
    for folder in looked:
        paths = find_all(folder, files)
        if paths is not None:
            return read_pair(paths, files, verify=False)
    raise not_found(who, [f"{file.name}[.gz]" for file in files], looked)
