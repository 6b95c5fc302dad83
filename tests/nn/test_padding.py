"""Border layers: how widths are given."""

import numpy as np
import pytest
from helpers import host

from cunet import nn


def test_one_width_may_be_a_number_of_numpy(dev):
    y = nn.ReflectionPad1d(np.int64(1))(dev(np.array([[[1.0, 2.0, 3.0]]])))
    np.testing.assert_array_equal(host(y), [[[2, 1, 2, 3, 2]]])


@pytest.mark.cpu_only
def test_the_number_of_widths_is_checked():
    with pytest.raises(ValueError, match=r"ZeroPad2d: padding must be 1 or 4 numbers, got \(1, 2\)"):
        nn.ZeroPad2d((1, 2))
