"""Turned and shifted images, where what comes out is known."""

import numpy as np
from helpers import host

from cunet.data import RandomAffine
from cunet.data.affine import _sampled, _turns
from cunet.random import Generator


def test_quarter_turns_and_whole_shifts_are_exact(dev, rng):
    x = rng.standard_normal((2, 3, 5, 5)).astype(np.float32)
    none, quarter = np.zeros((2, 2)), _turns(np.full(2, -np.pi / 2))
    np.testing.assert_allclose(host(_sampled(dev(x), quarter, none)), np.rot90(x, 1, (2, 3)), atol=1e-5)
    still = np.tile(np.eye(2), (2, 1, 1))
    moved = host(_sampled(dev(x), still, np.array([[1.0, -2.0], [0.0, 0.5]])))
    expected = np.zeros_like(x[0])
    expected[:, 1:, :3] = x[0][:, :4, 2:]
    np.testing.assert_allclose(moved[0], expected, atol=1e-6)
    between = (x[1] + np.pad(x[1], ((0, 0), (0, 0), (1, 0)))[..., :5]) / 2
    np.testing.assert_allclose(moved[1], between, atol=1e-6)


def test_nothing_to_do_does_nothing_and_zoom_keeps_the_middle(dev, rng):
    x = rng.standard_normal((3, 1, 7, 9)).astype(np.float32)
    np.testing.assert_allclose(host(RandomAffine()(dev(x))[0]), x, atol=1e-6)
    larger = host(RandomAffine(scale=(2.0, 2.0))(dev(x))[0])
    np.testing.assert_allclose(larger[:, :, 1:6:2, 0:9:2], x[:, :, 2:5, 2:7], atol=1e-6)  # every second one is there


def test_angles_lie_where_they_may(dev):
    x = np.zeros((200, 1, 21, 21), np.float32)
    x[:, 0, 10, 18] = 1  # 8 to the right of the middle
    y = host(RandomAffine(30, generator=Generator(0, "turn"))(dev(x))[0])[:, 0]
    rows, columns = np.indices((21, 21)) - 10
    total = y.sum(axis=(1, 2))
    angles = np.rad2deg(np.arctan2((y * rows).sum(axis=(1, 2)) / total, (y * columns).sum(axis=(1, 2)) / total))
    assert 25 < angles.max() < 31 and -31 < angles.min() < -25 and abs(angles.mean()) < 4
