"""Numbers that are written to a GPU by kernels' arguments. Always on the simulated device."""

import numpy as np
import pytest

import sim
from cunet.kernels.backends.cuda.numbers import CHUNK, write_numbers

xp = sim.namespace_or_skip()
pytestmark = pytest.mark.usefixtures("simulated")


@pytest.mark.parametrize("count", [0, 1, 3, 64, 65, 130])
@pytest.mark.parametrize("dtype", ["f", "d"])
def test_numbers_are_rounded_as_a_kernels_argument_is(count, dtype, rng):
    values = [0.1, 1e-50, -np.inf, np.nan, 1 / 3, *rng.standard_normal(200).tolist()][:count]
    out = xp.zeros(3 * CHUNK, dtype)
    with xp._stats.forbid(), xp._stats.counting() as counted:
        write_numbers(values, out)
    assert out[:count].tolist() == pytest.approx(np.array(values, dtype).tolist(), abs=0, rel=0, nan_ok=True)
    assert not out[-(-count // CHUNK) * CHUNK :].any()
    assert counted["launches"] == -(-count // CHUNK)


def test_whole_numbers_keep_64_bits():
    values, out = [0, (1 << 64) - 1, 1 << 63, 7], xp.zeros(CHUNK, np.uint64)
    write_numbers(values, out)
    assert out[:4].tolist() == values
