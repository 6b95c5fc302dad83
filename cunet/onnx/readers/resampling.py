"""Resize and Upsample: each axis by itself, elements that are mixed by their shares."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...device import array_module
from ..reading import listed, need, reads

#: Where element k of the result lies in the input, of lengths n and m and the scale s.
_PLACES: dict[str, Callable[..., np.ndarray]] = {
    "half_pixel": lambda k, n, m, s: (k + 0.5) / s - 0.5,
    "pytorch_half_pixel": lambda k, n, m, s: (k + 0.5) / s - 0.5 if m > 1 else k * 0.0,
    "align_corners": lambda k, n, m, s: k * (n - 1) / (n * s - 1) if m > 1 else k * 0.0,
    "asymmetric": lambda k, n, m, s: k / s,
    "half_pixel_symmetric": lambda k, n, m, s: n / 2 * (1 - m / (n * s)) + (k + 0.5) / s - 0.5,
}
_NEAREST: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "round_prefer_floor": lambda x: np.ceil(x - 0.5),
    "round_prefer_ceil": lambda x: np.floor(x + 0.5),
    "floor": np.floor,
    "ceil": np.ceil,
}


def _taps(place: np.ndarray, mode: str, nearest: str, a: float) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return for each element of the result the elements that are mixed, with their shares."""
    if mode == "nearest":
        return [(_NEAREST[nearest](np.round(place, 9)), np.ones(len(place)))]
    before = np.floor(place)
    d = place - before
    if mode == "linear":
        return [(before, 1 - d), (before + 1, d)]
    near = [((a + 2) * t - (a + 3)) * t * t + 1 for t in (d, 1 - d)]
    far = [((a * t - 5 * a) * t + 8 * a) * t - 4 * a for t in (1 + d, 2 - d)]
    return [(before - 1, far[0]), (before, near[0]), (before + 1, near[1]), (before + 2, far[1])]


def _along(x: Any, axis: int, taps: list[tuple[np.ndarray, np.ndarray]], exclude: int) -> Any:
    xp, n = array_module(x.data), x.shape[axis]
    if exclude:
        inside = [np.where((at >= 0) & (at < n), share, 0) for at, share in taps]
        total = sum(inside)
        taps = [(at, share / total) for (at, _), share in zip(taps, inside, strict=True)]
    y = None
    for at, share in taps:
        part = x[(slice(None),) * axis + (xp.asarray(np.clip(at, 0, n - 1).astype(np.int64)),)]
        if (share != 1).any():
            part = part * xp.asarray(share.reshape(-1, *[1] * (x.ndim - 1 - axis)).astype(x.dtype))
        y = part if y is None else y + part
    return y


@reads("Resize", settings=(1, 2, 3))
def resize(
    x, roi=None, scales=None, sizes=None, antialias=0, axes=None, coordinate_transformation_mode="half_pixel",
    cubic_coeff_a=-0.75, exclude_outside=0, extrapolation_value=0.0, keep_aspect_ratio_policy="stretch",
    mode="nearest", nearest_mode="round_prefer_floor", opset=11,
):  # fmt: skip
    """Return other lengths of axes."""
    need(not antialias, "Resize: antialias is not read")
    need(keep_aspect_ratio_policy == "stretch", "Resize: keep_aspect_ratio_policy must be stretch")
    need(coordinate_transformation_mode in _PLACES, f"Resize: {coordinate_transformation_mode} is not read")
    if opset < 11:  # scales were the second input, and places were as they are by "asymmetric"
        roi, scales, coordinate_transformation_mode, nearest_mode = None, roi, "asymmetric", "floor"
    along = [k % x.ndim for k in axes] if axes is not None else list(range(x.ndim))
    factors, lengths = listed(scales), listed(sizes)
    for j, axis in enumerate(along):
        n = x.shape[axis]
        m = int(np.floor(n * factors[j] + 1e-9)) if factors else lengths[j]
        s = factors[j] if factors else m / n
        if m == n and s == 1:
            continue
        place = _PLACES[coordinate_transformation_mode](np.arange(m, dtype=np.float64), n, m, s)
        x = _along(x, axis, _taps(place, mode, nearest_mode, cubic_coeff_a), exclude_outside if mode == "cubic" else 0)
    return x


@reads("Upsample", settings=(1,))
def _(x, scales=None, mode="nearest"):
    return resize(x, None, scales, mode=mode, coordinate_transformation_mode="asymmetric", nearest_mode="floor")
