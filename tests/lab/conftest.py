"""What the tests of the lab share."""

import pytest


@pytest.fixture(autouse=True)
def threads(monkeypatch):
    """Have the environment as it was after a test: the runner gives each piece one thread by it."""
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "CUNET_NUM_THREADS"):
        monkeypatch.setenv(name, "1")
