"""Augmentation: what comes out is what the draw says, and the same draw comes again."""

import numpy as np
import pytest
from helpers import host

import cunet
from cunet import data
from cunet.data import Compose, Normalize, RandomCrop, RandomErasing, RandomFlip
from cunet.random import Generator

ALL = [
    RandomFlip(), RandomFlip(axis=-2), RandomCrop(2), RandomErasing(), data.RandomAffine(20, 0.1, (0.8, 1.2), 5),
    Normalize(0.5, 2.0),
]  # fmt: skip


def pictures(rng, n=6, channels=3, height=8, width=7):
    return rng.standard_normal((n, channels, height, width)).astype(np.float32)


def of(step, seed=0):
    """Give a step a stream of its own, from its beginning."""
    step.generator = Generator(seed, "test")
    return step


@pytest.mark.parametrize("step", ALL, ids=lambda step: type(step).__name__)
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_shape_and_dtype_stay_draws_come_again_and_the_input_is_unchanged(step, dtype, dev, rng):
    x = pictures(rng).astype(dtype)
    given, labels = dev(x), dev(np.arange(6))
    first, kept = of(step)(given, labels)
    assert kept is labels and first.shape == x.shape and first.dtype == dtype
    np.testing.assert_array_equal(host(of(step)(given)[0]), host(first))
    np.testing.assert_array_equal(host(given), x)
    assert of(step)(dev(x[:0]))[0].shape == (0, 3, 8, 7)
    if not isinstance(step, Normalize):
        assert not np.array_equal(host(of(step, 7)(given)[0]), host(first))


def test_flips_and_crops_are_those_of_each_image(dev, rng):
    x = pictures(rng, 40)
    flipped = host(of(RandomFlip())(dev(x))[0])
    mirrored = [np.array_equal(a, b[:, :, ::-1]) for a, b in zip(flipped, x, strict=True)]
    same = [np.array_equal(a, b) for a, b in zip(flipped, x, strict=True)]
    assert all(a != b for a, b in zip(mirrored, same, strict=True)) and 10 < sum(mirrored) < 30
    np.testing.assert_array_equal(host(of(RandomFlip(1.0, -2))(dev(x))[0]), x[:, :, ::-1])
    cropped = host(of(RandomCrop(1))(dev(x))[0])
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    places = set()
    for a, b in zip(cropped, padded, strict=True):
        found = [(i, j) for i in range(3) for j in range(3) if np.array_equal(a, b[:, i : i + 8, j : j + 7])]
        places |= set(found)
        assert len(found) == 1
    assert len(places) == 9
    np.testing.assert_array_equal(host(RandomCrop(0)(dev(x))[0]), x)


def test_erased_is_one_rectangle_of_the_area_that_was_asked_for(dev):
    x = np.ones((30, 2, 20, 20), np.uint8)
    shares = []
    for picture in host(of(RandomErasing(1.0, (0.1, 0.3), (0.5, 2.0), value=7))(dev(x))[0]):
        rows, columns = np.nonzero(picture[0] == 7)
        assert (picture[:, rows.min() : rows.max() + 1, columns.min() : columns.max() + 1] == 7).all()
        assert (picture == 7).sum() == 2 * len(rows) and (picture[picture != 7] == 1).all()
        shares.append(len(rows) / 400)
    assert 0.07 < min(shares) < 0.16 and 0.24 < max(shares) < 0.33
    assert (host(RandomErasing(0.0)(dev(x))[0]) == 1).all()


def test_normalised_channels(dev, rng):
    x = pictures(rng)
    y = host(Normalize([1, 2, 3], (2, 2, 4))(dev(x))[0])
    np.testing.assert_allclose(y, (x - np.reshape([1, 2, 3], (3, 1, 1))) / np.reshape([2, 2, 4], (3, 1, 1)), 1e-5, 1e-6)


def test_several_come_one_after_the_other(dev, rng):
    x, labels = dev(pictures(rng)), dev(np.arange(6))
    y, kept = Compose(Normalize(1.0, 1.0), lambda a, b: (a * 2, b + 1))(x, labels)
    np.testing.assert_allclose(host(y), 2 * (host(x) - 1), rtol=1e-6)
    np.testing.assert_array_equal(host(kept), np.arange(1, 7))


@pytest.mark.cpu_only
def test_a_resumed_run_draws_what_would_have_come(rng):
    x = pictures(rng)
    cunet.manual_seed(3)
    RandomCrop()(x)
    state = cunet.random.get_state()
    expected = RandomCrop()(x)[0]
    cunet.random.set_state(state)
    np.testing.assert_array_equal(RandomCrop()(x)[0], expected)


@pytest.mark.cpu_only
def test_what_cannot_be_is_refused(rng):
    for wrong in (lambda: RandomFlip(1.5), lambda: RandomFlip(axis=1), lambda: RandomCrop(-1),
                  lambda: RandomErasing(area=(0.3, 0.1)), lambda: RandomErasing(ratio=(0, 1)),
                  lambda: Normalize(0, 0), lambda: data.RandomAffine(-1), lambda: data.RandomAffine(scale=(0, 1)),
                  lambda: data.MixUp(1), lambda: data.CutMix(3, 0.0)):  # fmt: skip
        with pytest.raises(ValueError, match="must be"):
            wrong()
    with pytest.raises(ValueError, match=r"RandomFlip: images must be an array \(N, C, H, W\), got \(3, 8, 8\)"):
        RandomFlip()(np.ones((3, 8, 8)))
    with pytest.raises(TypeError, match="Normalize: images must be floating, got uint8"):
        Normalize(0.5, 1)(np.ones((1, 3, 8, 8), np.uint8))
