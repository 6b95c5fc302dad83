"""Why features are scaled: house prices from rooms and square feet, by gradient descent.

Rooms range from 1 to 5, square feet from 1,000 to 99,999: the loss is a ravine, in which gradient descent must go so
slowly that it never arrives. The condition number of the loss says how many steps each scaling needs; those that are
few are made, and counted.
"""

import argparse

import numpy as np

from cunet import F, data, nn, optim

SHRINK = 1e-6  # by how much the excess of the loss is to fall


def houses(n, rng):
    """Return features (n, 2), rooms and square feet, and prices (n, 1) in units of 100,000."""
    rooms, feet = rng.uniform(1, 5, n), rng.uniform(1000, 99999, n)
    price = 0.3 * rooms + 5e-5 * feet + 0.1 * rng.standard_normal(n)
    return np.stack([rooms, feet], axis=1), price[:, None]


def hessian(x):
    """Return the second derivatives of the mean squared error of a linear model with a bias."""
    rows = np.column_stack([x, np.ones(len(x))])
    return 2 * rows.T @ rows / len(x)


def steps_needed(values):
    """Return how many steps at the best fixed rate do it: each multiplies the excess by ((k - 1) / (k + 1))**2."""
    k = values[-1] / values[0]
    return int(np.ceil(np.log(SHRINK) / (2 * np.log1p(-2 / (k + 1)))))


def steps_made(x, y, rate, limit):
    """Count the steps of gradient descent until the excess loss has shrunk."""
    rows = np.column_stack([x, np.ones(len(x))])
    best = ((rows @ np.linalg.lstsq(rows, y, rcond=None)[0] - y) ** 2).mean()
    model = nn.Linear(2, 1, init="zeros", dtype=np.float64)
    optimizer = optim.SGD(model.parameters(), lr=rate)
    first = None
    for step in range(limit + 1):
        optimizer.zero_grad()
        loss = F.mse_loss(model(x), y)
        excess = loss.item() - best
        first = first or excess
        if excess <= SHRINK * first:
            return step
        loss.backward()
        optimizer.step()
    return None


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--houses", type=int, default=1000, help="how many (default: 1000)")
    parser.add_argument("--seed", type=int, default=0, help="of the houses (default: 0)")
    parser.add_argument("--limit", type=int, default=1000, help="steps that are made at most (default: 1000)")
    return parser.parse_args()


def main():
    options = parse_arguments()
    x, y = houses(options.houses, np.random.default_rng(options.seed))
    print(f"{'features':<14} {'condition':>10} {'best rate':>10} {'steps needed':>13} {'steps made':>11}")
    scalers = [nn.Identity(), data.MinMaxScaler(), data.StandardScaler(), data.ZCAWhitening()]
    for name, scaler in zip(["as they are", "min-max", "standardised", "whitened"], scalers, strict=True):
        scaled = x if isinstance(scaler, nn.Identity) else scaler.fit_transform(x)
        values = np.linalg.eigvalsh(hessian(scaled))
        rate, needed = 2 / (values[0] + values[-1]), steps_needed(values)
        made = steps_made(scaled, y, rate, options.limit) if needed <= options.limit else None
        shown = f"over {options.limit}" if made is None else str(made)
        print(f"{name:<14} {values[-1] / values[0]:>10.3g} {rate:>10.2g} {needed:>13,} {shown:>11}")


if __name__ == "__main__":
    main()
