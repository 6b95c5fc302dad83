"""Filters and mistakes: which pictures are shown, in which order."""

import numpy as np
import pytest

from cunet import nn, plot

pytest.importorskip("matplotlib")


def test_filters_of_one_channel_lie_in_rows_with_zero_in_the_middle(dev):
    weight = np.arange(1, 5, dtype=np.float32).reshape(4, 1, 1, 1) * np.array([[1, -1], [0, 1]], np.float32)
    image = plot.filters(dev(weight)).images[0]
    shown = np.asarray(image.get_array().filled(np.nan))
    expected = np.full((5, 5), np.nan)
    for k, (i, j) in enumerate([(0, 0), (0, 3), (3, 0), (3, 3)]):
        expected[i : i + 2, j : j + 2] = weight[k, 0]
    np.testing.assert_array_equal(shown, expected)
    assert image.get_clim() == (-4, 4)


def test_a_model_shows_its_first_layer(device, rng):
    colours = plot.filters(nn.Sequential(nn.Conv2d(3, 5, 4), nn.ReLU(), nn.Linear(3, 2)).to(device)).images[0]
    assert colours.get_array().shape == (9, 14, 3) and 0 <= colours.get_array().min() <= colours.get_array().max() <= 1
    assert "7 filters of 5 x 5" in plot.filters(nn.Linear(25, 7).to(device)).get_title()
    assert "6 filters of 3 x 3" in plot.filters(nn.Conv2d(2, 9, 3).to(device), count=6).get_title()
    assert plot.filters(np.full((2, 1, 3, 3), np.nan)).images[0].get_clim() == (-1, 1)
    for model in (nn.Linear(24, 3), nn.Sequential(nn.ReLU(), nn.LSTM(3, 2))):
        with pytest.raises(ValueError, match="filters: model must begin with a Conv2d, or a Linear on square images"):
            plot.filters(model)
    with pytest.raises(ValueError, match=r"filters: weight must have shape .*, got \(3, 5\)"):
        plot.filters(np.ones((3, 5)))


def test_the_surest_mistakes_come_first(dev):
    scores = np.array([[2, 1, 0], [0, 5, 0], [0, 0, 1], [9, 0, 0], [0, 1, 0]], np.float32)
    target = np.array([0, 0, 1, 2, -1])  # right, wrong by 5, by 1, by 9, without a label
    pictures = np.arange(5, dtype=np.float32)[:, None, None] * np.eye(4, dtype=np.float32)
    ax = plot.mistakes(dev(pictures[:, None]), dev(scores), dev(target))
    assert [t.get_text() for t in ax.texts] == ["2 → 0", "0 → 1", "1 → 2"]
    assert "3 of" in ax.get_title()
    named = plot.mistakes(pictures, scores, target, ["<a>", "b", "lynx"], count=1)
    assert [t.get_text() for t in named.texts] == ["lynx\n→ <a>"]
    named.figure.canvas.draw()


@pytest.mark.cpu_only
def test_colours_flat_images_constant_ones_and_no_mistake():
    target = np.zeros(2, int)
    wrong, right = np.eye(2)[[1, 1]], np.eye(2)[[0, 0]]
    assert plot.mistakes(np.ones((2, 3, 5, 6)), wrong, target).images[0].get_array().ndim == 3
    assert plot.mistakes(np.ones((2, 25)), wrong, target).images[0].get_array().shape[1] == 6 * 6 - 1
    empty = plot.mistakes(np.ones((2, 5, 5)), right, target)
    assert not empty.images and empty.get_title() == "0 of 0 wrong of 2"


@pytest.mark.cpu_only
def test_what_does_not_fit_is_named():
    with pytest.raises(ValueError, match=r"mistakes: images must have shape .*, got \(2, 2, 5, 5\)"):
        plot.mistakes(np.ones((2, 2, 5, 5)), np.ones((2, 3)), [0, 1])
    with pytest.raises(ValueError, match=r"got \(3, 5, 5\), \(2, 3\) and \(2,\)"):
        plot.mistakes(np.ones((3, 5, 5)), np.ones((2, 3)), [0, 1])
    with pytest.raises(TypeError, match="mistakes: target must be an array, got str"):
        plot.mistakes(np.ones((3, 5, 5)), np.ones((2, 3)), "01")
