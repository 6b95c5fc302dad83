"""Rows of `cunet.ops.norm`. The oracle gathers each group of values as a list and standardises it with `statistics`."""

import functools
import math
import statistics
from collections import defaultdict

import numpy as np

from cunet.autograd.op import static_parameters
from cunet.device import array_module
from cunet.ops.activation import registry
from cunet.ops.norm import batch_norm as batch_norms
from cunet.ops.norm import group_norm as group_norms
from cunet.ops.norm import layer_norm as layer_norms
from cunet.ops.norm import running

from . import Case, activation, gated, rectifier, shrink
from . import math as elementary

#: What a norm may take as its activation.
FUSABLE = sorted(name for name, entry in registry.ACTIVATIONS.items() if entry.fusable)


def standardised(x, group_of, eps, centred=True):
    """Return x with every group, the indices for which `group_of` gives the same, brought to mean 0 and variance 1."""
    members = defaultdict(list)
    for index in np.ndindex(*x.shape):
        members[group_of(index)].append(index)
    out = np.empty(x.shape)
    for indices in members.values():
        values = [float(x[i]) for i in indices]
        mean = statistics.fmean(values) if centred else 0.0
        square = statistics.pvariance(values) if centred else statistics.fmean(v * v for v in values)
        for i, v in zip(indices, values, strict=True):
            out[i] = (v - mean) / math.sqrt(square + eps)
    return out


def affine(y, param_of, weight, bias):
    for index in np.ndindex(*y.shape):
        y[index] = y[index] * (1 if weight is None else weight[param_of(index)]) + (
            0 if bias is None else bias[param_of(index)]
        )
    return y


def channel_statistics(x, axis):
    values = [np.take(x, c, axis).ravel().tolist() for c in range(x.shape[axis])]
    return np.array([statistics.fmean(v) for v in values]), np.array([statistics.pvariance(v) for v in values])


def batch(x, weight=None, bias=None, axis=1, eps=1e-5):
    y = standardised(x, lambda i: i[axis], eps)
    return (affine(y, lambda i: i[axis], weight, bias), *channel_statistics(x, axis))


def batch_output(x, weight=None, bias=None, axis=1, eps=1e-5):
    return batch_norms.batch_norm_training(x, weight, bias, axis=axis, eps=eps)[0]


def tracked(x, weight=None, bias=None, **kw):
    """Move statistics too; test_running.py looks at them."""
    start = array_module(x.data).zeros(x.shape[1], x.dtype)
    return running.batch_norm(x, start, start + 1, weight, bias, True, **kw)


def fixed(x, mean, var, weight=None, bias=None, axis=1, eps=1e-5):
    y = np.empty(x.shape)
    for i in np.ndindex(*x.shape):
        y[i] = (x[i] - mean[i[axis]]) / math.sqrt(var[i[axis]] + eps)
    return affine(y, lambda i: i[axis], weight, bias)


def layer(x, weight=None, bias=None, *, normalized_shape, eps=1e-5):
    lead = x.ndim - (1 if isinstance(normalized_shape, int) else len(normalized_shape))
    return affine(standardised(x, lambda i: i[:lead], eps), lambda i: i[lead:], weight, bias)


def layer_norm(x, weight=None, bias=None, **kw):
    return layer_norms.layer_norm(x, weight=weight, bias=bias, **kw)


def rms(x, weight=None, *, normalized_shape, eps):
    lead = x.ndim - (1 if isinstance(normalized_shape, int) else len(normalized_shape))
    return affine(standardised(x, lambda i: i[:lead], eps, centred=False), lambda i: i[lead:], weight, None)


def rms_norm(x, weight=None, **kw):
    return layer_norms.rms_norm(x, weight=weight, **kw)


def group(x, weight=None, bias=None, *, num_groups, axis=1, eps=1e-5):
    each = x.shape[axis] // num_groups
    return affine(standardised(x, lambda i: (i[0], i[axis] // each), eps), lambda i: i[axis], weight, bias)


def group_norm(x, weight=None, bias=None, **kw):
    return group_norms.group_norm(x, weight=weight, bias=bias, **kw)


def instance_norm(x, weight=None, bias=None, **kw):
    return running.instance_norm(x, weight=weight, bias=bias, **kw)


def instance(x, weight=None, bias=None, axis=1, eps=1e-5):
    return affine(standardised(x, lambda i: (i[0], i[axis]), eps), lambda i: i[axis], weight, bias)


SCALARS = {
    case.op: case.scalar
    for module in (activation, elementary, gated, rectifier, shrink)
    for case in module.CASES
    if case.scalar
}


def activated(op, reference, name, **options):
    """Return a norm, and its oracle, with an activation behind it."""
    function = registry.ACTIVATIONS[name].function
    given = functools.partial(function, **options) if options else name
    defaults = {p.name: p.default for p in static_parameters(function) if p.name != "inplace"}
    all_options = {**defaults, **options}

    def behind(*args, **kw):
        y = op(*args, **kw, activation=given)
        return y[0] if op is batch_norms.batch_norm_training else y

    def oracle(*args, **kw):
        y = reference(*args, **kw)
        y = y[0] if reference is batch else y
        return np.array([SCALARS[function](v, **all_options) for v in y.ravel().tolist()]).reshape(y.shape)

    behind.__name__ = f"{op.__name__}_{name}"
    return behind, oracle


#: One whose way back starts from y, one with a parameter, one with a preamble; its options.
FEW = {"relu": {}, "leaky_relu": {"negative_slope": 0.2}, "gelu": {}}


def drawn(*shapes):
    return lambda rng: tuple(rng.uniform(-2, 2, s) for s in shapes)


def with_variance(x, *shapes):
    """A mean and a positive variance, then the others."""
    return lambda rng: (
        rng.uniform(-2, 2, x),
        rng.uniform(-1, 1, shapes[0]),
        rng.uniform(0.5, 2, shapes[0]),
        *(rng.uniform(-2, 2, s) for s in shapes[1:]),
    )


# A norm is some ten roundings: of the mean, the deviations, their sum of squares, its root, the product.
NORM = {"ulp": 10, "grad_ulp": 40}
#: Sums of 8200 values in another order differ. Where one thread adds them all, the k-th of n additions rounds by up
#: to k/n * eps/2 of the sum: eps/6 * sqrt(n) = 15 eps in the mean square, half as much in 1 / sqrt of it, up to twice
#: as many units of the largest element; three times that.
LONG = {"ulp": 45, "grad_ulp": 100}


def row(op, reference, inputs, label="", **kwargs):
    return Case(op, kwargs, reference=reference, inputs=inputs, label=label, **NORM)


CASES = [
    # all three results; for half types mean and var are float32, so the rows with `batch_output` run those
    *[
        Case(
            batch_norms.batch_norm_training, kw, reference=batch, inputs=drawn(*s), half=False, label=str(s[0]), **NORM
        )
        for s, kw in [
            (((6, 3), 3, 3), {}),
            (((4, 3, 2, 3), 3, 3), {}),
            (((4, 2, 3, 3), 3, 3), {"axis": -1}),
        ]
    ],
    *[
        row(batch_output, lambda *a, **kw: batch(*a, **kw)[0], drawn(*shapes), str(shapes), **kw)
        for shapes, kw in [
            (((6, 3), 3, 3), {}),
            (((6, 3),), {}),
            (((6, 3), 3), {}),
            (((4, 3, 5), 3, 3), {}),
            (((3, 2, 4, 2), 2, 2), {"eps": 0.1}),
            (((2, 3, 2, 3, 2), 3, 3), {}),
            (((1, 3, 2, 3), 3, 3), {}),
            (((4, 1, 3), 1, 1), {}),
            (((3, 4, 2, 5), 5, 5), {"axis": -1}),
            (((3, 4, 2, 5), 4, 4), {"axis": 1}),
            (((3, 4, 2, 5), 2, 2), {"axis": 2}),
        ]
    ],
    row(tracked, lambda *a, **kw: batch(*a, **kw)[0], drawn((6, 3), 3, 3)),
    *[
        Case(
            batch_norms.batch_norm_inference,
            kw,
            reference=fixed,
            inputs=with_variance(*s),
            label=str(s),
            differentiable=differentiable,
            **NORM,
        )
        for s, kw, differentiable in [
            (((5, 3), 3, 3, 3), {}, (0, 3, 4)),
            (((1, 3), 3), {}, (0,)),
            (((2, 3, 2, 2), 3, 3, 3), {"eps": 0.1}, (0, 3, 4)),
            (((2, 3, 2, 4), 4, 4, 4), {"axis": -1}, (0, 3, 4)),
        ]
    ],
    *[
        row(layer_norm, layer, drawn(*shapes), str(shapes), **kw)
        for shapes, kw in [
            (((4, 6), 6, 6), {"normalized_shape": 6}),
            (((4, 6),), {"normalized_shape": (6,)}),
            (((6,), 6, 6), {"normalized_shape": (6,)}),
            (((1, 6), 6, 6), {"normalized_shape": (6,)}),
            (((3, 2, 5), 5), {"normalized_shape": (5,)}),
            (((3, 2, 5), (2, 5), (2, 5)), {"normalized_shape": (2, 5), "eps": 0.1}),
        ]
    ],
    *[
        row(rms_norm, rms, drawn(*shapes), str(shapes), **kw)
        for shapes, kw in [
            (((4, 6), 6), {"normalized_shape": 6, "eps": 1e-5}),
            (((3, 2, 5),), {"normalized_shape": (5,), "eps": 0.1}),
            (((3, 2, 5), (2, 5)), {"normalized_shape": (2, 5), "eps": 1e-5}),
            (((6,), 6), {"normalized_shape": (6,), "eps": 1e-5}),
        ]
    ],
    *[
        row(group_norm, group, drawn(*shapes), str(shapes), **kw)
        for shapes, kw in [
            (((3, 6), 6, 6), {"num_groups": 2}),
            (((2, 6, 3), 6, 6), {"num_groups": 3}),
            (((2, 4, 2, 3), 4, 4), {"num_groups": 2}),
            (((2, 4, 2, 3), 4, 4), {"num_groups": 1}),
            (((2, 4, 2, 3), 4, 4), {"num_groups": 4, "eps": 0.1}),
            (((2, 4, 2, 3),), {"num_groups": 2}),
            (((1, 4, 3), 4, 4), {"num_groups": 2}),
            (((2, 2, 3, 4), 4, 4), {"num_groups": 2, "axis": -1}),
            (((2, 3, 4, 2, 3), 4, 4), {"num_groups": 2, "axis": 2}),
        ]
    ],
    *[
        row(instance_norm, instance, drawn(*shapes), str(shapes), **kw)
        for shapes, kw in [
            (((2, 3, 5), 3, 3), {}),
            (((2, 3, 2, 4),), {}),
            (((1, 3, 2, 4), 3, 3), {"eps": 0.1}),
            (((2, 3, 2, 2, 2), 3, 3), {}),
            (((2, 5, 3), 3, 3), {"axis": -1}),
        ]
    ],
    # with an activation in the same kernels: all behind the two kinds of kernels, three of them behind each norm
    *[
        Case(pair[0], kw, reference=pair[1], inputs=drawn(*shapes), half=name in FEW, label=str(shapes), **NORM)
        for name in FUSABLE
        for pair, shapes, kw in [
            (activated(batch_norms.batch_norm_training, batch, name, **FEW.get(name, {})), ((6, 3), 3, 3), {}),
            (activated(layer_norm, layer, name, **FEW.get(name, {})), ((4, 6), 6, 6), {"normalized_shape": 6}),
        ]
    ],
    *[
        Case(pair[0], kw, reference=pair[1], inputs=drawn(*shapes), label=str(shapes), **NORM)
        for name, options in FEW.items()
        for pair, shapes, kw in [
            (activated(batch_norms.batch_norm_training, batch, name, **options), ((4, 2, 5), 5), {"axis": -1}),
            (activated(batch_norms.batch_norm_training, batch, name, **options), ((4, 3, 2, 3), 3, 3), {}),
            (activated(layer_norm, layer, name, **options), ((6,), 6, 6), {"normalized_shape": 6}),
            (activated(rms_norm, rms, name, **options), ((4, 6), 6), {"normalized_shape": 6, "eps": 1e-5}),
            (activated(group_norm, group, name, **options), ((2, 4, 2, 3), 4, 4), {"num_groups": 2}),
            (activated(instance_norm, instance, name, **options), ((2, 3, 5), 3, 3), {}),
        ]
    ],
    *[
        Case(pair[0], {}, reference=pair[1], inputs=with_variance((5, 3), 3, 3, 3), differentiable=(0, 3, 4), **NORM)
        for name, options in FEW.items()
        for pair in [activated(batch_norms.batch_norm_inference, fixed, name, **options)]
    ],
    # rows too long for one block each; with so many values some would be too near a kink
    *[
        Case(pair[0], kw, reference=pair[1], inputs=drawn(*shapes), label=str(shapes), **LONG)
        for pair, shapes, kw in [
            ((rms_norm, rms), ((2, 8200), 8200), {"normalized_shape": 8200, "eps": 1e-5}),
            (activated(layer_norm, layer, "gelu"), ((1, 8200), 8200, 8200), {"normalized_shape": 8200}),
            (activated(rms_norm, rms, "gelu"), ((1, 8200), 8200), {"normalized_shape": 8200, "eps": 1e-5}),
        ]
    ],
]
