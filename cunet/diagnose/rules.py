"""The rules about data, loss, norms and optimiser; docs/diagnose.md derives each bound."""

from __future__ import annotations

import math
from collections.abc import Iterator

from .causes import finding
from .findings import Evidence, Finding, several
from .observation import Snapshot, parameter
from .trial import SHARE

#: A scale of which the condition number is 100, against that of the bias, whose input is 1.
SCALE = 10.0
#: Values per channel from which on a batch norm knows 1 / sqrt(variance) to a quarter: 1 / (2 * (n - 1)) <= 1 / 16.
VALUES = 9
#: Batches after which running statistics have followed at a momentum of 0.1: 0.9 ** 30 < 0.05.
BATCHES = 30
#: Change of a weight matrix in a step, relative to it: at 0.5 two steps make another one, at 1e-5 it takes 100,000.
FAST, SLOW = 0.5, 1e-5
#: How many times the loss of the beginning no batch of a model that learns, or learns nothing, comes to.
WORSE = 3.0
#: How many steps a hundredth of the loss may take, where one step as long as all of them does it.
STEPS = 1000


def labels(e: Evidence) -> Iterator[Finding]:
    """Find labels that are no class's, and targets outside [0, 1] of a loss that needs them there."""
    if e.outputs is not None and e.outputs.outside:
        given = ", ".join(f"{v:.3g}" for v in e.outputs.outside)
        if e.outputs.classes:
            seen = f"labels {given}, of a model with classes 0 to {e.outputs.classes - 1}"
        else:
            seen = f"targets {given} of a loss that has no lower bound there"
        yield finding("labels outside", "target", seen)


def loss_form(e: Evidence) -> Iterator[Finding]:
    """Find a loss of scores that gets probabilities, and one of log-probabilities that gets something else."""
    o = e.outputs
    if o is None:
        return
    if o.wanted == "log-probabilities" and o.classes and not o.normalised:
        yield finding("wrong loss", "loss", "it takes log-probabilities, whose exponentials sum to 1; these do not")
    elif o.wanted == "scores" and o.probabilities:
        least = math.log1p((max(o.classes, 2) - 1) / math.e) if o.classes else math.log1p(1 / math.e)
        yield finding("wrong loss", "loss", f"it takes scores; with probabilities it cannot fall below {least:.2f}")


def inputs(e: Evidence) -> Iterator[Finding]:
    """Find inputs whose scale makes a ravine of the loss: condition number ``max(s**2, 1 / s**2)`` with the bias."""
    for s in e.first.inputs:
        if s > 0 and not 1 / SCALE <= s <= SCALE:
            condition = max(s * s, 1 / (s * s))
            seen = f"root mean square {s:.3g} where they are not 0: condition number {condition:.1g}"
            yield finding("unscaled inputs", "input", seen)


def targets(e: Evidence) -> Iterator[Finding]:
    """Find targets of a regression that are far from what a new model returns."""
    if e.outputs is not None and e.outputs.scale > SCALE:
        seen = f"root mean square {e.outputs.scale:.3g}, where outputs of a new model are about 1"
        yield finding("unscaled targets", "target", seen)


def unreached(e: Evidence) -> Iterator[Finding]:
    """Find parameters that need a gradient and get none."""
    names = [p.name for p in e.first.parameters if p.gradient is None]
    if names:
        yield finding("no gradient", several(names), "no gradient comes from the loss")


def small_batch(e: Evidence) -> Iterator[Finding]:
    """Find norms that see too few values to know a variance, whose relative error is ``sqrt(2 / (n - 1))``."""
    few = [n for n in e.first.norms if n.values < VALUES]
    if few:
        n = min(f.values for f in few)
        error = 1 / math.sqrt(2 * max(n - 1, 1))
        seen = f"{n} values a channel: they tell 1 / sqrt(variance) to {error:.0%}"
        yield finding("batch too small", several(f.name for f in few), seen)


def bias_before_norm(e: Evidence) -> Iterator[Finding]:
    """Find biases that a norm takes away: their gradient is 0."""
    lost = []
    for n in e.first.norms:
        bias, weight = (parameter(e.first, f"{n.before}.{name}") for name in ("bias", "weight"))
        if n.before and bias is not None and weight is not None and weight.gradient:
            lost += [n.before] if (bias.gradient or 0.0) < 1e-3 * weight.gradient else []
    if lost:
        yield finding("bias before norm", several(lost), "the norm behind it subtracts it: its gradient is 0")


def stale_statistics(e: Evidence) -> Iterator[Finding]:
    """Find batch norms whose running statistics are not those of the data."""
    off = [n for n in e.last.norms if n.batches >= BATCHES and not (n.shift <= 1 and n.ratio <= math.log(4))]
    if off:
        n = max(off, key=lambda n: max(n.shift, n.ratio))
        factor = math.exp(min(n.ratio, 80.0))
        seen = f"running means are {n.shift:.2g} standard deviations off, variances {factor:.2g} times"
        yield finding("stale statistics", several(o.name for o in off), seen)


def decayed_norms(e: Evidence) -> Iterator[Finding]:
    """Find scales and shifts of norms that weight decay pulls to 0."""
    if e.decayed:
        yield finding("decayed norm", several(e.decayed), "weight decay pulls a scale or shift to 0")


def tried_rate(e: Evidence) -> Iterator[Finding]:
    """Find a rate at which a few steps on a batch raise its loss, or a thousandth of one that would still lower it."""
    t = e.trial
    if t is None or not math.isfinite(t.before):
        return
    if not t.after <= t.before * 1.001:
        seen = f"5 steps on one batch change its loss from {t.before:.3g} to {t.after:.3g}"
        yield finding("rate too high", "optimizer", seen)
    elif STEPS <= t.steps < math.inf and t.at_once > SHARE / 2:
        seen = f"1 % of the loss takes {t.steps:.1g} steps, and one step as long as all of them does it"
        yield finding("rate too low", "optimizer", seen)


def used_rate(e: Evidence) -> Iterator[Finding]:
    """Find a rate that led away from the beginning, or whose steps make another weight matrix at once or never."""
    begun, *later = (s.loss for s in e.snapshots if math.isfinite(s.loss)) if math.isfinite(e.first.loss) else [0.0]
    ratios = [r for r in map(_largest_update, e.snapshots) if r > 0]
    usual = sorted(ratios[1:])[len(ratios[1:]) // 2] if len(ratios) > 1 else 0.0
    if begun > 0 and max(later, default=0.0) > WORSE * begun:
        yield finding("rate too high", "optimizer", f"the loss rose from {begun:.3g} to {max(later):.3g}")
    elif not usual <= FAST:
        yield finding("rate too high", "optimizer", f"a step changes weights by {usual:.0%} of them")
    elif ratios and max(ratios) < SLOW:
        yield finding("rate too low", "optimizer", f"a step changes no weights by more than {max(ratios):.1g} of them")


def _largest_update(s: Snapshot) -> float:
    """Return the largest change of a weight matrix in a step, relative to it."""
    return max((p.update / p.norm for p in s.parameters if len(p.shape) > 1 and p.norm > 0), default=0.0)
