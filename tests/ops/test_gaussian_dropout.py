"""Gaussian dropout: noise of mean 1 and dropout's variance, drawn alike everywhere, and what goes wrong."""

import numpy as np
import pytest
from helpers import host

from cunet import F, Generator, Tensor, nn


@pytest.mark.parametrize("p", [0.1, 0.5, 0.8])
def test_noise_is_normal_with_mean_1_and_the_variance_of_dropout(p, dev):
    y = host(F.gaussian_dropout(dev(np.ones(40_001)), p, generator=Generator(3)))
    z = (y - 1) / np.sqrt(p / (1 - p))
    assert abs(z.mean()) < 0.02 and abs(z.var() - 1) < 0.03
    assert abs((z**4).mean() - 3) < 0.2 and abs((z[::2][:20_000] * z[1::2]).mean()) < 0.03
    np.testing.assert_allclose(np.mean(abs(z) < 1), 0.6827, atol=0.01)


def test_the_gradient_is_multiplied_by_the_same_noise(dev, rng):
    x = Tensor(dev(rng.standard_normal((5, 7))), requires_grad=True)
    y = F.gaussian_dropout(x.T, 0.4, generator=Generator(3))
    y.sum().backward()
    np.testing.assert_allclose(host(x.grad).T * host(x).T, host(y), rtol=1e-12)


def test_layer_modes_dtypes_and_edges(dev, device):
    layer = nn.GaussianDropout(0.5, generator=Generator(1))
    x = Tensor(dev(np.ones((2, 3), np.float16)))
    assert host(layer(x)).dtype == np.float16 and (host(layer(x)) != host(layer(x))).all()
    assert layer.eval()(x) is x and nn.GaussianDropout(0)(x) is x
    assert F.gaussian_dropout(dev(np.ones((0, 3)))).shape == (0, 3)
    assert F.gaussian_dropout(dev(np.ones(()))).shape == ()
    assert repr(layer) == "GaussianDropout(p=0.5)"


@pytest.mark.cpu_only
def test_what_goes_wrong():
    for p in (1, -0.1, "0.5", True):
        with pytest.raises(ValueError, match=r"gaussian_dropout: p must be in \[0, 1\), got"):
            F.gaussian_dropout(np.ones(3), p)
    with pytest.raises(ValueError, match=r"GaussianDropout: p must be in \[0, 1\), got 1.0"):
        nn.GaussianDropout(1.0)
    with pytest.raises(TypeError, match="gaussian_dropout: input must be an array of floating dtype, got int64"):
        F.gaussian_dropout(np.ones(3, np.int64))
