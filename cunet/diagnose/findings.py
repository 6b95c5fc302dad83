"""Findings: what is wrong with a model, where it shows, and what to do; in the order of causes."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from .observation import Snapshot
from .outputs import Outputs
from .trial import Trial

_WIDTH = 80


class Finding(NamedTuple):
    """Something that keeps a model from learning, or from learning well.

    Attributes:
        cause: what is wrong, in two or three words: see ``docs/diagnose.md``.
        where: the layer, the parameter, or "input", "output", "loss", "optimizer".
        seen: what was measured.
        advice: what to do.

    Example:
        >>> from cunet.diagnose import health
        >>> x = np.full((32, 4), 1000.0, np.float32) * np.arange(32)[:, None]
        >>> finding = health(nn.Linear(4, 3), (x, np.arange(32) % 3), "cross_entropy", show=False)[0]
        >>> finding.cause, finding.where
        ('unscaled inputs', 'input')
    """

    cause: str
    where: str
    seen: str
    advice: str


class Findings(list[Finding]):
    """Findings, the likeliest cause first; `str` gives a table of 80 columns.

    Example:
        >>> from cunet.diagnose import Finding, Findings
        >>> found = Findings([Finding("dead units", "layers.1", "all of 8 units are 0", "a lower rate")])
        >>> found.causes
        ['dead units']
        >>> print(found)
        finding     where     seen, and what to do
        dead units  layers.1  all of 8 units are 0
                              -> a lower rate
    """

    def __str__(self) -> str:
        """Return the table; one line where there is nothing to tell."""
        if not self:
            return "no findings"
        cause = max(7, *(len(f.cause) for f in self))
        where = min(max(5, *(len(f.where) for f in self)), 20)
        width = _WIDTH - cause - where - 4
        lines = [f"{'finding':<{cause}}  {'where':<{where}}  seen, and what to do"]
        for f in self:
            name = f.where if len(f.where) <= where else "..." + f.where[3 - where :]
            text = textwrap.wrap(f.seen, width) + textwrap.wrap(
                f.advice, width, initial_indent="-> ", subsequent_indent="   "
            )
            for k, line in enumerate(text):
                lines.append(f"{'' if k else f.cause:<{cause}}  {'' if k else name:<{where}}  {line}")
        return "\n".join(lines)

    def __repr__(self) -> str:
        """Return the causes in one line."""
        return f"<{len(self)} findings: {', '.join(f.cause for f in self)}>" if self else "<no findings>"

    @property
    def causes(self) -> list[str]:
        """What was found, each once."""
        return list(dict.fromkeys(f.cause for f in self))


class Evidence(NamedTuple):
    """All that rules look at.

    Attributes:
        snapshots: of one step or several, the first first.
        outputs: what the predictions are to the loss; None if nobody looked.
        decayed: names of parameters of norms that an optimiser decays.
        trial: what the optimiser's own steps do to the loss of one batch; None if none was made.
        clipped: whether gradients are clipped.
    """

    snapshots: Sequence[Snapshot]
    outputs: Outputs | None = None
    decayed: Sequence[str] = ()
    trial: Trial | None = None
    clipped: bool = False

    @property
    def first(self) -> Snapshot:
        """The first snapshot."""
        return self.snapshots[0]

    @property
    def last(self) -> Snapshot:
        """The last snapshot."""
        return self.snapshots[-1]


def several(names: Iterable[str]) -> str:
    """Return the first of some names, and how many more there are."""
    first, *more = names
    return f"{first} + {len(more)}" if more else first
