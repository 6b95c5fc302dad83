"""What is measured of a batch on a GPU: two launches, and the numbers of a CPU. On the simulated device."""

import ml_dtypes
import numpy as np
import pytest

import sim
from cunet import F, Tensor, nn
from cunet.train import Trainer, accuracy
from cunet.train.metrics import ondevice
from cunet.train.metrics.means import Means
from cunet.train.metrics.measures import Measures

xp = sim.namespace_or_skip()
pytestmark = pytest.mark.usefixtures("simulated")


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float32, np.float64])
@pytest.mark.parametrize("shape", [(1, 2), (7, 3), (600, 10), (5, 4, 6), (2, 3, 9, 40)], ids=str)
def test_hits_are_those_of_the_cpu(dtype, shape, rng):
    scores = rng.integers(-9, 9, shape).astype(dtype)  # with ties, of which the first counts
    scores[0, -1] = np.nan
    for labels_dtype in (np.int64, np.int32):
        labels = rng.integers(-1, shape[1], (shape[0], *shape[2:])).astype(labels_dtype)
        with xp._stats.counting() as counted:
            found = ondevice.hit_rate(xp.asarray(scores), xp.asarray(labels), -1)
        expected = ondevice.hit_rate(scores, labels, -1)
        assert (counted["launches"], counted["ops"]) == (1, 0)
        assert found[1].item() == expected[1]
        np.testing.assert_allclose(found[0].item(), expected[0], rtol=1e-15)


def test_strided_scores_other_labels_and_many_positions(rng, monkeypatch):
    scores, labels = rng.standard_normal((30, 5)), rng.integers(0, 5, 30)
    expected = accuracy(scores, labels)
    transposed = xp.asarray(np.ascontiguousarray(scores.T)).T
    assert accuracy(transposed, xp.asarray(labels)).item() == expected
    assert accuracy(transposed, xp.asarray(labels.astype(np.uint8))).item() == expected
    monkeypatch.setattr(ondevice, "_MOST", 29)
    assert accuracy(transposed, xp.asarray(labels)).item() == expected


def test_nothing_that_counts_is_nan_and_adds_nothing():
    means = Means()
    nothing = accuracy(xp.ones((3, 2)), xp.full(3, -100))
    assert np.isnan(nothing.item())
    means.add(3, {"a": nothing, "loss": xp.asarray(1.0)}, {"a": xp.zeros((), np.int64)})
    means.add(1, {"a": xp.asarray(0.5), "loss": 5.0}, {"a": xp.asarray(2)})
    assert means.read() == {"a": 0.5, "loss": 2.0}
    assert means.first_nan() is None


def test_sums_go_on_from_a_state_and_a_state_stays_as_it_was():
    means = Means()
    means.add(2, {"loss": xp.asarray(np.float16(1.5)), "other": 3})
    state = means.state_dict()
    means.add(2, {"loss": xp.asarray(np.nan), "other": xp.asarray([1.0])})
    means.add(2, {"loss": xp.asarray(1.0), "other": 2.0})
    assert means.first_nan() == 2
    assert means.read()["other"] == 2.0
    other = Means()
    other.load_state_dict(state)
    other.add(2, {"loss": xp.asarray(2.5), "other": 5})
    assert other.read() == {"loss": 2.0, "other": 4.0}
    other.add(4, {"loss": xp.asarray(2.0)})  # other names than before
    assert other.read() == {"loss": 2.0}


def test_more_metrics_than_a_kernel_takes_are_added_too():
    means = Means()
    for k in range(3):
        means.add(1, {str(n): xp.asarray(float(n + k)) for n in range(40)})
    assert means.read() == {str(n): n + 1.0 for n in range(40)}


def test_a_value_that_is_no_number_is_refused_before_anything_is_added():
    means = Means()
    with pytest.raises(ValueError, match=r"other must be one number per batch, got shape \(2,\)"):
        means.add(2, {"loss": xp.asarray(1.0), "other": xp.ones(2)})
    assert means.count == 0 and not means._sums


def test_a_batch_is_measured_by_two_launches(rng):
    model = nn.Linear(4, 3).to("gpu")
    trainer = Trainer(model, F.cross_entropy, metrics="accuracy", progress=False)
    x, labels = Tensor(xp.asarray(rng.standard_normal((9, 4)).astype("f"))), xp.asarray(rng.integers(0, 3, 9))
    measures, prediction = Measures(trainer.metrics), model(x)
    loss = F.cross_entropy(prediction, labels)
    for _ in range(2):
        with xp._stats.forbid(), xp._stats.counting() as counted:
            trainer._measure(measures, loss, prediction, labels)
    assert (counted["launches"], counted["ops"]) == (2, 0)
    assert measures.read()["loss"] == pytest.approx(loss.item(), rel=1e-6)
