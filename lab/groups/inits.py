"""What initialisers do to training: ten layers of ReLU or tanh.

Nets 784-10x100-10 on batches of 64, SGD with momentum 0.9, the better of two rates by test accuracy. "zero" and
"constant" (0.05) leave the units of a layer equal: their spread is the largest difference between two rows of the
weights of the second layer after training.

Source: Glorot and Bengio 2010, section 4; He et al. 2015, arXiv:1502.01852, section 2.2.
"""

import numpy as np

import cunet
from cunet import init, nn, optim

from ..figures import axes, bars, legend
from ..findings import Finding
from ..nets import accuracy, mlp, mnist, train

INITS = {
    "zero": lambda: init.zeros(),
    "constant": lambda: init.constant(0.05),
    "0.01": lambda: init.normal(std=0.01),
    "Xavier": lambda: init.xavier_normal(),
    "He": lambda: init.kaiming_normal(),
    "orthogonal": lambda: init.orthogonal(2**0.5),
}
ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh}
RATES = (0.003, 0.03)


def settings(size):
    shared = {"depth": size.pick(2, 10, 10), "steps": size.pick(3, 100, 800), "images": size.pick(100, 6000, 10000)}
    return [{"activation": a, "init": i, **shared} for a in ACTIVATIONS for i in INITS]


def run(activation, init, depth, steps, images, seed):
    data = mnist(images, seed)
    sizes = (data.x.shape[1], *[100] * depth, 10)
    best, spread = 0.0, 0.0
    for rate in RATES:
        cunet.manual_seed(seed)
        model = mlp(sizes, ACTIVATIONS[activation], init=INITS[init]())
        optimizer = optim.SGD(model.parameters(), rate, momentum=0.9)
        train(model, optimizer, data.x, data.y, steps=steps, batch=64, seed=seed)
        best = max(best, accuracy(model, data.test_x, data.test_y))
        spread = max(spread, float(np.ptp(model[2].weight.data, axis=0).max()))
    return {"accuracy": best, "spread": spread}


def n41(r):
    equal = [r.interval("spread", activation=a, init=i) for a in ACTIVATIONS for i in ("zero", "constant")]
    return Finding(
        "N41",
        "Equal first weights fail: units that start equal get equal gradients, and stay equal.",
        "w_i = w_j implies dL/dw_i = dL/dw_j",
        "Largest difference between rows of the second layer's weights after training:"
        f" {max(i.high for i in equal):.3g} in all nets that began with zeros or a constant. Test accuracy:"
        f" {r.listed('accuracy', '.1%', 'init', activation='relu')} (ReLU);"
        f" {r.listed('accuracy', '.1%', 'init', activation='tanh')} (tanh).",
        (
            *(interval.below(1e-6) for interval in equal),
            r.difference("accuracy", {"init": "He"}, {"init": "constant"}, activation="relu"),
            r.difference("accuracy", {"init": "Xavier"}, {"init": "constant"}, activation="tanh"),
        ),
    )


def n45(r):
    return Finding(
        "N45",
        "He's initialisation trains deep nets of ReLU where Xavier's is slower.",
        "var(w) = 2 / fan_in",
        f"Test accuracy with ReLU: {r.listed('accuracy', '.1%', 'init', activation='relu')}.",
        (r.difference("accuracy", {"init": "He"}, {"init": "Xavier"}, activation="relu"),),
    )


def n42(r):
    return Finding(
        "N42",
        "Weights 0.01 N(0, 1) are enough for shallow nets; deep ones do not learn from them.",
        "w ~ N(0, 0.01²)",
        f"Test accuracy of ten layers: {r.interval('accuracy', activation='relu', init='0.01'):.1%} with ReLU,"
        f" {r.interval('accuracy', activation='tanh', init='0.01'):.1%} with tanh.",
        tuple(
            r.difference("accuracy", {"init": good}, {"init": "0.01"}, activation=a)
            for a, good in (("relu", "He"), ("tanh", "Xavier"))
        ),
    )


def m39(r):
    return Finding(
        "M39",
        "Constants are bad for matrices of weights; biases of 0 are as good as any: every net here has them.",
        "b = 0",
        f"Test accuracy with biases that start at 0: {r.interval('accuracy', activation='relu', init='He'):.1%} (He,"
        f" ReLU), {r.interval('accuracy', activation='tanh', init='Xavier'):.1%} (Xavier, tanh).",
        (
            r.interval("accuracy", activation="relu", init="He").above(0.5),
            r.interval("accuracy", activation="tanh", init="Xavier").above(0.5),
        ),
    )


def findings(r):
    return [n41(r), n42(r), n45(r), m39(r)]


def draw(r):
    figure, (ax,) = axes("Test accuracy of ten layers")
    for k, name in enumerate(ACTIVATIONS):
        bars(ax, list(INITS), [100 * r.interval("accuracy", activation=name, init=i) for i in INITS], k, 2, name)
    ax.set_xlabel("first weights", fontsize=8)
    ax.set_ylabel("%", fontsize=8)
    legend(ax)
    return figure
