"""pixel_shuffle and pixel_unshuffle beyond their rows in tests/cases: each undoes the other, layers, messages."""

import numpy as np
import pytest
from helpers import host
from loss_helpers import compare

from cunet import F, nn
from cunet.autograd.tensor import Tensor


@pytest.mark.parametrize("shape", [(2, 18, 3, 4), (9, 2, 1), (1, 2, 27, 1, 1)], ids=str)
def test_as_in_pytorch(shape, rng, dev):
    x = rng.standard_normal(shape)
    compare(lambda x: F.pixel_shuffle(x, 3), lambda torch, x: torch.nn.functional.pixel_shuffle(x, 3), (x,), dev, rng)
    y = rng.standard_normal((*shape[:-2], shape[-2] * 3, shape[-1] * 3))
    compare(
        lambda y: F.pixel_unshuffle(y, 3), lambda torch, y: torch.nn.functional.pixel_unshuffle(y, 3), (y,), dev, rng
    )


@pytest.mark.parametrize("shape", [(0, 9, 2, 2), (2, 9, 0, 3)], ids=str)
def test_empty_images(shape, dev):
    x = Tensor(dev(np.zeros(shape)), requires_grad=True)
    y = F.pixel_shuffle(x, 3)
    assert y.shape == (shape[0], 1, 3 * shape[2], 3 * shape[3])
    assert F.pixel_unshuffle(y, 3).shape == shape
    y.sum().backward()
    assert x.grad.shape == shape


def test_layers_undo_each_other(rng, dev):
    x = dev(rng.standard_normal((2, 8, 3, 5)))
    y = nn.PixelShuffle(2)(x)
    assert y.shape == (2, 2, 6, 10)
    np.testing.assert_array_equal(host(nn.PixelUnshuffle(2)(y)), host(x))
    assert repr(nn.PixelShuffle(2)) == "PixelShuffle(upscale_factor=2)"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: F.pixel_shuffle(x(2, 6, 3, 3), 2), r"channels must be a multiple of upscale_factor\*\*2 = 4, got 6"),
        (
            lambda x: F.pixel_shuffle(x(4, 3), 2),
            r"pixel_shuffle: input must have at least 3 axes \(..., C, H, W\), got",
        ),
        (lambda x: F.pixel_shuffle(x(4, 3, 3), 0), "upscale_factor must be an int of at least 1, got 0"),
        (lambda x: F.pixel_shuffle(x(4, 3, 3), 2.0), "upscale_factor must be an int of at least 1, got 2.0"),
        (
            lambda x: F.pixel_unshuffle(x(2, 4, 5), 2),
            r"height and width must be multiples of downscale_factor = 2, got",
        ),
        (lambda x: F.pixel_unshuffle(x(2, 4, 4), True), "downscale_factor must be an int of at least 1, got True"),
    ],
)
def test_messages(call, message, dev):
    with pytest.raises(ValueError, match=message):
        call(lambda *shape: dev(np.ones(shape)))
