"""Docstrings of convolutions, which differ in the number of axes; `described` fills them in."""

CONV = """Convolve over {ndim} spatial ax{es}: ``y[n, o, t] = bias[o] + sum w[o, c, k] x[n, c, t stride + k dilation]``.

    The sum is over c and k, `input` padded with zeros. As usual the kernel is not flipped: strictly, a correlation.

    Args:
        input: shape (N, C, {axes}), or (C, {axes}) of one sample; the result then has no N either.
        weight: shape (O, C / groups, {kernel}), PyTorch's layout, also if `channels_last`.
        bias: shape (O,) or None.
        stride: a number, or one per axis.
        padding: a number, one per axis, "valid" (none) or "same" (output as long as the input; stride 1 only;
            the odd element goes behind).
        dilation: distance between the taps of a kernel; a number, or one per axis.
        groups: output channels see the input channels of their own group only; C for a depthwise convolution.
        channels_last: `input` and the result are (N, {axes}, C).

    Returns:
        Shape (N, O, ...) with ``floor((length + 2 padding - dilation (k - 1) - 1) / stride) + 1`` along each axis.

    Raises:
        ValueError: shapes do not fit together, or the kernel is larger than the padded input.

    Example:{example}
    """

TRANSPOSED = """Apply the transpose of `conv{ndim}d` (its gradient with respect to the input), which upsamples.

    Args:
        input: shape (N, C, {axes}), or (C, {axes}) of one sample; the result then has no N either.
        weight: shape (C, O / groups, {kernel}), PyTorch's layout, also if `channels_last`.
        bias: shape (O,) or None.
        stride: a number, or one per axis.
        padding: how much is cut off both ends of each axis; a number, or one per axis.
        output_padding: how much longer the output is at the end, less than stride or dilation: of all lengths that
            `conv{ndim}d` maps to that of `input` it chooses one.
        groups, dilation, channels_last: see `conv{ndim}d`.

    Returns:
        Shape (N, O, ...) with ``(length - 1) stride - 2 padding + dilation (k - 1) + output_padding + 1`` along
        each axis.

    Raises:
        ValueError: shapes do not fit together, or nothing is left of the output.

    Example:{example}
    """

EXAMPLES = {
    "conv1d": """
        >>> x = cunet.tensor([[[1.0, 2.0, 4.0, 7.0]]])  # one sample of one channel
        >>> F.conv1d(x, cunet.tensor([[[-1.0, 1.0]]]))  # differences: the kernel is not flipped
        Tensor([[[1., 2., 3.]]])
        >>> F.conv1d(x, cunet.tensor([[[1.0, 1.0]]]), padding="same")  # the odd 0 goes behind
        Tensor([[[ 3.,  6., 11.,  7.]]])""",
    "conv2d": """
        >>> x, weight = np.ones((8, 3, 32, 32), np.float32), np.ones((16, 3, 5, 5), np.float32)
        >>> F.conv2d(x, weight).shape
        (8, 16, 28, 28)
        >>> F.conv2d(x, weight, stride=2, padding=2).shape
        (8, 16, 16, 16)
        >>> F.conv2d(x, np.ones((6, 1, 3, 3), np.float32), groups=3, padding="same").shape  # depthwise, two a channel
        (8, 6, 32, 32)""",
    "conv3d": """
        >>> x, weight = np.ones((2, 1, 16, 64, 64), np.float32), np.ones((4, 1, 3, 5, 5), np.float32)
        >>> F.conv3d(x, weight, stride=(1, 2, 2), padding="valid").shape
        (2, 4, 14, 30, 30)""",
    "conv_transpose1d": """
        >>> x = cunet.tensor([[[1.0, 2.0]]])
        >>> F.conv_transpose1d(x, cunet.tensor([[[1.0, 1.0, 1.0]]]), stride=2)  # each number paints its kernel
        Tensor([[[1., 1., 3., 2., 2.]]])""",
    "conv_transpose2d": """
        >>> x, weight = np.ones((8, 16, 7, 7), np.float32), np.ones((16, 3, 3, 3), np.float32)
        >>> F.conv_transpose2d(x, weight, stride=2, padding=1).shape  # 13 and 14 both become 7 in conv2d
        (8, 3, 13, 13)
        >>> F.conv_transpose2d(x, weight, stride=2, padding=1, output_padding=1).shape
        (8, 3, 14, 14)""",
    "conv_transpose3d": """
        >>> x, weight = np.ones((1, 4, 2, 3, 3), np.float32), np.ones((4, 2, 2, 2, 2), np.float32)
        >>> F.conv_transpose3d(x, weight, stride=2).shape
        (1, 2, 4, 6, 6)""",
}
