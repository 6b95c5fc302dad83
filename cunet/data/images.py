"""What the image datasets have in common: images, labels, and arrays ready for training."""

from __future__ import annotations

import math
from typing import Any, ClassVar, Literal, get_args

import numpy as np

Split = Literal["train", "test"]


class DatasetUnavailable(RuntimeError):
    """A dataset is in none of the places looked at and could not be downloaded.

    Example:
        >>> from cunet.data import MNIST, DatasetUnavailable
        >>> try:
        ...     train = MNIST(root="nowhere")  # with a root nothing is downloaded
        ... except DatasetUnavailable as error:
        ...     print(error)
        MNIST: no folder nowhere...
    """


class Images:
    """A split of an image dataset, whole in memory.

    Attributes:
        split: "train" or "test".
        images: uint8, at most `PEAK`: (N, H, W) with 0 for the background, or (N, 3, H, W) in colour.
        labels: (N,) int64, the class.

    Example:
        >>> from cunet.data import Digits
        >>> digits = Digits("test")
        >>> image, label = digits[0]
        >>> len(digits), image.shape, image.dtype.name, int(label)
        (355, (8, 8), 'uint8', 5)
        >>> x, y = digits.arrays()  # float32, standardised, one row an image
        >>> x.shape, y.shape
        ((355, 64), (355,))
    """

    PEAK: ClassVar[int]  # the value of full ink
    MEAN: ClassVar[float]  # of images / PEAK over the train split; in colour a tuple, one a channel
    STD: ClassVar[float]
    CLASSES: ClassVar[int] = 10

    def __init__(self, split: str, images: np.ndarray, labels: np.ndarray) -> None:
        """Keep the arrays as they are."""
        self.split, self.images, self.labels = split, images, labels

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.labels)

    def __getitem__(self, index: Any) -> tuple[Any, Any]:
        """Return ``(images[index], labels[index])``; any NumPy index along the first axis."""
        return self.images[index], self.labels[index]

    def __repr__(self) -> str:
        """Show the split and the shape."""
        height, width = self.images.shape[-2:]
        return f"{type(self).__name__}({self.split!r}: {len(self)} images of {height}x{width})"

    def arrays(self, *, flatten: bool = True, standardise: bool = True) -> tuple[np.ndarray, np.ndarray]:
        """Return new arrays for training: ``x = images / PEAK``, then ``(x - MEAN) / STD``.

        Args:
            flatten: (N, C*H*W) for linear layers; else (N, C, H, W) for convolutions; C is 1 without colour.
            standardise: subtract `MEAN` and divide by `STD`, both of the train split; else x lies in [0, 1].

        Returns:
            x float32 and y int64 (N,).
        """
        x = self.images.astype(np.float32)
        if standardise:
            x -= self.PEAK * _by_channel(self.MEAN)
        x /= self.PEAK * _by_channel(self.STD) if standardise else self.PEAK
        n, shape = len(self), self.images.shape[1:]
        x = x.reshape((n, math.prod(shape)) if flatten else (n, *shape) if len(shape) == 3 else (n, 1, *shape))
        return x, self.labels.astype(np.int64)


def _by_channel(value: float | tuple[float, ...]) -> Any:
    """Return a number as it is, and several, one a channel, as they fit images (N, C, H, W)."""
    return np.array(value, np.float32)[:, None, None] if isinstance(value, tuple) else value


def check_split(owner: str, split: str) -> None:
    """Raise ValueError unless `split` is "train" or "test"."""
    if split not in get_args(Split):
        raise ValueError(f'{owner}: split must be "train" or "test", got {split!r}')
