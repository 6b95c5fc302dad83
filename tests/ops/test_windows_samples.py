"""Convolutions, pools and dropout of channels of one sample, without an axis of samples: as in PyTorch."""

import inspect

import numpy as np
import pytest
from helpers import host

from cunet import F, Generator, nn
from cunet.autograd.tensor import Tensor

KERNELS = ((3,), (2, 3), (2, 3, 1))
CALLS = {
    **{f"conv{n}d": ({"stride": 2, "padding": 1}, [(4, 3, *KERNELS[n - 1]), (4,)]) for n in (1, 2, 3)},
    **{f"conv_transpose{n}d": ({"stride": 2}, [(3, 2, *KERNELS[n - 1]), (2,)]) for n in (1, 2, 3)},
    **{f"max_pool{n}d": ({"kernel_size": 2, "stride": 1}, []) for n in (1, 2, 3)},
    **{f"avg_pool{n}d": ({"kernel_size": 3, "padding": 1, "ceil_mode": True}, []) for n in (1, 2, 3)},
    **{f"adaptive_avg_pool{n}d": ({"output_size": 2}, []) for n in (1, 2, 3)},
    **{f"adaptive_max_pool{n}d": ({"output_size": 2}, []) for n in (1, 2, 3)},
}


def sample(rng, n):
    return rng.standard_normal((3, 5, 4, 6)[: n + 1])


def gradients(y, leaves, dev):
    y.backward(dev(np.sin(np.arange(y.size)).reshape(y.shape)))
    return [host(x.grad) for x in leaves]


@pytest.mark.parametrize("last", [False, True], ids=["first", "last"])
@pytest.mark.parametrize("name", CALLS)
def test_one_sample_is_a_batch_of_one(name, last, rng, dev):
    (options, shapes), n, f = CALLS[name], int(name[-2]), getattr(F, name)
    x, *rest = sample(rng, n), *(rng.standard_normal(s) for s in shapes)
    x = np.moveaxis(x, 0, -1) if last else x
    single = [Tensor(dev(a), requires_grad=True) for a in (x, *rest)]
    batch = [Tensor(dev(a), requires_grad=True) for a in (x[None], *rest)]
    y, expected = f(*single, **options, channels_last=last), f(*batch, **options, channels_last=last)
    assert expected.shape == (1, *y.shape) and y.ndim == n + 1
    np.testing.assert_array_equal(host(y), host(expected)[0])
    ours, theirs = gradients(y, single, dev), gradients(expected, batch, dev)
    np.testing.assert_array_equal(ours[0], theirs[0][0])
    for a, b in zip(ours[1:], theirs[1:], strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", [name for name in CALLS if "max_pool" in name])
def test_indices_of_one_sample(name, rng, dev):
    x = dev(sample(rng, int(name[-2])))
    y, where = getattr(F, name)(x, **CALLS[name][0], return_indices=True)
    assert where.shape == y.shape and where.dtype == np.int64
    rows, at = host(x).reshape(3, -1), host(where).reshape(3, -1)
    np.testing.assert_array_equal(np.take_along_axis(rows, at, 1), host(y).reshape(3, -1))


@pytest.mark.parametrize("name", CALLS)
def test_one_sample_as_in_pytorch(name, rng, dev):
    torch = pytest.importorskip("torch")
    options, shapes = CALLS[name]
    arrays = [sample(rng, int(name[-2])), *(rng.standard_normal(s) for s in shapes)]
    y = getattr(F, name)(*map(dev, arrays), **options)
    expected = getattr(torch.nn.functional, name)(*map(torch.tensor, arrays), **options)
    np.testing.assert_allclose(host(y), expected.numpy(), atol=1e-12)


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (lambda: nn.Conv2d(3, 4, 3, padding=1, padding_mode="reflect"), (3, 5, 6)),
        (lambda: nn.ConvTranspose1d(3, 2, 2), (3, 5)),
        (lambda: nn.MaxPool3d(2), (3, 4, 4, 4)),
        (lambda: nn.AdaptiveAvgPool2d((None, 1)), (3, 5, 6)),
    ],
)
def test_layers_take_one_sample(layer, shape, rng, device, dev):
    layer, x = layer().to(device), rng.standard_normal(shape).astype(np.float32)
    np.testing.assert_array_equal(host(layer(dev(x))), host(layer(dev(x[None])))[0])


def test_lists_and_empty_samples(dev):
    assert F.max_pool1d([[1.0, 3.0, 2.0]], 3).data.tolist() == [[3.0]]
    x = Tensor(dev(np.zeros((0, 4, 4))), requires_grad=True)
    y = F.avg_pool2d(x, 2)
    y.sum().backward()
    assert y.shape == (0, 2, 2) and x.grad.shape == (0, 4, 4)


def test_an_axis_too_few_or_many_is_named(dev):
    for shape in ((5,), (1, 2, 3, 5, 5)):
        with pytest.raises(
            ValueError, match=r"max_pool2d: input must have 4 axes \(N, C, H, W\), or one sample, got shape \("
        ):
            F.max_pool2d(dev(np.ones(shape)), 2)
    with pytest.raises(ValueError, match="conv2d: weight must have 4 axes"):
        F.conv2d(dev(np.ones((3, 5, 5))), dev(np.ones((4, 3, 3))))


@pytest.mark.parametrize(("name", "shape"), [("dropout1d", (40, 3)), ("dropout3d", (40, 2, 1, 3))])
def test_dropout_of_the_channels_of_one_sample(name, shape, dev):
    f, x = getattr(F, name), Tensor(dev(np.ones(shape)), requires_grad=True)
    y = f(x, 0.5, generator=Generator(1, "dropout"))
    batch = f(dev(np.ones((1, *shape))), 0.5, generator=Generator(1, "dropout"))
    np.testing.assert_array_equal(host(y), host(batch)[0])
    rows = host(y).reshape(40, -1)
    assert (rows == rows[:, :1]).all() and 8 < (rows[:, 0] > 0).sum() < 32
    y.backward(dev(np.ones(shape)))
    np.testing.assert_array_equal(host(x.grad), host(y))
    assert f(x, 0.5, training=False) is x


def test_dropout2d_takes_three_axes_for_a_batch_of_rows_as_pytorch_does(dev):
    x = dev(np.ones((20, 30, 4)))
    with pytest.warns(UserWarning, match=r"dropout2d: input of 3 axes is taken for \(N, C, L\)") as caught:
        y = F.dropout2d(x, 0.5, generator=Generator(1, "dropout"))
    assert caught[0].filename == inspect.getfile(inspect.currentframe())
    np.testing.assert_array_equal(host(y), host(F.dropout1d(x, 0.5, generator=Generator(1, "dropout"))))
    with pytest.raises(ValueError, match=r"dropout3d: input must have 5 axes, \(N, C, ...\), got shape \(2, 3\)"):
        F.dropout3d(dev(np.ones((2, 3))))
