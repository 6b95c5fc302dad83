"""Parts of data: every sample in one of them, labels in equal shares, folds as scikit-learn's."""

import numpy as np
import pytest
from helpers import host

import cunet
from cunet import data
from cunet.random import Generator


@pytest.mark.parametrize("n, share, count", [(10, 0.2, 2), (7, 0.5, 4), (3, 0.34, 1)])
def test_parts_are_all_samples_once_in_their_order(n, share, count, dev):
    x, y = dev(np.arange(n, dtype=np.float32)), dev(np.arange(n) * 2)
    (x1, y1), (x2, y2) = data.split(x, y, share=share, generator=Generator(0))
    first, second = host(x1), host(x2)
    assert len(second) == count and sorted([*first, *second]) == list(range(n))
    assert (np.diff(first) > 0).all() and (np.diff(second) > 0).all()
    np.testing.assert_array_equal(host(y1), 2 * first)
    np.testing.assert_array_equal(host(y2), 2 * second)


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5, 0.9])
def test_stratified_parts_have_the_same_shares(share, dev, rng):
    labels = np.repeat([0, 1, 5], [100, 60, 20])
    rng.shuffle(labels)
    for seed in range(5):
        _, (second,) = data.split(dev(labels), share=share, stratify=dev(labels), generator=Generator(seed))
        got = np.array([(host(second) == label).sum() for label in (0, 1, 5)])
        assert (np.abs(got - share * np.array([100, 60, 20])) <= 1).all() and got.sum() == round(180 * share)


@pytest.mark.cpu_only
def test_seeds_decide_and_datasets_are_taken():
    samples = [(np.float32(i), i) for i in range(20)]

    def drawn(seed):
        cunet.manual_seed(seed)
        (first,), (second,) = data.split(samples)
        return [first[i][1] for i in range(len(first))], [second[i][1] for i in range(len(second))]

    assert drawn(1) == drawn(1) != drawn(2) and len(drawn(1)[1]) == 4


@pytest.mark.cpu_only
def test_what_leaves_nothing_is_refused():
    for share in (0, 1, 0.01, 0.99, float("nan")):
        with pytest.raises(ValueError, match="split: share=.* of 10 samples leaves one of the parts empty"):
            data.split(np.arange(10), share=share)
    with pytest.raises(ValueError, match=r"split: stratify must have shape \(N,\) = \(10,\), got \(9,\)"):
        data.split(np.arange(10), stratify=np.arange(9))


def test_folds_are_those_of_scikit_learn(dev):
    selection = pytest.importorskip("sklearn.model_selection", reason="scikit-learn is not installed")
    x, y = dev(np.arange(12.0)), dev(np.arange(12) % 3)
    groups = np.arange(12) // 3
    for kind, given in ((selection.KFold(3), None), (selection.GroupKFold(4), groups)):
        expected = list(kind.split(np.zeros((12, 1)), groups=given))
        found = list(data.folds(kind, x, y, groups=None if given is None else dev(groups)))
        assert len(found) == len(expected)
        for ((x1, _), (x2, y2)), (train, valid) in zip(found, expected, strict=True):
            np.testing.assert_array_equal(host(x1), train)
            np.testing.assert_array_equal(host(x2), valid)
            np.testing.assert_array_equal(host(y2), valid % 3)
    cunet.manual_seed(1)
    drawn = [host(valid[0]).tolist() for _, valid in data.folds(4, x, y, labels=y)]
    assert sorted(i for one in drawn for i in one) == list(range(12)) and all(
        {int(i) % 3 for i in one} == {0, 1, 2} for one in drawn
    )
    cunet.manual_seed(1)
    assert drawn == [host(valid[0]).tolist() for _, valid in data.folds(4, x, labels=y)]
