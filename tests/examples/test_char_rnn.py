"""The example of truncated back-propagation: it learns, and its chunks and states hang together."""

import importlib.util
import math
import re
from pathlib import Path

import numpy as np
import pytest
from helpers import host
from recurrent_helpers import build

from cunet import Tensor, nn

pytestmark = pytest.mark.slow


@pytest.fixture
def char_rnn():
    path = Path(__file__).parents[2] / "examples" / "char_rnn.py"
    spec = importlib.util.spec_from_file_location("char_rnn", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.cpu_only
def test_the_example_learns_characters(char_rnn, monkeypatch, capsys):
    monkeypatch.setattr(char_rnn, "TRAIN", ["shlex"])
    monkeypatch.setattr(char_rnn, "TEST", ["bisect"])
    options = "--epochs 3 --hidden 32 --chunk 16 --batch-size 8 --lr 0.01 --device cpu"
    monkeypatch.setattr("sys.argv", ["char_rnn.py", *options.split()])
    char_rnn.main()
    out = capsys.readouterr().out
    found = [float(v) for v in re.findall(r"epoch \d: ([\d.]+) bits", out)]
    assert len(found) == 3
    assert found[2] < found[0] - 0.5
    assert found[2] < math.log2(97) - 2
    assert "def " in out


@pytest.mark.cpu_only
def test_the_chunks_of_the_example_follow_each_other(char_rnn):
    codes = np.arange(3 * 10 + 1)
    pairs = list(char_rnn.chunks(codes, 3, 4, "cpu"))
    assert [x.shape for x, _ in pairs] == [(4, 3), (4, 3), (2, 3)]
    np.testing.assert_array_equal(np.concatenate([x for x, _ in pairs]).T, np.arange(30).reshape(3, 10))
    assert all((y == x + 1).all() for x, y in pairs)


def test_a_detached_state_stops_gradients_and_not_values(device, dev, rng):
    layer = build(device, nn.LSTM, 2, 3)
    first, second = (Tensor(dev(rng.standard_normal((3, 2, 2))), requires_grad=True) for _ in range(2))
    y, (h, c) = layer(first)
    through, _ = layer(second, (h, c))
    cut, _ = layer(second, (h.detach(), c.detach()))
    np.testing.assert_array_equal(host(through), host(cut))
    cut.sum().backward()
    assert first.grad is None
    assert host(second.grad).all()
    through.sum().backward()
    assert host(first.grad).all()
