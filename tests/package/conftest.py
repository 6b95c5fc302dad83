"""What the tests of the package as a whole share."""

import pytest


@pytest.fixture
def simulated():
    """Install the simulated device, whatever device is under test."""
    import sim

    sim.install()
    yield
    sim.uninstall()
