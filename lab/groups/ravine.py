"""Features of different scales make a ravine.

House prices by rooms (1 to 5) and square feet (1,000 to 99,999): a linear model with a bias, mean squared error, the
best fixed rate of gradient descent. Then a net of 20 tanh units on the same data, by the best of five rates.
"""

import numpy as np

import cunet
from cunet import F, data, nn, optim

from ..figures import axes, bars
from ..findings import Finding
from ..nets import train

SCALERS = {
    "raw": None,
    "min-max": data.MinMaxScaler,
    "standardised": data.StandardScaler,
    "PCA": data.PCAWhitening,
    "ZCA": data.ZCAWhitening,
}
RATES = (1e-9, 1e-6, 1e-3, 1e-2, 1e-1)


def settings(size):
    return [{"features": name, "houses": 500, "steps": size.pick(5, 300, 2000)} for name in SCALERS]


def run(features, houses, steps, seed):
    rng = np.random.default_rng(seed)
    rooms, feet = rng.uniform(1, 5, houses), rng.uniform(1000, 99999, houses)
    price = 0.3 * rooms + 5e-5 * feet + 0.1 * rng.standard_normal(houses)
    raw, y = np.stack([rooms, feet], axis=1), ((price - price.mean()) / price.std())[:, None]
    x = SCALERS[features]().fit_transform(raw) if SCALERS[features] else raw
    rows = np.column_stack([x, np.ones(houses)])
    values = np.linalg.eigvalsh(2 * rows.T @ rows / houses)
    condition = values[-1] / values[0]
    return {
        "condition": condition,
        "stable_rate": 2 / values[-1],
        "log10_steps": max(0.0, np.log10(np.log(1e-6) / (2 * np.log1p(-2 / (condition + 1))))),
        "distance": ((x - (raw - raw.mean(0)) / raw.std(0)) ** 2).mean(),
        "off_identity": np.abs(np.cov(x.T, bias=True) - np.eye(2)).max(),
        "loss": min(net(x, y, rate, steps, seed) for rate in RATES),
    }


def net(x, y, rate, steps, seed):
    cunet.manual_seed(seed)
    model = nn.Sequential(nn.Linear(2, 20), nn.Tanh(), nn.Linear(20, 1))
    x, y = x.astype(np.float32), y.astype(np.float32)
    train(model, optim.SGD(model.parameters(), rate), x, y, steps=steps, batch=len(x), seed=seed, loss=F.mse_loss)
    loss = F.mse_loss(model(x), y).item()
    return loss if np.isfinite(loss) else np.inf


SOME, WHITE = ("raw", "min-max", "standardised"), ("PCA", "ZCA")


def listed(r, key, spec, names=SOME):
    return r.listed(key, spec, "features", names)


def more(r, key, one, other):
    return r.difference(key, {"features": one}, {"features": other})


def n2(r):
    return Finding(
        "N2",
        "Columns are brought to mean 0 and variance 1 by the statistics of the training data; they make a rounder bowl"
        " than columns in [0, 1].",
        "(x - mean) / std",
        f"Condition of the loss: {listed(r, 'condition', '.3g')}.",
        (more(r, "condition", "min-max", "standardised"),),
    )


def n3(r):
    off = [r.interval("off_identity", features=name).below(1e-10) for name in ("PCA", "ZCA")]
    return Finding(
        "N3",
        "Whitening makes the covariance the identity, to 1e-10; ZCA stays closer to the data than PCA does.",
        "cov(W (x - mean)) = I",
        f"Largest deviation from the identity: {listed(r, 'off_identity', '.0e', WHITE)}. Mean squared"
        f" distance from the standardised data: {listed(r, 'distance', '.3g', WHITE)}.",
        (*off, more(r, "distance", "PCA", "ZCA")),
    )


def n4(r):
    return Finding(
        "N4",
        "Raw features make a ravine in which gradient descent crawls; scaled ones train in a few steps.",
        "condition = largest / smallest eigenvalue of 2 x'x / n",
        f"Condition of the loss: {listed(r, 'condition', '.3g')}. Logarithm to base 10 of the steps that cut the excess"
        f" loss by 1e6 at the best fixed rate: {listed(r, 'log10_steps', '.2f')}.",
        (more(r, "log10_steps", "raw", "min-max"), more(r, "log10_steps", "raw", "standardised")),
    )


def n5(r):
    return Finding(
        "N5",
        "A net learns the prices of houses from scaled features, and fails on raw ones.",
        "price = f(rooms, square feet)",
        f"Mean squared error by the best of five rates, where the mean price has 1: {listed(r, 'loss', '.3f')}.",
        (more(r, "loss", "raw", "min-max"), more(r, "loss", "raw", "standardised")),
    )


def m20(r):
    return Finding(
        "M20",
        "Whitening gives features equal variance; it does not turn them into one direction.",
        "cov(W (x - mean)) = I",
        f"Largest deviation of the covariance from the identity: {listed(r, 'off_identity', '.0e', WHITE)}.",
        (),
        wording=True,
    )


def m21(r):
    return Finding(
        "M21",
        "Inputs of a large scale need the smaller rate, not the larger: curvature grows with their mean square.",
        "largest stable rate = 2 / largest eigenvalue",
        f"Largest stable rate: {listed(r, 'stable_rate', '.3g')}.",
        (more(r, "stable_rate", "standardised", "raw"),),
    )


def findings(r):
    return [claim(r) for claim in (n2, n3, n4, n5, m20, m21)]


def draw(r):
    figure, (steps, loss) = axes("Steps at the best rate", "A small net, best of five rates")
    for k, (ax, key) in enumerate([(steps, "log10_steps"), (loss, "loss")]):
        bars(ax, list(SCALERS), [r.interval(key, features=name) for name in SCALERS], k)
        ax.tick_params(axis="x", rotation=30)
    steps.set_ylabel("log10 of steps to 1e-6 of the excess", fontsize=8)
    loss.set_ylabel("mean squared error", fontsize=8)
    return figure
