"""The tests of nodes that come with the package onnx: each agrees, or is refused."""

import importlib
import warnings

import numpy as np
import pytest

import cunet
from cunet import onnx
from cunet.onnx import readers as readers
from cunet.onnx.reading import READERS

# Not "onnx" alone: without the package that would be the folder of these tests.
pytest.importorskip("onnx.checker", reason='needs onnx: pip install "cunet[onnx]"')
package = importlib.import_module("onnx")
pytestmark = [pytest.mark.cpu_only, pytest.mark.slow]

#: What cannot agree: means of float16 and bfloat16 that are rounded after each step there, and at the end here.
ROUNDED = ("fp16", "bf16", "FLOAT16")


@pytest.fixture(scope="session")
def cases():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        node = importlib.import_module("onnx.backend.test.case.node")
        for kind in READERS:
            try:
                importlib.import_module(f"{node.__name__}.{kind.lower()}")
            except ModuleNotFoundError:
                continue  # in the module of another node
        return list(node._NodeTestCases)


def array(x):
    return package.numpy_helper.to_array(x) if isinstance(x, package.TensorProto) else np.asarray(x)


def outcome(case, path):
    """Return "agrees", or why a case is refused; raise where it does not agree."""
    path.write_bytes(case.model.SerializeToString())
    ((given, expected),) = case.data_sets
    try:
        found = onnx.load(path)(*[cunet.tensor(array(x)) for x in given])
    except (ValueError, TypeError) as error:
        return str(error)
    found = found if isinstance(found, tuple) else (found,)
    rtol = 1e-2 if any(word in case.name for word in ROUNDED) else case.rtol
    for y, z in zip(found, map(array, expected), strict=True):
        assert (y.shape, y.dtype) == (z.shape, z.dtype), case.name
        y, z = (a.astype(np.float32) if a.dtype.kind == "V" else a for a in (y.data, z))
        np.testing.assert_allclose(y, z, rtol, case.atol, err_msg=case.name)
    return "agrees"


def test_nodes_agree_or_are_refused(cases, tmp_path):
    found = {case.name: outcome(case, tmp_path / "model.onnx") for case in cases}
    agreeing = [case for case in cases if found[case.name] == "agrees"]
    kinds = {node.op_type for case in agreeing for node in case.model.graph.node}
    assert len(kinds & READERS.keys()) >= 125
    assert len(agreeing) >= 800
    why = {name: text for name, text in found.items() if text != "agrees"}
    unnamed = [n for n, text in why.items() if not text.startswith(("onnx.load: ", "expected an array"))]
    assert unnamed == []
