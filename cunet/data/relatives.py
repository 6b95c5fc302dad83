"""Relatives of MNIST in its format: Fashion-MNIST and EMNIST."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from .download import fetch
from .finding import Archive, found
from .images import Images, Split, check_split
from .mnist import FILES, IdxFile, find_all, read_pair

Part = Literal["balanced", "byclass", "bymerge", "digits", "letters", "mnist"]
#: Sizes, and SHA-256 as they are sent, of Fashion-MNIST's files; those that torchvision's prototype datasets name too.
PACKED = {
    "train-images-idx3-ubyte": (26421880, "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"),
    "train-labels-idx1-ubyte": (29515, "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"),
    "t10k-images-idx3-ubyte": (4422102, "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"),
    "t10k-labels-idx1-ubyte": (5148, "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"),
}
#: EMNIST in one file, by the SHA-256 that MLDatasets.jl names too.
ARCHIVE = Archive("gzip.zip", 561753746, "fb9bb67e33772a9cc0b895e4ecf36d2cf35be8b709693c3564cea2a019fcda8e")
_CLASSES = {"balanced": 47, "byclass": 62, "bymerge": 47, "digits": 10, "letters": 26, "mnist": 10}


class FashionMNIST(Images):
    """Fashion-MNIST: 60,000 pictures of clothes of 28 x 28 pixels to train on, and 10,000 to test on.

    Its four files, which have MNIST's names, are looked for in `root` if it is given; otherwise in the folder
    ``fashion-mnist``, or torchvision's ``FashionMNIST/raw``, of the folder named by the environment variable
    ``CUNET_DATA``, and in ``~/.cache/cunet/fashion-mnist``, into which they are downloaded at last (30 MB), verified by
    SHA-256. Files that are found are read as they are.

    Args:
        split: "train" or "test".
        root: a folder that holds the files, or one of those two folders.
        download: whether to download what is in none of the places; never happens when `root` is given.
        mirrors: addresses of folders to download from, best first.

    `MEAN` and `STD` are figures that were published (github.com/chatflip/CalculationMeanStd).

    Raises:
        DatasetUnavailable: the files are in none of the places and could not be downloaded.
        CorruptFile: a file is truncated or damaged.
        ValueError: there is no such split.

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

    def __init__(
        self,
        split: Split = "train",
        *,
        root: str | os.PathLike[str] | None = None,
        download: bool = True,
        mirrors: Sequence[str] = (
            "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        ),
    ) -> None:
        """Find and load a split; see the class for the arguments."""
        check_split("FashionMNIST", split)
        files = FILES[split]

        def bring(folder: Path) -> None:
            for file in files:
                if file.find(folder) is None:
                    size, sha256 = PACKED[file.name]
                    urls = [f"{mirror.rstrip('/')}/{file.name}.gz" for mirror in mirrors]
                    fetch(urls, folder / f"{file.name}.gz", sha256, max_bytes=size, as_sent=True)

        folders = ("fashion-mnist", "FashionMNIST/raw")
        super().__init__(split, *_read_found("FashionMNIST", root, files, folders, bring if download else None))


class EMNIST(Images):
    """EMNIST: handwritten letters and digits of 28 x 28 pixels, upright as MNIST's are.

    Files such as ``emnist-letters-train-images-idx3-ubyte.gz`` are looked for in `root` if it is given; otherwise in
    the folder ``emnist``, or torchvision's ``EMNIST/raw``, of the folder named by the environment variable
    ``CUNET_DATA``, and in ``~/.cache/cunet/emnist``, into which all of EMNIST is downloaded at last (562 MB, in one
    file), verified by SHA-256. Files that are found are read as they are.

    Args:
        split: "train" or "test".
        part: "balanced", "byclass", "bymerge", "digits", "letters" (labels from 0 here, not from 1) or "mnist".
        root: a folder that holds the files, or one of those two folders.
        download: whether to download what is in none of the places; never happens when `root` is given.
        mirrors: addresses of folders that hold ``gzip.zip``, best first.

    `MEAN` and `STD` are published figures of "balanced".

    Raises:
        DatasetUnavailable: the files are in none of the places and could not be downloaded.
        CorruptFile: a file is truncated or damaged.
        ValueError: there is no such split or part.

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
        self,
        split: Split = "train",
        part: Part = "balanced",
        *,
        root: str | os.PathLike[str] | None = None,
        download: bool = True,
        mirrors: Sequence[str] = ("https://biometrics.nist.gov/cs_links/EMNIST/",),
    ) -> None:
        """Find and load a split; see the class for the arguments."""
        check_split("EMNIST", split)
        if part not in get_args(Part):
            raise ValueError(f"EMNIST: part must be one of {', '.join(get_args(Part))}, got {part!r}")
        files = _emnist(part, split)

        def bring(folder: Path) -> None:
            names = [
                f"{file.name}.gz" for one in get_args(Part) for half in get_args(Split) for file in _emnist(one, half)
            ]
            ARCHIVE.bring(folder, {f"gzip/{name}": name for name in names}, mirrors)

        images, labels = _read_found("EMNIST", root, files, ("emnist", "EMNIST/raw"), bring if download else None)
        self.CLASSES = _CLASSES[part]  # type: ignore[misc]
        super().__init__(split, images.swapaxes(1, 2).copy(), labels - (part == "letters"))


def _emnist(part: str, split: str) -> list[IdxFile]:
    return [IdxFile(f"emnist-{part}-{split}-{name}-ubyte", 0, "") for name in ("images-idx3", "labels-idx1")]


def _read_found(
    who: str,
    root: str | os.PathLike[str] | None,
    files: Sequence[IdxFile],
    folders: Sequence[str],
    bring: Callable[[Path], None] | None,
) -> tuple[np.ndarray, np.ndarray]:
    names = [f"{file.name}[.gz]" for file in files]
    paths = found(who, root, folders, names, lambda folder: find_all(folder, files), bring)
    return read_pair(paths, files, verify=False)
