"""Augmentation of whole batches of images, on the device they are on, by draws that come again in a resumed run."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..autograd.tensor import Tensor
from ..device import Array, array_module, is_array, is_floating, like
from ..random import Generator, default_generator
from ..system.checks import check_counts, check_numbers

Range = tuple[float, float]


class Augmentation:
    """Base: ``augmentation(images, *rest) -> (images, *rest)``, for ``Trainer(augment=...)`` or a loop of your own.

    Each call takes one draw of its stream, "augment" by default: seed and number of the call decide everything. A
    subclass defines ``_changed(images, rng)``, which returns other images (N, C, H, W).

    Args:
        generator: stream of random numbers.

    Raises:
        ValueError: (when it is called) images are no array (N, C, H, W).

    Example:
        >>> from cunet.data import Augmentation
        >>> class Noise(Augmentation):
        ...     def _changed(self, x, rng):
        ...         return x + rng.normal(0, 0.1, x.shape).astype(x.dtype)
        >>> noisy, labels = Noise()(np.zeros((2, 1, 4, 4), np.float32), np.array([3, 5]))
        >>> noisy.shape, labels
        ((2, 1, 4, 4), array([3, 5]))
    """

    def __init__(self, generator: Generator | None = None) -> None:
        self.generator = generator

    def __call__(self, images: Any, *rest: Any) -> tuple[Any, ...]:
        """Return a batch with other images (N, C, H, W); what comes after them, such as labels, is handed on."""
        x = self._checked(images)
        return (self._changed(x, self._rng()), *rest)

    def _changed(self, x: Array, rng: np.random.Generator) -> Array:
        """Return changed images."""
        raise NotImplementedError

    def _rng(self) -> np.random.Generator:
        return (self.generator or default_generator("augment")).rng()

    def _checked(self, images: Any, floating: bool = False) -> Array:
        x = images.data if isinstance(images, Tensor) else images
        who = type(self).__name__
        if not is_array(x) or x.ndim != 4:
            raise ValueError(
                f"{who}: images must be an array (N, C, H, W), got {getattr(x, 'shape', type(x).__name__)}"
            )
        if floating and not is_floating(x.dtype):
            raise TypeError(f"{who}: images must be floating, got {x.dtype}")
        return x


class Compose(Augmentation):
    """Do several augmentations one after the other.

    Args:
        steps: augmentations, or functions ``(images, *rest) -> (images, *rest)``.

    Example:
        >>> from cunet.data import Compose, Normalize, RandomFlip
        >>> augment = Compose(RandomFlip(p=1.0), Normalize(mean=1.0, std=2.0))
        >>> augment(np.array([[[[1.0, 3.0]]]]), np.array([0]))
        (array([[[[1., 0.]]]]), array([0]))
    """

    def __init__(self, *steps: Any) -> None:
        super().__init__()
        self.steps = steps

    def __call__(self, images: Any, *rest: Any) -> tuple[Any, ...]:
        """Return the batch as the last step leaves it."""
        batch = (images, *rest)
        for step in self.steps:
            batch = step(*batch)
        return batch


class RandomFlip(Augmentation):
    """Mirror images, left and right by default.

    Args:
        p: probability of each image.
        axis: -1 for left and right, -2 for up and down.
        generator: stream of random numbers.

    Raises:
        ValueError: `p` is not from 0 to 1, or `axis` is another one.

    Example:
        >>> from cunet.data import RandomFlip
        >>> RandomFlip(p=1.0)(np.array([[[[1.0, 2.0, 3.0]]]]))[0]
        array([[[[3., 2., 1.]]]])
    """

    def __init__(self, p: float = 0.5, axis: int = -1, generator: Generator | None = None) -> None:
        super().__init__(generator)
        self.p, self.axis = share("RandomFlip", "p", p), axis
        if axis not in (-1, -2):
            raise ValueError(f"RandomFlip: axis must be -1 or -2, got {axis}")

    def _changed(self, x: Array, rng: np.random.Generator) -> Array:
        chosen = like(rng.random(len(x)) < self.p, x)[:, None, None, None]
        return array_module(x).where(chosen, array_module(x).flip(x, self.axis), x)


class RandomCrop(Augmentation):
    """Move images by up to `padding` pixels each way; zeros come in: a crop of the padded image, of its size before.

    Args:
        padding: zeros on each side, 0 or more.
        generator: stream of random numbers.

    Raises:
        ValueError: `padding` is negative.

    Source: He et al. 2016, arXiv:1512.03385, section 4.2.

    Example:
        >>> from cunet.data import RandomCrop
        >>> x, y = RandomCrop(padding=4)(np.ones((8, 3, 32, 32)), np.arange(8))
        >>> x.shape, float(x.min())  # zeros came in
        ((8, 3, 32, 32), 0.0)
    """

    def __init__(self, padding: int = 4, generator: Generator | None = None) -> None:
        super().__init__(generator)
        check_counts("RandomCrop", 0, padding=padding)
        self.padding = padding

    def _changed(self, x: Array, rng: np.random.Generator) -> Array:
        n, channels, height, width = x.shape
        p, xp = self.padding, array_module(x)
        padded = xp.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))
        top, left = (like(rng.integers(0, 2 * p + 1, n), x)[:, None] for _ in range(2))
        rows, columns = top + xp.arange(height), left + xp.arange(width)
        samples = xp.arange(n)[:, None, None, None]
        return padded[
            samples, xp.arange(channels)[None, :, None, None], rows[:, None, :, None], columns[:, None, None, :]
        ]


class RandomErasing(Augmentation):
    """Set a rectangle of each image to a value.

    Args:
        p: probability of each image.
        area: share of the image that is erased, from and to.
        ratio: height by width, from and to, uniform in the logarithm.
        value: what is put there.
        generator: stream of random numbers.

    Raises:
        ValueError: `p` is not from 0 to 1, or a range does not rise from above 0.

    Source: Zhong et al. 2020, arXiv:1708.04896, algorithm 1; a rectangle that is too long is cut to the image.

    Example:
        >>> from cunet.data import RandomErasing
        >>> (x,) = RandomErasing(p=1.0, area=(0.25, 0.25), ratio=(1.0, 1.0))(np.ones((1, 1, 8, 8)))
        >>> float(x.mean())  # a quarter is gone
        0.75
    """

    def __init__(
        self,
        p: float = 0.5,
        area: Range = (0.02, 0.33),
        ratio: Range = (0.3, 3.3),
        value: float = 0.0,
        generator: Generator | None = None,
    ) -> None:
        super().__init__(generator)
        check_numbers("RandomErasing", value=value)
        self.p, self.value = share("RandomErasing", "p", p), value
        self.area, self.ratio = rising("RandomErasing", "area", area), rising("RandomErasing", "ratio", ratio)

    def _changed(self, x: Array, rng: np.random.Generator) -> Array:
        n, _, height, width = x.shape
        pixels = rng.uniform(*self.area, n) * height * width
        ratio = np.exp(rng.uniform(math.log(self.ratio[0]), math.log(self.ratio[1]), n))
        h = np.clip(np.rint(np.sqrt(pixels * ratio)), 1, height)
        w = np.clip(np.rint(np.sqrt(pixels / ratio)), 1, width)
        h *= rng.random(n) < self.p
        top, left = np.floor(rng.random(n) * (height - h + 1)), np.floor(rng.random(n) * (width - w + 1))
        inside = box(x, top, top + h, left, left + w)
        return array_module(x).where(inside, x.dtype.type(self.value), x)


class Normalize(Augmentation):
    """Standardise each channel: ``(x - mean) / std``. Nothing is drawn.

    Args:
        mean, std: a number, or one a channel.

    Raises:
        ValueError: `std` is not above 0, or one of the two has more than one axis.

    Example:
        >>> from cunet.data import Normalize
        >>> x, y = Normalize(mean=(0.5, 1.0), std=(0.5, 2.0))(np.ones((1, 2, 1, 1)), np.array([7]))
        >>> x.ravel(), y
        (array([1., 0.]), array([7]))
    """

    def __init__(self, mean: Any, std: Any) -> None:
        super().__init__()
        for name, value in (("mean", mean), ("std", std)):
            for number in np.atleast_1d(value).reshape(-1).tolist():
                check_numbers("Normalize", **{name: number})
        self.mean, self.std = np.atleast_1d(np.asarray(mean, float)), np.atleast_1d(np.asarray(std, float))
        if self.mean.ndim > 1 or self.std.ndim > 1 or not (self.std > 0).all():
            raise ValueError(f"Normalize: mean and std must be numbers, one a channel, std above 0, got {mean}, {std}")

    def __call__(self, images: Any, *rest: Any) -> tuple[Any, ...]:
        """Return the batch with standardised images."""
        x = self._checked(images, floating=True)
        mean, std = (like(a.astype(x.dtype), x)[:, None, None] for a in (self.mean, self.std))
        return ((x - mean) / std, *rest)


def share(who: str, name: str, value: float) -> float:
    """Return a number from 0 to 1, or raise ValueError."""
    check_numbers(who, **{name: value})
    if not 0 <= value <= 1:
        raise ValueError(f"{who}: {name} must be from 0 to 1, got {value}")
    return value


def rising(who: str, name: str, value: Any) -> Range:
    """Return a range of positive numbers, or raise ValueError."""
    pair = value if isinstance(value, (tuple, list)) and len(value) == 2 else None
    for end in pair or ():
        check_numbers(who, **{name: end})
    if pair is None or not 0 < pair[0] <= pair[1]:
        raise ValueError(f"{who}: {name} must be (from, to) with 0 < from <= to, got {value}")
    return value


def box(x: Array, top: Any, bottom: Any, left: Any, right: Any) -> Array:
    """Return where rectangles are, one an image: flags (N, 1, H, W)."""
    xp = array_module(x)
    up, down, west, east = (like(np.atleast_1d(a).astype(np.float64), x)[:, None] for a in (top, bottom, left, right))
    rows, columns = xp.arange(x.shape[2]), xp.arange(x.shape[3])
    return ((rows >= up) & (rows < down))[:, None, :, None] & ((columns >= west) & (columns < east))[:, None, None, :]
