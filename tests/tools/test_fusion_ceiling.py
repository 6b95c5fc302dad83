"""What joining kernels could save at most."""

import fusion_ceiling
import pytest
from record_helpers import POISONED, records

pytestmark = pytest.mark.cpu_only

RUN, REDUCE, PRODUCT = 0, 1, 3


def test_an_elementwise_kernel_is_joined_to_what_it_reads_first():
    sorts, names = [PRODUCT, RUN, RUN, REDUCE, RUN, RUN], list("abcdef")
    reads = [set(), {0}, {1}, {2}, {3, 2}, {1}]  # f reads what c has read before; a product is no neighbour
    found = fusion_ceiling.ceiling(sorts, names, [9.0, 2.0, 1.0, 4.0, 3.0, 5.0], reads)
    assert found.pairs == {"b + c": 1.0, "d + e": 3.0}
    assert found.total == 24 and found.saved == 4


@pytest.mark.skipif(POISONED or not records(), reason="kernels run on NumPy here")
def test_a_step_of_the_benchmark_is_measured():
    found = fusion_ceiling.measured("mlp", 3, tiny=True)
    assert "add_elements + relu_forward" in found.pairs
    assert 0 < found.saved < found.total < 1
