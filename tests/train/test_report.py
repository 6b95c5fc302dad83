"""The page of a run: what is on it, that a browser shows it on a desk and on a phone, and that it costs no run."""

import re

import browser
import numpy as np
import pytest
from trainer_helpers import At, classes, press_ctrl_c, trainer_of

import cunet
from cunet import nn
from cunet.data import Loader
from cunet.diagnose import Finding
from cunet.train import Callback, EarlyStopping, Schedule, Trainer, page

pytest.importorskip("matplotlib")
pytestmark = pytest.mark.cpu_only


def images(rng, n=48):
    """Noise of which one quarter is bright: that is the class."""
    labels = rng.integers(0, 4, n)
    x = rng.standard_normal((n, 1, 8, 8)).astype(np.float32)
    for picture, k in zip(x, labels, strict=True):
        picture[0, 4 * (k // 2) : 4 * (k // 2) + 4, 4 * (k % 2) : 4 * (k % 2) + 4] += 0.7
    return x, labels


def net():
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 4))


class Odd(Callback):
    """Adds to the logs what is no good HTML, and has findings."""

    def findings(self):
        return [Finding("dead units", "layer <0>", "3 of 4 are 0", "a lower rate & more")]

    def on_epoch_end(self, trainer, logs):
        logs["<script>alert(1)</script>"] = float(trainer.epoch)


def page_of(path, rng, epochs=2, callbacks=(), **options):
    trainer = trainer_of(net(), loss="cross_entropy", report=path, metrics=["accuracy"], callbacks=callbacks, **options)
    schedule = cunet.optim.StepLR(trainer.optimizer, 1)
    trainer.callbacks.append(Schedule(schedule))
    trainer.fit(images(rng), images(rng), epochs=epochs, batch_size=16)
    return trainer, path.read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def whole(tmp_path_factory):
    """A page with all there is, once for those who look at it: drawing takes a second."""
    path = tmp_path_factory.mktemp("page") / "run.html"
    return path, *page_of(path, np.random.default_rng(0), callbacks=[Odd()])


@pytest.fixture
def undrawn(monkeypatch):
    """For those who do not look at the figures."""
    monkeypatch.setattr(page, "drawn", lambda ax, text: page.Figure(b"<svg/>", text))


@pytest.mark.slow
@pytest.mark.parametrize("width", [390, 1200], ids=["phone", "desk"])
def test_a_browser_shows_it(width, whole, tmp_path):
    path, trainer, _ = whole
    seen = browser.looked_at(path, tmp_path, width)
    assert seen["title"] == "Sequential" and "done" in seen["text"]
    assert seen["width"] <= width  # nothing to scroll sideways but within tables
    assert seen["scripts"] == 0 and "<script>alert(1)</script>" in seen["text"]
    assert "dead units: layer <0>" in seen["text"] and "3 of 4 are 0; a lower rate & more" in seen["text"]
    assert f"{trainer.history[-1]['loss']:.4f}" in seen["text"]
    alts = [alt for alt, shown, _ in seen["images"] if shown]
    assert len(alts) == len(seen["images"]) and {"loss over the epochs", "accuracy over the epochs"} <= set(alts)
    assert all(260 <= drawn <= width for _, _, drawn in seen["images"]) and seen["smallest"] >= 12


@pytest.mark.slow
def test_all_that_can_be_looked_at_is_on_it(whole):
    text = whole[2]
    for alt in ("lr over the epochs", "weights of the first layer as pictures", "histogram of 0.weight",
                "validation images that the model is wrong about", "confusion matrix of the validation"):  # fmt: skip
        assert f'alt="{alt}"' in text
    for cell in ("BatchNorm2d", "1x4x6x6", "SGD(lr=0.001)", "cross_entropy", "48 samples in batches of 16"):
        assert cell in text
    assert "refresh" not in text and not re.search(r'(src|href)="(?!data:)|url\(|@import', text)
    assert "<script" not in text and "&lt;script&gt;" in text


def test_it_is_there_while_the_run_goes_on(undrawn, rng, tmp_path):
    seen = []

    class Look(Callback):
        def on_epoch_begin(self, trainer):
            seen.append(path.read_text(encoding="utf-8") if path.exists() else None)

    path = tmp_path / "run.html"
    page_of(path, rng, callbacks=[Look()])
    assert seen[0] is None and 'http-equiv="refresh"' in seen[1] and "running" in seen[1]


def test_it_changes_nothing(undrawn, rng, tmp_path):
    data = images(rng)

    def trained(**options):
        cunet.manual_seed(1)
        model = nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.BatchNorm1d(8), nn.Dropout(0.3), nn.Linear(8, 4))
        trainer = trainer_of(model, loss="cross_entropy", **options)
        for _ in range(2):
            trainer.fit(Loader(*data, batch_size=8, shuffle=True), data, epochs=1)
        rows = [{k: v for k, v in row.items() if "second" not in k} for row in trainer.history]
        return rows, [a.tobytes() for a in model.state_dict().values()], cunet.random.get_state()

    assert trained(report=tmp_path / "run.html") == trained()


@pytest.mark.usefixtures("ctrl_c_is_heard")
def test_how_a_run_ended_is_said(undrawn, rng, tmp_path):
    path = tmp_path / "run.html"
    _, text = page_of(path, rng, epochs=3, callbacks=[EarlyStopping("loss", patience=1, min_delta=9)])
    assert "stopped early" in text
    _, text = page_of(path, rng, callbacks=[At(5, press_ctrl_c)])
    assert "stopped by Ctrl-C" in text
    with pytest.raises(ZeroDivisionError):
        page_of(path, rng, callbacks=[At(5, lambda trainer: 1 / 0)])
    assert "ended by ZeroDivisionError: division by zero" in path.read_text(encoding="utf-8")


def test_a_page_that_cannot_be_written_costs_no_run(undrawn, rng, tmp_path):
    with pytest.raises(FileNotFoundError):
        page_of(tmp_path / "no" / "run.html", rng)
    folder = tmp_path / "runs"
    folder.mkdir()
    with pytest.warns(UserWarning, match=r"Trainer: the report .*run.html could not be written: FileNotFoundError"):
        trainer = trainer_of(net(), loss="cross_entropy", report=folder / "run.html")
        trainer.callbacks.append(At(1, lambda trainer: folder.rmdir()))
        trainer.fit(images(rng), epochs=1)
    assert trainer.history[0]["complete"]


def test_other_models_and_data_have_what_can_be_had(undrawn, rng, tmp_path):
    class Two(Trainer):
        def compute(self, x, target):
            loss = ((self.model.weight.sum() * x).sum(axis=1) - target).abs().mean()
            return {"loss": loss, "other": loss * 2}, None

    x = rng.standard_normal((20, 3)).astype(np.float32)
    trainer = Two(nn.Linear(7, 1), cunet.F.mse_loss, "sgd", report=tmp_path / "a.html", progress=False, device="cpu")
    trainer.fit((x, x[:, 0]), (x, x[:, 0]), epochs=1)
    assert "Layers" not in (tmp_path / "a.html").read_text(encoding="utf-8")
    stream = trainer_of(nn.Linear(3, 3), loss="cross_entropy", report=tmp_path / "b.html")
    stream.fit(iter([classes(rng)] * 3), iter([classes(rng)] * 3), epochs=1, steps_per_epoch=3)
    assert "loss over the epochs" in (tmp_path / "b.html").read_text(encoding="utf-8")


def test_a_trainer_shows_itself_in_a_notebook(rng):
    trainer = trainer_of(nn.Linear(3, 3), loss="cross_entropy", report=None)
    assert "no epochs yet" in trainer._repr_html_()
    trainer.fit(classes(rng), epochs=1)
    assert "SGD(lr=0.1)" in trainer._repr_html_() and "96 samples in batches of 128" in trainer._repr_html_()
