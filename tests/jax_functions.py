"""Functions and nets for NumPy's names, and their derivatives by JAX: a program, as JAX's threads would stay.

    python tests/jax_functions.py FILE

writes the derivative along a direction and the Hessian of each, in float64, at points that `drawn` draws.
"""

import sys

import numpy as np


def weights(*shape):
    """Return the numbers of a fixed net."""
    return np.sin(1 + np.arange(np.prod(shape))).reshape(shape)


W, V, C = weights(4, 5), weights(5, 3), weights(4, 4) / 3 + 2 * np.eye(4)


def mlp(act):
    return lambda xp, x: (act(xp, act(xp, x @ W) @ V) ** 2).sum()


def softmax(xp, x):
    e = xp.exp(x - xp.max(x, axis=-1, keepdims=True))
    return e / xp.sum(e, axis=-1, keepdims=True)


def layer_norm(xp, x):
    return (x - xp.mean(x, axis=-1, keepdims=True)) / xp.sqrt(xp.var(x, axis=-1, keepdims=True) + 1e-5)


def attention(xp, x):
    q, k, v = x, x @ C, xp.tanh(x @ C.T)
    return (softmax(xp, q @ xp.swapaxes(k, -1, -2) / 2) @ v)[0].sum()


def recurrence(xp, x):
    h = xp.zeros(4)
    for row in (x[0], x[1], x[2]):
        h = xp.tanh(row + C @ h)
    return (h**2).sum()


#: of an array (3, 4) of numbers from 0.2 to 1.2; xp is NumPy or JAX
FUNCTIONS = {
    "mlp, tanh": mlp(lambda xp, x: xp.tanh(x)),
    "mlp, softplus": mlp(lambda xp, x: xp.logaddexp(x, 0.0)),
    "mlp, silu": mlp(lambda xp, x: x / (1 + xp.exp(-x))),
    "mlp, relu squared": mlp(lambda xp, x: xp.maximum(x, 0.0) ** 2),
    "mlp, norms between": lambda xp, x: xp.sum(xp.cos(layer_norm(xp, x @ W) @ V)),
    "cross-entropy": lambda xp, x: -xp.log(softmax(xp, x @ C)[:, 1]).sum(),
    "attention": attention,
    "recurrence": recurrence,
    "rosenbrock": lambda xp, x: xp.sum(100 * (x[:, 1:] - x[:, :-1] ** 2) ** 2 + (1 - x[:, :-1]) ** 2),
    "pair potential": lambda xp, x: sum(1 / xp.sum((x[i] - x[j]) ** 2) ** 3 for i in range(3) for j in range(i)),
    "determinant": lambda xp, x: xp.linalg.slogdet(x @ x.T + xp.eye(3))[1],
    "solution": lambda xp, x: xp.sum(xp.linalg.solve(xp.diag(x[0]) + C, x[1]) ** 2),
    "eigenvalues": lambda xp, x: xp.sum(xp.linalg.eigvalsh(x @ x.T) ** 3),
    "inverse": lambda xp, x: xp.trace(xp.linalg.inv(x @ x.T + xp.eye(3))),
    "products": lambda xp, x: xp.prod(x, axis=0).sum() * xp.cumsum(x)[5],
    "spectrum": lambda xp, x: xp.sum(xp.abs(xp.fft.fft(x)) ** 2 * xp.arange(4.0)),
    "order": lambda xp, x: xp.sum(xp.sort(x, axis=0)[1] ** 3 * xp.arange(4.0)) + xp.max(x) ** 2,
    "selection": lambda xp, x: xp.sum(xp.where(x > 0.7, xp.sin(x) * x, xp.exp(x)) ** 2),
    "angles": lambda xp, x: xp.sum(xp.arctan2(x[0], x[1]) * xp.hypot(x[1], x[2]) * xp.sinc(x[2])),
    "contraction": lambda xp, x: xp.einsum("ij,kj,kl,il->", x, x, xp.tanh(x), x),
    "samples": lambda xp, x: xp.sum(
        xp.gradient(x[0] ** 2) * xp.interp(x[1], xp.linspace(0.0, 2.0, 5), xp.cumsum(x[2, :1]) + xp.arange(5.0))
    ),
    "convolution": lambda xp, x: xp.sum(xp.convolve(x[0], x[1]) ** 2) + xp.sum(xp.kron(x[0], x[2]) ** 3),
}


def drawn(name):
    """Return a point and a direction."""
    rng = np.random.default_rng([ord(c) for c in name])
    return rng.permutation(np.linspace(0.2, 1.2, 12)).reshape(3, 4), rng.standard_normal((3, 4))


def main(file):
    """Write what JAX finds."""
    import jax
    import jax.numpy as jnp

    found = {}
    jax.config.update("jax_enable_x64", True)
    for name, f in FUNCTIONS.items():
        x, v = drawn(name)
        run = jax.jit(lambda x, v, f=f: (jax.jvp(lambda x: f(jnp, x), (x,), (v,)), jax.hessian(lambda x: f(jnp, x))(x)))
        (value, slope), hessian = run(x, v)
        found |= {f"{name} value": value, f"{name} slope": slope, f"{name} hessian": hessian}
    np.savez(file, **found)


if __name__ == "__main__":
    main(sys.argv[1])
