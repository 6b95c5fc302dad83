"""MNIST: 70,000 handwritten digits of 28 x 28 pixels."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..system.paths import user_cache
from .download import fetch
from .finding import first, places, private
from .idx import CorruptFile, parse_idx, read_announced
from .images import DatasetUnavailable, Images, Split, check_split

MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)


class IdxFile(NamedTuple):
    """A file of the data set: its name, and size in bytes and SHA-256 of its decompressed content."""

    name: str
    size: int
    sha256: str

    def find(self, folder: Path) -> Path | None:
        """Return this file in `folder`, raw or compressed, with dash or dot in its name; None if it is not there."""
        dotted = self.name.replace("-idx", ".idx")
        for name in (self.name, dotted, f"{self.name}.gz", f"{dotted}.gz"):
            if (folder / name).is_file():
                return folder / name
        return None


FILES: dict[str, tuple[IdxFile, IdxFile]] = {  # images, labels
    "train": (
        IdxFile(
            "train-images-idx3-ubyte", 47040016, "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"
        ),
        IdxFile("train-labels-idx1-ubyte", 60008, "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"),
    ),
    "test": (
        IdxFile("t10k-images-idx3-ubyte", 7840016, "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"),
        IdxFile("t10k-labels-idx1-ubyte", 10008, "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"),
    ),
}


class MNIST(Images):
    """MNIST, 60,000 images to train on and 10,000 to test on.

    The files are looked for in `root` if it is given, and nowhere else; otherwise in the folder ``mnist``, or
    torchvision's ``MNIST/raw``, of the folder named by the environment variable ``CUNET_DATA``, then in the user's
    cache (``$XDG_CACHE_HOME/cunet/mnist``, by default ``~/.cache/cunet/mnist``), and are at last downloaded into that
    cache. They may be raw or gzip-compressed, and named ``train-images-idx3-ubyte`` or
    ``train-images.idx3-ubyte``.

    Args:
        split: "train" or "test".
        root: a folder that holds the files, or whose folder ``mnist`` or ``MNIST/raw`` does.
        download: whether to download what is in none of the places; never happens when `root` is given.
        verify: whether the content must be that of MNIST, by SHA-256; False accepts other files of the same form,
            such as Fashion-MNIST or a part of MNIST.
        mirrors: addresses of folders to download from, best first.

    Raises:
        DatasetUnavailable: the files are in none of the places and could not be downloaded.
        CorruptFile: a file was found but is truncated, damaged or not MNIST's.
        ValueError: there is no such split.

    Source: LeCun, Bottou, Bengio, Haffner 1998, "Gradient-based learning applied to document recognition".

    Example:
        >>> from cunet.data import MNIST, write_idx
        >>> write_idx("t10k-images-idx3-ubyte.gz", np.zeros((5, 28, 28), np.uint8))  # a small file in its place
        >>> write_idx("t10k-labels-idx1-ubyte.gz", np.arange(5, dtype=np.uint8))
        >>> test = MNIST("test", root=".", verify=False)
        >>> x, y = test.arrays(flatten=False)
        >>> test, x.shape
        (MNIST('test': 5 images of 28x28), (5, 1, 28, 28))
    """

    PEAK = 255
    MEAN = 0.1307
    STD = 0.3081

    def __init__(
        self,
        split: Split = "train",
        *,
        root: str | os.PathLike[str] | None = None,
        download: bool = True,
        verify: bool = True,
        mirrors: Sequence[str] = MIRRORS,
    ) -> None:
        """Find and load a split; see the class for the arguments."""
        check_split("MNIST", split)
        files = FILES[split]
        paths = first(places(root, ("mnist", "MNIST/raw")), lambda folder: find_all(folder, files))
        if paths is None and root is not None:
            lacks = _lacks(Path(root).expanduser(), files)
            raise DatasetUnavailable(f"MNIST: {lacks}, nor its folders mnist and MNIST/raw; nowhere else was looked")
        super().__init__(split, *read_pair(paths or _download(files, download, mirrors), files, verify))


def read_pair(paths: Sequence[Path], files: Sequence[IdxFile], verify: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return images uint8 (N, H, W) and labels int64 (N,) out of their two files.

    Raises:
        CorruptFile: a file is truncated or damaged, or does not hold that; with `verify` if it holds other data.
    """
    images, labels = (_read(path, file, verify) for path, file in zip(paths, files, strict=True))
    if images.dtype != np.uint8 or images.ndim != 3 or labels.shape != images.shape[:1]:
        raise CorruptFile(
            paths[0],
            f"the images must be uint8 (N, H, W) with one label each, got {images.dtype} {images.shape}"
            f" with labels {labels.shape} in {paths[1]}",
        )
    return images, labels.astype(np.int64)


def find_all(folder: Path, files: Sequence[IdxFile]) -> list[Path] | None:
    """Return the paths of files in a folder, raw or compressed; None unless all are there."""
    paths = [path for file in files if (path := file.find(folder))]
    return paths if len(paths) == len(files) else None


def _download(files: Sequence[IdxFile], allowed: bool, mirrors: Sequence[str]) -> list[Path]:
    """Bring the files into the cache, or raise DatasetUnavailable with all the places that were tried."""
    data = os.environ.get("CUNET_DATA")
    looked = [_lacks(Path(data).expanduser() / "mnist", files) + " (CUNET_DATA)" if data else "CUNET_DATA is not set"]
    try:
        folder = user_cache("mnist")
        looked.append(_lacks(folder, files) + " (the cache)")
        if not allowed:
            looked.append("download=False")
            raise DatasetUnavailable(_advice(looked))
        private(folder)
        for file in files:
            if file.find(folder) is None:
                urls = [f"{mirror.rstrip('/')}/{file.name}.gz" for mirror in mirrors]
                # gzip never makes a file longer by more than a header and some bytes per block
                fetch(urls, folder / f"{file.name}.gz", file.sha256, max_bytes=file.size + (1 << 20))
    except OSError as error:
        raise DatasetUnavailable(_advice([*looked, f"download failed ({error})"])) from error
    return [file.find(folder) or folder / f"{file.name}.gz" for file in files]


def _lacks(folder: Path, files: Sequence[IdxFile]) -> str:
    missing = " or ".join(f"{file.name}[.gz]" for file in files if file.find(folder) is None)
    return f"no {missing} in {folder}" if folder.is_dir() else f"no folder {folder}"


def _advice(looked: Sequence[str]) -> str:
    return (
        f"MNIST was not found: {'; '.join(looked)}. Put its four files into a folder mnist/ and set CUNET_DATA to"
        " the folder that holds mnist/, or pass root="
    )


def _read(path: Path, file: IdxFile, verify: bool) -> np.ndarray:
    import hashlib  # here, so that importing cunet does not load it

    content = read_announced(path)
    array = parse_idx(content, path)  # first, because it can say what is wrong with the file
    if verify and hashlib.sha256(content).hexdigest() != file.sha256:
        raise CorruptFile(path, f"its content is not that of MNIST's {file.name} (verify=False accepts other data)")
    return array
