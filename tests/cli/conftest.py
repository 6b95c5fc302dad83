"""A folder with recipes in it, and signals that are heard."""

import signal
import sys

import pytest
from cli_helpers import RECIPE


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Be in a folder of one's own, with ``mine.py``, which has recipes."""
    (tmp_path / "mine.py").write_text(RECIPE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    sys.modules.pop("mine", None)
    previous = {n: signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    yield tmp_path
    sys.modules.pop("mine", None)
    for number, handler in previous.items():
        signal.signal(number, handler)
