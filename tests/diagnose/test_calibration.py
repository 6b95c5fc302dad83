"""Calibration and temperature against figures that can be computed by hand, and plots."""

import numpy as np
import pytest

from cunet.diagnose import calibration, fit_temperature

pytestmark = pytest.mark.cpu_only


def rows(confidences):
    """Return probabilities of two classes, the first the surer one."""
    top = np.asarray(confidences)
    return np.stack([top, 1 - top], axis=1)


def test_bins_hold_what_they_say_by_hand():
    found = calibration(rows([0.75, 0.72, 0.98, 1.0]), np.array([0, 1, 0, 0]), bins=4)
    np.testing.assert_array_equal(found.samples, [0, 0, 2, 2])  # 0.75 is in (0.5, 0.75]
    np.testing.assert_allclose(found.confidence, [np.nan, np.nan, 0.735, 0.99])
    np.testing.assert_allclose(found.accuracy, [np.nan, np.nan, 0.5, 1])
    assert found.expected_error == pytest.approx((0.235 * 2 + 0.01 * 2) / 4)
    assert found.maximum_error == pytest.approx(0.235)


def test_one_that_is_right_as_often_as_it_says_has_no_error():
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.ones(5), 200_000)
    target = (p.cumsum(axis=1) < rng.random((len(p), 1))).sum(axis=1)
    found = calibration(p.astype(np.float32), target)
    assert found.expected_error < 0.005 and found.samples.sum() == len(p)
    assert calibration(p[:1], target[:1]).samples.sum() == 1


@pytest.mark.parametrize(
    "p, target, error",
    [
        (np.ones((3, 2)), np.zeros(3, int), "of logits take the softmax first"),
        (rows([0.5]), np.array([2]), "from 0 to 1, got 2 to 2"),
        (rows([0.5]), np.array([0, 1]), r"shapes \(N, C\) and \(N,\), got \(1, 2\), \(2,\)"),
        (np.zeros((0, 2)), np.zeros(0, int), r"got \(0, 2\), \(0,\)"),
        (rows([np.nan]), np.array([0]), "finite, got inf or nan"),
    ],
)
def test_what_is_no_distribution_or_label_is_refused(p, target, error):
    with pytest.raises(ValueError, match=f"calibration: .*{error}"):
        calibration(p, target)
    with pytest.raises(TypeError, match="target must hold integers"):
        calibration(rows([0.5]), np.array([0.0]))
    with pytest.raises(ValueError, match="bins must be at least 1"):
        calibration(rows([0.5]), np.array([0]), bins=0)


@pytest.mark.parametrize("factor", [0.02, 0.5, 1.0, 7.0, 1e6])
def test_a_temperature_is_found_again(factor):
    rng = np.random.default_rng(1)
    logits = rng.normal(size=(4000, 6)) * 2
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    target = (p.cumsum(axis=1) < rng.random((len(p), 1))).sum(axis=1)
    temperature = fit_temperature(logits * factor + 300, target)
    assert temperature / factor == pytest.approx(1, abs=0.05)

    def loss(t):
        z = logits * factor / t
        return (np.log(np.exp(z - z.max(1, keepdims=True)).sum(1)) + z.max(1) - z[np.arange(len(z)), target]).mean()

    assert loss(temperature) <= min(loss(temperature * (1 - 1e-4)), loss(temperature * (1 + 1e-4)))


def test_the_slope_is_zero_at_the_temperature_of_two_logits():
    # Of 4 rows (1, 0) the first class is right in 3: sigmoid(1 / T) = 3 / 4.
    found = fit_temperature(np.tile([1.0, 0.0], (4, 1)), np.array([0, 0, 0, 1]))
    assert found == pytest.approx(1 / np.log(3), rel=1e-12)


def test_where_no_temperature_is_the_best_it_is_said():
    with pytest.raises(ValueError, match="every label has the highest logit"):
        fit_temperature(np.array([[3.0, 0.0], [0.0, 1.0]]), np.array([0, 1]))
    with pytest.raises(ValueError, match="likelier than by chance"):
        fit_temperature(np.array([[3.0, 0.0], [0.0, 1.0]]), np.array([1, 0]))
    with pytest.raises(ValueError, match="logits must be finite"):
        fit_temperature(np.array([[np.inf, 0.0]]), np.array([0]))


def test_the_diagram_is_drawn(tmp_path):
    pytest.importorskip("matplotlib")
    found = calibration(rows([0.75, 0.72, 0.98, 1.0]), np.array([0, 1, 0, 0]), bins=4)
    axes = found.plot()
    assert axes.get_xlabel() == "confidence" and "12 %" in axes.get_title()
    axes.figure.savefig(tmp_path / "calibration.png")
    assert found.plot(axes) is axes


def test_without_matplotlib_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r'Calibration.plot needs matplotlib.*pip install "cunet\[plot\]"'):
        calibration(rows([0.5]), np.array([0])).plot()
