"""Optimisers around an optimiser: SAM asks for gradients elsewhere, Lookahead averages where the steps lead."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..autograd.tape import grad_enabled
from ..autograd.tensor import Tensor
from ..device import Array, accumulator, array_module, like
from ..system.checks import check_counts, check_numbers
from ..system.quiet import quiet
from .clip import total_norm
from .optimizer import Optimizer
from .rule import Group

#: What Lookahead adds to the state of a parameter.
_SLOW, _SINCE = "slow", "since"


class _Wrapper:
    """What both share: parameters, settings and state are those of the optimiser within, which schedules take."""

    def __init__(self, optimizer: Optimizer) -> None:
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"{self._name}: optimizer must be an Optimizer, got {type(optimizer).__name__}")
        self.optimizer = optimizer

    @property
    def _name(self) -> str:
        return type(self).__name__

    def __repr__(self) -> str:
        """Show the optimiser within."""
        settings = ", ".join(f"{k}={v}" for k, v in vars(self).items() if type(v) in (int, float, bool))
        return f"{self._name}({settings}, optimizer={self.optimizer!r})"

    @property
    def param_groups(self) -> list[Group]:
        """The groups of the optimiser within."""
        return self.optimizer.param_groups

    def rate(self, index: int) -> float:
        """Return the rate of a group."""
        return self.optimizer.rate(index)

    def set_rate(self, index: int, lr: float) -> None:
        """Set the rate of a group."""
        self.optimizer.set_rate(index, lr)

    def zero_grad(self) -> None:
        """Set the gradient of every parameter to None."""
        self.optimizer.zero_grad()

    def state_dict(self) -> dict[str, Any]:
        """Return a copy of all state, as that of the optimiser within."""
        return self.optimizer.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what `state_dict` returned; raise ValueError for another one, before anything has changed."""
        self.optimizer.load_state_dict(state_dict)

    def _params(self) -> list[Tensor]:
        return [p for group in self.param_groups for p in group["params"]]


class SAM(_Wrapper):
    """Step by the gradient at the worst point nearby, which leads to flat minima; each step takes two gradients.

    ``e = rho * g / norm(g)``, over all parameters together, and the optimiser within steps from w by the gradient at
    ``w + e``. With `adaptive` ``e = rho * w**2 * g / norm(w * g)``: what is near is measured in parts of each weight.

    Dropout draws anew for the second gradient, and batch norms take in the batch a second time. On a CPU a step of
    recorded training is done by Python. In a `Trainer` its place is in a `step` of your own, for it needs a closure.

    Args:
        optimizer: makes the steps.
        rho: length of ``e``, >= 0.
        adaptive: as above.

    Raises:
        TypeError: `optimizer` is no `Optimizer`.
        ValueError: rho is below 0.

    Source: Foret et al. 2021, arXiv:2010.01412, algorithm 1 with p = 2; adaptive: Kwon et al. 2021, arXiv:2102.11600,
    algorithm 1.

    Example:
        >>> w = cunet.tensor([1.0], requires_grad=True)
        >>> optimizer = optim.SAM(optim.SGD([w], lr=0.25), rho=0.5)
        >>> def closure():
        ...     optimizer.zero_grad()
        ...     loss = (w**2).sum()
        ...     loss.backward()
        ...     return loss
        >>> optimizer.step(closure).item(), w.data  # by the gradient at 1.5, which is 3
        (1.0, array([0.25], dtype=float32))
    """

    def __init__(self, optimizer: Optimizer, rho: float = 0.05, adaptive: bool = False) -> None:
        super().__init__(optimizer)
        check_numbers("SAM", rho=rho)
        if not rho >= 0:
            raise ValueError(f"SAM: rho must be >= 0, got {rho}")
        self.rho, self.adaptive = rho, adaptive

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Make a step.

        Args:
            closure: clears the gradients, computes the loss, runs backward and returns the loss; it is called twice.

        Returns:
            The loss before the step.

        Raises:
            TypeError: there is no closure.
            Exception: what the closure raises; the weights are then those before the step.
        """
        if closure is None:
            raise TypeError(
                "SAM: step needs a closure that clears the gradients, computes the loss, runs backward and returns it"
            )
        with grad_enabled():
            loss = closure()
        before = [(p, p.data) for p in self._params()]
        try:
            with quiet():
                self._climb()
            with grad_enabled():
                closure()
        finally:
            for p, data in before:
                p.data = data
        self.optimizer.step()
        return loss

    def _climb(self) -> None:
        """Move to where the loss is worst, as far as gradients tell."""
        moves = []
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    g = p.grad.astype(accumulator(p.data.dtype), copy=False)
                    moves.append((p, -g if group["maximize"] else g))
        if not moves:
            return
        if self.adaptive:
            moves = [(p, g * abs(p.data)) for p, g in moves]
        norm = total_norm([move.reshape(-1) for _, move in moves], 2.0)
        norm = array_module(norm).where(norm > 0, norm, 1)
        for p, move in moves:
            e = self.rho * (move / like(norm, move).astype(move.dtype, copy=False))
            p.data = (p.data + (e * abs(p.data) if self.adaptive else e)).astype(p.data.dtype, copy=False)


class Lookahead(_Wrapper):
    """After every k steps go only a part of the way that they went: ``slow += alpha * (w - slow)``, ``w = slow``.

    The slow weights begin as those before the first step. State of the optimiser within is kept. A step of recorded
    training is done by Python.

    Args:
        optimizer: makes the steps.
        k: how many it makes each time, >= 1.
        alpha: the part, in (0, 1].

    Raises:
        TypeError: `optimizer` is no `Optimizer`.
        ValueError: k or alpha is out of its range.

    Source: Zhang et al. 2019, arXiv:1907.08610, algorithm 1.

    Example:
        >>> w = cunet.tensor([8.0], requires_grad=True)
        >>> optimizer = optim.Lookahead(optim.SGD([w], lr=1.0), k=3, alpha=0.5)
        >>> for _ in range(4):
        ...     w.grad = np.ones(1, np.float32)
        ...     optimizer.step()
        ...     print(w.data)  # two steps of 1, the third and half the way back, and on from there
        [7.]
        [6.]
        [6.5]
        [5.5]
    """

    def __init__(self, optimizer: Optimizer, k: int = 5, alpha: float = 0.5) -> None:
        super().__init__(optimizer)
        check_counts("Lookahead", k=k)
        check_numbers("Lookahead", alpha=alpha)
        if not 0 < alpha <= 1:
            raise ValueError(f"Lookahead: alpha must be in (0, 1], got {alpha}")
        self.k, self.alpha = int(k), alpha
        self._since = 0
        self._slow: list[Array | None] = []  # one per parameter; None before its first step

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Make a step; return what the closure returned, or None."""
        params = self._params()
        self._slow += [None] * (len(params) - len(self._slow))
        for i, p in enumerate(params):
            if self._slow[i] is None and (p.requires_grad or p.grad is not None):
                self._slow[i] = p.data.astype(accumulator(p.data.dtype))
        loss = self.optimizer.step(closure)
        self._since = (self._since + 1) % self.k
        if not self._since:
            with quiet():
                for i, p in enumerate(params):
                    self._slow[i] = self._blended(p, self._slow[i])
        return loss

    def _blended(self, p: Tensor, slow: Array | None) -> Array | None:
        """Return the new slow weights of a parameter, which are its weights too."""
        if slow is None or slow.shape != p.data.shape:  # of a layer that had not been called
            return None
        new = like(slow, p.data).astype(accumulator(p.data.dtype))
        new += self.alpha * (p.data - new)
        p.data = new.astype(p.data.dtype)
        return new

    def state_dict(self) -> dict[str, Any]:
        """Return a copy of all state: in that of the optimiser within, "slow" weights and steps "since" they moved."""
        found = self.optimizer.state_dict()
        for state, slow in zip(found["state"], self._slow, strict=False):
            if slow is not None:
                state.update({_SLOW: slow.copy(), _SINCE: self._since})
        return found

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what `state_dict` returned; raise ValueError for another one, before anything has changed."""
        states = state_dict["state"]
        slow = [state.get(_SLOW) for state in states]
        for i, (p, array) in enumerate(zip(self._params(), slow, strict=False)):
            if array is not None and array.shape != p.data.shape:
                raise ValueError(f"Lookahead: state {i}: slow must have shape {p.data.shape}, got {array.shape}")
        own = [{k: v for k, v in state.items() if k not in (_SLOW, _SINCE)} for state in states]
        self.optimizer.load_state_dict({**state_dict, "state": own})
        self._slow = [None if array is None else array.copy() for array in slow]
        self._since = next((state[_SINCE] for state in states if _SINCE in state), 0)
