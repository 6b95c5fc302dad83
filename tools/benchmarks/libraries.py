"""The libraries that run the jobs. cunet and PyTorch go through the same lines: they have the same names."""

from __future__ import annotations

import functools
import importlib
import importlib.util
from contextlib import AbstractContextManager
from typing import Any

import numpy as np

from .jobs import Job, Prediction, Training
from .library import Call, Library, Missing, State, TrainingStep
from .measure import cpus


class Cunet(Library):
    """cunet on the CPU: NumPy bodies alone, or compiled ones where the switch is on."""

    def __init__(self, compiled: bool) -> None:
        import cunet

        self.nn, self.optim = cunet.nn, cunet.optim
        self.name = "compiled" if compiled else "numpy"
        self.compiled = compiled

    def host(self, x: Any) -> np.ndarray:
        """Return a result as a NumPy array."""
        return np.asarray(getattr(x, "data", x))

    def load(self, model: Any, state: State) -> None:
        """Give a model these weights."""
        model.load_state_dict(state)

    def without_gradients(self) -> AbstractContextManager[Any]:
        """Return ``no_grad()``."""
        import cunet

        return cunet.no_grad()

    def use(self, call: Call) -> Call:
        """Switch the compiled bodies on or off around the call."""
        native = compiled_route()
        if native is None:
            return call

        def switched() -> Any:
            (native.enable if self.compiled else native.disable)()
            return call()

        return switched


class Recorded(Cunet):
    """cunet with steps that are recorded and replayed."""

    def __init__(self) -> None:
        super().__init__(compiled=True)
        self.name = "recorded"

    def prepared_step(self, step: TrainingStep) -> TrainingStep:
        """Compile the step."""
        import cunet

        return cunet.compile(step)

    def require(self, job: Job) -> None:
        """Raise `Missing` for a single layer, which is no step."""
        if not isinstance(job, (Training, Prediction)):
            raise Missing("recorded steps are training steps, and predictions")
        super().require(job)


class Torch(Library):
    """PyTorch, eager, with its defaults."""

    name = "torch"

    def __init__(self) -> None:
        import torch

        torch.set_num_threads(cpus())
        self.torch, self.nn, self.optim = torch, torch.nn, torch.optim

    def array(self, x: np.ndarray) -> Any:
        """Return a tensor on the same memory."""
        return self.torch.from_numpy(x)

    def host(self, x: Any) -> np.ndarray:
        """Return a result as a NumPy array."""
        return x.detach().numpy()

    def without_gradients(self) -> AbstractContextManager[Any]:
        """Return ``inference_mode()``."""
        return self.torch.inference_mode()

    def load(self, model: Any, state: State) -> None:
        """Give a model these weights; cunet's batch norm counts no batches."""
        found = model.load_state_dict({k: self.array(v.copy()) for k, v in state.items()}, strict=False)
        wrong = [*found.unexpected_keys, *[k for k in found.missing_keys if not k.endswith("num_batches_tracked")]]
        if wrong:
            raise ValueError(f"the models differ in {', '.join(wrong)}")


class CompiledTorch(Torch):
    """PyTorch with torch.compile and its fused optimisers."""

    name = "torch.compile"

    def prepared(self, model: Any) -> Any:
        """Compile the model."""
        return self.torch.compile(model)

    def options(self) -> dict[str, Any]:
        """Ask for the fused step."""
        return {"fused": True}


@functools.cache  # asked before anything switches it off
def compiled_route() -> Any:
    """Return cunet's module of compiled bodies if they are wanted and a compiler works, else None."""
    try:
        native = importlib.import_module("cunet.kernels.backends.native").native
    except ImportError:
        return None
    return native if native.enabled() else None


def library(name: str) -> Library:
    """Make the library of this column.

    Raises:
        Missing: it is not installed, or cannot run here.
    """
    if name in ("compiled", "recorded") and compiled_route() is None:
        raise Missing("cunet has no compiled bodies here")
    if name == "recorded":
        return Recorded()
    if name in ("numpy", "compiled"):
        return Cunet(name == "compiled")
    if importlib.util.find_spec(name.split(".")[0]) is None:
        raise Missing(f"{name.split('.')[0]} is not installed")
    if name == "jax":
        from .jax_library import Jax

        return Jax()
    if name == "onnxruntime":
        from .onnx_library import OnnxRuntime

        return OnnxRuntime()
    return CompiledTorch() if name == "torch.compile" else Torch()
