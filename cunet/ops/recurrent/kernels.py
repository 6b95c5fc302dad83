"""The kernels of one time step of RNN, LSTM and GRU, forward and backward.

A step gets ``x``, its share of the input's projection, and ``p``, the projection of the state, as rows of
gates in PyTorch's order. Outputs may be given after the inputs, and are then written into; `gates` may be
`x` itself: each element reads its own gates before it writes them.
"""

from __future__ import annotations

import numpy as np

from ...kernels import grid
from ..activation.squashing import keep


def _to_sigmoid(a: np.ndarray) -> np.ndarray:
    """Replace an array by its sigmoid."""
    np.multiply(a, -1, out=a)  # np.negative is wrong in NumPy 2.4 where both its arrays step by 4 or 8 numbers
    np.exp(a, out=a)
    a += 1
    return np.reciprocal(a, out=a)


@grid("T x, T p", "T y", "y = tanh(x + p)", space="row column")
def rnn_tanh_forward(x, p, y=None):
    y = np.add(x, p, out=y)
    return np.tanh(y, out=y)


@grid("T gy, T gh, T y", "T gx", "gx = (gy + gh) * (1 - y * y)", space="row column")
def rnn_tanh_backward(gy, gh, y, gx=None):
    slope = 1 - y * y
    return np.multiply(gy + gh, slope, out=gx)


@grid("T x, T p", "T y", "A s = x + p; y = s < 0 ? A(0) : s", space="row column")
def rnn_relu_forward(x, p, y=None):
    y = np.add(x, p, out=y)
    return np.maximum(y, 0, out=y)


@grid("T gy, T gh, T y", "T gx", "gx = y <= 0 ? A(0) : gy + gh", space="row column")
def rnn_relu_backward(gy, gh, y, gx=None):
    g = keep(gy + gh, ~(y <= 0))
    if gx is None:
        return g
    gx[...] = g
    return gx


@grid(
    "raw T x, raw T p, T c",
    "T h, T cell, raw T gates",
    """
    const long long at = row * 4 * width + column;
    const long long f_at = at + width, g_at = at + 2 * width, o_at = at + 3 * width;
    const A a = 1 / (1 + exp(-((A)x[at] + (A)p[at])));
    const A f = 1 / (1 + exp(-((A)x[f_at] + (A)p[f_at])));
    const A g = tanh((A)x[g_at] + (A)p[g_at]);
    const A o = 1 / (1 + exp(-((A)x[o_at] + (A)p[o_at])));
    cell = f * c + a * g;
    h = o * tanh(cell);
    gates[at] = (T)a; gates[f_at] = (T)f; gates[g_at] = (T)g; gates[o_at] = (T)o
    """,
    space="row column",
)
def lstm_forward(x, p, c, h=None, cell=None, gates=None):
    width = c.shape[-1]
    gates = np.add(x, p, out=gates)
    g = gates[:, 2 * width : 3 * width]
    _to_sigmoid(gates[:, : 2 * width])
    np.tanh(g, out=g)
    _to_sigmoid(gates[:, 3 * width :])
    cell = np.multiply(gates[:, width : 2 * width], c, out=cell)
    cell += gates[:, :width] * g
    h = np.tanh(cell, out=h)
    h *= gates[:, 3 * width :]
    return h, cell, gates


@grid(
    "raw T gates, T gy, T gh, T gc, T c, T cell",
    "T before, raw T gx",
    """
    const long long at = row * 4 * width + column;
    const long long f_at = at + width, g_at = at + 2 * width, o_at = at + 3 * width;
    const A a = gates[at], f = gates[f_at], g = gates[g_at], o = gates[o_at];
    const A t = tanh(cell), d = gy + gh, dc = d * o * (1 - t * t) + gc;
    gx[at] = (T)(dc * g * a * (1 - a));
    gx[f_at] = (T)(dc * c * f * (1 - f));
    gx[g_at] = (T)(dc * a * (1 - g * g));
    gx[o_at] = (T)(d * t * o * (1 - o));
    before = dc * f
    """,
    space="row column",
)
def lstm_backward(gates, gy, gh, gc, c, cell, before=None, gx=None):
    width = c.shape[-1]
    a, f, g, o = (gates[:, k * width : (k + 1) * width] for k in range(4))
    gx = np.empty(gates.shape, gates.dtype) if gx is None else gx
    ga, gf, gg, go = (gx[:, k * width : (k + 1) * width] for k in range(4))
    np.subtract(1, gates, out=gx)  # a (1 - a), f (1 - f), o (1 - o), and 1 - g g instead of g (1 - g)
    gx *= gates
    np.multiply(g, g, out=gg)
    np.subtract(1, gg, out=gg)
    t = np.tanh(cell)
    d = gy + gh
    go *= d
    go *= t
    d *= o
    np.multiply(t, t, out=t)
    np.subtract(1, t, out=t)
    d *= t
    d += gc
    ga *= g
    ga *= d
    gf *= c
    gf *= d
    gg *= a
    gg *= d
    return np.multiply(d, f, out=before), gx


@grid(
    "raw T x, raw T p, T h",
    "T y, T q, raw T gates",
    """
    const long long at = row * 3 * width + column;
    const long long z_at = at + width, n_at = at + 2 * width;
    const A r = 1 / (1 + exp(-((A)x[at] + (A)p[at])));
    const A z = 1 / (1 + exp(-((A)x[z_at] + (A)p[z_at])));
    q = p[n_at];
    const A m = tanh((A)x[n_at] + r * q);
    y = m + z * (h - m);
    gates[at] = (T)r; gates[z_at] = (T)z; gates[n_at] = (T)m
    """,
    space="row column",
)
def gru_forward(x, p, h, y=None, q=None, gates=None):
    width = h.shape[-1]
    gates = np.empty(x.shape, x.dtype) if gates is None else gates
    both, new = gates[:, : 2 * width], gates[:, 2 * width :]
    np.add(x[:, : 2 * width], p[:, : 2 * width], out=both)
    _to_sigmoid(both)
    q = np.positive(p[:, 2 * width :], out=q)
    np.add(x[:, 2 * width :], gates[:, :width] * q, out=new)
    np.tanh(new, out=new)
    y = np.subtract(h, new, out=y)
    y *= gates[:, width : 2 * width]
    y += new
    return y, q, gates


@grid(
    "raw T gates, T gy, T gh, T h, T q",
    "T direct, raw T gx, raw T gp",
    """
    const long long at = row * 3 * width + column;
    const long long z_at = at + width, n_at = at + 2 * width;
    const A r = gates[at], z = gates[z_at], m = gates[n_at], d = gy + gh;
    const A dm = d * (1 - z) * (1 - m * m), dz = d * (h - m) * z * (1 - z), dr = dm * q * r * (1 - r);
    gx[at] = (T)dr; gx[z_at] = (T)dz; gx[n_at] = (T)dm;
    gp[at] = (T)dr; gp[z_at] = (T)dz; gp[n_at] = (T)(dm * r);
    direct = d * z
    """,
    space="row column",
)
def gru_backward(gates, gy, gh, h, q, direct=None, gx=None, gp=None):
    width = h.shape[-1]
    r, z, m = (gates[:, k * width : (k + 1) * width] for k in range(3))
    gx = np.empty(gates.shape, gates.dtype) if gx is None else gx
    gr, gz, gm = (gx[:, k * width : (k + 1) * width] for k in range(3))
    np.subtract(1, gates, out=gx)
    d = gy + gh
    np.multiply(d, gz, out=gm)
    gm *= 1 - m * m
    gr *= r
    gr *= q
    gr *= gm
    gz *= z
    gz *= d
    gz *= h - m
    gp = np.positive(gx, out=gp)
    gp[:, 2 * width :] *= r
    return np.multiply(d, z, out=direct), gx, gp
