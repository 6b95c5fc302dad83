"""Names of devices."""

import numpy as np
import pytest

from cunet import nn
from cunet.autograd.tensor import Tensor
from cunet.data import Loader
from cunet.device import resolve_device


@pytest.mark.parametrize("name", ["cuda", "cuda:0"])
def test_pytorchs_names_of_the_gpu_are_known(name, device):
    if device == "cpu":
        with pytest.raises(RuntimeError, match='device "gpu" was asked for, but no GPU can be used'):
            nn.Linear(2, 1).to(name)
        return
    assert resolve_device(name) == "gpu"
    assert nn.Linear(2, 1).to(name).weight.device == Tensor(np.ones(2)).to(name).device == "gpu"
    assert Loader(np.ones((2, 2)), device=name).device == "gpu"
