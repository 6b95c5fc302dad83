"""DropBlock: squares and nothing else, the part that is dropped, the scale, gradients, and what goes wrong."""

import numpy as np
import pytest
from helpers import host

import cunet
from cunet import Generator, Tensor, nn
from cunet import functional as F


def layer(p, block_size):
    return nn.DropBlock2d(p, block_size, generator=Generator(4, "dropout"))


@pytest.mark.parametrize(("size", "b", "p"), [((9, 7), 3, 0.2), ((5, 6), 1, 0.5), ((4, 4), 4, 0.3), ((8, 8), 2, 0.3)])
def test_squares_from_drawn_corners_are_dropped(size, b, p, dev):
    (height, width), n, c = size, 6, 5
    y = host(layer(p, b)(dev(np.ones((n, c, height, width)))))
    rows, columns = height - b + 1, width - b + 1
    gamma = p / b**2 * height * width / (rows * columns)
    corners = host(F.dropout(dev(np.ones((n, c, rows, columns))), gamma, generator=Generator(4, "dropout"))) == 0
    mask = np.ones(y.shape)
    for i, j, k, m in np.argwhere(corners):
        mask[i, j, k : k + b, m : m + b] = 0
    np.testing.assert_allclose(y, mask * mask.size / mask.sum(), rtol=1e-12)
    assert not np.signbit(y).any()  # 0, not -0
    assert 0 < mask.sum() < mask.size


def test_about_p_is_dropped_and_the_mean_stays(dev):
    drop = layer(0.1, 3)
    ys = [host(drop(dev(np.ones((8, 16, 16, 16), np.float32)))) for _ in range(2)]
    assert 0.08 < np.mean([y == 0 for y in ys]) < 0.105
    np.testing.assert_allclose([y.mean() for y in ys], 1, rtol=1e-5)
    assert (ys[0] != ys[1]).any()


def test_gradients_are_dropped_in_the_same_places(dev, rng):
    x = Tensor(dev(rng.standard_normal((2, 3, 5, 5))), requires_grad=True)
    y = layer(0.4, 2)(x)
    y.sum().backward()
    np.testing.assert_allclose(host(x.grad) * host(x), host(y), rtol=1e-12)


@pytest.mark.parametrize("make", [lambda: layer(0.3, 2), lambda: nn.StochasticDepth(0.5, generator=Generator(4, "d"))])
def test_recorded_steps_draw_the_same_masks(make, dev, rng):
    x = dev(rng.standard_normal((4, 3, 6, 6)).astype(np.float32))

    def gradients(compiled):
        conv, drop, found = nn.Conv2d(3, 3, 1, generator=Generator(1)), make(), []
        conv.weight.data, conv.bias.data = dev(host(conv.weight)), dev(host(conv.bias))

        def step(x):
            conv.weight.grad = None
            loss = (drop(conv(x)) ** 2).sum()
            loss.backward()
            return loss

        run = cunet.compile(step) if compiled else step
        for _ in range(12):
            run(x)
            found.append(host(conv.weight.grad).copy())
        return np.stack(found)

    eager = gradients(False)
    assert (eager != eager[0]).any()
    np.testing.assert_array_equal(gradients(True), eager)


def test_modes_dtypes_and_edges(dev):
    x = Tensor(dev(np.ones((2, 3, 4, 4), np.float16)))
    assert layer(0.5, 2).eval()(x) is x and layer(0.0, 2)(x) is x
    assert host(layer(0.5, 2)(x)).dtype == np.float16
    assert not host(layer(1.0, 4)(x)).any()  # all of it: no NaN
    assert layer(0.5, 2)(dev(np.ones((0, 3, 4, 4)))).shape == (0, 3, 4, 4)
    with pytest.raises(ValueError, match="DropBlock2d: x must have at least block_size = 5 rows and columns, got"):
        layer(0.5, 5)(x)
    with pytest.raises(ValueError, match=r"DropBlock2d: x must have 4 axes, \(N, C, H, W\), got shape \(3,\)"):
        layer(0.5, 5)(dev(np.ones(3)))
    with pytest.raises(ValueError, match="DropBlock2d: block_size must be an int of at least 1, got 0"):
        nn.DropBlock2d(0.5, 0)
    with pytest.raises(ValueError, match="DropBlock2d: p"):
        nn.DropBlock2d(1.5, 2)
    assert repr(layer(0.5, 2)) == "DropBlock2d(p=0.5, block_size=2)"


def test_evaluation_goes_within_vmap(dev, rng):
    layer, x = nn.DropBlock2d(0.5, 2).eval(), dev(rng.standard_normal((3, 2, 4, 4)).astype(np.float32))
    np.testing.assert_array_equal(host(cunet.vmap(lambda a: layer(a[None])[0])(x)), host(x))
