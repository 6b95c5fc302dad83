"""Recurrent layers at small and odd widths: their weights' shapes hang together in ways of their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from cunet.parity.row import function_of

from .options import pick

Drawn = tuple[list[Any], dict[str, Any], Callable[..., Any]]


def _layer(op: str, gates: int, states: int) -> Callable[[np.random.Generator], Drawn]:
    def make(rng: np.random.Generator) -> Drawn:
        steps, batch, width = (int(pick(rng, (0, 1, 2, 3, 5, 8))) for _ in range(3))
        hidden = int(pick(rng, (0, *range(1, 10), 16, 17)))
        shapes = [(steps, batch, width), *[(batch, hidden)] * states]
        shapes += [(gates * hidden, width), (gates * hidden, hidden)]
        if rng.random() < 0.7:
            shapes += [(gates * hidden,)] * 2
        static: dict[str, Any] = {"reverse": True} if rng.random() < 0.3 else {}
        if steps and batch and rng.random() < 0.3:
            lengths = np.sort(rng.integers(1, steps + 1, batch))[::-1]
            static["sizes"] = tuple(int((lengths > t).sum()) for t in range(int(lengths.max())))
            shapes[0] = (len(static["sizes"]), batch, width)
        return [rng.uniform(-1, 1, s) for s in shapes], static, function_of(op)

    return make


RECURRENT: dict[str, Callable[[np.random.Generator], Drawn]] = {
    "rnn_layer": _layer("rnn_layer", 1, 1),
    "lstm_layer": _layer("lstm_layer", 4, 2),
    "gru_layer": _layer("gru_layer", 3, 1),
}
