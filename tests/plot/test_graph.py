"""Graphs as text for Graphviz: every op, every leaf, every edge, whatever the names."""

import re
import shutil

import numpy as np
import pytest

import cunet
from cunet import nn, plot


def parts(graph):
    """Return the labels by number, and the edges as pairs of labels' first words."""
    labels = dict(re.findall(r'(n\d+) \[label="((?:[^"\\]|\\.)*)"', str(graph)))
    edges = re.findall(r"(n\d+) -> (n\d+)", str(graph))
    return sorted(label.split("\\n")[0] for label in labels.values()), sorted(
        (labels[a].split("\\n")[0], labels[b].split("\\n")[0]) for a, b in edges
    )


def test_ops_leaves_and_edges_are_those_that_were_recorded(dev):
    x = cunet.tensor(dev(np.ones((2, 3), np.float32)), requires_grad=True)
    w = cunet.tensor(dev(np.ones((2, 3), np.float32)))  # needs no gradient: is not drawn
    names, edges = parts(plot.graph((x * w + x * x).sum()))
    assert names == ["add", "input", "multiply", "multiply", "sum"]
    assert edges == [("add", "sum"), *[("input", "multiply")] * 3, *[("multiply", "add")] * 2]


def test_parameters_have_their_names_and_shapes(device, dev):
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.LSTM(4, 2)).to(device)
    y, _ = model(dev(np.ones((5, 2, 3), np.float32)))
    text = str(plot.graph(y, model))
    for name, p in model.named_parameters():
        assert f'label="{name}\\n{p.shape} float32"' in text
    assert "input" not in text and text.startswith("digraph {") and text.endswith("}\n")


@pytest.mark.cpu_only
def test_long_graphs_are_no_recursion_and_have_a_limit():
    x = cunet.tensor(np.ones(3), requires_grad=True)
    y = x
    for _ in range(3000):
        y = y + x
    assert len(parts(plot.graph(y, limit=5000))[0]) == 3001
    with pytest.raises(ValueError, match="graph: at most limit=1000 ops and leaves can be drawn"):
        plot.graph(y)


@pytest.mark.cpu_only
def test_what_cannot_be_drawn_is_said(tmp_path, monkeypatch):
    x = cunet.tensor(np.ones(3), requires_grad=True)
    for wrong in (x, x.detach() * 2, 3):
        with pytest.raises(ValueError, match="graph: y must be a Tensor that was computed"):
            plot.graph(wrong)
    y = (x * 2).sum()
    graph = plot.graph(y)
    y.backward()
    with pytest.raises(RuntimeError, match="graph: backward has let the graph go"):
        plot.graph(y)
    with pytest.raises(ValueError, match="Graph.render: path must end with .svg, .png, .pdf or .dot, got"):
        graph.render(tmp_path / "a.gif")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(OSError, match="Graph.render needs Graphviz's program dot"):
        graph.render(tmp_path / "a.svg")
    assert graph._repr_svg_() is None
    graph.render(tmp_path / "a.dot")
    assert (tmp_path / "a.dot").read_text() == str(graph)


@pytest.mark.cpu_only
@pytest.mark.skipif(not shutil.which("dot"), reason="Graphviz is not installed")
def test_graphviz_draws_it(tmp_path):
    model = nn.ModuleDict({'odd "name" \\ <b>': nn.Linear(3, 2)})
    graph = plot.graph(model._items['odd "name" \\ <b>'](np.ones((2, 3), np.float32)), model)
    graph.render(tmp_path / "a.svg")
    svg = (tmp_path / "a.svg").read_text()
    assert "odd &quot;name&quot; \\ &lt;b&gt;.weight" in svg and svg == graph._repr_svg_()
    graph.render(tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes()[:4] == b"\x89PNG"
