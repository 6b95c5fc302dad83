"""Docstrings of pooling, which differ in the number of axes; `described` fills them in."""

MAX = """Return the largest element of each window of {kernel}.

    Among equal largest elements the first of the window (in the order of memory) gets the gradient, and is the one
    whose index is returned; a NaN beats every number, the first NaN wins. Padding never wins.

    Args:
        input: shape (N, C, {axes}), or (C, {axes}) of one sample; the result then has no N either.
        kernel_size: a number, or one per axis.
        stride: the same; by default `kernel_size`.
        padding: at most half the kernel, at both ends; a number, or one per axis.
        dilation: distance between the elements of a window; a number, or one per axis.
        ceil_mode: whether a last window may hang over the end.
        return_indices: whether to return also where each maximum was.
        channels_last: `input` and the result are (N, {axes}, C).

    Returns:
        Shape (N, C, ...) with ``floor((length + 2 padding - dilation (k - 1) - 1) / stride) + 1`` along each axis
        (ceil if `ceil_mode`); with `return_indices` also int64 of the same shape: positions in the flattened
        spatial axes of `input`.

    Raises:
        ValueError: wrong number of axes, or the kernel is larger than the padded input.

    Example:{example}
    """

AVG = """Return the mean of each window of {kernel}.

    Args:
        input: shape (N, C, {axes}), or (C, {axes}) of one sample; the result then has no N either.
        kernel_size, stride, padding, ceil_mode, channels_last: see `max_pool{ndim}d`.
        count_include_pad: whether the zeros of the padding count as elements.
        divisor_override: what to divide the sums by instead of the number of elements.

    Returns:
        Shape (N, C, ...), as of `max_pool{ndim}d`.

    Raises:
        ValueError: wrong number of axes, or the kernel is larger than the padded input.

    Example:{example}
    """

ADAPTIVE = """Return the {what} element of each of `output_size` parts of the input.

    Window o of n along an axis of length L is ``floor(o L / n)`` to ``ceil((o + 1) L / n)``, end excluded; 1 pools
    over the whole axis.{more}

    Args:
        input: shape (N, C, {axes}), or (C, {axes}) of one sample; the result then has no N either.
        output_size: a number, or one per axis; None keeps the length of the axis.{indices}
        channels_last: `input` and the result are (N, {axes}, C).

    Returns:
        Shape (N, C, *output_size){returns}.

    Raises:
        ValueError: wrong number of axes, or a spatial axis is empty.

    Example:{example}
    """

EXAMPLES = {
    "max_pool1d": """
        >>> x = cunet.tensor([[[1.0, 3.0, 2.0, 5.0, 4.0]]])
        >>> F.max_pool1d(x, 2)
        Tensor([[[3., 5.]]])
        >>> F.max_pool1d(x, 2, ceil_mode=True)
        Tensor([[[3., 5., 4.]]])
        >>> F.max_pool1d(x, 3, stride=1, return_indices=True)[1]
        Tensor([[[1, 3, 3]]], dtype=int64)""",
    "max_pool2d": """
        >>> x = np.arange(16, dtype=np.float32).reshape(1, 1, 4, 4)
        >>> F.max_pool2d(x, 2)
        Tensor([[[[ 5.,  7.],
                  [13., 15.]]]])
        >>> F.max_pool2d(x, 3, stride=2, padding=1).shape
        (1, 1, 2, 2)""",
    "max_pool3d": """
        >>> F.max_pool3d(np.ones((2, 3, 8, 32, 32), np.float32), (1, 2, 2)).shape
        (2, 3, 8, 16, 16)""",
    "avg_pool1d": """
        >>> x = cunet.tensor([[[4.0, 8.0, 6.0, 2.0]]])
        >>> F.avg_pool1d(x, 2)
        Tensor([[[6., 4.]]])
        >>> F.avg_pool1d(x, 2, padding=1)  # the zeros of the padding count
        Tensor([[[2., 7., 1.]]])
        >>> F.avg_pool1d(x, 2, padding=1, count_include_pad=False)
        Tensor([[[4., 7., 2.]]])""",
    "avg_pool2d": """
        >>> x = np.arange(16, dtype=np.float32).reshape(1, 1, 4, 4)
        >>> F.avg_pool2d(x, 2)
        Tensor([[[[ 2.5,  4.5],
                  [10.5, 12.5]]]])
        >>> F.avg_pool2d(x, 2, divisor_override=1)  # sums
        Tensor([[[[10., 18.],
                  [42., 50.]]]])""",
    "avg_pool3d": """
        >>> F.avg_pool3d(np.ones((2, 3, 8, 32, 32), np.float32), 2).shape
        (2, 3, 4, 16, 16)""",
    "adaptive_avg_pool1d": """
        >>> F.adaptive_avg_pool1d(cunet.tensor([[[1.0, 2.0, 3.0, 4.0, 5.0]]]), 2)  # of elements 0 to 2, and 2 to 4
        Tensor([[[2., 4.]]])""",
    "adaptive_avg_pool2d": """
        >>> features = np.ones((8, 64, 7, 9), np.float32)
        >>> F.adaptive_avg_pool2d(features, 1).shape  # global pooling
        (8, 64, 1, 1)
        >>> F.adaptive_avg_pool2d(features, (4, None)).shape
        (8, 64, 4, 9)""",
    "adaptive_avg_pool3d": """
        >>> F.adaptive_avg_pool3d(np.ones((2, 3, 8, 30, 30), np.float32), (1, 4, 4)).shape
        (2, 3, 1, 4, 4)""",
    "adaptive_max_pool1d": """
        >>> F.adaptive_max_pool1d(cunet.tensor([[[1.0, 5.0, 3.0, 2.0, 4.0]]]), 2, return_indices=True)
        (Tensor([[[5., 4.]]]), Tensor([[[1, 4]]], dtype=int64))""",
    "adaptive_max_pool2d": """
        >>> F.adaptive_max_pool2d(np.arange(12, dtype=np.float32).reshape(1, 1, 3, 4), 2)
        Tensor([[[[ 5.,  7.],
                  [ 9., 11.]]]])""",
    "adaptive_max_pool3d": """
        >>> F.adaptive_max_pool3d(np.ones((2, 3, 8, 30, 30), np.float32), (1, 4, 4)).shape
        (2, 3, 1, 4, 4)""",
}
