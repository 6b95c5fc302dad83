"""Overfitting: its causes, and what batch norm and dropout do about it.

Nets 784-w-w-10 of ReLU, Adam at 1e-3, batches of 50. First without anything, for several widths and numbers of images;
then w = 200 and 1,000 images with batch norm, with dropout of one half, and with both. The gap is the loss on 2,000
test images minus that on the images trained on.

Source: Ioffe and Szegedy 2015, arXiv:1502.03167, section 4.2.1; Srivastava et al. 2014, JMLR 15, section 7.
"""

from cunet import nn, optim

from ..figures import axes, bars, legend, line
from ..findings import Finding
from ..nets import accuracy, mean_loss, mlp, mnist, train
from ..results import Interval

KINDS = ("none", "batch norm", "dropout", "both")
IMAGES, WIDTHS = (200, 1000, 5000), (10, 50, 200, 800)


def settings(size):
    steps = size.pick(4, 200, 1200)
    images = size.pick((40, 100), IMAGES, IMAGES)
    chosen = [("none", n, w) for n in images for w in size.pick((10, 200), (10, 200), WIDTHS)]
    chosen += [(kind, images[1], 200) for kind in KINDS[1:]]
    return [{"kind": kind, "images": n, "width": w, "steps": steps} for kind, n, w in chosen]


def run(kind, images, width, steps, seed):
    data = mnist(images, seed)
    norm = nn.BatchNorm1d if kind in ("batch norm", "both") else None
    drop = 0.5 if kind in ("dropout", "both") else 0.0
    model = mlp((data.x.shape[1], width, width, 10), norm=norm, drop=drop)
    train(model, optim.Adam(model.parameters()), data.x, data.y, steps=steps, batch=50, seed=seed)
    losses = [mean_loss(model, x, y) for x, y in ((data.x, data.y), (data.test_x, data.test_y))]
    right = [accuracy(model, x, y) for x, y in ((data.x, data.y), (data.test_x, data.test_y))]
    return {"train_loss": losses[0], "gap": losses[1] - losses[0], "train_accuracy": right[0], "accuracy": right[1]}


def kinds(r):
    return r.where(images=sorted(r.each("images"))[1], width=200)


def n75(r):
    few, many = min(r.each("images")), max(r.each("images"))
    narrow, wide = min(r.each("width")), 200
    middle = sorted(r.each("images"))[1]
    plain = r.where(kind="none")
    return Finding(
        "N75",
        "A net overfits if it has too many parameters, or too little data.",
        "gap = test loss - training loss",
        f"Gap by number of images, at width {wide}: {plain.listed('gap', '.3f', 'images', width=wide)}. By width, with"
        f" {middle} images: {plain.listed('gap', '.3f', 'width', images=middle)}; test accuracy there"
        f" {plain.listed('accuracy', '.1%', 'width', images=middle)}.",
        (
            plain.difference("gap", {"images": few}, {"images": many}, width=wide),
            plain.difference("gap", {"width": wide}, {"width": narrow}, images=middle),
        ),
    )


def gains(r):
    """Return what dropout adds to the accuracy, without batch norm and with it, by seed."""
    value = {kind: kinds(r).values("accuracy", kind=kind) for kind in KINDS}
    return value["dropout"] - value["none"], value["both"] - value["batch norm"]


def n29(r):
    alone, beside = gains(r)
    return Finding(
        "N29",
        "With batch norm dropout is needed less.",
        "what dropout adds to test accuracy: alone, and to batch norm",
        f"Test accuracy: {kinds(r).listed('accuracy', '.2%', 'kind')}. Dropout adds {100 * Interval.of(alone):.2f}"
        f" points to a net without batch norm, {100 * Interval.of(beside):.2f} to one with it."
        f" Gap: {kinds(r).listed('gap', '.3f', 'kind')}.",
        (Interval.of(alone - beside),),
    )


def m18(r):
    return Finding(
        "M18",
        "Batch norm is normalisation; that it regularises is a side effect, and a weaker one than dropout's.",
        "gap = test loss - training loss",
        f"Gap: {kinds(r).listed('gap', '.3f', 'kind')}.",
        (),
        wording=True,
    )


def findings(r):
    return [n29(r), n75(r), m18(r)]


def draw(r):
    figure, (causes, right, gap) = axes("Causes: no regulariser", "Test accuracy, width 200", "Gap, width 200")
    plain = r.where(kind="none")
    for k, width in enumerate(r.each("width")):
        images = plain.each("images")
        curves = [plain.values("gap", width=width, images=n) for n in images]
        line(causes, images, list(zip(*curves, strict=True)), f"width {width}", k, "o")
    causes.set_xscale("log")
    causes.set_xticks(plain.each("images"), plain.each("images"))
    causes.minorticks_off()
    causes.set_xlabel("images", fontsize=8)
    causes.set_ylabel("gap, nats", fontsize=8)
    legend(causes)
    bars(right, list(KINDS), [100 * kinds(r).interval("accuracy", kind=kind) for kind in KINDS], 1)
    bars(gap, list(KINDS), [kinds(r).interval("gap", kind=kind) for kind in KINDS], 2)
    right.set_ylabel("%", fontsize=8)
    gap.set_ylabel("nats", fontsize=8)
    return figure
