"""What vmap refuses: by the name of the op, or of who looked at a sample."""

import numpy as np
import pytest

import cunet
from cunet import Tensor, vmap


def test_what_python_asks_of_one_sample_is_refused(dev):
    x = dev(np.ones((3, 2)))

    def looks(x):
        return x if x.sum() > 0 else -x

    with pytest.raises(TypeError, match="vmap: looks asks for the values of a sample .* cunet.where"):
        vmap(looks)(x)
    for f in (lambda x: float(x[0]) * x, lambda x: np.asarray(x), lambda x: x.item(), lambda x: Tensor(x.data)):
        with pytest.raises(TypeError, match="asks for the values of a sample"):
            vmap(f)(x)
    with pytest.raises(TypeError, match="use cunet.grad"):
        vmap(lambda x: x.sum().backward())(x)
    with pytest.raises(TypeError, match="item assignment"):
        vmap(lambda x: x.__setitem__(0, 1))(x)


def test_errors_name_the_op(dev):
    x = dev(np.ones((3, 2)))
    mine = cunet.op(shout)
    with pytest.raises(TypeError, match="vmap: shout has no rule for a mapped axis"):
        vmap(mine)(x)
    with pytest.raises(TypeError, match="clip: min must be the same for all samples"):
        vmap(lambda x: cunet.clip(x, x[0]))(x)
    with pytest.raises(TypeError, match="clip: min must be the same for all samples"):
        vmap(lambda y: cunet.clip(Tensor(x), y[0]))(x)
    with pytest.raises(TypeError, match="way back of 'tanh' was recorded for one cotangent at a time; call cunet.vjp"):
        vmap(cunet.vjp(cunet.tanh, x[0])[1])(x)
    with pytest.raises(TypeError, match="checkpoint: .* got Mapped"):
        vmap(lambda x: cunet.checkpoint(cunet.sin, x))(x)
    with pytest.raises(TypeError, match="vmap: np.unwrap has no rule for a mapped axis"):
        vmap(lambda x: np.unwrap(x))(x)
    with pytest.raises(ValueError, match="matmul: inner lengths") as caught:
        vmap(lambda x: x @ x[:1])(x)
    assert any("mapped axis of length 3" in note for note in caught.value.__notes__)
    with pytest.raises(ValueError, match=r"cannot reshape a sample of shape \(2,\) into shape \(3,\)"):
        vmap(lambda x: x.reshape(3))(x)


def shout(x):
    return x, lambda gy: (gy,)


@pytest.mark.cpu_only
def test_errors_of_axes():
    x = np.ones((3, 2))
    with pytest.raises(ValueError, match="one length, got 3 of argument 0 and 2 of argument 1"):
        vmap(cunet.add, (0, 1))(x, x)
    with pytest.raises(ValueError, match="one length, got none"):
        vmap(cunet.add, None)(x, x)
    with pytest.raises(ValueError, match="an axis for each of 2 arguments"):
        vmap(cunet.add, (0,))(x, x)
    with pytest.raises(ValueError, match="in_axes must be an integer or None, or nested"):
        vmap(cunet.sin, ("0",))(x)
    with pytest.raises(IndexError, match=r"argument 0 has no axis 2, its shape is \(3, 2\)"):
        vmap(cunet.sin, 2)(x)
    with pytest.raises(IndexError, match="out_axes: a result of shape"):
        vmap(cunet.sum, 0, 1)(x)
    with pytest.raises(ValueError, match="out_axes is None"):
        vmap(cunet.sum, 0, None)(x)
    with pytest.raises(TypeError, match="must return Tensors, got str"):
        vmap(lambda x: "x")(x)
    with pytest.raises(TypeError, match="argument 0 must be arrays, got str"):
        vmap(cunet.sin)("x")
