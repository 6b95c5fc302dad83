import math

import numpy as np
import pytest

from cunet.system.files import save_arrays
from cunet.system.trees import load_tree, save_tree

pytestmark = pytest.mark.cpu_only


def test_a_tree_comes_back_as_it_was(tmp_path):
    tree = {
        "a": [1, 2.5, True, None, "text"],
        "b": {"c.d": np.arange(6, dtype=np.int16).reshape(2, 3), "c": {"d": np.zeros((0, 2), np.float32)}},
        "t": (np.float32(1.5), np.array(2.5), (), [], {}),
        3: math.inf,
        "nan": math.nan,
        "big": 2**70,
        "third": 1 / 3,
        "$array": "a name that looks like a mark",
    }
    save_tree(tmp_path / "x.safetensors", tree, {"kept": "beside"})
    back = load_tree(tmp_path / "x.safetensors")
    assert list(back) == list(tree)
    assert back["a"] == tree["a"] and back["a"][2] is True
    assert type(back["t"]) is tuple and back["t"][0] == 1.5 and back["t"][2:] == ((), [], {})
    assert back[3] == math.inf and math.isnan(back["nan"]) and back["big"] == 2**70 and back["third"] == 1 / 3
    assert back["$array"] == tree["$array"]
    for got, expected in [(back["b"]["c.d"], tree["b"]["c.d"]), (back["b"]["c"]["d"], tree["b"]["c"]["d"])]:
        assert got.dtype == expected.dtype
        np.testing.assert_array_equal(got, expected)
    assert back["t"][1].shape == () and back["t"][1] == 2.5


def test_what_cannot_be_kept_is_named_and_nothing_is_written(tmp_path):
    with pytest.raises(TypeError, match=r"save: a\.1\.b must be made of dicts, lists, numbers.*got set"):
        save_tree(tmp_path / "x.safetensors", {"a": [0, {"b": {1}}]})
    assert not list(tmp_path.iterdir())


def test_arrays_alone_are_no_tree(tmp_path):
    save_arrays(tmp_path / "x.safetensors", {"w": np.ones(3)})
    with pytest.raises(ValueError, match="holds arrays alone"):
        load_tree(tmp_path / "x.safetensors")
