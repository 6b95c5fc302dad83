"""What can be wrong, and what to do about it."""

from __future__ import annotations

from .findings import Finding

#: Every cause, in the order in which one explains another, with advice.
ADVICE = {
    "labels outside": "count labels from 0 and give the last layer an output for each class, or set ignore_index; "
    "targets of probabilities lie within 0 and 1",
    "wrong loss": "leave the last softmax or sigmoid out, for the loss takes scores; nll_loss takes log_softmax, "
    "binary_cross_entropy probabilities",
    "unscaled inputs": "standardise them: data.StandardScaler fitted on the training set, or nn.BatchNorm1d first",
    "unscaled targets": "standardise targets, and put predictions back with inverse_transform",
    "equal weights": 'draw weights at random, such as init="kaiming_normal"; constants are for biases',
    "saturated units": 'smaller weights (init="xavier_normal"), standardised inputs, a norm before it, a lower rate',
    "initialisation": 'init="kaiming_normal" before ReLU and its kind, "lecun_normal" before SELU, "xavier_normal" '
    "before tanh and sigmoid",
    "vanishing depth": "ReLU in place of sigmoid or tanh, a norm in each layer, residual connections",
    "exploding depth": "fewer layers or residual connections (batch norm alone does not help: it adds 21 % a ReLU "
    "layer); until then clip_norm",
    "dead units": "a lower rate or a warm-up, biases of 0; LeakyReLU or GELU, which have a slope on both sides",
    "dead output": "nothing that is flat after the last layer: no ReLU, no sigmoid under a squared error, no detach",
    "no clipping": "Trainer(clip_norm=1.0) or optim.clip_grad_norm_; an orthogonal weight_hh; LSTM or GRU",
    "no gradient": "use it in forward, and do not detach or convert what it returns; or requires_grad_(False)",
    "batch too small": "larger batches; GroupNorm or LayerNorm, which do not look at other samples",
    "bias before norm": "bias=False in that layer",
    "stale statistics": "momentum=0.1, the weight of the new; or recompute_batch_norm before evaluation",
    "decayed norm": "optim.no_decay_groups(model, weight_decay)",
    "rate too high": "find_lr(trainer, data).suggestion, or a tenth of the rate; a warm-up",
    "rate too low": "find_lr(trainer, data).suggestion, or ten times the rate",
    "not finite": "detect_anomaly() names the op; then look at inputs, logarithms, divisions and the rate",
}


def finding(cause: str, where: str, seen: str) -> Finding:
    """Return a finding with the advice that belongs to its cause."""
    return Finding(cause, where, seen, ADVICE[cause])
