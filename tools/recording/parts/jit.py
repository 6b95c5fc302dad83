"""The cases that torch.compile is given, by ``jax.jit``; timed by the host over calls in a row."""

from __future__ import annotations

import functools
import math
import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from ..cases import Case, chosen
from ..rows import Rows
from ..setting import Setting


def run(setting: Setting, rows: Rows) -> None:
    """Measure all."""
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    try:
        import jax
    except ImportError:
        rows.write("all", "skipped", "JAX is not installed")
        return
    if setting.form.device == "gpu" and jax.default_backend() != "gpu":
        rows.write("all", "skipped", "JAX sees no GPU")
        return
    size = setting.form.sizes[-1]
    cases = [case for case in chosen(setting.form.others) if case.name in functions(jax)]
    rows.measure((f"{case.name} {size:.0e}", functools.partial(_case, setting, jax, case, size)) for case in cases)


def functions(jax: Any) -> dict[str, Callable[..., Any]]:
    """Return the cases as JAX has them, by name."""
    jnp, nn = jax.numpy, jax.nn

    def normalize(x: Any, axis: int) -> Any:
        return (x - x.mean(axis, keepdims=True)) * jax.lax.rsqrt(x.var(axis, keepdims=True) + 1e-5)

    def cross_entropy(x: Any, labels: Any) -> Any:
        chosen = jnp.take_along_axis(x, labels[:, None], 1)[:, 0]
        return (jax.scipy.special.logsumexp(x, axis=1) - chosen).mean()

    return {
        "relu": nn.relu,
        "gelu": lambda x: nn.gelu(x, approximate=False),
        "softmax": lambda x: nn.softmax(x, axis=-1),
        "layer_norm": lambda x, w, b: normalize(x, -1) * w + b,
        "batch_norm": lambda x, w, b: normalize(x, 0) * w + b,
        "cross_entropy": cross_entropy,
    }


def _case(setting: Setting, jax: Any, case: Case, size: int) -> dict[str, Any]:
    function, shape = functions(jax)[case.name], case.shape(size // 4)
    x = jax.random.normal(jax.random.key(0), shape, "float32")
    args = [x, *map(jax.numpy.asarray, case.params(shape))]
    floating = tuple(k for k, a in enumerate(args) if a.dtype.kind == "f")
    y = jax.jit(function)(*args)
    gradient = jax.random.normal(jax.random.key(1), y.shape, "float32")

    def product(gradient: Any, *args: Any) -> Any:
        return jax.grad(lambda *args: (function(*args) * gradient).sum(), floating)(*args)

    both = jax.jit(product)
    found: dict[str, Any] = {"case": case.name, "dtype": "float32", "mode": "jit", "size": size}
    found["forward"] = _seconds(setting, jax, functools.partial(jax.jit(function), *args))
    found["both"] = _seconds(setting, jax, functools.partial(both, gradient, *args))
    return found


def _seconds(setting: Setting, jax: Any, call: Callable[[], Any]) -> dict[str, float]:
    begin = time.perf_counter()
    for warm in (True, False):
        begin = time.perf_counter()
        jax.block_until_ready(call())
        if warm:
            continue
    calls = min(max(1, math.ceil(setting.form.seconds / max(time.perf_counter() - begin, 1e-6))), 100)
    found = []
    for _ in range(setting.form.runs):
        begin = time.perf_counter()
        for _ in range(calls - 1):
            call()
        jax.block_until_ready(call())
        found.append((time.perf_counter() - begin) / calls)
    return {"device": float(np.median(found))}
