"""What the lab's groups share."""

import math

import numpy as np
import pytest

import cunet
from cunet import F, nn
from lab import nets

pytestmark = pytest.mark.cpu_only

X, Y = np.eye(3, dtype=np.float32), np.arange(3)


class Sure(nn.Module):
    """Scores of the right classes that grow with the rate, and a number that was drawn."""

    def __init__(self, rate):
        super().__init__()
        self.rate, self.drawn = rate, nn.Linear(2, 1).weight.data[0, 0]

    def forward(self, x):
        return cunet.tensor(x) * self.rate


def test_the_rate_with_the_least_loss_is_found_and_all_begin_alike():
    tried = []

    def trained(rate):
        tried.append(Sure(rate))
        return tried[-1]

    loss, rate, model = nets.at_best_rate((1.0, math.nan, 5.0, 2.0), 3, trained, X, Y)
    assert rate == 5.0 and model is tried[2]
    assert loss == pytest.approx(F.cross_entropy(5 * X, Y).item())
    assert len({each.drawn for each in tried}) == 1


@pytest.mark.parametrize("rates", [(math.nan, math.nan), (-50.0, -100.0)])
def test_losses_that_are_too_large_or_no_numbers_count_as_much(rates):
    loss, rate, _ = nets.at_best_rate(rates, 0, Sure, X, Y, most=10.0)
    assert loss == 10.0 and rate is rates[0]
