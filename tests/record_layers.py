"""Every layer with inputs for it, and what is done to a net in the middle of training."""

import numpy as np

import cunet
from cunet import nn
from cunet.ops.activation.registry import ACTIVATIONS


def classes(rng, n):
    return rng.integers(0, 3, n)


def signs(rng, n):
    return rng.choice(np.array([-1, 1], np.float32), n)


def table(rng, n):
    return rng.integers(0, 9, (n, 3))


def shares(rng, n):
    return rng.uniform(0.1, 0.9, (n, 4)).astype(np.float32)


def probabilities(rng, n):
    return rng.uniform(0.05, 0.25, (n, 4)).astype(np.float32)  # still some behind a factor that has been trained


SEQUENCE, ROW, IMAGES = (3, 4), (4,), {1: (2, 8), 2: (2, 6, 6), 3: (2, 4, 4, 4)}
#: By name: arguments, and the inputs: shapes behind the axis of samples, or functions that draw one.
LAYERS = {
    **{entry.layer: ((), [ROW]) for entry in ACTIVATIONS.values() if entry.layer},
    "Linear": ((4, 3), [ROW]),
    "Bilinear": ((4, 4, 3), [ROW, ROW]),
    "DropConnect": ((4, 3), [ROW]),
    "Embedding": ((9, 4), [table]),
    "Flatten": ((), [IMAGES[2]]),
    "Identity": ((), [ROW]),
    "GLU": ((), [ROW]),
    "PReLU": ((4,), [ROW]),
    "Threshold": ((0.1, 0.2), [ROW]),
    "Softmax": ((1,), [ROW]),
    "LogSoftmax": ((1,), [ROW]),
    "Softmin": ((1,), [ROW]),
    "AlphaDropout": ((0.3,), [ROW]),
    "FeatureAlphaDropout": ((0.3,), [IMAGES[2]]),
    "Dropout": ((0.3,), [ROW]),
    "GaussianDropout": ((0.3,), [ROW]),
    "ConcreteDropout": ((0.3,), [ROW]),
    "StochasticDepth": ((0.3,), [ROW]),
    "DropBlock2d": ((0.2, 3), [IMAGES[2]]),
    "VariationalDropout": ((0.3,), [SEQUENCE]),
    "BatchNorm": ((4,), [ROW]),
    "BatchRenorm": ((4, 1e-5, 0.1, True, 3.0, 5.0, (2, 9), (1, 4)), [ROW]),
    "DecorrelatedBatchNorm": ((4, 2), [ROW]),
    "SwitchableNorm": ((2,), [IMAGES[2]]),
    "InstanceNorm": ((2, 1e-5, 0.1, True, True), [IMAGES[2]]),
    "GroupNorm": ((2, 4), [(4, 5)]),
    "LayerNorm": ((4,), [ROW]),
    "RMSNorm": ((4,), [ROW]),
    "FilterResponseNorm": ((2,), [IMAGES[2]]),
    "MultiheadAttention": ((4, 2), [SEQUENCE, SEQUENCE, SEQUENCE]),
    "TransformerEncoderLayer": ((4, 2, 6, 0.2), [SEQUENCE]),
    "PositionalEncoding": ((4,), [SEQUENCE]),
    "PixelShuffle": ((2,), [(4, 3, 3)]),
    "PixelUnshuffle": ((2,), [(1, 4, 4)]),
    "Upsample": ((None, 2.0), [(1, 3, 3)]),
    "CosineSimilarity": ((), [ROW, ROW]),
    "PairwiseDistance": ((), [ROW, ROW]),
    **{f"{norm}{kind}": ((4, 5), [SEQUENCE]) for norm in ("", "LayerNorm") for kind in ("RNN", "LSTM", "GRU")},
    **{f"{norm}{kind}Cell": ((4, 5), [ROW]) for norm in ("", "LayerNorm") for kind in ("RNN", "LSTM", "GRU")},
}  # fmt: skip
for n, image in IMAGES.items():
    LAYERS |= {
        f"Conv{n}d": ((2, 3, 3, 1, 1), [image]),
        f"ConvTranspose{n}d": ((2, 3, 2, 2), [image]),
        f"MaxPool{n}d": ((2,), [image]),
        f"AvgPool{n}d": ((2,), [image]),
        f"AdaptiveMaxPool{n}d": ((2,), [image]),
        f"AdaptiveAvgPool{n}d": ((2,), [image]),
        **{f"{kind}Pad{n}d": ((1,), [image]) for kind in ("Zero", "Reflection", "Replication", "Circular")},
        f"BatchNorm{n}d": ((2,), [image]),
        f"InstanceNorm{n}d": ((2, 1e-5, 0.1, True, True), [image]),
        f"Dropout{n}d": ((0.3,), [image]),
    }
#: Layers that do on inputs of one number of axes what another one, which is there, does on all.
NARROWER = {f"{norm}{n}d" for norm in ("BatchRenorm", "DecorrelatedBatchNorm", "SwitchableNorm") for n in (1, 2)}
LAYERS |= {name: ((2,), [IMAGES[int(name[-2])]]) for name in sorted(NARROWER)}  # in one order in all processes
LOSSES = {
    **{f"{kind}Loss": ((), [ROW, ROW]) for kind in ("MSE", "L1", "Huber", "SmoothL1")},
    **{f"{kind}Loss": ((), [ROW, classes]) for kind in ("CrossEntropy", "NLL", "MultiMargin")},
    "PoissonNLLLoss": ((), [ROW, shares]),
    "KLDivLoss": ((), [ROW, shares]),
    "BCEWithLogitsLoss": ((), [ROW, shares]),
    "BCELoss": ((), [probabilities, shares]),
    "GaussianNLLLoss": ((), [ROW, ROW, shares]),
    "SoftMarginLoss": ((), [(), signs]),
    "HingeEmbeddingLoss": ((), [(), signs]),
    "MarginRankingLoss": ((), [(), (), signs]),
    "CosineEmbeddingLoss": ((), [ROW, ROW, signs]),
    "TripletMarginLoss": ((), [ROW, ROW, ROW]),
    "TripletMarginWithDistanceLoss": ((), [ROW, ROW, ROW]),
}
#: Of other layers, or no layers.
NOT_ALONE = {"Module", "ModuleDict", "ModuleList", "Sequential", "TransformerEncoder", "RunningStatistics"}


class Around(nn.Module):
    """A layer behind a trained factor, and the mean of what it returns, squared."""

    def __init__(self, name):
        arguments, _ = {**LAYERS, **LOSSES}[name]
        self.layer, self.gain = getattr(nn, name)(*arguments), nn.Parameter(np.full(1, 0.9, np.float32))

    def forward(self, first, *rest):
        made = self.layer(first * self.gain if first.dtype.kind == "f" else first, *rest)
        found = flat(made)
        return sum([(y * y).mean() for y in found[1:]], (found[0] * found[0]).mean())


def flat(made):
    if isinstance(made, (tuple, list)):
        return [y for part in made for y in flat(part)]
    return [] if made is None else [made]


def inputs_of(name, rng, n):
    """Return inputs of a layer, of `n` samples."""
    _, inputs = {**LAYERS, **LOSSES}[name]
    return [i(rng, n) if callable(i) else rng.normal(size=(n, *i)).astype(np.float32) for i in inputs]


def freeze(side):
    parameter = next(side.model.parameters())
    parameter.requires_grad = not parameter.requires_grad
    parameter.grad = None


def assign(side):
    parameter = next(side.model.parameters())
    parameter.data = parameter.data * np.float32(0.5)


def write(side):
    next(side.model.parameters()).data[...] *= np.float32(0.5)


def load(side):
    side.model.load_state_dict({k: (a * 0.9).astype(a.dtype) for k, a in side.model.state_dict().items()}, strict=True)


def load_optimizer(side):
    side.optimizer.load_state_dict(side.optimizer.state_dict())


def halve_rate(side):
    side.optimizer.param_groups[0]["lr"] *= 0.5


def decay(side):
    side.optimizer.param_groups[0]["weight_decay"] += 0.01


def clear_gradients(side):
    side.optimizer.zero_grad()


def mode(side):
    side.model.train(not side.model.training)


def seed(side):
    cunet.manual_seed(3)


CHANGES = [freeze, assign, write, load, load_optimizer, halve_rate, decay, clear_gradients, mode, seed]
