"""The same as `gpu_benchmark.py` in PyTorch, eager and compiled, for comparison."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from gpu_benchmark import Case, Timer


def pytorch() -> Any:
    """Return the module ``torch`` if it is installed and finds a GPU, else None."""
    try:
        import torch
        import torch._functorch.config
    except ImportError:
        return None
    return torch if torch.cuda.is_available() else None


class Rival:
    """Time PyTorch.

    Args:
        torch: the module.
        timer: times a call.
        kinds: "eager", "compiled" or both.
        device: PyTorch's name of it.
    """

    def __init__(
        self, torch: Any, timer: Timer, kinds: Sequence[str] = ("eager", "compiled"), device: str = "cuda"
    ) -> None:
        self.torch, self.timer, self.kinds, self.device = torch, timer, kinds, device
        self._compiled: dict[str, Callable[..., Any]] = {}

    def _function(self, case: Case, kind: str) -> Callable[..., Any]:
        def call(*args: Any) -> Any:
            return case.torch(self.torch, *args)

        if kind == "eager":
            return call
        if case.name not in self._compiled:  # once for all sizes: a compilation takes seconds
            self.torch._functorch.config.donated_buffer = False  # the same backward runs many times
            self._compiled[case.name] = self.torch.compile(call, dynamic=True)
        return self._compiled[case.name]

    def arguments(self, case: Case, n: int, dtype: np.dtype) -> list[Any]:
        """Return the tensors for a case; floating ones require gradients."""
        torch, kind = self.torch, getattr(self.torch, dtype.name)
        shape = case.shape(n)
        x = torch.randn(shape, device=self.device).to(kind)
        params = [torch.from_numpy(p).to(self.device) for p in case.params(shape)]
        tensors = [x, *[p.to(kind) if p.is_floating_point() else p for p in params]]
        return [t.requires_grad_() if t.is_floating_point() else t for t in tensors]

    def __call__(self, case: Case, n: int, dtype: np.dtype) -> dict[str, dict[str, float]]:
        """Return the seconds of each kind, forward and backward; what PyTorch cannot do is left out."""
        found: dict[str, dict[str, float]] = {"forward": {}, "backward": {}}
        for kind in self.kinds:
            try:
                forward, backward = self._calls(case, kind, n, dtype)
                found["forward"][kind] = self.timer(forward)
                found["backward"][kind] = self.timer(backward)
            except Exception as error:  # a record with one number less is better than none
                print(f"PyTorch {kind}: {case.name} {dtype.name} {n}: {type(error).__name__}: {str(error)[:200]}")
        return found

    def _calls(self, case: Case, kind: str, n: int, dtype: np.dtype) -> tuple[Callable[[], Any], Callable[[], Any]]:
        torch, function = self.torch, self._function(case, kind)
        tensors = self.arguments(case, n, dtype)
        wanted = [t for t in tensors if t.requires_grad]
        y = function(*tensors)
        gradient = torch.randn_like(y)

        def forward() -> Any:
            with torch.no_grad():
                return function(*tensors)

        def backward() -> Any:
            return torch.autograd.grad(y, wanted, gradient, retain_graph=True)

        return forward, backward

    def mlp(self, batch: int) -> dict[str, float]:
        """Return the seconds of a training step of the MLP of `gpu_benchmark.mlp_step`."""
        return {kind: self.timer(self.mlp_step(batch, kind)) for kind in self.kinds}

    def mlp_step(self, batch: int, kind: str) -> Callable[[], Any]:
        """Return the step."""
        torch, nn = self.torch, self.torch.nn
        layers: list[Any] = []
        for i, o in ((784, 512), (512, 256)):
            layers += [nn.Linear(i, o, bias=False), nn.BatchNorm1d(o), nn.ReLU(), nn.Dropout(0.2)]
        model = nn.Sequential(*layers, nn.Linear(256, 10)).to(self.device)
        optimizer = torch.optim.Adam(model.parameters())
        x = torch.randn(batch, 784, device=self.device)
        target = (torch.arange(batch) % 10).to(self.device)
        run = torch.compile(model) if kind == "compiled" else model

        def step() -> Any:
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(run(x), target)
            loss.backward()
            optimizer.step()
            return loss

        return step
