"""What the tests of the native backend share."""

import pytest

from cunet.kernels.backends.native import native


@pytest.fixture
def on(monkeypatch):
    """Take the compiled route, whatever route the suite runs on."""
    monkeypatch.setattr(native, "active", True)


@pytest.fixture
def home(tmp_path):
    """Return the environment of an empty cache."""
    return {"XDG_CACHE_HOME": str(tmp_path / "cache")}
