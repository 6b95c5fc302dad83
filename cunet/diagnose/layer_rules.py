"""The rules about signals and gradients on their way through the layers; docs/diagnose.md derives each bound."""

from __future__ import annotations

import math
from collections.abc import Iterator

from ..init import calculate_gain
from .causes import finding
from .figures import LayerFigures
from .findings import Evidence, Finding, several
from .observation import Snapshot, parameter

#: Between layers: a condition number of 10^6, at which float32 forgets updates of the slowest at the fastest's rate.
DEPTH = 1e3
#: Share of units or elements that is more than a sound layer has.
HALF = 0.5
#: How much larger than the gradient of its outputs that of a recurrent layer's states must be at least.
TIME = 10.0


def equal_weights(e: Evidence) -> Iterator[Finding]:
    """Find units that are equal and stay so: equal rows of a weight, and of its gradient."""
    hidden = [f"{r.name}.weight".lstrip(".") for r in weighted(e.first)[:-1]]
    least = 1e-6 * math.hypot(*(p.gradient or 0.0 for p in e.first.parameters))  # what rounding leaves of nothing
    equal = [p for p in e.first.parameters if p.equal and p.name in hidden]
    same = [p.name for p in equal if p.moves_equal or (p.gradient or 0.0) <= least]
    if same:
        seen = "all units have equal weights and equal gradients, and so stay one unit"
        yield finding("equal weights", several(same), seen)


def saturated(e: Evidence) -> Iterator[Finding]:
    """Find hidden sigmoid and tanh layers of which more than half the values are where the slope is below 1/20."""
    rows = [r for r in e.last.layers[:-1] if r.saturated > HALF]
    if rows:
        worst = max(rows, key=lambda r: r.saturated)
        seen = f"{worst.saturated:.0%} of {worst.activation} are where its slope is below 1/20 of the greatest"
        yield finding("saturated units", several(r.name for r in rows), seen)


def depth(e: Evidence) -> Iterator[Finding]:
    """Find signals or gradients that die or explode on the way through the layers, and whether weights are to blame."""
    rows = weighted(e.first)
    ways = _through(e.first, rows) if len(rows) > 1 else {}
    size = _size_over_need(e.first, rows)
    for what, ratio in ways.items():
        if math.isnan(ratio) or 1 / DEPTH <= ratio <= DEPTH:
            continue
        where, seen = several(r.name for r in rows), f"{what}: {ratio:.2g}, through {len(rows)} layers with weights"
        mended = ratio / size ** len(rows)  # what it would be with weights of the right size
        if not 1 / DEPTH <= mended <= DEPTH:
            yield finding("vanishing depth" if ratio < 1 else "exploding depth", where, seen)
        else:
            yield finding("initialisation", where, f"{seen}; weights have {size:.2g} of the size that keeps it")
        return


def dead(e: Evidence) -> Iterator[Finding]:
    """Find layers most of whose units are 0 whatever the sample; of a model's last layer one is enough."""
    rows = e.last.layers
    for k, r in enumerate(rows):
        final = k == len(rows) - 1 and r.activation is not None
        limit = 0.0 if final else min(HALF + 1.5 / math.sqrt(r.units), 1 - 1e-9)
        told = k + 1 < len(rows) and rows[k + 1].activation is not None and rows[k + 1].dead >= r.dead
        if r.dead > limit and not told:
            seen = f"{r.dead:.0%} of {r.units} units are 0 for every sample, and get no gradient"
            yield finding("dead output" if final else "dead units", r.name, seen)
            return
    for r in weighted(e.last)[-1:]:
        weight = parameter(e.last, f"{r.name}.weight")
        if weight is not None and weight.gradient == 0 and e.last.loss > 1e-6:
            yield finding("dead output", r.name, f"its gradient is 0 at a loss of {e.last.loss:.3g}")


def exploding_time(e: Evidence) -> Iterator[Finding]:
    """Find recurrent layers in which the gradient grows on its way back through time, and is not clipped.

    By Cauchy and Schwarz ``|dW| <= |d| * |h|`` and ``|db| <= |d| * sqrt(steps)`` for the gradient d of all states: so
    far at least it has grown.
    """
    for r in e.first.layers if not e.clipped else ():
        growth = 0.0
        for kind, factor in (("weight", r.output.rms * math.sqrt(r.shape[-1])), ("bias", 1.0)) if r.shape else ():
            begin = f"{r.name}.{kind}_hh".lstrip(".")
            norm = math.hypot(*(p.gradient or 0.0 for p in e.first.parameters if p.name.startswith(begin)))
            least = r.gradient_norm * factor * math.sqrt(math.prod(r.shape[:-1]))
            growth = max(growth, norm / least if least > 0 else 0.0)
        if growth > TIME:
            yield finding("no clipping", r.name, f"through time the gradient grows at least {growth:.2g} times")


def not_finite(e: Evidence) -> Iterator[Finding]:
    """Find the first layer whose output is not finite, or the last whose gradient is not."""
    for s in e.snapshots:
        outputs = [r for r in s.layers if not r.output.is_finite]
        gradients = [r for r in s.layers if r.gradient is not None and not r.gradient.is_finite]
        if outputs or gradients:
            where, what = (outputs[0], "output") if outputs else (gradients[-1], "gradient")
            yield finding("not finite", where.name, f"its {what} is not finite in step {s.step}")
            return


def weighted(s: Snapshot) -> list[LayerFigures]:
    """Return the layers with weights, in the order of computation."""
    return [r for r in s.layers if r.weighted]


def _through(s: Snapshot, rows: list[LayerFigures]) -> dict[str, float]:
    """Return what becomes of a signal on its way to the last layer, and of a gradient on its way to the first."""
    first, last = rows[0], rows[-1]
    weight = parameter(s, f"{last.name}.weight")
    if weight is not None and weight.norm == 0:
        return {}  # a last layer of zeros is sound: nothing comes through it before the first step
    given = max(s.inputs, default=1.0)
    ways = {"outputs over inputs": last.output.rms / given} if given > 0 else {}
    if last.gradient_norm > 0:
        ways["gradient of the first layer over the last"] = first.gradient_norm / last.gradient_norm
    return ways


def _size_over_need(s: Snapshot, rows: list[LayerFigures]) -> float:
    """Return ``sqrt(fan_in * mean(w**2))`` over the gain of the activation that follows: its geometric mean."""
    logs = []
    for k, r in enumerate(s.layers):
        p = parameter(s, f"{r.name}.weight") if r.weighted and r is not rows[-1] else None
        if p is not None and p.norm > 0:
            follows = next((a.activation for a in s.layers[k : k + 3] if a.activation is not None), None)
            logs.append(math.log(p.norm / math.sqrt(p.shape[0]) / _gain(follows)))
    return math.exp(sum(logs) / len(logs)) if logs else 1.0


def _gain(activation: str | None) -> float:
    try:
        return calculate_gain(activation or "relu")
    except ValueError:  # one that has none
        return 1.0
