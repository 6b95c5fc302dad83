"""L-BFGS: steps by an inverse Hessian that is guessed from the last steps and gradients."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

from ..autograd.tape import grad_enabled
from ..device import Array
from ..kernels import Kernel
from ..system.checks import check_counts
from ..system.quiet import quiet
from .flat_buffer import FlatBuffer, gather
from .line_search import Trial, strong_wolfe
from .optimizer import Optimizer
from .rule import Group

#: A pair of a step and what it changed in the gradient is kept if their product is above this.
_CURVATURE = 1e-10


class LBFGS(Optimizer):
    """Minimize by the last `history_size` steps s and changes y of the gradient; for smooth losses without noise.

    The direction is ``-H @ g``, where H is ``(s @ y) / (y @ y)`` times the identity, brought up to date by each pair.
    The step length is `lr` (in the first step of all ``lr * min(1, 1 / sum(|g|))``), or what a line search finds from
    there. Parameters are one flat vector: one group, of one dtype on one device. Up to ``2 * history_size + 2`` arrays
    of their size are kept. It waits for the GPU.

    Args:
        params, maximize: see `Optimizer`.
        lr: step length, or where the line search begins.
        max_iter: iterations in a call of `step`.
        max_eval: calls of the closure after which it takes no other iteration; by default ``max_iter * 5 // 4``.
        tolerance_grad: it ends where no element of the gradient is larger,
        tolerance_change: and where loss, parameters or the fall that the slope promises change by less.
        history_size: how many pairs are kept. Another one begins anew.
        line_search_fn: None or "strong_wolfe".

    Source: Nocedal, Wright 2006, "Numerical optimization", algorithms 7.4 and 7.5, equation 7.20.

    Example:
        >>> x = cunet.tensor(np.array([-1.5, 2.0]), requires_grad=True)
        >>> optimizer = optim.LBFGS([x], line_search_fn="strong_wolfe", max_iter=60)
        >>> def closure():
        ...     optimizer.zero_grad()
        ...     loss = 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2
        ...     loss.backward()
        ...     return loss
        >>> loss = optimizer.step(closure)
        >>> x.data.round(4)
        array([1., 1.])
    """

    #: Iterations, calls of the closure, pairs so far, places for them, and the length of the last step.
    numbers = {"step": 0, "func_evals": 0, "pairs": 0, "places": 0, "t": 0.0}

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1.0,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: str | None = None,
        *,
        maximize: bool = False,
    ) -> None:
        check_counts("LBFGS", max_iter=max_iter)  # of which max_eval is made
        super().__init__(
            params,
            {
                "lr": lr,
                "max_iter": max_iter,
                "max_eval": max_iter * 5 // 4 if max_eval is None else max_eval,
                "tolerance_grad": tolerance_grad,
                "tolerance_change": tolerance_change,
                "history_size": history_size,
                "line_search_fn": line_search_fn,
                "maximize": maximize,
            },
        )

    def add_param_group(self, group: Group) -> None:
        """Take the only group; raise ValueError for a second one."""
        if self.param_groups:
            raise ValueError("LBFGS: all parameters must be in one group, got another one")
        super().add_param_group(group)

    def _check(self, group: Group) -> None:
        super()._check(group)
        self._within(group, 0, math.inf, "tolerance_grad", "tolerance_change")
        check_counts("LBFGS", **{name: group[name] for name in ("max_iter", "max_eval", "history_size")})
        if group["line_search_fn"] not in (None, "strong_wolfe"):
            raise ValueError(f'LBFGS: line_search_fn must be None or "strong_wolfe", got {group["line_search_fn"]!r}')

    def foreseen(self, group: Group) -> list[Kernel]:
        """Return nothing: steps are NumPy's products of vectors."""
        return []

    def slots(self, group: Group) -> dict[str, float]:
        """Return the last direction and gradient, and the pairs."""
        pairs = [f"{name}{k}" for k in range(group["history_size"]) for name in "sy"]
        return dict.fromkeys(["d", "prev_grad", *pairs], 0.0)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Go up to `max_iter` steps down.

        Args:
            closure: clears the gradients, computes the loss, runs backward and returns the loss; it is called several
                times, with other parameters.

        Returns:
            The loss before the first step.

        Raises:
            TypeError: there is no closure, or it returns no loss.
            ValueError: parameters of several dtypes or devices.
            Exception: what the closure raises; parameters are then those of the last step that was completed.
        """
        if closure is None:
            raise TypeError(
                "LBFGS: step needs a closure that clears the gradients, computes the loss, runs backward and returns it"
            )
        buffers = self._bound(0)
        if len(buffers) > 1:
            kinds = ", ".join(f"{b.dtype} on {b.device}" for b in buffers)
            raise ValueError(f"LBFGS: all parameters must have one dtype and device, got {kinds}")
        descent = _Descent(buffers[0], self.param_groups[0], self.rate(0), closure)
        try:
            return descent.run()
        finally:
            descent.save()


class _Descent:
    """One call of `step`: the flat weights, loss and gradient there, and what is kept of the steps before."""

    def __init__(self, buffer: FlatBuffer, group: Group, rate: float, closure: Callable[[], Any]) -> None:
        self.buffer, self.group, self.rate, self.closure = buffer, group, rate, closure
        self.sign = -1.0 if group["maximize"] else 1.0
        self.calls = 0
        self.numbers = {name: buffer.states[0].get(name, first) for name, first in LBFGS.numbers.items()}
        if self.numbers["places"] != group["history_size"]:
            self.numbers |= {"pairs": 0, "places": group["history_size"]}
        self.d, self.before = self._slot("d"), self._slot("prev_grad")
        known, places = self.numbers["pairs"], self.numbers["places"]
        self.pairs = [self._pair(k % places) for k in range(max(0, known - places), known)]  # the oldest first

    def _slot(self, name: str) -> Array:
        slots = self.buffer.slots
        return slots[name] if name in slots else self.buffer.add_slot(name, 0.0)

    def _pair(self, place: int) -> tuple[Array, Array, float]:
        s, y = self._slot(f"s{place}"), self._slot(f"y{place}")
        return s, y, float(s.dot(y))

    def save(self) -> None:
        """Write the numbers to the state of each parameter."""
        self.numbers["func_evals"] += self.calls
        for state in self.buffer.states:
            state.update(self.numbers)

    def evaluate(self) -> tuple[Any, float, Array]:
        """Return what the closure returns, the loss as a number to minimize, and its flat gradient."""
        self.calls += 1
        with grad_enabled():
            loss = self.closure()
        if loss is None:
            raise TypeError("LBFGS: closure must return the loss, got None")
        b = self.buffer
        grads = [b.xp.zeros(p.data.shape, p.data.dtype) if p.grad is None else p.grad for p in b.params]
        g = gather(grads, b.xp.empty(b.spans[-1][1], b.wide))
        return loss, self.sign * float(loss), g * self.sign if self.group["maximize"] else g

    def move(self, start: Array, t: float) -> None:
        """Set the weights to those at ``start + t * d``."""
        self.buffer.weights[...] = start + t * self.d
        self.buffer.updated(0, len(self.buffer.params))

    def run(self) -> Any:
        """Iterate; return the first loss."""
        group, most, small = self.group, self.group["max_iter"], self.group["tolerance_change"]
        loss, f, g = self.evaluate()
        for k in range(most):
            if self.largest(g) <= group["tolerance_grad"]:
                break
            self.aim(g)
            slope = float(g.dot(self.d))
            if not slope <= -small:  # nor if it is nan
                break
            old = f
            f, g = self.go(Trial(0.0, f, slope, g), last=k == most - 1)
            moved = self.largest(self.d) * self.numbers["t"]
            if self.calls >= group["max_eval"] or moved <= small or abs(f - old) < small:
                break
        return loss

    def largest(self, a: Array) -> float:
        """Return the largest absolute value."""
        return float(abs(a).max()) if a.size else 0.0

    def aim(self, g: Array) -> None:
        """Choose the direction and the first step length, with what the step before has taught."""
        first = self.numbers["step"] == 0
        if not first:
            self._remember(g)
        self.numbers["step"] += 1
        with quiet():
            self.d[...] = self._downhill(g)
            self.numbers["t"] = self.rate * (min(1.0, 1.0 / float(abs(g).sum())) if first else 1.0)
        self.before[...] = g

    def _remember(self, g: Array) -> None:
        y, s = g - self.before, self.d * self.numbers["t"]
        if not float(y.dot(s)) > _CURVATURE:
            return
        place = self.numbers["pairs"] % self.numbers["places"]
        if len(self.pairs) == self.numbers["places"]:
            self.pairs.pop(0)
        self._slot(f"s{place}")[...], self._slot(f"y{place}")[...] = s, y
        self.pairs.append(self._pair(place))
        self.numbers["pairs"] += 1

    def _downhill(self, g: Array) -> Array:
        """Return ``-H @ g``, by two loops over the pairs."""
        q, parts = -g, []
        for s, y, ys in reversed(self.pairs):
            parts.append(s.dot(q) / ys)
            q -= parts[-1] * y
        if self.pairs:
            _, y, ys = self.pairs[-1]
            q *= ys / y.dot(y)
        for (s, y, ys), part in zip(self.pairs, reversed(parts), strict=True):
            q += (part - y.dot(q) / ys) * s
        return q

    def go(self, start: Trial, last: bool) -> tuple[float, Array]:
        """Take a step; return loss and gradient after it (those before it, if it is the last and nobody looks)."""
        origin = self.buffer.weights.copy()

        def trial(t: float) -> Trial:
            self.move(origin, t)
            _, f, g = self.evaluate()
            return Trial(t, f, float(g.dot(self.d)), g)

        t, group = self.numbers["t"], self.group
        try:
            if group["line_search_fn"] is None:
                self.move(origin, t)
                return (start.f, start.gradient) if last else self.evaluate()[1:]
            left = group["max_eval"] - self.calls
            found = strong_wolfe(trial, start, t, self.largest(self.d), group["tolerance_change"], left)
        except BaseException:
            self.move(origin, 0.0)
            raise
        self.numbers["t"] = found.t
        self.move(origin, found.t)
        return found.f, found.gradient
