"""The live line of a notebook: what it shows while training runs, what stays, and how it looks where HTML does not."""

import re
import sys
import types

import numpy as np
import pytest
from trainer_helpers import classes, regression

from cunet import nn
from cunet.data import Loader
from cunet.train import Trainer
from cunet.train.notebook import Live, curves

pytestmark = pytest.mark.cpu_only


NAMES = ["epoch", "loss", "acc", "valid", "loss", "valid", "acc", "sec", "images/s"]


class Output:
    """What a notebook would show: one output a call of `display`, each with all that it was updated to."""

    def __init__(self):
        self.outputs = []

    def display(self, data, raw=False, display_id=False):
        assert raw and display_id
        shown = [data]
        self.outputs.append(shown)
        return types.SimpleNamespace(update=lambda data, raw: shown.append(data))


@pytest.fixture
def notebook(monkeypatch):
    """Let this be a notebook, whose cells have no network and no widgets."""
    output, shell = Output(), types.SimpleNamespace(kernel=object())
    ipython = types.ModuleType("IPython")
    ipython.get_ipython = lambda: shell
    ipython.__path__ = []
    display = types.ModuleType("IPython.display")
    display.display = output.display
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    monkeypatch.setattr("cunet.train.progress._REFRESH", 0.0)
    return output


def trained(rng, epochs, **options):
    x, labels = classes(rng)
    trainer = Trainer(
        nn.Linear(3, 3),
        "cross_entropy",
        "adam",
        metrics="accuracy",
        unit="images",
        compile=False,
        device="cpu",
        **options,
    )
    trainer.fit(Loader(x, labels, batch_size=16), (x, labels), epochs=epochs)
    return trainer


def test_one_output_tells_how_it_goes_and_keeps_the_epochs(notebook, rng, capsys):
    trainer = trained(rng, 3)
    assert capsys.readouterr() == ("", "")  # nothing beside it
    (shown,) = notebook.outputs
    pages = [data["text/html"] for data in shown]
    lines = [found[1] for page in pages if (found := re.search(r"</progress> ([^<]*)</div>", page))]
    assert any(
        re.fullmatch(r"epoch 2/3 · 50% · loss \d\.\d{4} acc \d\.\d{4} · [\d,]+ images/s · \d+ s left", line)
        for line in lines
    )
    assert any(line.startswith("valid 3/3 · 100% ") for line in lines)
    assert any('<progress value="48" max="96">' in page for page in pages)
    final = pages[-1]
    assert "<progress" not in final and final.count("<tr>") == 4 and final.count("<polyline") == 2
    assert all(f"{logs['valid_loss']:.4f}" in final for logs in trainer.history)
    assert shown[-1]["text/plain"].split("\n")[0].split() == NAMES
    trainer.evaluate(classes(rng))
    assert (
        "evaluate · 100%" in notebook.outputs[1][0]["text/html"]
        and notebook.outputs[1][-1]["text/html"] == "<div></div>"
    )


def test_the_curve_runs_on_within_an_epoch(notebook, rng):
    trained(rng, 2)
    points = [re.findall(r'points="([^"]*)"', data["text/html"]) for data in notebook.outputs[0]]
    grown = [len(lines[0].split()) for lines in points if lines]
    assert 2 in grown and grown[-1] == 2  # one epoch and what there is of the next; then both
    ends = {float(lines[0].split()[-1].partition(",")[0]) for lines in points if lines}
    assert ends == {316.0}  # the newest point is at the right edge


def test_an_error_takes_the_line_away(notebook, rng):
    def fails(prediction, target):
        calls.append(1)
        if len(calls) == 6:
            raise ZeroDivisionError
        return ((prediction - target) ** 2).mean()

    calls = []
    x, y = classes(rng, 64)
    trainer = regression(loss=fails, compile=False)
    trainer.progress = "auto"
    with pytest.raises(ZeroDivisionError):
        trainer.fit(Loader(x[:, :2], y[:, None].astype(np.float32), batch_size=16), epochs=2)
    pages = [data["text/html"] for data in notebook.outputs[0]]
    assert "<progress" in pages[-2] and "<progress" not in pages[-1] and "1/2" in pages[-1]


def test_what_has_no_end_and_no_loss_is_shown_too(notebook, rng):
    x, labels = classes(rng)
    trainer = Trainer(nn.Linear(3, 3), "cross_entropy", "sgd", compile=False, device="cpu")
    trainer.fit([(x, labels), (x, labels)])
    page = notebook.outputs[0][0]["text/html"]
    assert "epoch 1/1 · loss " in page and "<progress" not in page and "left" not in page
    trainer.progress = False
    trainer.fit([(x, labels)])
    assert len(notebook.outputs) == 1


def test_curves_of_numbers_that_are_not_finite_or_all_the_same():
    assert curves([], []) == curves([(1, 2.0)], [(1, np.nan)]) == curves([(1, np.inf), (2, 1.0)], []) == ""
    flat = curves([(1, 2.0), (2, 2.0)], [])
    assert "nan" not in flat and flat.count("<polyline") == 1 and ">valid<" not in flat
    assert curves([(1, 2.0), (2, np.nan), (3, 1.0)], [(1, 3.0), (2, 2.0)]).count("<polyline") == 2


def test_ipython_itself_takes_it(capsys):
    pytest.importorskip("IPython.display", reason="IPython is not installed")
    live = Live("samples")
    live.row({"epoch": "1/2", "loss": "0.5 < 1"}, 0.5, None)
    live.begin("epoch 2/2", 10)
    live.advance(5)
    live.show("loss 0.4", 0.4)
    first, second = capsys.readouterr().out.splitlines()  # where no notebook is it prints what it would send
    assert "0.5 &lt; 1" in first and "epoch 2/2 · 50% · loss 0.4 · " in second
