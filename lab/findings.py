"""What the results of a group say about a claim."""

from __future__ import annotations

from typing import NamedTuple

from .results import Interval


class Finding(NamedTuple):
    """A claim, what was measured, and the evidence.

    Attributes:
        item: N1 to N77, M1 to M41 (the right statement, not the mistake), or what a paper claims it of.
        says: the claim, in a sentence.
        formula: what it is about, as code.
        measured: what was found, in sentences with numbers from the results.
        evidence: intervals of differences, each positive where it speaks for the claim.
        wording: whether what is right depends on what is meant, whatever was measured.
    """

    item: str
    says: str
    formula: str
    measured: str
    evidence: tuple[Interval, ...]
    wording: bool = False

    @property
    def verdict(self) -> str:
        """Whether it holds: in part if some of the evidence speaks for it beyond noise, and some does not."""
        if self.wording:
            return "a matter of wording"
        pro = [interval.low > 0 for interval in self.evidence]
        return "holds" if pro and all(pro) else "holds in part" if any(pro) else "does not hold"

    @property
    def certainty(self) -> str:
        """Whether the intervals exclude none: robust, or within noise."""
        sure = sum(interval.low > 0 or interval.high < 0 for interval in self.evidence)
        total = len(self.evidence)
        if sure == total > 0:
            return "robust: the interval excludes none" if total == 1 else f"robust: all {total} intervals exclude none"
        return "within noise" if not sure else f"{sure} of {total} comparisons robust, the others within noise"
