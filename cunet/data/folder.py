"""Any folder of images: a folder for each class in it."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from ..system.extras import extra
from .idx import CorruptFile
from .images import DatasetUnavailable

_SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"})


class ImageFolder:
    """A dataset of the images below a folder, read one by one by Pillow (extra `[images]`): see `Loader`.

    Each folder in it is a class, and all image files below that are its samples; classes and files are in the order of
    their names. A sample is ``(image, label)``: float32 (C, H, W) from 0 to 1, and the number of the class. Images lie
    as their EXIF data say; of those that move the first picture is taken.

    Args:
        root: the folder.
        size: (height, width) that all images are scaled to; None: as they are, which then have to be alike.
        colour: whether there are three channels, or one of grey.

    Attributes:
        names: of the classes.
        paths, labels: of the samples.

    Raises:
        ImportError: Pillow is not installed: ``pip install "cunet[images]"``.
        DatasetUnavailable: there is no such folder, or no image in it.
        CorruptFile: by a sample whose file is damaged.

    Example:
        >>> import os
        >>> from PIL import Image
        >>> from cunet.data import ImageFolder, Loader
        >>> for name in ("cat", "dog"):
        ...     os.makedirs(f"pets/{name}")
        ...     Image.new("RGB", (40, 30)).save(f"pets/{name}/1.png")
        >>> pets = ImageFolder("pets", size=(24, 32))
        >>> x, y = next(iter(Loader(pets, batch_size=2)))
        >>> pets.names, x.shape, y
        (['cat', 'dog'], (2, 3, 24, 32), array([0, 1]))
    """

    def __init__(self, root: str | os.PathLike[str], size: tuple[int, int] | None = None, colour: bool = True) -> None:
        extra("PIL.Image", "images", "ImageFolder")
        folder = Path(root).expanduser()
        if not folder.is_dir():
            raise DatasetUnavailable(f"ImageFolder: there is no folder {folder}")
        found = {one.name: _images(one) for one in sorted(folder.iterdir()) if one.is_dir()}
        self.names = [name for name, paths in found.items() if paths]
        self.paths = [path for name in self.names for path in found[name]]
        self.labels = np.repeat(np.arange(len(self.names)), [len(found[name]) for name in self.names])
        if not self.paths:
            raise DatasetUnavailable(f"ImageFolder: {folder} must hold a folder of images for each class, got none")
        self.size, self.colour = size, colour

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.paths)

    def __getitem__(self, i: int) -> tuple[np.ndarray, np.int64]:
        """Return an image and its label."""
        image, turned = extra("PIL.Image", "images", "ImageFolder"), extra("PIL.ImageOps", "images", "ImageFolder")
        path = self.paths[i]
        try:
            with image.open(path) as opened:
                picture = turned.exif_transpose(opened).convert("RGB" if self.colour else "L")
        except (OSError, SyntaxError, ValueError) as error:  # what Pillow raises for damaged files
            raise CorruptFile(path, f"it is no whole image ({error})") from error
        if self.size is not None:
            picture = picture.resize(self.size[::-1], image.Resampling.BILINEAR)
        x = np.asarray(picture, np.float32) / 255
        return (x.transpose(2, 0, 1).copy() if self.colour else x[None]), self.labels[i]


def _images(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in _SUFFIXES and path.is_file())
