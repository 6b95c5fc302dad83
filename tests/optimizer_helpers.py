"""What the tests of optimisers share: parameters, gradients, steps, and the oracle as a loop over numbers."""

import json

import numpy as np
from helpers import host

from cunet.autograd.tensor import Tensor
from cunet.nn.module import Module, Parameter

SHAPES = [(3, 4), (4,), (), (2, 1, 5)]
STEPS = 6


class Linear(Module):
    def __init__(self, trained=True):
        self.weight, self.bias = Parameter(np.ones((3, 2), np.float32), trained), Parameter(np.ones(3, np.float32))


def draw(rng, shapes=SHAPES, steps=STEPS, dtype=np.float64):
    """Return first weights, and gradients per step; those of the last steps are much smaller."""
    weights = [rng.standard_normal(s).astype(dtype) for s in shapes]
    scale = np.geomspace(3, 0.03, steps)
    return weights, [[np.asarray(rng.standard_normal(s) * c, dtype) for s in shapes] for c in scale]


def leaves(dev, arrays):
    return [Tensor(dev(a), requires_grad=True) for a in arrays]


def train(opt, params, dev, grads):
    for step in grads:
        for p, g in zip(params, step, strict=True):
            p.grad = None if g is None else dev(g)
        opt.step()


def looped(oracle, weights, grads, **kw):
    """Run the scalar oracle over every element of every array."""
    out = []
    for i, w in enumerate(weights):
        new = np.empty(w.shape)
        for at in np.ndindex(w.shape):
            new[at] = oracle(float(w[at]), [float(step[i][at]) for step in grads], **kw)
        out.append(new)
    return out


def through_files(state):
    """Return a state as it comes back from JSON, with its arrays (as safetensors keeps them) on the side."""
    arrays = {
        f"{i}.{k}": host(v).copy() for i, s in enumerate(state["state"]) for k, v in s.items() if hasattr(v, "dtype")
    }
    numbers = [{k: v for k, v in s.items() if not hasattr(v, "dtype")} for s in state["state"]]
    back = json.loads(json.dumps({"state": numbers, "param_groups": state["param_groups"]}, allow_nan=False))
    for key, array in arrays.items():
        i, _, name = key.partition(".")
        back["state"][int(i)][name] = array
    return back
