"""Where the time of recorded steps goes."""

import pytest
import replay_shares
from record_helpers import POISONED, records

pytestmark = pytest.mark.cpu_only


def test_calls_are_told_apart_by_their_names():
    times = {"product": 8.0, "convolve_input_gradient": 4.0, "sort in Python": 2.0, "relu_forward": 1.0, "assign": 0.5}
    found = replay_shares.shares(times, 16.0, 5.0)
    assert (found["products"], found["convolution"], found["Python"], found["kernels"]) == (8, 4, 2, 1)
    assert (found["copies"], found["rest"], found["floor"]) == (0.5, 0.5, 5)


@pytest.mark.skipif(POISONED or not records(), reason="kernels run on NumPy here")
def test_steps_of_the_benchmark_are_measured():
    whole, found = replay_shares.measured("char-rnn", 3, tiny=True)
    assert found["floor"] > 0 and all(0 < found[name] < whole < 1 for name in ("products", "recurrence", "Python"))
    assert sum(found.values()) - found["floor"] == pytest.approx(whole)
