"""What training shows: rows in a log, a bar on a terminal."""

import contextlib
import os
import re
import sys
import threading
import types
import warnings

import pytest
from trainer_helpers import At, classes, line, press_ctrl_c, regression

from cunet import F, nn, optim
from cunet.data import Loader
from cunet.train import Trainer, accuracy
from cunet.train.progress import Progress, number

pytestmark = pytest.mark.usefixtures("ctrl_c_is_heard")

LOGS = {"epoch": 1, "loss": 2.3472, "accuracy": 0.1019, "valid_loss": 2.3005, "valid_accuracy": 0.1192}
REST = {"lr": 0.001, "seconds": 22.61, "samples_per_second": 12653.4, "complete": True}


def shown(capsys, *rows, last=10):
    """Return the lines that the display of some epochs prints."""
    display = Progress("auto", "samples")
    for row in rows:
        display.row(LOGS | REST | row, last)
    return capsys.readouterr().out.splitlines()


def test_rows_are_aligned(capsys):
    late = {"epoch": 2, "loss": 1.5e10, "valid_loss": 123456.789, "lr": 9.87654e-05}
    last = {"epoch": 10, "loss": float("nan"), "valid_loss": -1e-300, "samples_per_second": 1e6}
    lines = shown(capsys, {}, late, last)
    assert lines[0].split() == ["valid", "valid"]
    assert lines[1].split() == ["epoch", "loss", "acc", "loss", "acc", "lr", "sec", "samples/s"]
    assert lines[2].split() == ["1/10", "2.3472", "0.1019", "2.3005", "0.1192", "0.001", "22.6", "12,653"]
    assert lines[3].split() == ["2/10", "1.5e+10", "0.1019", "123457", "0.1192", "9.9e-05", "22.6", "12,653"]
    assert lines[4].split() == ["10/10", "nan", "0.1019", "-1e-300", "0.1192", "0.001", "22.6", "1,000,000"]
    assert {len(text) for text in lines[1:]} == {len(lines[1])} and len(lines[1]) <= 80
    under = [lines[1][m.end() - 4 : m.end()].strip() for m in re.finditer("valid", lines[0])]
    assert under == ["loss", "acc"]  # the second pair


def test_a_row_of_an_epoch_that_was_cut_short_has_no_validation(capsys):
    display = Progress("auto", "samples")
    display.row(LOGS | REST, 10)
    display.row({k: v for k, v in (LOGS | REST).items() if "valid" not in k}, 10)
    cells = capsys.readouterr().out.splitlines()[-1].split()
    assert cells == ["1/10", "2.3472", "0.1019", "-", "-", "0.001", "22.6", "12,653"]


def test_a_row_of_training_alone_has_one_line_of_names(capsys):
    display = Progress("auto", "samples")
    display.row({k: v for k, v in (LOGS | REST).items() if "valid" not in k}, 10)
    assert [text.split()[0] for text in capsys.readouterr().out.splitlines()] == ["epoch", "1/10"]


@pytest.mark.parametrize(("metric", "last"), [("top5_accuracy", 10), ("f1", 100)])
def test_rows_with_one_metric_more_fit_80_columns(metric, last, capsys):
    lines = shown(capsys, {metric: 0.5, f"valid_{metric}": 0.5, "max_lr": 1.2e-3}, last=last)
    assert len(lines[1].split()) == 10 and max(map(len, lines)) <= 80


def test_the_highest_rate_of_an_epoch_is_shown_in_place_of_the_last(capsys):
    lines = shown(capsys, {"lr": 8e-9, "max_lr": 1.2345e-3})
    assert "max_lr" in lines[1].split() and "lr" not in lines[1].split()
    assert "0.00123" in lines[2].split() and "8e-09" not in lines[2]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0.0000"),
        (0.12345, "0.1235"),
        (999.99999, "1000"),
        (-12.5, "-12.5"),
        (1e-4, "0.0001"),
        (0.00186123, "0.00186"),
    ]
    + [
        (1.23456e-5, "1.2e-05"),
        (123456.7, "123457"),
        (-1e100, "-1e+100"),
        (float("inf"), "inf"),
        (1234567.8, "1.2e+06"),
    ],
)
def test_numbers_take_at_most_7_characters(value, text):
    assert number(value) == text and len(text) <= 7


def test_a_log_file_gets_rows_and_no_bar(rng, capsys):
    trainer = regression()
    trainer.progress = "auto"
    trainer.fit(line(rng), epochs=2)
    captured = capsys.readouterr()
    assert captured.err == "" and "\r" not in captured.out
    assert [text.split()[0] for text in captured.out.splitlines()] == ["epoch", "1/2", "2/2"]
    trainer.callbacks = [At(1, press_ctrl_c)] if threading.current_thread() is threading.main_thread() else []
    trainer.fit(line(rng), epochs=2)
    assert capsys.readouterr().out.splitlines()[-1] == "stopped by Ctrl-C in epoch 3 of 4"
    trainer.progress, trainer.callbacks = False, []
    trainer.fit(line(rng))
    assert capsys.readouterr() == ("", "")


class Terminal:
    """A pseudo-terminal of 80 columns as stdout and stderr, and what was written to it."""

    def __init__(self, columns=80):
        import fcntl
        import struct
        import termios

        self.master, slave = os.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        self.file = os.fdopen(slave, "w", encoding="utf-8")
        self.written = b""
        self.reader = threading.Thread(target=self.read)
        self.reader.start()

    def read(self):
        while True:
            try:
                chunk = os.read(self.master, 65536)
            except OSError:  # the other end is closed
                return
            self.written += chunk

    def close(self):
        """Return what the screen held at each carriage return, and its lines at the end."""
        self.file.close()
        self.reader.join()
        os.close(self.master)
        text = self.written.decode()
        lines, column = [[]], 0
        for character in text:
            if character == "\r":
                column = 0
            elif character == "\n":
                lines.append([])
            else:
                lines[-1][column : column + 1] = character
                column += 1
        return [part for line in text.split("\n") for part in line.split("\r")], ["".join(x).rstrip() for x in lines]


@contextlib.contextmanager
def terminal():
    """Let stdout and stderr be a terminal; give what it showed, when the block has ended."""
    pytest.importorskip("termios")
    screen, seen = Terminal(), []
    try:
        with contextlib.redirect_stdout(screen.file), contextlib.redirect_stderr(screen.file):
            yield seen
    finally:
        seen += screen.close()


@pytest.mark.cpu_only
def test_a_terminal_shows_a_bar_that_never_wraps_and_leaves_rows(rng, monkeypatch):
    monkeypatch.setattr("cunet.train.progress._REFRESH", 0.0)
    x, labels = classes(rng)
    model = nn.Linear(3, 3)
    trainer = Trainer(
        model,
        F.cross_entropy,
        optim.SGD(model.parameters(), lr=0.1),
        metrics={"accuracy": accuracy, "a_metric_with_a_long_name": accuracy},
        unit="images",
        compile=False,  # nothing is said of what cannot be recorded
    )
    with terminal() as seen:
        trainer.fit(Loader(x, labels, batch_size=8), (x, labels), epochs=2)
        trainer.fit([(x, labels)], epochs=1)  # of a length that is not known
    shown, lines = seen
    bars = [text for text in shown if text.startswith(("epoch 1/2 ", "valid 2/2", "epoch 3/3: "))]
    assert len(bars) > 6 and max(map(len, bars)) <= 80
    assert {text[:9] for text in bars} == {"epoch 1/2", "valid 2/2", "epoch 3/3"}
    assert any(re.search(r"epoch 1/2 +\d+%\|.*\| .* left, .*images/s, loss \d\.\d{4} acc 0\.\d{4} ", t) for t in bars)
    assert [text.split()[0] for text in lines if text] == ["valid", "epoch", "1/2", "2/2", "epoch", "3/3"]
    assert not any("|" in text for text in lines)


@pytest.mark.cpu_only
def test_an_error_in_a_step_takes_the_bar_away(rng):
    def fails(prediction, target):
        if trainer.epoch == 1 and calls.append(1) is None and len(calls) == 3:
            raise ZeroDivisionError
        return F.mse_loss(prediction, target)

    calls = []
    x, y = line(rng)
    trainer = regression(loss=fails, compile=False)
    trainer.progress = "auto"
    with terminal() as seen, pytest.raises(ZeroDivisionError):
        trainer.fit(Loader(x, y, batch_size=16))
    shown, lines = seen
    assert any("epoch 1/1" in text for text in shown) and not any(lines)


def test_a_notebook_is_somebody_who_looks(monkeypatch):
    shell = types.SimpleNamespace(kernel=object())
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: shell))
    assert Progress("auto", "samples").bar
    del shell.kernel  # IPython in a terminal that is no terminal
    assert not Progress("auto", "samples").bar
    monkeypatch.setattr(sys, "stderr", None)  # as under pythonw
    assert not Progress("auto", "samples").bar


@pytest.mark.cpu_only
def test_progress_true_shows_a_bar_anywhere_and_tqdm_warns_of_nothing(rng, capsys):
    trainer = regression()
    trainer.progress = True
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        trainer.fit(line(rng))
    assert "epoch 1/1" in capsys.readouterr().err
