"""How much to drop, and where.

Nets 784-300-300-10 of ReLU on 2,000 images, Adam at 1e-3, batches of 50: dropout of the hidden layers at several rates,
then of the input beside one half of the hidden units. Accuracy on plain test images, and on ones with noise of standard
deviation 1.

Source: Srivastava et al. 2014, JMLR 15, section 7.3 and appendix A.4.
"""

import numpy as np

from cunet import nn, optim

from ..figures import axes, legend, line
from ..findings import Finding
from ..nets import accuracy, mlp, mnist, train

HIDDEN, INPUT = (0.0, 0.2, 0.5, 0.8), (0.0, 0.2, 0.5)


def settings(size):
    shared = {"steps": size.pick(3, 400, 2000), "images": size.pick(100, 2000, 5000), "width": size.pick(20, 300, 800)}
    pairs = [(p, 0.0) for p in HIDDEN] + [(0.5, q) for q in INPUT[1:]]
    return [{"hidden": p, "input": q, **shared} for p, q in pairs]


def run(hidden, input, steps, images, width, seed):
    data = mnist(images, seed)
    model = mlp((data.x.shape[1], width, width, 10), drop=hidden)
    if input:
        model = nn.Sequential(nn.Dropout(input), *model)
    train(model, optim.Adam(model.parameters()), data.x, data.y, steps=steps, batch=50, seed=seed)
    noise = np.random.default_rng(seed).standard_normal(data.test_x.shape, np.float32)
    return {
        "accuracy": accuracy(model, data.test_x, data.test_y),
        "accuracy_with_noise": accuracy(model, data.test_x + noise, data.test_y),
        "train_accuracy": accuracy(model, data.x, data.y),
    }


def n66(r):
    half = {"hidden": 0.5}
    return Finding(
        "N66",
        "Dropping one half of the hidden units is best: masks are then most diverse.",
        "m ~ Bernoulli(1 - p), p = 0.5",
        f"Test accuracy by the rate of hidden layers: {r.listed('accuracy', '.2%', 'hidden', input=0.0)}.",
        tuple(r.difference("accuracy", half, {"hidden": p}, input=0.0) for p in HIDDEN if p != 0.5),
    )


def n69(r):
    def gain(key, q):
        return r.difference(key, {"input": q}, {"input": 0.0}, hidden=0.5)

    return Finding(
        "N69",
        "Of the input little is dropped; that is noise, which makes the net robust against noise.",
        "x <- m * x / (1 - p), p about 0.2",
        f"By the rate of the input: test accuracy {r.listed('accuracy', '.2%', 'input', hidden=0.5)}; with noise on the"
        f" test images {r.listed('accuracy_with_noise', '.1%', 'input', hidden=0.5)}.",
        (gain("accuracy_with_noise", 0.2), gain("accuracy_with_noise", 0.5), gain("accuracy", 0.2)),
    )


def m4(r):
    found = r.difference("accuracy", {"input": 0.2}, {"input": 0.5}, hidden=0.5)
    return Finding(
        "M4",
        "The rate of the input that is near 1 is that of keeping: dropping little of it is better than dropping half.",
        "p = 0.2, not 0.8",
        f"Test accuracy is {100 * found:.2f} points higher with 0.2 of the input dropped than with 0.5.",
        (found,),
    )


def findings(r):
    return [n66(r), n69(r), m4(r)]


def draw(r):
    figure, panels = axes("Hidden layers; input kept", "Input; half of the hidden units", share=True)
    for ax, by, rates, fixed in (
        (panels[0], "hidden", HIDDEN, {"input": 0.0}),
        (panels[1], "input", INPUT, {"hidden": 0.5}),
    ):
        for k, key in enumerate(("accuracy", "accuracy_with_noise", "train_accuracy")):
            curves = 100 * np.array([r.values(key, **fixed, **{by: p}) for p in rates]).T
            line(ax, rates, curves, ("test", "test with noise", "training")[k], k, "o")
        ax.set_xlabel("probability to drop", fontsize=8)
    panels[0].set_ylabel("accuracy, %", fontsize=8)
    legend(panels[0])
    return figure
