"""No op warns of what its inputs are: every public op on infinities, NaN, zeros and the ends of its dtype."""

import numpy as np
import pytest
from helpers import turn

from cunet import Tensor
from cunet import device as backend
from cunet.parity.cases import ROWS

EDGES = [0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 3e38, -3e38, 1e-40, -50.0, 200.0]


def poisoned(a, rng, dtype):
    """Return an array in which a third of the elements are edges."""
    with np.errstate(all="ignore"):
        return np.where(rng.random(a.shape) < 0.3, rng.choice(EDGES, a.shape), a).astype(dtype)


def silent(row, dtype, rng, dev):
    arrays = [
        poisoned(a, rng, dtype) if isinstance(a, np.ndarray) and a.dtype.kind == "f" else a for a in row.inputs(rng)
    ]
    leaves = [Tensor(dev(a), requires_grad=a.dtype.kind == "f") if isinstance(a, np.ndarray) else a for a in arrays]
    try:
        results = row.run(*leaves)
    except np.linalg.LinAlgError:
        return  # as NumPy's function of that name
    except ValueError as refused:
        assert any(text in str(refused) for text in ("target must be 1 or -1", "var must be at least 0"))
        return
    results = [r for r in (results if isinstance(results, tuple) else (results,)) if r.requires_grad]
    for k, y in enumerate(results):
        y.backward(backend.like(np.ones(y.shape, y.dtype), y.data), retain_graph=k < len(results) - 1)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_nothing_is_said_of_values(row, rng, dev):
    for dtype in (np.float16, np.float32, np.float64):
        with turn(dtype):
            silent(row, dtype, rng, dev)
