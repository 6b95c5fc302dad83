"""Batch norm lets nets train at more rates and from more initialisations.

A net 784-100-100-100-10 of sigmoids, as in section 4.1 of the batch norm paper: batches of 60, plain gradient descent,
weights N(0, std²), biases 0, with and without batch norm before each sigmoid. Accuracy is measured on 1,000 test images
each 50 steps; where a level was not reached its step counts as the last one, so that ratios are then bounds.

Source: Ioffe and Szegedy 2015, arXiv:1502.03167, section 4.1.
"""

import numpy as np

from cunet import init, nn, optim

from ..figures import axes, line
from ..findings import Finding
from ..nets import accuracy, first_at, mlp, mnist, train
from ..results import Interval

EVERY = 50
BN, PLAIN = {"norm": True}, {"norm": False}


def settings(size):
    rates = size.pick((0.1, 1.0), (0.1, 1.0, 10.0), (0.1, 1.0, 10.0, 30.0))
    shared = {"steps": size.pick(100, 500, 3000), "images": size.pick(300, 5000, 30000)}
    return [
        {"norm": norm, "std": std, "rate": rate, **shared}
        for std in (0.01, 0.1)
        for rate in rates
        for norm in (False, True)
    ]


def run(norm, std, rate, steps, images, seed):
    data = mnist(images, seed, test=1000)
    side = data.x.shape[1]
    norms = nn.BatchNorm1d if norm else None
    model = mlp((side, 100, 100, 100, 10), nn.Sigmoid, norm=norms, init=init.normal(std=std))
    seen = []

    def look(step):
        seen.append(accuracy(model, data.test_x, data.test_y))

    optimizer = optim.SGD(model.parameters(), rate)
    train(model, optimizer, data.x, data.y, steps=steps, batch=60, seed=seed, look=look, every=EVERY)
    reached = {f"steps_to_{level}": first_at(seen, level / 100, EVERY, steps) for level in (80, 90)}
    reached = {key: max(step, EVERY) for key, step in reached.items()}  # what was there from the start took none
    return {**reached, "best": max(seen), "last": seen[-1], "accuracy": seen}


def n25(r):
    rate = max(r.each("rate"))
    parts = [
        f"from std {std} {r.interval('best', std=std, rate=rate, **BN):.1%} with batch norm,"
        f" {r.interval('best', std=std, rate=rate, **PLAIN):.1%} without"
        for std in r.each("std")
    ]
    return Finding(
        "N25",
        "With batch norm larger rates can be used.",
        "w <- w - rate * gradient",
        f"Best accuracy at rate {rate}: {'; '.join(parts)}.",
        tuple(r.difference("best", BN, PLAIN, std=std, rate=rate) for std in r.each("std")),
    )


def spread(r, setting):
    """Return by how much the best accuracy differs between initialisations, mean over rates, by seed."""
    both = [np.array([r.values("best", std=std, rate=k, **setting) for k in r.each("rate")]) for std in r.each("std")]
    return np.abs(both[0] - both[1]).mean(axis=0)


def n26(r):
    normed, plain = 100 * spread(r, BN), 100 * spread(r, PLAIN)
    return Finding(
        "N26",
        "With batch norm the initialisation needs less care.",
        "w ~ N(0, std²)",
        f"Between the two initialisations the best accuracy differs by {Interval.of(normed):.2g} points with batch norm"
        f" and {Interval.of(plain):.3g} without, mean over rates.",
        (Interval.of(plain - normed),),
    )


def n27(r):
    where = {"std": min(r.each("std")), "rate": min(r.each("rate"))}
    return Finding(
        "N27",
        "Nets of sigmoids do not get stuck with batch norm.",
        "y = sigmoid(BN(W u))",
        f"From std {where['std']} at rate {where['rate']}, after {r.each('steps')[0]} steps:"
        f" {r.interval('last', **where, **BN):.1%} with batch norm,"
        f" {r.interval('last', **where, **PLAIN):.1%} without.",
        (r.difference("last", BN, PLAIN, **where),),
    )


def best(r, level, std, setting):
    """Return the steps to a level at the best rate, by seed."""
    return np.min([r.values(f"steps_to_{level}", std=std, rate=rate, **setting) for rate in r.each("rate")], axis=0)


def n30(r):
    evidence, parts = [], []
    for std in r.each("std"):
        for level in (80, 90):
            plain, normed = (best(r, level, std, setting) for setting in (PLAIN, BN))
            ratio = Interval(*np.exp(Interval.of(np.log(plain / normed))))
            reached = plain.max() < r.each("steps")[0]
            evidence += [ratio.above(14)] if reached else []  # else it is a bound, which excludes nothing above it
            words = f"{ratio:.2g}" if reached else f"at least {ratio.mean:.2g}, as not all plain nets came there"
            parts.append(f"{words} (std {std}, {level} %)")
    return Finding(
        "N30",
        "The same accuracy in 14 times fewer steps.",
        "steps without / steps with batch norm, each at its best rate",
        f"How many times fewer: {', '.join(parts)}.",
        tuple(evidence),
    )


def m25(r):
    stds, rates = r.each("std"), r.each("rate")
    cases = [(min(stds), min(rates)), (max(stds), 1.0)]
    logs = [
        np.log(r.values("steps_to_80", std=std, rate=rate, **PLAIN) / r.values("steps_to_80", std=std, rate=rate, **BN))
        for std, rate in cases
    ]
    parts = [
        f"{Interval(*np.exp(Interval.of(log))):.2g} from std {std} at rate {rate}"
        for (std, rate), log in zip(cases, logs, strict=True)
    ]
    return Finding(
        "M25",
        "14 was one large net with other changes too; there is no one ratio, it depends on rate and initialisation.",
        "steps without / steps with batch norm, at the same rate",
        f"To 80 %, at least: {' and '.join(parts)}.",
        (Interval.of(logs[0] - logs[1]),),
    )


def findings(r):
    return [claim(r) for claim in (n25, n26, n27, n30, m25)]


def draw(r):
    figure, panels = axes(*(f"weights N(0, {std}²)" for std in r.each("std")), share=True, height=3.6)
    for ax, std in zip(panels, r.each("std"), strict=True):
        for k, rate in enumerate(r.each("rate")):
            for norm in (True, False):
                curves = r.values("accuracy", std=std, rate=rate, norm=norm)
                steps = np.minimum(np.arange(curves.shape[1]) * EVERY, r.each("steps")[0])
                name = f"{'batch norm' if norm else 'plain'}, rate {rate}"
                line(ax, steps, 100 * curves, name, k, style="-" if norm else ":")
        ax.set_xlabel("step", fontsize=8)
    panels[0].set_ylabel("test accuracy, %", fontsize=8)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, fontsize=7)
    return figure
