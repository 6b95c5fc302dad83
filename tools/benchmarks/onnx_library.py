"""ONNX Runtime as a library of the benchmark: predictions of nets that PyTorch exports."""

from __future__ import annotations

import importlib.util
import io
from typing import Any

import numpy as np
import onnxruntime

from .jobs import Job, Prediction
from .libraries import Torch
from .library import Call, Library, Missing, State
from .measure import cpus


class OnnxRuntime(Library):
    """ONNX Runtime, on as many threads as there are CPUs."""

    name = "onnxruntime"

    def host(self, x: Any) -> np.ndarray:
        """Return a result as a NumPy array."""
        return x

    def require(self, job: Job) -> None:
        """Raise `Missing` for all but predictions, and where PyTorch cannot export them."""
        if not isinstance(job, Prediction):
            raise Missing("onnxruntime does not train")
        lacking = [name for name in ("torch", "onnx") if importlib.util.find_spec(name) is None]
        if lacking:
            raise Missing(f"for onnxruntime {', '.join(lacking)} must be installed")

    def prediction(self, job: Prediction, state: State | None) -> Call:
        """Return a call that returns the outputs of a net in evaluation."""
        self.require(job)
        torch, x, file = Torch(), job.data(), io.BytesIO()
        model = job.build(torch.nn, True)
        if state is not None:
            torch.load(model, state)
        torch.torch.onnx.export(model.eval(), (torch.array(x),), file, dynamo=False)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = cpus()
        session = onnxruntime.InferenceSession(file.getvalue(), options, providers=["CPUExecutionProvider"])
        name = session.get_inputs()[0].name
        return lambda: session.run(None, {name: x})[0]
