"""Pictures: what a first layer looks for, and the images a model is wrong about."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..autograd.tensor import Tensor
from ..device import is_array
from ..nn.conv import Conv2d
from ..nn.linear import Linear
from ..nn.module import Module
from .style import new_panels, on_host

_GAP = 1  # pixels between the pictures of a mosaic


def as_pictures(values: np.ndarray) -> np.ndarray | None:
    """Return images (N, C, H, W), (N, H, W) or, of a square's length, (N, F), as (N, H, W) or (N, H, W, 3).

    None if they are no images: a flat length that is no square, or channels that are neither 1 nor 3.
    """
    if values.ndim == 2:
        side = math.isqrt(values.shape[1])
        return values.reshape(-1, side, side) if side**2 == values.shape[1] and side > 3 else None
    if values.ndim == 4 and values.shape[1] in (1, 3):
        return values[:, 0] if values.shape[1] == 1 else values.transpose(0, 2, 3, 1)
    return values if values.ndim == 3 else None


def mosaic(pictures: np.ndarray, columns: int, above: int = 0) -> np.ndarray:
    """Return pictures in rows as one, with gaps of NaN, and `above` each row more of them."""
    n, h, w = pictures.shape[:3]
    rows = -(-n // columns)
    size = (rows * (h + _GAP + above) - _GAP, columns * (w + _GAP) - _GAP, *pictures.shape[3:])
    whole = np.full(size, np.nan)
    for k, picture in enumerate(pictures):
        top, left = k // columns * (h + _GAP + above) + above, k % columns * (w + _GAP)
        whole[top : top + h, left : left + w] = picture
    return whole


def first_weight(model: Module) -> Tensor | None:
    """Return the weight of the first layer of a model if it can be shown: of a Conv2d, or a Linear on square images."""
    layer = next((m for m in model.modules() if getattr(m, "weight", None) is not None), None)
    if isinstance(layer, Conv2d) or (isinstance(layer, Linear) and as_pictures(on_host(layer.weight)) is not None):
        return layer.weight
    return None


def filter_pictures(weight: Any, count: int) -> tuple[np.ndarray, float]:
    """Return the weights of a first layer as pictures, and the largest of their sizes; see `filters`."""
    values = on_host(weight).astype(np.float64)
    if values.ndim == 4 and values.shape[1] != 3:
        values = values.reshape(-1, *values.shape[2:])
    pictures = as_pictures(values)
    if pictures is None or not pictures.size:
        raise ValueError(f"filters: weight must have shape (O, C, H, W) or (O, square), got {values.shape}")
    pictures = pictures[:count]
    return pictures, float(np.abs(pictures[np.isfinite(pictures)]).max(initial=0)) or 1.0


def filters(weight: Any, count: int = 64, ax: Any = None) -> Any:
    """Draw the weights of a first layer as pictures; return the axes.

    Those on three channels are shown in colour, all others channel by channel in greys, of which the middle one is 0.

    Args:
        weight: (O, C, H, W) of a convolution, (O, F) of a linear layer on square images, or a model that begins so.
        count: how many pictures at most.
        ax: axes of matplotlib to draw into; new ones by default.

    Raises:
        ImportError: matplotlib is not installed: ``pip install "cunet[plot]"``.
        ValueError: it has no pictures.

    Example:
        >>> from cunet import plot
        >>> ax = plot.filters(nn.Sequential(nn.Conv2d(1, 6, 5), nn.ReLU()))
        >>> ax.get_title()
        '6 filters of 5 x 5 pixels'
    """
    found = first_weight(weight) if isinstance(weight, Module) else weight
    if found is None:
        got = type(weight).__name__
        raise ValueError(f"filters: model must begin with a Conv2d, or a Linear on square images, got {got} without")
    pictures, largest = filter_pictures(found, count)
    if ax is None:
        (ax,) = new_panels("filters", 1, 1, 4.8, 4.2)
    columns = math.ceil(math.sqrt(len(pictures)))
    if pictures.ndim == 4:
        ax.imshow(np.nan_to_num(mosaic(pictures / largest / 2 + 0.5, columns), nan=1.0).clip(0, 1))
    else:
        image = ax.imshow(mosaic(pictures, columns), cmap="gray", vmin=-largest, vmax=largest)
        ax.figure.colorbar(image, ax=ax, shrink=0.8, label="weight")
    ax.set(xticks=[], yticks=[], title=f"{len(pictures)} filters of {pictures.shape[1]} x {pictures.shape[2]} pixels")
    ax.set_frame_on(False)
    return ax


def mistakes(
    images: Any, scores: Any, target: Any, names: Sequence[str] | None = None, count: int = 24, ax: Any = None
) -> Any:
    """Draw images that a classifier is wrong about, those first of which it is surest; return the axes.

    Above each stands the right class and, behind the arrow, the one it was taken for.

    Args:
        images: (N, C, H, W) with 1 or 3 channels, (N, H, W), or (N, F) with a square's length.
        scores: of the classes, (N, C): logits or probabilities.
        target: the right classes, integers (N,).
        names: of the classes; default: their numbers.
        count: how many at most.
        ax: axes of matplotlib to draw into; new ones by default.

    Raises:
        ImportError: matplotlib is not installed: ``pip install "cunet[plot]"``.
        ValueError: shapes do not fit.

    Example:
        >>> from cunet import plot
        >>> images, scores = np.zeros((3, 8, 8)), np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])
        >>> ax = plot.mistakes(images, scores, np.array([0, 0, 1]), names=["cat", "dog"])
        >>> ax.get_title(), [text.get_text() for text in ax.texts]
        ('2 of 2 wrong of 3', ['cat → dog', 'dog → cat'])
    """
    pictures, said, labels = _checked(images, scores, target)
    best = said.argmax(axis=1)
    wrong = np.flatnonzero((best != labels) & (labels >= 0) & (labels < said.shape[1]))
    lead = said[wrong, best[wrong]] - said[wrong, labels[wrong]]
    wrong = wrong[np.argsort(-lead, kind="stable")][:count]
    pairs = [[str(c) if names is None else str(names[c]) for c in (labels[i], best[i])] for i in wrong]
    long = max((len(name) for pair in pairs for name in pair), default=0) > 3
    columns, h, w = 4 if long else 6, *pictures.shape[1:3]
    above = max(2, round((0.34 if long else 0.3) * h))
    rows = max(1, -(-len(wrong) // columns))
    if ax is None:
        (ax,) = new_panels("mistakes", 1, 1, 4.8, 0.4 + 4.6 / columns * rows * (h + above) / w)
    ax.set(xticks=[], yticks=[], title=f"{len(wrong)} of {(best != labels).sum()} wrong of {len(labels)}")
    ax.set_frame_on(False)
    if not len(wrong):
        return ax
    whole = mosaic(stretched(pictures[wrong]), columns, above)
    ax.imshow(np.nan_to_num(whole, nan=1.0) if whole.ndim == 3 else whole, cmap="gray", vmin=0, vmax=1)
    for k, (right, said_to_be) in enumerate(pairs):
        x, y = k % columns * (w + _GAP) + w / 2, k // columns * (h + _GAP + above) + above * 0.85
        text = f"{right[:15]}\n→ {said_to_be[:15]}" if long else f"{right} → {said_to_be}"
        ax.text(x, y, text, ha="center", va="bottom", fontsize=6.5 if long else 8, linespacing=1.0)
    return ax


def stretched(pictures: np.ndarray) -> np.ndarray:
    """Return pictures so that each goes from 0 to 1."""
    flat = np.nan_to_num(pictures.astype(np.float64)).reshape(len(pictures), -1)
    low = flat.min(axis=1, keepdims=True)
    reach = flat.max(axis=1, keepdims=True) - low
    return ((flat - low) / np.where(reach > 0, reach, 1)).reshape(pictures.shape)


def _checked(images: Any, scores: Any, target: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    for name, value in (("images", images), ("scores", scores), ("target", target)):
        if not (isinstance(value, (Tensor, list, tuple)) or is_array(value)):
            raise TypeError(f"mistakes: {name} must be an array, got {type(value).__name__}")
    values, said, labels = on_host(images), on_host(scores), on_host(target)
    pictures = as_pictures(values)
    if pictures is None:
        raise ValueError(
            f"mistakes: images must have shape (N, 1 or 3, H, W), (N, H, W) or (N, square), got {values.shape}"
        )
    if said.ndim != 2 or labels.shape != said.shape[:1] or len(pictures) != len(labels):
        raise ValueError(
            f"mistakes: images, scores and target must be of N samples, (N, ...), (N, C) and (N,), got {values.shape}, "
            f"{said.shape} and {labels.shape}"
        )
    return pictures, said, labels
