"""Recorder: what a model shows while it is trained, one step in many."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..autograd.tensor import Tensor
from ..device import Array
from ..nn.module import Module
from ..system.checks import check_counts
from .decay import decayed_names
from .findings import Evidence, Findings
from .observation import Observation, Snapshot
from .order import findings
from .outputs import Outputs, outputs_of

#: Steps from one that is observed to the next: so many, that it costs less than a twentieth of them.
EVERY = 400
#: How many snapshots are kept; of more every second one is forgotten.
MOST = 256
_WAITING = 16


class Recorder:
    """Record mean, variance, percentiles, gradients, updates and statistics of a model's layers, one step in many.

    What is measured stays on the device until it is asked for. A step that is observed runs as it is written, where
    others are replays (`cunet.compile`); its numbers are the same.

    Args:
        model: the model.
        optimizer: for what it decays: one, a dict of several, or None.
        every: steps from one that is observed to the next; the first one is.
        clipped: whether gradients are clipped.
        accumulate: batches whose gradients make an update together; only at 1 is their noise known.

    Raises:
        ValueError: `every` is below 1.

    Example:
        >>> from cunet.diagnose import Recorder
        >>> x = 1000 * np.random.default_rng(0).random((64, 4), np.float32)
        >>> model = nn.Linear(4, 1)
        >>> optimizer = optim.SGD(model.parameters(), lr=1e-9)
        >>> recorder = Recorder(model, optimizer, every=2)
        >>> for _ in range(4):
        ...     with recorder.step(x):
        ...         optimizer.zero_grad()
        ...         (model(x) ** 2).mean().backward()
        ...         optimizer.step()
        >>> len(recorder.snapshots), recorder.findings().causes
        (2, ['unscaled inputs'])
    """

    def __init__(
        self, model: Module, optimizer: Any = None, every: int = EVERY, *, clipped: bool = False, accumulate: int = 1
    ) -> None:
        check_counts("Recorder", every=every, accumulate=accumulate)
        self.every = int(every)
        self.model, self.optimizer, self.clipped = model, optimizer, clipped
        self.accumulate = accumulate
        self._steps = 0
        self._current: Observation | None = None
        self._waiting: list[Observation] = []  # observed, not read
        self._snapshots: list[Snapshot] = []
        self._outputs: Outputs | None = None
        self._looked = False
        self._gradients: list[Array | None] = []  # of the observed step, until the next one

    def __getstate__(self) -> dict[str, Any]:
        """Copy and pickle what was read, without what lies on a device."""
        return {**vars(self), "_waiting": [], "_current": None, "_gradients": [], "_snapshots": self.snapshots}

    @property
    def snapshots(self) -> list[Snapshot]:
        """What the observed steps showed, the first and at most `MOST` in all; waits for the device."""
        self._snapshots += [observation.read() for observation in self._waiting]
        self._waiting = []
        while len(self._snapshots) > MOST:
            self._snapshots = self._snapshots[:-1:2] + self._snapshots[-1:]
        return self._snapshots

    @contextmanager
    def step(self, *inputs: Any) -> Iterator[None]:
        """Count a training step, made within a ``with`` block, and observe it if it is its turn.

        Args:
            inputs: the arrays that the model is given, to look at their scale.
        """
        if self._steps % self.every:
            yield
            if self._gradients and self._waiting:
                self._waiting[-1].compare(self._gradients, len(inputs[0]) if inputs else 1)
            self._gradients = []
        else:
            if len(self._waiting) == _WAITING:
                self.snapshots  # noqa: B018  what they hold on the device is done long ago
            observation = self._current = Observation(self.model, self._steps, inputs)
            try:
                with observation.watching():
                    yield
            finally:
                self._current = None
            observation.finish()
            self._waiting.append(observation)
            self._gradients = [p.grad for p in self.model.parameters()] if self.accumulate == 1 else []
        self._steps += 1

    @property
    def noise_scale(self) -> float:
        """The batch of which the gradient's noise is as large as the gradient; NaN where it is not known.

        ``tr(C) / |G|**2`` for the covariance C of the gradients of samples: of two batches of B samples that follow
        each other ``tr(C) / B`` is half the square of the difference of the gradients, and ``|G|**2`` their product.
        Beyond it larger batches hardly make for better steps. Waits for the device.

        Source: McCandlish et al. 2018, arXiv:1812.06162, section 2.2.
        """
        known = [s for s in self.snapshots if math.isfinite(s.signal + s.noise)]
        signal, noise = sum(s.signal for s in known), sum(s.noise for s in known)
        return noise / signal if signal > 0 else math.nan

    def passes(self) -> bool:
        """Count a step and tell that nobody has to look at it; False, and not counted, where `step` does."""
        if self._gradients or not self._steps % self.every:
            return False
        self._steps += 1
        return True

    def tell(self, loss: Any, prediction: Any = None, target: Any = None, function: Any = None) -> None:
        """Within `step`, tell the loss; and prediction, target and loss function, to look whether they fit."""
        if self._current is None:
            return
        self._current.loss = loss.data if isinstance(loss, Tensor) else loss
        if function is not None and not self._looked:
            self._looked = True
            self._outputs = outputs_of(prediction, target, function)

    def findings(self) -> Findings:
        """Return what was found; waits for the device."""
        seen = self.snapshots
        if not seen:
            return Findings()
        decayed = decayed_names(self.model, self.optimizer)
        return findings(Evidence(seen, self._outputs, decayed, clipped=self.clipped))
