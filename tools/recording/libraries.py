"""cunet and PyTorch behind one face: the same nets, steps, epochs and measures of cases."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

import cunet
from cunet import F, Tensor, nn, no_grad, optim

from .cases import Case, ways
from .plan import Form
from .rows import Skipped
from .timing import CupyStream, HostStream, Stream, TorchStream

Step = Callable[[Any, Any], Any]
MODES = ("ieee", "tf32")  # of products of float32


def _mlp(layer: Any, side: int) -> list[Any]:
    return [layer.Flatten(), layer.Linear(side * side, 256), layer.ReLU(), layer.Linear(256, 10)]


def _batch_norm_net(layer: Any, side: int) -> list[Any]:
    layers = [layer.Flatten()]
    for i, o in ((side * side, 512), (512, 256)):
        layers += [layer.Linear(i, o, bias=False), layer.BatchNorm1d(o), layer.ReLU(), layer.Dropout(0.2)]
    return [*layers, layer.Linear(256, 10)]


def _cnn(layer: Any, side: int) -> list[Any]:
    layers = []
    for i, o in ((1, 20), (20, 40)):
        layers += [layer.Conv2d(i, o, 5, padding=2, bias=False), layer.BatchNorm2d(o), layer.ReLU(), layer.MaxPool2d(2)]
    dense = layer.Linear(40 * (side // 4) ** 2, 128, bias=False)
    return [*layers, layer.Flatten(), dense, layer.BatchNorm1d(128), layer.ReLU(), layer.Linear(128, 10)]


#: name: the layers of a net for images of side x side pixels, from ``cunet.nn`` or ``torch.nn``.
NETS = {"mlp": _mlp, "batch norm net": _batch_norm_net, "cnn": _cnn}


class Cunet:
    """cunet on an array module."""

    name = "cunet"

    def __init__(self, xp: Any, form: Form) -> None:
        self.xp = xp
        self.stream: Stream = CupyStream(xp, form.device == "gpu")

    def array(self, x: np.ndarray) -> Any:
        """Put an array on the device."""
        return self.xp.asarray(x)

    def net(self, name: str, side: int) -> Any:
        """Make a net."""
        cunet.manual_seed(0)
        return nn.Sequential(*NETS[name](nn, side)).to("gpu")

    def step(self, model: Any) -> Step:
        """Return a training step by Adam."""
        optimizer = optim.Adam(model.parameters(), lr=2e-3)

        def step(x: Any, target: Any) -> Any:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(Tensor(x)), target)
            loss.backward()
            optimizer.step()
            return loss

        return step

    def predict(self, model: Any, x: Any) -> np.ndarray:
        """Return the labels that a model finds."""
        with model.evaluating(), no_grad():
            return self.xp.asnumpy(model(Tensor(x)).data.argmax(axis=1))

    def calls(self, case: Case, n: int, dtype: str) -> Iterator[tuple[str, Callable[[], Any], int]]:
        """Yield the two ways of a case, what to call, and the bytes to move."""
        yield from ways(case, self.xp, n, self.dtype(dtype))

    @staticmethod
    def dtype(name: str) -> np.dtype:
        """Return a dtype by name, also "bfloat16"."""
        if name != "bfloat16":
            return np.dtype(name)
        try:
            import ml_dtypes
        except ImportError as error:
            raise Skipped("ml_dtypes is not installed") from error
        return np.dtype(ml_dtypes.bfloat16)

    @contextlib.contextmanager
    def mode(self, name: str) -> Iterator[None]:
        """Compute products of float32 in float32 ("ieee") or in TF32 inside the block."""
        with cunet.precision(name):
            yield

    def free(self) -> None:
        """Give back what the pool holds, so that others have it."""
        self.xp.get_default_memory_pool().free_all_blocks()


class Torch:
    """PyTorch on a device, by its name of it."""

    name = "PyTorch"

    def __init__(self, torch: Any, form: Form) -> None:
        self.torch, self.device = torch, form.torch
        self.stream: Stream = TorchStream(torch) if form.torch == "cuda" else HostStream()

    def array(self, x: np.ndarray) -> Any:
        """Put an array on the device."""
        return self.torch.from_numpy(np.array(x)).to(self.device)

    def net(self, name: str, side: int) -> Any:
        """Make a net."""
        self.torch.manual_seed(0)
        return self.torch.nn.Sequential(*NETS[name](self.torch.nn, side)).to(self.device)

    def step(self, model: Any) -> Step:
        """Return a training step by Adam."""
        optimizer = self.torch.optim.Adam(model.parameters(), lr=2e-3)

        def step(x: Any, target: Any) -> Any:
            optimizer.zero_grad()
            loss = self.torch.nn.functional.cross_entropy(model(x), target)
            loss.backward()
            optimizer.step()
            return loss

        return step

    def predict(self, model: Any, x: Any) -> np.ndarray:
        """Return the labels that a model finds."""
        model.eval()
        with self.torch.no_grad():
            return model(x).argmax(1).cpu().numpy()

    def tensors(self, case: Case, n: int, dtype: str) -> list[Any]:
        """Return the arguments of a case; floating ones require gradients."""
        torch, kind, shape = self.torch, getattr(self.torch, dtype), case.shape(n)
        x = torch.randn(shape, device=self.device).to(kind)
        params = [torch.from_numpy(p).to(self.device) for p in case.params(shape)]
        found = [x, *[p.to(kind) if p.is_floating_point() else p for p in params]]
        return [t.requires_grad_() if t.is_floating_point() else t for t in found]

    def calls(
        self, case: Case, n: int, dtype: str, wrap: Callable[[Any], Any] = lambda f: f, together: bool = False
    ) -> Iterator[tuple[str, Callable[[], Any], int]]:
        """Yield "forward" and "backward" of a case, what to call, and 0.

        Args:
            case: the case.
            n: elements.
            dtype: by name.
            wrap: makes another function of the case, a compiled one.
            together: "both" in one call takes the place of "backward": a CUDA graph's results last until its next run.
        """
        torch, arguments = self.torch, self.tensors(case, n, dtype)
        function = wrap(lambda *tensors: case.torch(torch, *tensors))
        wanted = [t for t in arguments if t.requires_grad]

        def forward() -> Any:
            with torch.no_grad():
                return function(*arguments)

        yield "forward", forward, 0
        y = function(*arguments)
        gradient = torch.randn_like(y)
        if together:
            del y
            yield "both", lambda: torch.autograd.grad(function(*arguments), wanted, gradient), 0
        else:
            yield "backward", lambda: torch.autograd.grad(y, wanted, gradient, retain_graph=True), 0

    @contextlib.contextmanager
    def mode(self, name: str) -> Iterator[None]:
        """Let cuBLAS and cuDNN compute float32 in float32 ("ieee") or in TF32 inside the block."""
        switches: Sequence[Any] = (self.torch.backends.cuda.matmul, self.torch.backends.cudnn)
        before = [switch.allow_tf32 for switch in switches]
        try:
            for switch in switches:
                switch.allow_tf32 = name == "tf32"
            yield
        finally:
            for switch, old in zip(switches, before, strict=True):
                switch.allow_tf32 = old

    def free(self) -> None:
        """Give back what the pool holds, so that others have it."""
        if self.device == "cuda":
            self.torch.cuda.empty_cache()


def pytorch(form: Form) -> Torch:
    """Return PyTorch.

    Raises:
        Skipped: it is not installed, or sees no GPU.
    """
    try:
        import torch
    except ImportError as error:
        raise Skipped("PyTorch is not installed") from error
    if form.torch == "cuda" and not torch.cuda.is_available():
        raise Skipped("PyTorch sees no GPU")
    return Torch(torch, form)
