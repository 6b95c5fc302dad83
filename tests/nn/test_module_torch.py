"""Weights in safetensors files go to PyTorch and come from it: the same outputs."""

import numpy as np
import pytest

from cunet import nn

pytestmark = pytest.mark.cpu_only


def pair(module):
    return module.Sequential(
        module.Conv2d(1, 4, 3, padding=1), module.BatchNorm2d(4), module.ReLU(), module.MaxPool2d(2), module.Flatten(),
        module.Linear(36, 5), module.LayerNorm(5),
    )  # fmt: skip


def test_outputs_are_the_same_both_ways(rng, tmp_path):
    torch = pytest.importorskip("torch", reason="compares with PyTorch, which is not installed")
    from safetensors.torch import load_file, save_file

    ours, theirs, path = pair(nn), pair(torch.nn), tmp_path / "weights.safetensors"
    x = rng.normal(size=(3, 1, 6, 6)).astype(np.float32)
    theirs(torch.from_numpy(x))  # statistics move
    save_file(theirs.state_dict(), path)
    ours.load(path)
    with torch.no_grad(), ours.evaluating():
        np.testing.assert_allclose(ours(x).data, theirs.eval()(torch.from_numpy(x)).numpy(), rtol=1e-5, atol=1e-5)
    ours(2 * x)
    ours.save(path)
    theirs.load_state_dict(load_file(path))
    with torch.no_grad(), ours.evaluating():
        np.testing.assert_allclose(ours(x).data, theirs(torch.from_numpy(x)).numpy(), rtol=1e-5, atol=1e-5)
