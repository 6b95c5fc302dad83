"""Search of hyper-parameters: Gaussian process, tree-structured Parzen estimator, random.

A net 784-w-10 of ReLU is trained for some steps by SGD with momentum; searched are its rate (1e-4 to 10), one minus its
momentum (0.01 to 1) and its width (4 to 128), all on logarithmic scales, for the least loss on 1,000 other images. Each
method has the same number of trials, of which the first ten of the two that learn are random.

Source: Snoek et al. 2012, arXiv:1206.2944; Bergstra and Bengio 2012, JMLR 13.
"""

import numpy as np

from cunet import optim
from cunet.search import Float, Int, search

from ..figures import axes, bars, legend, line
from ..findings import Finding
from ..nets import mean_loss, mlp, mnist, train

SPACE = {"rate": Float(1e-4, 10, log=True), "slack": Float(0.01, 1, log=True), "width": Int(4, 128, log=True)}


def settings(size):
    shared = {"trials": size.pick(4, 20, 30), "steps": size.pick(3, 100, 200), "images": size.pick(100, 2000, 10000)}
    return [{"method": method, **shared} for method in size.pick(("random", "tpe"), *[("random", "tpe", "gp")] * 2)]


def run(method, trials, steps, images, seed):
    data = mnist(images, seed, test=1000)

    def build(trial):
        model = mlp((data.x.shape[1], trial["width"], 10))
        optimizer = optim.SGD(model.parameters(), trial["rate"], momentum=1 - trial["slack"])
        train(model, optimizer, data.x, data.y, steps=steps, batch=50, seed=seed)
        return min(float(np.nan_to_num(mean_loss(model, data.test_x, data.test_y), nan=10.0)), 10.0)

    found = search(build, SPACE, trials, method=method, seed=seed, storage=None, pruner=None)
    best = np.minimum.accumulate([trial.value for trial in found.trials])
    return {
        "best": best[-1],
        "best_at_half": best[(trials - 1) // 2],
        "rate": found.best.params["rate"],
        "momentum": 1 - found.best.params["slack"],
        "width": found.best.params["width"],
        "curve": best,
    }


def n47(r):
    others = [method for method in r.each("method") if method != "random"]
    return Finding(
        "N47",
        "Bayesian optimisation finds better hyper-parameters than random search in as many trials.",
        "next = argmax of the expected improvement under a Gaussian process",
        f"Least validation loss after {r.each('trials')[0]} trials: {r.listed('best', '.4f', 'method')}; after half of"
        f" them: {r.listed('best_at_half', '.4f', 'method')}.",
        tuple(r.difference("best", {"method": "random"}, {"method": method}) for method in others),
    )


def findings(r):
    return [n47(r)]


def draw(r):
    figure, (curve, best) = axes("Best so far", "Best of all trials")
    methods = r.each("method")
    for k, method in enumerate(methods):
        curves = r.values("curve", method=method)
        line(curve, np.arange(1, curves.shape[1] + 1), curves, method, k)
    curve.set_yscale("log")
    curve.set_xlabel("trial", fontsize=8)
    curve.set_ylabel("validation loss", fontsize=8)
    legend(curve)
    bars(best, methods, [r.interval("best", method=method) for method in methods])
    best.set_ylabel("validation loss", fontsize=8)
    return figure
