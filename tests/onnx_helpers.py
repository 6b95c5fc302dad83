"""Exports a model, runs the file in onnxruntime, and compares."""

import numpy as np
import pytest

import cunet
from cunet import onnx


def onnxruntime():
    pytest.importorskip("onnx.checker", reason='needs onnx: pip install "cunet[onnx]"')
    return pytest.importorskip("onnxruntime", reason="needs onnxruntime: pip install onnxruntime")


def leaves(made):
    if isinstance(made, (tuple, list)):
        return [y for part in made for y in leaves(part)]
    return [] if made is None else [made.data]


def run_file(path, inputs):
    """Return the outputs of a file for inputs, in their order."""
    session = onnxruntime().InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [given.name for given in session.get_inputs()]
    return session.run(None, {n: np.ascontiguousarray(x) for n, x in zip(names, inputs, strict=True)})


def check_export(model, example, others, path, batch_axis=0, tolerance=1e-5):
    """Export by an example, run by others, and compare each output to `tolerance`."""
    onnx.export(model, example, path, batch_axis=batch_axis)
    got = run_file(path, others)
    with model.evaluating(), cunet.no_grad():
        expected = leaves(model(*map(cunet.tensor, others)))
    assert len(got) == len(expected)
    for y, z in zip(got, expected, strict=True):
        assert (y.shape, y.dtype) == (z.shape, z.dtype)
        np.testing.assert_allclose(y, z, atol=tolerance, rtol=tolerance)
