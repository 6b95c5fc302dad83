"""Choose a dataset by name."""

from __future__ import annotations

import os
import sys

from .digits import Digits
from .images import DatasetUnavailable, Images
from .mnist import MNIST


def load_images(name: str = "auto", root: str | os.PathLike[str] | None = None) -> tuple[Images, Images]:
    """Load the train and test split of a data set of digits.

    Args:
        name: "mnist", "digits", or "auto": MNIST, or, where it cannot be had, Digits, with a line on
            standard error that says so and why.
        root: where MNIST is (see `MNIST`). Who names a folder means it: "auto" then does not fall back.

    Returns:
        ``(train, test)``.

    Raises:
        ValueError: `name` is none of the three.
        DatasetUnavailable: MNIST was asked for and cannot be had.
        ImportError: scikit-learn, which has the digits, is not installed.
        CorruptFile: a file of MNIST was found but is truncated or damaged; "auto" does not hide that.

    Example:
        >>> from cunet.data import load_images
        >>> train, test = load_images("digits")
        >>> train, test
        (Digits('train': 1442 images of 8x8), Digits('test': 355 images of 8x8))
    """
    if name not in ("auto", "mnist", "digits"):
        raise ValueError(f'load_images: name must be "auto", "mnist" or "digits", got {name!r}')
    if name != "digits":
        try:
            return MNIST("train", root=root), MNIST("test", root=root)
        except DatasetUnavailable as error:
            if name == "mnist" or root is not None:
                raise
            digits = Digits("train"), Digits("test")  # or what to install for them, before anything is said
            print(f"Falling back to scikit-learn's 1,797 digits of 8 x 8 pixels. {error}", file=sys.stderr)
            return digits
    return Digits("train"), Digits("test")
