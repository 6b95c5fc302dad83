"""Confusion matrices: what is written where."""

import numpy as np
import pytest

from cunet import plot

pytestmark = pytest.mark.cpu_only


def test_rows_are_classes_and_columns_what_they_are_taken_for():
    pytest.importorskip("matplotlib")
    ax = plot.confusion_matrix([[8, 2, 0], [0, 0, 0], [1, 0, 5]], ["cat", "<dog>", "fish"])
    image = ax.images[0].get_array()
    np.testing.assert_allclose(image, [[0.8, 0.2, 0], [0, 0, 0], [1 / 6, 0, 5 / 6]])
    written = {(round(t.get_position()[1]), round(t.get_position()[0])): t.get_text() for t in ax.texts}
    assert written == {(0, 0): "8", (0, 1): "2", (2, 0): "1", (2, 2): "5"}
    assert [t.get_text() for t in ax.get_yticklabels()] == ["cat", "<dog>", "fish"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("predicted class", "class")
    assert ax.get_title() == "81.25 % of 16 right"
    assert plot.confusion_matrix(np.eye(2, dtype=int), ax=ax) is ax


def test_many_classes_are_colours_alone():
    pytest.importorskip("matplotlib")
    assert not plot.confusion_matrix(np.ones((50, 50), int)).texts
    assert plot.confusion_matrix(np.zeros((2, 2), int)).get_title() == "no samples"


def test_shapes_are_checked():
    for wrong in (np.ones(3), np.ones((2, 3)), np.zeros((0, 0))):
        with pytest.raises(ValueError, match=r"confusion_matrix: matrix must have shape \(C, C\), got \("):
            plot.confusion_matrix(wrong)
    with pytest.raises(ValueError, match="confusion_matrix: names must hold 2 names, one a class, got 1"):
        plot.confusion_matrix(np.eye(2), ["a"])
