"""Curves of a run: which there are, and that they show what the logs say."""

import math
import sys

import numpy as np
import pytest

from cunet import plot
from cunet.plot.curves import curves_of

pytestmark = pytest.mark.cpu_only

LOGS = [
    {"epoch": 0, "valid_loss": 3.0, "seconds": 0.1, "complete": True},
    {"epoch": 1, "loss": 2.0, "f1": np.float64(0.5), "valid_loss": 2.5, "confusion_matrix": np.eye(2), "lr": 0.1,
     "max_lr": 0.2, "seconds": 1.0, "samples_per_second": 10.0, "complete": True},
    {"epoch": 2, "loss": math.inf, "f1": 0.6, "valid_loss": math.nan, "lr": 0.01, "max_lr": 0.1, "complete": False},
]  # fmt: skip


def test_each_number_has_a_curve_and_the_rate_is_the_last():
    assert curves_of(LOGS) == ["loss", "f1", "lr"]


def test_curves_show_what_the_logs_say():
    pytest.importorskip("matplotlib")
    loss, f1, rate = plot.history(LOGS)
    train, valid = loss.lines
    np.testing.assert_array_equal(train.get_xydata(), [[1, 2], [2, np.nan]])
    np.testing.assert_array_equal(valid.get_xydata(), [[0, 3], [1, 2.5], [2, np.nan]])
    assert train.get_color() != valid.get_color() and train.get_linestyle() != valid.get_linestyle()
    assert [ax.get_ylabel() for ax in (loss, f1, rate)] == ["loss", "f1", "learning rate"]
    assert {ax.get_xlabel() for ax in (loss, f1, rate)} == {"epoch"}
    assert rate.get_yscale() == "log" and loss.get_legend() is not None and f1.get_legend() is None
    loss.figure.canvas.draw()
    assert all(float(tick).is_integer() for tick in loss.get_xticks())


def test_names_choose():
    pytest.importorskip("matplotlib")
    (ax,) = plot.history(LOGS, "f1")
    assert ax.get_ylabel() == "f1"
    with pytest.raises(ValueError, match="history: names must be among loss, f1, lr, got 'acc'"):
        plot.history(LOGS, "acc")
    with pytest.raises(ValueError, match="history: logs must hold an epoch with numbers, got none"):
        plot.history([])


def test_without_matplotlib_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r'history needs matplotlib.*pip install "cunet\[plot\]"'):
        plot.history(LOGS)
