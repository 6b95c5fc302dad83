"""Histograms of layers: every value counted, whatever it is."""

import numpy as np
import pytest

from cunet import nn, plot

pytest.importorskip("matplotlib")


def counts(ax):
    return ax.patches[0].get_data().values.sum()


def test_weights_of_each_layer_are_counted(device):
    model = nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5), nn.Linear(5, 3)).to(device)
    panels = plot.histograms(model)
    assert [ax.get_title().split("\n")[0] for ax in panels] == ["0.weight", "2.weight"]
    assert [counts(ax) for ax in panels] == [30, 15]
    assert {(ax.get_xlabel(), ax.get_ylabel()) for ax in panels} == {("value", "count")}
    assert len(plot.histograms(nn.BatchNorm1d(4).to(device), count=1)) == 1


@pytest.mark.cpu_only
def test_values_that_have_no_range_are_shown_too():
    odd = {
        "same": np.full(7, 3.0),
        "nearly": np.array([1.0, np.nextafter(1.0, 2)]),
        "gone": np.array([np.nan, np.inf, 1.0]),
        "nothing": np.zeros(0),
        "whole": np.arange(5),
        "a_very_long_name_of_a_layer_in_a_model.weight": np.arange(4).astype(">f2"),
    }
    panels = plot.histograms(odd)
    assert [counts(ax) for ax in panels] == [7, 2, 1, 0, 5, 4]
    assert [t.get_text() for t in panels[2].texts] == ["2 not finite"]
    panels[0].figure.canvas.draw()


@pytest.mark.cpu_only
def test_what_holds_nothing_is_refused():
    with pytest.raises(TypeError, match="histograms: values must be a model or a dict of arrays, got ndarray"):
        plot.histograms(np.ones(3))
    with pytest.raises(ValueError, match="histograms: values must hold at least one array, got none"):
        plot.histograms(nn.ReLU())
