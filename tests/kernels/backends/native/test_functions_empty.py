"""Axes of length 0 on the compiled route: what C++ divides by may be 0 then, and that ends the process."""

import pytest
from helpers import run_script
from native_helpers import needs_compiler, once

pytestmark = [pytest.mark.cpu_only, once, needs_compiler]

#: Each case is run forward and backward and prints its shapes and values, or the error.
SWEEP = """
    import warnings
    import numpy as np
    import cunet
    from cunet import functional as F, nn

    warnings.simplefilter("ignore")
    rng = np.random.default_rng(0)

    def show(name, call, *shapes, weights=()):
        xs = [cunet.tensor(rng.standard_normal(s).astype("f"), requires_grad=True) for s in shapes]
        try:
            y = call(*xs)
            y = y[0] if isinstance(y, tuple) else y
            (y * y).sum().backward()
            found = [y.data, *[t.grad for t in (*xs, *weights)]]
            print(name, [(a.shape, round(float(a.sum()), 3)) if a is not None else None for a in found])
        except Exception as error:
            print(name, type(error).__name__)

    for make in (nn.RNN, nn.LSTM, nn.GRU):
        for shape in [(3, 0, 2), (0, 3, 2), (3, 2, 2), (0, 0, 2)]:
            layer = make(2, 3)
            for p in layer.parameters():
                p.data = np.ones_like(p.data)
            show((make.__name__, shape), layer, shape, weights=layer.parameters())
    for shape in [(1, 3, 0, 13), (1, 3, 13, 0), (0, 3, 5, 5), (1, 0, 5, 5), (1, 3, 1, 1)]:
        for name in ("conv2d", "conv_transpose2d"):
            for options in ({}, {"padding": 1}, {"stride": 2, "padding": 1}):
                c = shape[1]
                w = (2, c, 3, 3) if name == "conv2d" else (c, 2, 3, 3)
                show((name, shape, str(options)), lambda x, w: getattr(F, name)(x, w, **options), shape, w)
        for name in ("max_pool2d", "avg_pool2d"):
            show((name, shape), lambda x: getattr(F, name)(x, 2, padding=1), shape)
        show(("adaptive", shape), lambda x: F.adaptive_avg_pool2d(x, 2), shape)
        for layer in (nn.BatchNorm2d(3), nn.GroupNorm(1, 3)) if shape[1] else ():
            show((type(layer).__name__, shape), layer, shape)
    for shape in [(0,), (0, 5), (5, 0), (3, 0, 4), (0, 3, 4), (3, 4, 0), (70, 0, 300)]:
        for name in ("softmax", "log_softmax"):
            for axis in range(len(shape)):
                show((name, shape, axis), lambda x: getattr(F, name)(x, axis=axis), shape)
        for name in ("sum", "mean", "var", "max", "logsumexp"):
            for axis in (None, *range(len(shape))):
                show((name, shape, axis), lambda x: getattr(x, name)(axis=axis), shape)
        show(("layer_norm", shape), lambda x: F.layer_norm(x, shape[-1:]), shape)
        show(("gelu", shape), lambda x: F.gelu(x[..., ::-1]), shape)
        show(("dropout", shape), lambda x: F.dropout(x, 0.5), shape)
    for m, k, n in [(0, 3, 4), (3, 0, 4), (3, 4, 0), (0, 0, 0)]:
        show(("product", m, k, n), lambda x, y: x @ y, (m, k), (k, n))
    print("done")
"""


def test_no_axis_of_length_0_ends_the_process():
    compiled, numpy = (run_script(SWEEP, {"CUNET_NATIVE": route}).stdout.splitlines() for route in "10")
    assert compiled[-1] == "done"
    assert compiled == numpy
