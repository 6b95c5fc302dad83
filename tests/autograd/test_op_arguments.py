"""Wrong arguments of an op are named, and what was required."""

import numpy as np
import pytest

import cunet
from cunet import F
from cunet.ops.norm.batch_norm import batch_norm_training

pytestmark = pytest.mark.cpu_only  # the device says in its own words what it does not take

X = np.ones((4, 3), np.float32)
IMAGE = np.ones((1, 2, 5, 5), np.float32)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda x: F.linear(None, X), "linear: input must be an array, got None"),
        (lambda x: F.linear(x, X, 0.5), "linear: bias must be an array, got 0.5"),
        (lambda x: F.linear(x, "weight"), "linear: weight must be an array, got 'weight'"),
        (lambda x: F.linear(x, object()), "linear: weight must be an array, got object"),
        (lambda x: F.conv2d(None, IMAGE), "convolution: x must be an array, got None"),
        (lambda x: F.conv2d(IMAGE, IMAGE, 0.5), "convolution: bias must be an array, got 0.5"),
        (lambda x: batch_norm_training(x, weight=1.5), "batch_norm_training: weight must be an array, got 1.5"),
        (lambda x: F.layer_norm(x, 3, weight=1.5), "layer_norm: weight must be an array, got 1.5"),
        (lambda x: F.leaky_relu(x, "0.1"), "leaky_relu: negative_slope must be no string, got '0.1'"),
        (lambda x: F.elu(x, None), "elu: alpha must be a number, got None"),
        (lambda x: F.softmax(x, "1"), "softmax: dim must be no string, got '1'"),
        (lambda x: cunet.sum(x, "0"), "sum: axis must be no string, got '0'"),
        (lambda x: F.glu(x, (0, 1)), r"glu: dim must be a number, got \(0, 1\)"),
        (lambda x: F.glu(x, axis=(0, 1)), r"glu: dim must be a number, got \(0, 1\)"),
        (lambda x: F.softmax(x, 1.5), "softmax: dim must be an integer, got 1.5"),
        (lambda x: F.prelu(x, X[0], axis=1.0), "prelu: axis must be an integer, got 1.0"),
        (lambda x: cunet.cumprod(x, 0.0), "cumprod: axis must be an integer, got 0.0"),
        (lambda x: batch_norm_training(x, eps="1e-5"), "batch_norm: eps must be a number, got '1e-5'"),
        (lambda x: cunet.einsum(x, [0, 1]), 'einsum: subscripts must be a string such as "ij,jk->ik", .* got Tensor'),
        (lambda x: cunet.einsum(3, x), "einsum: subscripts must be a string .* got int"),
    ],
    ids=[*"abcdefghijklmnopqrst"],
)
def test_a_wrong_argument_is_named(call, message):
    with pytest.raises(TypeError, match=message):
        call(cunet.Tensor(X))


def test_who_was_given_no_array_is_said():
    x = cunet.Tensor(X)
    for call, who in (
        (lambda a: F.mse_loss(x, a), "mse_loss"),
        (lambda a: F.cross_entropy(x, a), "cross_entropy"),
        (lambda a: F.embedding(a, x), "embedding"),
        (lambda a: F.max_pool2d(a, 2), "max_pool"),
    ):
        for a in (None, "x", object()):
            with pytest.raises(TypeError, match=rf"^{who}: .*got ({type(a).__name__}|None|'x'|<U1)"):
                call(a)


def test_an_error_of_numpys_says_which_op_it_was_and_the_shapes():
    x = cunet.Tensor(X)
    calls = {
        "add: operands could not be broadcast together with shapes (4,3) (5,)": lambda: x + np.ones(5),
        "sum: axis 5 is out of bounds for array of dimension 2, got shape (4, 3)": lambda: x.sum(axis=5),
        "sum: an axis must be named once, got (0, 0) of 2 axes": lambda: x.sum(axis=(0, 0)),
        "softmax: axis 4 is out of bounds for array of dimension 2, got shape (4, 3)": lambda: F.softmax(x, 4),
        "reshape: cannot reshape array of size 12 into shape (5,)": lambda: x.reshape(5),
        "stack: all input arrays must have the same shape, got shapes (4, 3) and (3,)": lambda: cunet.stack([x, x[0]]),
        "transpose: repeated axis in transpose, got shape (4, 3)": lambda: x.transpose(0, 0),
        "moveaxis: destination: axis 5 is out of bounds": lambda: cunet.moveaxis(x, 0, 5),
        "argmax: axis 7 is out of bounds for array of dimension 2, got shape (4, 3)": lambda: x.argmax(axis=7),
        "norm: axis 4 is out of bounds for array of dimension 2, got shape (4, 3)": lambda: cunet.linalg.norm(
            x, axis=4
        ),
    }
    for message, call in calls.items():
        with pytest.raises(ValueError) as caught:
            call()
        assert str(caught.value).startswith(message)
    with pytest.raises(np.exceptions.AxisError):
        x.sum(axis=5)


def test_errors_of_an_op_that_are_about_no_argument_come_as_they_are():
    @cunet.op
    def broken(x, *, factor=2.0):
        return x.missing, None

    with pytest.raises(AttributeError, match="missing"):
        broken(cunet.Tensor(X), factor="3")

    @cunet.op
    def refuses(x):
        raise ValueError("what its author wrote")

    with pytest.raises(ValueError, match="^what its author wrote$"):
        refuses(cunet.Tensor(X))
