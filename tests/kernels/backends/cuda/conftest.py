"""What the tests of the CUDA backend share."""

import pytest


@pytest.fixture
def cp():
    """The namespace of the simulated device, installed whatever device is under test."""
    import sim

    namespace = sim.namespace_or_skip()
    sim.install()
    yield namespace
    sim.uninstall()
