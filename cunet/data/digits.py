"""Digits: the 1,797 handwritten digits of 8 x 8 pixels that come with scikit-learn."""

from __future__ import annotations

import numpy as np

from .images import Images, Split, check_split


class Digits(Images):
    """The 1,797 real handwritten digits that scikit-learn ships, 8 x 8 pixels, values 0 to 16.

    They need no download, but scikit-learn: ``pip install scikit-learn``, or cunet's extra ``[examples]``.

    The split is fixed: of each digit, in the order of the data set, every fifth image belongs to the
    test split (355 images) and the others to the train split (1,442). People who wrote the one also wrote the other, so
    accuracies are somewhat higher than on digits of strangers.

    Args:
        split: "train" or "test".

    Raises:
        ImportError: scikit-learn is not installed.
        ValueError: there is no such split.

    Source: Alpaydin and Kaynak 1998, "Optical Recognition of Handwritten Digits", UCI repository (its test part).

    Example:
        >>> from cunet.data import Digits
        >>> Digits("train"), Digits("test")
        (Digits('train': 1442 images of 8x8), Digits('test': 355 images of 8x8))
        >>> x, y = Digits("test").arrays(flatten=False)
        >>> x.shape, x.dtype.name, np.bincount(y)
        ((355, 1, 8, 8), 'float32', array([35, 36, 35, 36, 36, 36, 36, 35, 34, 36]))
    """

    PEAK = 16
    MEAN = 0.3051
    STD = 0.3762

    def __init__(self, split: Split = "train") -> None:
        """Load a split; see the class for the arguments."""
        check_split("Digits", split)
        try:
            from sklearn.datasets import load_digits
        except ImportError as error:
            raise ImportError("Digits needs scikit-learn, which has them: pip install scikit-learn") from error
        data = load_digits()
        labels = data.target.astype(np.int64)
        test = np.zeros(len(labels), bool)
        for digit in range(self.CLASSES):
            test[np.flatnonzero(labels == digit)[4::5]] = True
        chosen = test if split == "test" else ~test
        super().__init__(split, data.images[chosen].astype(np.uint8), labels[chosen])
