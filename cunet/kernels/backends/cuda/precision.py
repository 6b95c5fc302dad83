"""How exact products of float32 are on a GPU."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

current: ContextVar[str] = ContextVar("cunet_precision", default="ieee")


@contextmanager
def precision(mode: str) -> Iterator[None]:
    """Choose how exact products of float32 are on a GPU inside the block: ``with cunet.precision("tf32"):``.

    It holds for matrix products, convolution, attention and recurrent layers, there and back, in this thread or async
    task. Sums are kept in float32 either way. Other dtypes, and products on a CPU, are what they were.

    Args:
        mode: "ieee", the default: all 24 bits of the factors count. "tf32": factors are rounded to 11 bits, for which
            GPUs from sm_80 on have tensor cores, several times as fast.

    Raises:
        ValueError: `mode` is neither.

    Example:
        >>> x = np.full((2, 2), 1 + 2.0**-20, np.float32)
        >>> with cunet.precision("tf32"):  # a GPU takes 11 bits of the factors, a CPU all
        ...     y = cunet.matmul(x, x)
        >>> y.round(2)
        Tensor([[2., 2.],
                [2., 2.]])
    """
    if mode not in ("ieee", "tf32"):
        raise ValueError(f'precision: mode must be "ieee" or "tf32", got {mode!r}')
    token = current.set(mode)
    try:
        yield
    finally:
        current.reset(token)
