"""What docs/coming-from-pytorch.md says is true: both columns of its first table agree, its code runs."""

import re
from pathlib import Path

import numpy as np
import pytest
from helpers import host
from sources import programs

import cunet
from cunet import F, Tensor
from cunet.autograd.pytorch import TENSOR

pytestmark = pytest.mark.cpu_only

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "coming-from-pytorch.md").read_text(encoding="utf-8")
TABLE = PAGE.split("\n| --- | --- |\n")[1].split("\n\n")[0]
PAIRS = [re.fullmatch(r"\| `(.*)` \| `(.*)` \|", line).groups() for line in TABLE.splitlines()]


def values(result):
    return np.asarray(host(result) if isinstance(result, Tensor) else result)


@pytest.mark.parametrize(("theirs", "ours"), PAIRS, ids=[theirs for theirs, _ in PAIRS])
def test_both_columns_say_the_same(theirs, ours, rng):
    torch = pytest.importorskip("torch")
    arrays = {name: rng.standard_normal((2, 3)).astype(np.float32) for name in "xy"}
    arrays |= {"m": rng.random((2, 3)) < 0.5, "i": np.array([1, 0])}
    mine = {name: Tensor(a) if a.dtype.kind == "f" else a for name, a in arrays.items()}
    result = eval(ours, {"cunet": cunet, "F": F, "np": np, **mine})
    expected = eval(theirs, {"torch": torch, **{name: torch.tensor(a) for name, a in arrays.items()}})
    np.testing.assert_allclose(values(result), np.asarray(expected), rtol=1e-5)
    assert values(result).dtype.kind == np.asarray(expected).dtype.kind


def test_words_of_the_table_are_answered_with_the_word_beside_them():
    """Where the first column calls a method that Tensor does not have, the error names a method of the second."""
    for theirs, ours in PAIRS:
        for word in re.findall(r"^x(?:\[.*?\])?\.(\w+)\(", theirs):
            if word in TENSOR:
                written, said = ({*re.findall(r"\.\w+|[@*+[]", text)} for text in (ours, TENSOR[word]))
                assert written & said, (word, ours)
            else:
                assert hasattr(Tensor, word) or f"cunet.{word}(" in ours or word == "repeat_interleave", word


def test_methods_that_both_have_and_that_differ_are_those_that_the_page_names():
    x = Tensor(np.arange(6.0).reshape(2, 3))
    assert x.transpose(0, 1).shape == (2, 3) and x.repeat(2, 1).shape == (2, 6)
    assert x.var().item() == np.arange(6.0).var() and x.size == 6


def test_the_code_runs_and_trains():
    (block,) = programs(PAGE)
    cunet.manual_seed(0)
    namespace = {}
    exec(block, namespace)
    assert namespace["right"].all() and namespace["loss"].item() < 0.5
    assert list(namespace["state"])[:2] == ["conv.weight", "norm.weight"]


def test_readme_leads_to_the_page():
    assert "(docs/coming-from-pytorch.md)" in (ROOT / "README.md").read_text(encoding="utf-8")
