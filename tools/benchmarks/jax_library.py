"""JAX as a library of the benchmark: every call is one jitted function."""

from __future__ import annotations

import itertools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from . import jax_nn
from .jobs import Function, Job, Prediction, Step, Training
from .library import ADAM_RATE, Call, Library, Missing, State

Arrays = dict[str, Any]


def bind(model: Any, arrays: Arrays) -> None:
    """Put arrays into a model, by full name."""
    for name, module, slot in model.slots():
        module.arrays[slot] = arrays[name]


def split(model: Any, arrays: Arrays | None = None) -> tuple[Arrays, Arrays]:
    """Return trained arrays and buffers by full name; of the model, or of `arrays`."""
    found = {name: module.arrays[slot] if arrays is None else arrays[name] for name, module, slot in model.slots()}
    buffers = {name for name in found if ".running_" in f".{name}"}
    return {k: v for k, v in found.items() if k not in buffers}, {k: found[k] for k in buffers}


def adam(p: Arrays, g: Arrays, state: Any) -> tuple[Arrays, Any]:
    """Return the parameters and the state (moments and count) after a step of Adam."""
    m, v, t = state
    t = t + 1
    m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, m, g)
    v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, v, g)
    rate, scale = ADAM_RATE / (1 - 0.9**t), 1 / (1 - 0.999**t)
    return jax.tree.map(lambda p, m, v: p - rate * m / (jnp.sqrt(v * scale) + 1e-8), p, m, v), (m, v, t)


def zeros(p: Arrays) -> Any:
    """Return Adam's state before the first step."""
    return jax.tree.map(jnp.zeros_like, p), jax.tree.map(jnp.zeros_like, p), jnp.zeros(())


class Jax(Library):
    """JAX: the whole step under one jit, buffers donated."""

    name = "jax"
    nn = jax_nn

    def require(self, job: Job) -> None:
        """Raise `Missing` for what is not written for JAX here, predictions too."""
        if isinstance(job, Prediction):
            raise Missing("predictions are not written for JAX here")
        super().require(job)

    def host(self, x: Any) -> np.ndarray:
        """Return a result as a NumPy array."""
        return np.asarray(x)

    def training(self, job: Training, state: State | None, drop: bool = True) -> Call:
        """Return a call that does one training step and returns the loss, computed."""
        self.require(job)
        model, criterion = job.build(jax_nn, drop), jax_nn.CrossEntropyLoss()
        params, buffers = split(model, None if state is None else {k: jnp.array(v) for k, v in state.items()})
        kind, rate = job.optimizer

        def loss_of(params: Arrays, buffers: Arrays, x: Any, y: Any) -> Any:
            bind(model, params | buffers)
            return criterion(model(x), y), split(model)[1]

        def update(carry: Any, x: Any, y: Any) -> Any:
            params, buffers, moments, key = carry
            jax_nn.Keys.current, key = jax.random.split(key)
            (loss, buffers), grads = jax.value_and_grad(loss_of, has_aux=True)(params, buffers, x, y)
            if kind == "Adam":
                params, moments = adam(params, grads, moments)
            else:
                params = jax.tree.map(lambda p, g: p - rate * g, params, grads)
            return (params, buffers, moments, key), loss

        jitted = jax.jit(update, donate_argnums=0)
        x, y = job.data()
        starts = itertools.cycle(range(0, len(x), job.batch))
        carry = [(params, buffers, zeros(params), jax.random.key(0))]

        def step() -> Any:
            first = next(starts)
            batch = slice(first, first + job.batch)
            carry[0], loss = jitted(carry[0], x[batch], y[batch])
            return loss.block_until_ready()

        return step

    def function(
        self, job: Function, state: State, x: np.ndarray, gy: np.ndarray | None, labels: np.ndarray | None
    ) -> Call:
        """Return a call that runs a layer forward and backward and returns the result and the gradients."""
        self.require(job)
        layer = job.build(jax_nn)
        params, buffers = split(layer, {k: jnp.array(v) for k, v in state.items()} if state else None)
        order = list(params)
        more = [] if labels is None else [jnp.array(labels)]
        data, gradient = jnp.array(x), jnp.ones(()) if gy is None else jnp.array(gy)

        def apply(x: Any, params: Arrays) -> Any:
            bind(layer, params | buffers)
            return layer(x, *more)

        @jax.jit
        def both(x: Any, params: Arrays, gradient: Any, key: Any) -> list[Any]:
            jax_nn.Keys.current, key = jax.random.split(key)
            y, vjp = jax.vjp(apply, x, params)
            gx, grads = vjp(gradient)
            return [y, gx, *[grads[name] for name in order], key]

        keys = [jax.random.key(0)]

        def run() -> list[Any]:
            *results, keys[0] = jax.block_until_ready(both(data, params, gradient, keys[0]))
            return results

        return run

    def adam(self, job: Step, w: np.ndarray, g: np.ndarray) -> Call:
        """Return a call that does one step of Adam and returns the weights."""
        jitted = jax.jit(adam, donate_argnums=(0, 2))
        params = {"p": jnp.array(w)}
        carry, grads = [(params, zeros(params))], {"p": jnp.array(g)}

        def step() -> list[Any]:
            carry[0] = jax.block_until_ready(jitted(carry[0][0], grads, carry[0][1]))
            return [carry[0][0]["p"]]

        return step
