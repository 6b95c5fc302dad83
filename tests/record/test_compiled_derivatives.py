"""Steps that hold a gradient of a gradient."""

import numpy as np
import pytest

import cunet
from cunet import nn, optim

pytestmark = pytest.mark.cpu_only


def penalty_step(compiled):
    cunet.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 1))
    optimizer = optim.SGD(model.parameters(), lr=0.05)

    def step(x):
        optimizer.zero_grad()
        g = cunet.grad(lambda x: model(x).sum(), create_graph=True)(x)
        loss = (g**2).sum() + model(x).mean()
        loss.backward()
        optimizer.step()
        return loss

    return model, cunet.compile(step) if compiled else step


def test_a_step_with_a_gradient_penalty_has_the_bits_of_one_that_is_not_compiled(rng):
    (model, step), (other, compiled) = penalty_step(False), penalty_step(True)
    for _ in range(12):
        x = rng.standard_normal((4, 6)).astype(np.float32)
        assert float(step(x)) == float(compiled(x))
        for p, q in zip(model.parameters(), other.parameters(), strict=True):
            np.testing.assert_array_equal(p.data, q.data)
