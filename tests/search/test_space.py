"""Spaces: what they may hold, in errors that name the parameter, and the points of a grid."""

import numpy as np
import pytest

from cunet.search import Float, Int
from cunet.search.space import Choice, checked_space, grid

pytestmark = pytest.mark.cpu_only

WRONG = [
    (Float(1, 0), ValueError, "'lr' must have low <= high, got Float(low=1, high=0, log=False, step=None)"),
    (Float(0, 1, log=True), ValueError, "'lr' must have low > 0 where log=True"),
    (Float(0, float("inf")), ValueError, "'lr' must have finite numbers"),
    (Float(0, "1"), ValueError, "'lr' must have finite numbers"),
    (Float(0, 1, step=0), ValueError, "'lr' must have step > 0"),
    (Float(0, 1, step=0.3), ValueError, "'lr' must have high = low + a multiple of step"),
    (Float(1, 2, log=True, step=0.5), ValueError, "'lr' must have a step or log=True, not both"),
    (Int(1, 2.5), ValueError, "'lr' must have whole numbers"),
    (Int(1, 8, log=True, step=2), ValueError, "'lr' must have a step or log=True, not both"),
    (Int(0, 8, log=True), ValueError, "'lr' must have low > 0 where log=True"),
    (Int(0, 8, step=3), ValueError, "'lr' must have high = low + a multiple of step"),
    ([], ValueError, "'lr' must hold at least one choice"),
    ([1, 1], ValueError, "'lr' must hold each choice once"),
    ([len], ValueError, "'lr' must hold None, bools, numbers and strings"),
    (0.1, TypeError, "'lr' must be a Float, an Int or a list of choices, got 0.1"),
    ("adam", TypeError, "'lr' must be a Float, an Int or a list of choices, got 'adam'"),
]


@pytest.mark.parametrize(("entry", "kind", "text"), WRONG, ids=[f"{k}" for k in range(len(WRONG))])
def test_what_is_not_possible_is_named(entry, kind, text):
    with pytest.raises(kind) as error:
        checked_space({"width": [1, 2], "lr": entry})
    assert str(error.value).startswith(f"search: {text}")


@pytest.mark.parametrize(
    ("space", "kind", "text"),
    [({}, ValueError, "at least one"), ([1], TypeError, "must be a dict"), ({1: [2]}, TypeError, "must be strings")],
)
def test_a_space_is_a_dict_by_name(space, kind, text):
    with pytest.raises(kind, match=text):
        checked_space(space)


def test_lists_become_choices_of_plain_values():
    found = checked_space({"a": np.array([1, 2]).tolist(), "b": (np.float32(0.5), None, True)})
    assert found == {"a": Choice((1, 2)), "b": Choice((0.5, None, True))}
    assert all(type(value) in (float, type(None), bool) for value in found["b"].choices)


def test_a_grid_has_every_point_once_the_last_name_fastest():
    space = checked_space({"a": ["x", "y"], "b": Float(0, 0.3, step=0.1), "c": Int(1, 5, step=2)})
    points = grid(space)
    assert len(points) == len({tuple(point.values()) for point in points}) == 2 * 4 * 3
    assert points[:2] == [{"a": "x", "b": 0.0, "c": 1}, {"a": "x", "b": 0.0, "c": 3}]
    assert [point["b"] for point in points[::3]][:4] == pytest.approx([0, 0.1, 0.2, 0.3])


def test_a_grid_needs_values_that_can_be_counted():
    with pytest.raises(ValueError, match=r"search: method \"grid\" needs a list or a step for 'b', got Float"):
        grid(checked_space({"a": [1], "b": Float(0, 1)}))


def test_numpys_integers_are_whole_numbers():
    entry = Int(np.int64(16), np.int32(64), step=np.uint8(16))
    assert entry == Int(16, 64, step=16)
    assert [type(value) for value in (entry.low, entry.high, entry.step)] == [int, int, int]
    assert checked_space({"width": entry})["width"].values() == [16, 32, 48, 64]
