"""The order of causes: which rule comes first, and what is no finding of its own after it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from . import layer_rules, rules
from .findings import Evidence, Finding, Findings

_DATA = frozenset({"labels outside", "unscaled inputs"})
_START = _DATA | {"equal weights", "initialisation", "saturated units"}
_SIGNALS = _START | {"unscaled targets", "vanishing depth", "exploding depth", "dead units", "dead output"}

#: Rules in the order of causes, each with those that explain what it would find.
RULES: tuple[tuple[Callable[[Evidence], Iterable[Finding]], frozenset[str]], ...] = (
    (rules.labels, frozenset()),
    (rules.loss_form, _DATA),
    (rules.inputs, frozenset({"labels outside"})),
    (rules.targets, _DATA),
    (layer_rules.equal_weights, frozenset({"labels outside"})),
    (layer_rules.saturated, _START),
    (layer_rules.dead, _START),
    (layer_rules.exploding_time, _START | {"dead units", "dead output"}),
    (layer_rules.depth, _START | {"dead units", "dead output", "no clipping"}),
    (rules.unreached, frozenset({"labels outside"})),
    (rules.small_batch, frozenset()),
    (rules.bias_before_norm, frozenset()),
    (rules.stale_statistics, frozenset()),
    (rules.decayed_norms, frozenset()),
    (rules.tried_rate, _SIGNALS | {"no clipping", "wrong loss"}),
    (rules.used_rate, _SIGNALS | {"no clipping", "wrong loss", "rate too high", "rate too low"}),
    (layer_rules.not_finite, _SIGNALS | {"no clipping", "rate too high"}),
)


def findings(evidence: Evidence) -> Findings:
    """Return what the rules find, causes before what follows from them."""
    found = Findings()
    for rule, explained in RULES:
        if explained.isdisjoint(found.causes):
            found += rule(evidence)
    return found
