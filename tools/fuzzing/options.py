"""What a call's options may be, by the name of the parameter; a share of them must be refused."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from cunet.ops.activation.registry import ACTIVATIONS

YES_NO = (False, True)
WINDOW = (1, 2, 2, 3, 3, 4, (2, 1), (1, 2, 3), 0, -1)
STEP = (1, 2, 2, 3, (1, 2), 0)
AXES = (0, 1, -1, 2, None, (0, 1), (0, -1), (), (0, 0), 5)
FACTOR = (0.0, 0.3, 1.0, 2.5, -0.5)
RESAMPLING = ("nearest", "area", "linear", "bilinear", "bicubic", "trilinear")
BORDERS = ("constant", "reflect", "replicate", "circular")

OPTIONS: dict[str, tuple[Any, ...]] = {
    "activation": (None, *sorted(ACTIVATIONS)),
    "align_corners": YES_NO,
    "alpha": FACTOR,
    "approximate": ("none", "tanh"),
    "axes": (0, 1, 2, None, (0, 1), (1, 0), ((0,), (1,))),
    "axis": AXES,
    "axis1": (0, 1, -1),
    "axis2": (0, 1, -1),
    "batch_first": YES_NO,
    "beta": FACTOR,
    "ceil_mode": YES_NO,
    "channels_last": YES_NO,
    "count_include_pad": YES_NO,
    "ddof": (0, 1, 2),
    "decimals": (0, 1, -1, 40, -40),
    "delta": FACTOR,
    "destination": (0, 1, -1, (0, 1)),
    "dilation": STEP,
    "dim": (0, 1, -1, 2, None, 5),
    "divisor_override": (None, 1, 3),
    "downscale_factor": (1, 2, 3, 0),
    "dropout_p": (0.0, 0.4, 1.0),
    "eps": (1e-5, 1e-3, 0.0),
    "full": YES_NO,
    "groups": (1, 2, 3),
    "ignore_index": (-100, 0, 1),
    "inplace": YES_NO,
    "is_causal": YES_NO,
    "k": (0, 1, 2, -1, 5),
    "keepdim": YES_NO,
    "keepdims": YES_NO,
    "kernel_size": WINDOW,
    "label_smoothing": (0.0, 0.1, 1.0),
    "lambd": FACTOR,
    "largest": YES_NO,
    "log_input": YES_NO,
    "log_target": YES_NO,
    "margin": FACTOR,
    "max": (None, *FACTOR),
    "max_val": FACTOR,
    "min": (None, *FACTOR),
    "min_val": FACTOR,
    "momentum": (0.1, 0.0, 1.0, None),
    "mode": (*RESAMPLING, *BORDERS),
    "n": (0, 1, 2, -1),
    "nan": FACTOR,
    "negative_slope": FACTOR,
    "nonlinearity": ("tanh", "relu"),
    "num_groups": (1, 2, 3, 0),
    "offset": (0, 1, -1, 9),
    "output_padding": (0, 1),
    "output_size": (1, 2, 3, 7, (2, 3), None),
    "p": (0.0, 0.3, 0.5, 1.0),
    "padding": (0, 1, 2, (1, 0), "same", "valid"),
    "padding_idx": (None, 0, -1),
    "reduction": ("mean", "sum", "none"),
    "repeats": (0, 1, 2, 3),
    "reps": (0, 1, (2, 1), (2, 1, 2)),
    "return_indices": YES_NO,
    "reverse": YES_NO,
    "scale": (None, 0.5, 0.0),
    "scale_factor": (0.5, 1.5, 2.0),
    "sections": (1, 2, 3, 0, (1, 2)),
    "shape": (-1, (-1, 1), (1, -1), (0,)),
    "shift": (0, 1, -2, 9, (1, -1)),
    "size": (1, 2, 5, (3, 4), 0),
    "slope": FACTOR,
    "source": (0, 1, -1, (1, 0)),
    "stride": STEP,
    "swap": YES_NO,
    "threshold": (*FACTOR, 20.0),
    "training": YES_NO,
    "upscale_factor": (1, 2, 3, 0),
    "use_input_stats": YES_NO,
    "value": FACTOR,
}


#: More of them, of layers: under these names ops have arrays, or nothing.
LAYER_OPTIONS: dict[str, tuple[Any, ...]] = {
    **OPTIONS,
    "axis": (1, -1, 0, 2),
    "affine": YES_NO,
    "bias": YES_NO,
    "bidirectional": YES_NO,
    "dropout": (0.0, 0.3),
    "elementwise_affine": YES_NO,
    "end_dim": (1, 2, -1),
    "momentum": (0.1, 1.0, None),
    "norm_first": YES_NO,
    "num_layers": (1, 2),
    "padding_mode": ("zeros", "reflect", "replicate", "circular"),
    "start_dim": (0, 1, 2, -2),
    "track_running_stats": YES_NO,
    "unbiased": YES_NO,
    "variational_dropout": (0.0, 0.3),
    "weight_drop": (0.0, 0.3),
}


def pick(rng: np.random.Generator, choices: tuple[Any, ...]) -> Any:
    """Return one of `choices`, as it is."""
    return choices[int(rng.integers(len(choices)))]


def vary(
    rng: np.random.Generator,
    function: Callable[..., Any],
    static: dict[str, Any],
    options: dict[str, tuple[Any, ...]] = OPTIONS,
) -> dict[str, Any]:
    """Return options of a function like `static`, some added, some that have a default left out."""
    varied, parameters = dict(static), inspect.signature(function).parameters
    for name in parameters:
        if name in options and name not in varied and rng.random() < 0.3:
            varied[name] = pick(rng, options[name])
    for name in [k for k in varied if parameters[k].default is not inspect.Parameter.empty]:
        if rng.random() < 0.1:
            del varied[name]
    return varied
