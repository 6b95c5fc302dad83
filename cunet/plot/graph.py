"""Drawings of recorded graphs: what was computed of what, as text in Graphviz's language."""

from __future__ import annotations

import os
from typing import Any

from ..autograd.tape import Node
from ..autograd.tensor import Tensor
from ..nn.module import Module
from ..system.files import write_whole
from .style import BLUE, GREEN

_HEAD = """digraph {
  rankdir=TB
  node [shape=box, style="filled,rounded", fillcolor="#f3f4f6", color="#9aa0a6", fontname="Helvetica", fontsize=11]
  edge [color="#9aa0a6", arrowsize=0.7]
"""
#: Of leaves, in the style of all drawings: what is trained, and inputs that need a gradient.
_PARAMETER, _INPUT = f'fillcolor="#cce3f1", color="{BLUE}"', f'fillcolor="#cdeee2", color="{GREEN}"'


class Graph:
    """A recorded graph; `str` gives the text in Graphviz's language, notebooks show the drawing.

    Attributes:
        text: the same text.

    Example:
        >>> from cunet import plot
        >>> x = cunet.tensor([1.0], requires_grad=True)
        >>> drawing = plot.graph(cunet.exp(x))
        >>> drawing.render("graph.dot")  # .svg, .png and .pdf need Graphviz
        >>> drawing.text.splitlines()[-1], drawing.text.count("label=")
        ('}', 2)
    """

    def __init__(self, text: str) -> None:
        self.text = text

    def __str__(self) -> str:
        """Return the text."""
        return self.text

    def render(self, path: str | os.PathLike[str]) -> None:
        """Draw into a file: ``.svg``, ``.png``, ``.pdf``, or ``.dot``, which is the text and needs no Graphviz.

        Raises:
            OSError: Graphviz's program `dot` is not installed.
            ValueError: the name of the file says no such format.
        """
        kind = os.path.splitext(path)[1].lower().lstrip(".")
        if kind not in ("svg", "png", "pdf", "dot"):
            raise ValueError(f"Graph.render: path must end with .svg, .png, .pdf or .dot, got {os.fspath(path)!r}")
        write_whole(path, self.text.encode() if kind == "dot" else self._drawn(kind))

    def _repr_svg_(self) -> str | None:
        """Return the drawing for a notebook, which shows the text where there is none."""
        try:
            return self._drawn("svg").decode()
        except OSError:
            return None

    __repr__ = __str__

    def _drawn(self, kind: str) -> bytes:
        import subprocess  # not when cunet is imported

        try:
            done = subprocess.run(["dot", f"-T{kind}"], input=self.text.encode(), capture_output=True)
        except FileNotFoundError as error:
            raise OSError(
                "Graph.render needs Graphviz's program dot, which is not installed (on Debian: apt install graphviz); "
                "the text, str(graph), can be drawn elsewhere"
            ) from error
        if done.returncode:
            raise OSError(f"Graph.render: dot failed: {done.stderr.decode(errors='replace').strip()}")
        return done.stdout


def graph(y: Tensor, model: Module | None = None, limit: int = 1000) -> Graph:
    """Return what `y` was computed of, from parameters and inputs that need a gradient down to `y`.

    Draw it before `backward`, which lets the graph go.

    Args:
        y: what was computed.
        model: whose parameters are drawn under their names.
        limit: how many ops and leaves there may be.

    Raises:
        ValueError: nothing was recorded for `y`, or more than `limit` ops and leaves were.
        RuntimeError: `backward` has let the graph go.

    Example:
        >>> from cunet import plot
        >>> model = nn.Linear(2, 1)
        >>> text = str(plot.graph(model(np.ones((4, 2), np.float32)).sum(), model))
        >>> text.count("label="), "weight" in text  # sum, linear, weight, bias
        (4, True)
    """
    if not isinstance(y, Tensor) or y._node is None:
        got = "one without history" if isinstance(y, Tensor) else type(y).__name__
        raise ValueError(f"graph: y must be a Tensor that was computed of one that requires a gradient, got {got}")
    names = {id(p): name for name, p in model.named_parameters()} if model is not None else {}
    numbers: dict[int, int] = {id(y._node): 0}
    lines: list[str] = []
    todo: list[Any] = [y._node]
    while todo:
        node = todo.pop()
        mine = numbers[id(node)]
        lines.append(f"  n{mine} [{_label(node, names)}]")
        for parent in _parents(node):
            if id(parent) not in numbers:
                numbers[id(parent)] = len(numbers)
                todo.append(parent)
            lines.append(f"  n{numbers[id(parent)]} -> n{mine}")
        if len(numbers) > limit:
            raise ValueError(f"graph: at most limit={limit} ops and leaves can be drawn, got more")
    return Graph("\n".join([_HEAD.rstrip(), *lines, "}", ""]))


def _parents(node: Any) -> list[Any]:
    """Return what an op was given that needs a gradient; a leaf was given nothing."""
    if not isinstance(node, Node):
        return []
    if node.vjp is None:
        raise RuntimeError("graph: backward has let the graph go; draw it before, or keep it by retain_graph=True")
    return [parent for parent in node.parents if parent is not None]


def _label(node: Any, names: dict[int, str]) -> str:
    """Return the label and the colours of an op or a leaf."""
    if isinstance(node, Node):
        place = "" if node.index is None else f" [{node.index}]"
        shape = "" if node.shape is None else f"\n{node.shape} {node.dtype}"
        return f'label="{_escaped(node.name.lstrip("_") + place + shape)}"'
    known = id(node) in names
    text = f"{names.get(id(node), 'input')}\n{node._data.shape} {node._data.dtype}"
    return f'label="{_escaped(text)}", {_PARAMETER if known else _INPUT}'


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
