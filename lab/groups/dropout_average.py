"""Dropout as an average of nets, and what their spread says.

A net 784-200-200-10 of ReLU with dropout of one half is trained on 4,000 images. Its evaluation mode (weights scaled,
one pass) is compared with the mean of several masks' probabilities, on plain test images, on ones turned by 90 degrees
and on ones whose pixels are shuffled. What it does not know should have the higher entropy: the area under the curve
says how often an image of the other kind has more of it than a plain one.

Source: Srivastava et al. 2014, JMLR 15, section 7.5; Gal and Ghahramani 2016, arXiv:1506.02142, section 4.
"""

import numpy as np

from cunet import F, diagnose, optim

from ..figures import axes, bars, legend, line
from ..findings import Finding
from ..nets import mlp, mnist, scores, train
from ..results import Interval

OTHERS = ("turned", "shuffled")


def settings(size):
    shared = {"steps": size.pick(3, 500, 3000), "images": size.pick(100, 4000, 10000)}
    return [{"masks": masks, **shared} for masks in size.pick((1, 5), (1, 10, 50), (1, 10, 100))]


def entropy(p):
    return -(p * np.log(np.maximum(p, 1e-30))).sum(axis=1)


def auroc(plain, other):
    """Return how often one of `other` is above one of `plain`."""
    order = np.argsort(np.concatenate([plain, other]), kind="stable")
    ranks = np.empty(len(order))
    ranks[order] = np.arange(len(order))
    return (ranks[len(plain) :].mean() - (len(other) - 1) / 2) / len(plain)


def run(masks, steps, images, seed):
    data, rng = mnist(images, seed, test=500), np.random.default_rng(seed)
    model = mlp((data.x.shape[1], 200, 200, 10), drop=0.5)
    train(model, optim.Adam(model.parameters()), data.x, data.y, steps=steps, batch=50, seed=seed)
    side = round(data.x.shape[1] ** 0.5)
    turned = np.rot90(data.test_x.reshape(-1, side, side), axes=(1, 2)).reshape(len(data.test_x), -1)
    shown = {"plain": data.test_x, "turned": np.ascontiguousarray(turned)}
    shown["shuffled"] = rng.permuted(data.test_x, axis=1)
    one = {name: F.softmax(scores(model, x)).data for name, x in shown.items()}
    many = {name: diagnose.mc_dropout_predict(model, x, masks) for name, x in shown.items()}
    found = {
        "accuracy_scaled": (one["plain"].argmax(axis=1) == data.test_y).mean(),
        "accuracy_averaged": (many["plain"].mean.argmax(axis=1) == data.test_y).mean(),
        "same_class": (one["plain"].argmax(axis=1) == many["plain"].mean.argmax(axis=1)).mean(),
        "distance": np.abs(one["plain"] - many["plain"].mean).max(axis=1).mean(),
    }
    for name in OTHERS:
        found[f"auroc_scaled_{name}"] = auroc(entropy(one["plain"]), entropy(one[name]))
        found[f"auroc_averaged_{name}"] = auroc(many["plain"].entropy, many[name].entropy)
    return found


def gap(r, one, other, masks):
    return Interval.of(r.values(one, masks=masks) - r.values(other, masks=masks))


def n72(r):
    most = max(r.each("masks"))
    return Finding(
        "N72",
        "Dropout trains an ensemble of nets that share weights; one pass with scaled weights gives their average.",
        "mean over masks of softmax(f(x, m)) and softmax(f(x))",
        f"Test accuracy with scaled weights {r.interval('accuracy_scaled', masks=most):.2%}; of the mean over masks"
        f" {r.listed('accuracy_averaged', '.2%', 'masks')}. Mean over {most} masks against scaled weights: the same"
        f" class in {r.interval('same_class', masks=most):.1%} of the images.",
        (
            gap(r, "accuracy_scaled", "accuracy_averaged", most).above(-0.005),
            r.interval("same_class", masks=most).above(0.97),
        ),
    )


def m6(r):
    most = max(r.each("masks"))
    found = r.interval("distance", masks=most)
    return Finding(
        "M6",
        "Scaled weights are the average only in linear nets, and one layer of softmax; else they are near it.",
        "softmax(f(x)) != mean over masks of softmax(f(x, m))",
        f"Largest difference of a probability, mean over images: {found:.3f} with {most} masks.",
        (found.above(0.005),),
    )


def n73(r):
    most = max(r.each("masks"))
    parts = [
        f"{name}: {r.interval(f'auroc_scaled_{name}', masks=most):.3f} with scaled weights,"
        f" {r.interval(f'auroc_averaged_{name}', masks=most):.3f} by {most} masks"
        for name in OTHERS
    ]
    return Finding(
        "N73",
        "Dropout at prediction time averages over what the weights might be: the net then knows better what it does not"
        " know.",
        "p(y | x) = 1/M sum over m of f(x, m)",
        f"Area under the curve, entropy of other images against that of plain ones: {'; '.join(parts)}.",
        tuple(gap(r, f"auroc_averaged_{name}", f"auroc_scaled_{name}", most) for name in OTHERS),
    )


def findings(r):
    return [n72(r), n73(r), m6(r)]


def draw(r):
    figure, (right, curve) = axes("Test accuracy", "Entropy tells other images from plain ones")
    masks = r.each("masks")
    for k, key in enumerate(("accuracy_scaled", "accuracy_averaged")):
        line(right, masks, 100 * np.array([r.values(key, masks=m) for m in masks]).T, key[9:], k, "o")
        found = [r.interval(f"auroc_{key[9:]}_{name}", masks=max(masks)) for name in OTHERS]
        bars(curve, list(OTHERS), found, k, 2, key[9:])
    right.set_xscale("log")
    right.set_xlabel("masks", fontsize=8)
    right.set_ylabel("%", fontsize=8)
    curve.set_ylabel("area under the curve", fontsize=8)
    legend(right)
    return figure
