"""The axis of a function at layer level: PyTorch's `dim`, or `axis`, as NumPy calls it."""

from __future__ import annotations


def dim_or_axis(who: str, dim: int | None, axis: int | None, default: int) -> int:
    """Return the axis that was given under one of its two names, or `default`.

    Args:
        who: complains.
        dim, axis: None or `default` where it was not given.
        default: which axis it is then.

    Raises:
        TypeError: it was given under both names.
    """
    if axis is None:
        return default if dim is None else dim
    if dim not in (None, default):
        raise TypeError(f"{who}: dim and axis are two names of one argument, got dim={dim!r} and axis={axis!r}")
    return axis
