"""Gradients as Tensors: the way back along the tape, itself recorded."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import Any

from ..device import clearer_error
from ..system.quiet import quiet
from .mapped import Mapped
from .methods import ArrayMethods
from .operators import ops
from .tape import Node, _check_count, _fit, add
from .tensor import Tensor
from .tracing import Traced, nested, not_on_tensors, traced_at

#: A leaf, or the node of a Tensor that was computed.
Place = Any


def place_of(x: Tensor) -> Place:
    """Return where gradients for a Tensor arrive."""
    return x._node or x


class _Parts(list[Any]):
    """Gradients of the outputs of a call with several; None where none came."""


def pulled(
    roots: Sequence[tuple[Tensor, Any]], targets: Sequence[Place] | None, order: int, since: int = 0
) -> dict[int, tuple[Place, Any]]:
    """Return the gradients of Tensors, recorded so that they can be differentiated `order` times.

    Args:
        roots: Tensors, and what arrives at each.
        targets: places, or Tensors, that gradients are wanted of; None: all leaves.
        order: see above.
        since: the number of a node that is older than all ways to the targets.

    Returns:
        By the id of the `place_of` each target (or of each leaf) that place, and a Tensor, or an array where it
        depends on nothing; without an entry where there is no gradient.

    Raises:
        RuntimeError: something was recorded at a lower order, or its graph has been freed.
    """
    wanted = None if targets is None else {id(_place(t)) for t in targets}
    walk = _Walk(wanted, _reaching([place_of(root) for root, _ in roots], wanted, since), order)
    with traced_at(order), quiet():
        for root, g in roots:
            walk.arrive(place_of(root), g)
        walk.run()
    return walk.found


def gradients_at(roots: Sequence[tuple[Tensor, Any]], places: Sequence[Place], order: int, since: int = 0) -> list[Any]:
    """Return the gradients at places, or of Tensors, as `pulled` finds them; None where there is none."""
    found = pulled(roots, places, order, since)
    return [found.get(id(_place(place)), (None, None))[1] for place in places]


def _place(target: Place) -> Place:
    return place_of(target) if isinstance(target, Tensor) else target


def _reaching(roots: Sequence[Place], wanted: set[int] | None, since: int) -> set[int]:
    """Return the ids of nodes from which a wanted place is reached: nothing else need be computed."""
    nodes: dict[int, Node] = {}
    waiting = [root for root in roots if isinstance(root, Node)]
    while waiting:
        node = waiting.pop()
        if node.vjp is None:
            raise RuntimeError(_why_not(node))
        if id(node) not in nodes and (wanted is None or id(node) not in wanted):
            nodes[id(node)] = node
            waiting += [parent for parent in node.parents if isinstance(parent, Node) and parent.order > since]
    reach: set[int] = set()
    for node in sorted(nodes.values(), key=lambda node: node.order):
        for parent in node.parents:
            if parent is not None and (wanted is None or id(parent) in wanted or id(parent) in reach):
                reach.add(id(node))
    return reach


class _Walk:
    """One way back: newest node first, as `tape.backpropagate` does."""

    def __init__(self, wanted: set[int] | None, reach: set[int], order: int) -> None:
        self.wanted, self.reach, self.order = wanted, reach, order
        self.found: dict[int, tuple[Place, Any]] = {}
        self.grads: dict[Node, Any] = {}
        self.heap: list[tuple[int, Node]] = []

    def arrive(self, place: Place, g: Any) -> None:
        """Add a gradient to what a place has."""
        g = g.data if isinstance(g, Tensor) and not g.requires_grad else g
        is_node = isinstance(place, Node)
        if id(place) in self.wanted if self.wanted is not None else not is_node:
            self.found[id(place)] = place, _added(self.found.get(id(place), (None, None))[1], g)
        elif is_node and id(place) in self.reach:
            if place not in self.grads:
                heapq.heappush(self.heap, (-place.order, place))
            self.grads[place] = _added(self.grads.get(place), g)

    def run(self) -> None:
        """Go through all nodes."""
        while self.heap:
            node = heapq.heappop(self.heap)[1]
            gy = self.grads.pop(node)
            if node.keeps_grad:
                node.grad = _added(node.grad, gy)
            if node.index is not None:
                parts = _Parts([None] * node.vjp)
                parts[node.index] = gy
                self.arrive(node.parents[0], parts)
            else:
                self._through(node, gy)

    def _through(self, node: Node, gy: Any) -> None:
        way_back = node.vjp.tensors if isinstance(node.vjp, Traced) else node.vjp
        if self.order >= (node.vjp.order if isinstance(node.vjp, Traced) else 1):
            raise RuntimeError(_why_not(node))
        if not isinstance(node.vjp, Traced) and any(
            isinstance(g, Mapped) for g in (gy if type(gy) is _Parts else [gy])
        ):
            raise TypeError(
                f"vmap: the way back of {node.name!r} was recorded for one cotangent at a time; call cunet.vjp within "
                "the function that is mapped, or use cunet.jacobian"
            )
        try:
            gradients = way_back(tuple(gy) if type(gy) is _Parts else gy)
            if type(gradients) is not tuple or len(gradients) != len(node.parents):
                _check_count(node, gradients)
            for parent, g in zip(node.parents, gradients, strict=False):
                if parent is None or g is None or not self._counts(parent):
                    continue
                g = g() if callable(g) and not isinstance(g, Tensor) else g
                if not isinstance(parent, Node) and parent._modified > node.order:
                    raise RuntimeError(f"backward: a tensor was modified in place after {node.name!r} used it")
                self.arrive(parent, _fitted(g, parent, node.name))
        except Exception as error:
            clearer = clearer_error(f"{node.name} (backward)", error) or not_on_tensors(node.name, error)
            if clearer is None:
                raise
            raise clearer from error

    def _counts(self, parent: Place) -> bool:
        if self.wanted is None:
            return not isinstance(parent, Node) or id(parent) in self.reach
        return id(parent) in self.wanted or id(parent) in self.reach


def _why_not(node: Node) -> str:
    if node.vjp is None:
        return f"backward: the graph behind {node.name!r} was freed by an earlier backward"
    return (
        f"backward: the gradient of {node.name!r} cannot be differentiated, as it was not recorded for that; "
        "use grad(f, create_graph=True), or compute the loss within cunet.create_graph()"
    )


def _added(a: Any, b: Any) -> Any:
    if a is None:
        return b
    if type(a) is _Parts:
        return _Parts([q if p is None else p if q is None else _added(p, q) for p, q in zip(a, b, strict=True)])
    return ops.add(a, b) if isinstance(a, ArrayMethods) or isinstance(b, ArrayMethods) else add(a, b)


def _fitted(g: Any, parent: Place, name: str) -> Any:
    """Return a gradient in the shape and dtype of what it belongs to; see `tape._fit`."""
    like = parent if isinstance(parent, Node) else parent._data
    if not isinstance(g, ArrayMethods):
        return g if like.shape is None else _fit(g, like.shape, like.dtype, name)
    shape = like.shape
    if shape is not None and g.shape != shape:
        extra = g.ndim - len(shape)
        if extra < 0 or any(s not in (1, n) for s, n in zip(shape, g.shape[extra:], strict=True)):
            raise ValueError(f"{name}: vjp gave a gradient of shape {g.shape} for an input of shape {shape}")
        axes = (*range(extra), *[i + extra for i, s in enumerate(shape) if s == 1 and g.shape[i + extra] != 1])
        g = ops.reshape(ops.sum(g, axis=axes) if axes else g, shape=shape)
    return g if g.dtype == like.dtype else ops.astype(g, dtype=like.dtype)


def leave_gradients(root: Tensor, gradient: Any) -> None:
    """Do what ``root.backward(gradient, create_graph=True)`` promises."""
    seed = root._seed(gradient)
    seed = gradient if isinstance(gradient, Tensor) and gradient.requires_grad else seed
    for leaf, g in pulled([(root, seed)], None, order_of(root)).values():
        total = _added(leaf._grad, g)
        leaf._grad = total if isinstance(total, Tensor) else Tensor(total)


def order_of(x: Tensor) -> int:
    """Return how often gradients of a Tensor can be differentiated, at least 1."""
    node = x._node
    if node is not None and node.index is not None and node.parents:
        node = node.parents[0]  # type: ignore[assignment]
    order = getattr(getattr(node, "vjp", None), "order", 2)
    return max(1, nested.get()) if order == float("inf") else max(1, order - 1)
