"""Mixtures of two images of a batch, and of their labels: mixup and CutMix."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..device import Array, array_module, like
from ..random import Generator
from ..system.checks import check_counts, check_numbers
from .augment import Augmentation, box


class _Mixture(Augmentation):
    """Base of mixtures, whose labels become probabilities (N, classes), as `F.cross_entropy` takes them.

    Args:
        classes: how many there are.
        alpha: of the distribution Beta(alpha, alpha) of the first image's share, above 0.
        generator: stream of random numbers.
    """

    def __init__(self, classes: int, alpha: float, generator: Generator | None = None) -> None:
        super().__init__(generator)
        who = type(self).__name__
        check_counts(who, 2, classes=classes)
        check_numbers(who, alpha=alpha)
        if not alpha > 0:
            raise ValueError(f"{who}: alpha must be above 0, got {alpha}")
        self.classes, self.alpha = classes, alpha

    def __call__(self, images: Any, *rest: Any) -> tuple[Any, ...]:
        """Return a batch (images, probabilities) of images (N, C, H, W) and labels (N,)."""
        x = self._checked(images, floating=True)
        if len(rest) != 1 or getattr(rest[0], "shape", None) != x.shape[:1] or rest[0].dtype.kind not in "iu":
            got = ", ".join(f"{getattr(a, 'dtype', type(a).__name__)} {getattr(a, 'shape', '')}".strip() for a in rest)
            raise ValueError(
                f"{type(self).__name__}: labels must be integers (N,) = ({len(x)},), and nothing after them,"
                f" got {got or 'no labels'}"
            )
        xp, rng = array_module(x), self._rng()
        other = like(np.argsort(rng.random(len(x)), kind="stable"), x)
        mixed, share = self._mixed(x, x[other], float(rng.beta(self.alpha, self.alpha)), rng)
        hot = (rest[0][:, None] == xp.arange(self.classes)).astype(x.dtype)
        return mixed, hot * x.dtype.type(share) + hot[other] * x.dtype.type(1 - share)

    def _mixed(self, x: Array, other: Array, share: float, rng: np.random.Generator) -> tuple[Array, float]:
        """Return mixtures, and the share in them of the first images."""
        raise NotImplementedError


class MixUp(_Mixture):
    """Average each image with another one of the batch, and their labels: ``share * x + (1 - share) * other``.

    Args:
        classes: how many there are.
        alpha: of the distribution Beta(alpha, alpha) of the share, drawn once a batch.
        generator: stream of random numbers.

    Raises:
        ValueError: there are fewer than 2 classes, or `alpha` is not above 0.

    Source: Zhang et al. 2018, arXiv:1710.09412, section 2.

    Example:
        >>> from cunet.data import MixUp
        >>> images, labels = np.zeros((2, 1, 8, 8), np.float32), np.array([0, 2])
        >>> x, y = MixUp(classes=3, alpha=0.4)(images, labels)
        >>> y.shape, y.sum(axis=1)  # probabilities, as F.cross_entropy takes them
        ((2, 3), array([1., 1.], dtype=float32))
    """

    def __init__(self, classes: int, alpha: float = 0.2, generator: Generator | None = None) -> None:
        super().__init__(classes, alpha, generator)

    def _mixed(self, x: Array, other: Array, share: float, rng: np.random.Generator) -> tuple[Array, float]:
        return x * x.dtype.type(share) + other * x.dtype.type(1 - share), share


class CutMix(_Mixture):
    """Put a rectangle of another image of the batch into each; labels are shared by the areas.

    Args:
        classes: how many there are.
        alpha: of the distribution Beta(alpha, alpha) of the share that stays, drawn once a batch.
        generator: stream of random numbers.

    Raises:
        ValueError: there are fewer than 2 classes, or `alpha` is not above 0.

    Source: Yun et al. 2019, arXiv:1905.04899, equations 1 and 2.

    Example:
        >>> from cunet.data import CutMix
        >>> images, labels = np.zeros((2, 3, 32, 32), np.float32), np.array([0, 2])
        >>> x, y = CutMix(classes=3)(images, labels)
        >>> x.shape, y.shape, y.sum(axis=1)
        ((2, 3, 32, 32), (2, 3), array([1., 1.], dtype=float32))
    """

    def __init__(self, classes: int, alpha: float = 1.0, generator: Generator | None = None) -> None:
        super().__init__(classes, alpha, generator)

    def _mixed(self, x: Array, other: Array, share: float, rng: np.random.Generator) -> tuple[Array, float]:
        edges = []
        for size in x.shape[2:]:
            half, middle = size * np.sqrt(1 - share) / 2, rng.uniform(0, size)
            edges.append(np.rint(np.clip([middle - half, middle + half], 0, size)))
        (top, bottom), (left, right) = edges
        area = (bottom - top) * (right - left) / (x.shape[2] * x.shape[3])
        inside = box(x, top, bottom, left, right)
        return array_module(x).where(inside, other, x), 1 - float(area)
