"""The search for a learning rate: what it finds, and that it leaves nothing behind."""

import sys

import numpy as np
import pytest
from helpers import host
from trainer_helpers import classes, line, trainer_of

import cunet
from cunet import F, nn, optim
from cunet.data import Loader
from cunet.train import EMA, RateSearch, find_lr


def test_the_suggestion_trains_and_ten_times_the_last_rate_does_not(device, dev, rng):
    data = tuple(map(dev, line(rng, 256)))
    trainer = trainer_of(nn.Linear(2, 1), device)
    found = find_lr(trainer, Loader(*data, batch_size=32), steps=60)
    assert found.rates[0] == pytest.approx(1e-6) and len(found.rates) < 60  # the loss rose before the end
    assert (np.diff(np.log(found.rates)) > 0).all() and np.ptp(np.diff(np.log(found.rates))) < 1e-9
    assert 1e-3 < found.suggestion < 1
    for rate, trains in ((found.suggestion, True), (20 * found.rates[-1], False)):
        other = trainer_of(nn.Linear(2, 1), device, lr=rate)
        with np.errstate(all="ignore"):
            logs = other.fit(Loader(*data, batch_size=32), epochs=2)
        assert (logs[-1]["loss"] < logs[0]["loss"] * 1.01) == trains


@pytest.mark.parametrize(
    "options", [{}, {"accumulate": 2}, {"on_nan": "raise", "average": EMA}], ids=["plain", "accumulate", "careful"]
)
def test_everything_is_put_back(options, device, dev, rng):
    x, labels = classes(rng, 60)

    def trained(search):
        cunet.manual_seed(4)
        model = nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.Dropout(0.3), nn.Linear(8, 3))
        made = {name: value() if name == "average" else value for name, value in options.items()}
        trainer = trainer_of(model, device, "cross_entropy", **made)
        loader = Loader(dev(x), dev(labels), batch_size=8, shuffle=True)
        trainer.fit(loader, epochs=1)
        model[2].eval()
        if search:
            assert len(find_lr(trainer, loader, steps=20).losses) > 5
        assert not model[2].training and model[0].training and all(p.grad is None for p in model.parameters()) >= search
        trainer.fit(loader, epochs=1)
        return [host(a).tobytes() for a in model.state_dict().values()], trainer.global_step

    assert trained(True) == trained(False)


@pytest.mark.cpu_only
def test_groups_keep_their_ratio_and_lazy_layers_get_their_shape(rng):
    x, y = line(rng)
    model = nn.Sequential(nn.Linear(None, 4), nn.Linear(4, 1))
    groups = [{"params": model[0].parameters()}, {"params": model[1].parameters(), "lr": 0.3}]
    seen = []

    class Noting(optim.SGD):
        def step(self, closure=None):
            seen.append([self.rate(0), self.rate(1)])
            return super().step(closure)

    optimizer = Noting(groups, lr=0.1)
    trainer = cunet.Trainer(model, F.mse_loss, optimizer, progress=False, device="cpu")
    found = find_lr(trainer, (x, y), low=1e-5, high=1e-2, steps=5)
    np.testing.assert_allclose([b / a for a, b in seen], 3.0)
    np.testing.assert_allclose([a for a, _ in seen], found.rates)
    assert [group["lr"] for group in optimizer.param_groups] == [0.1, 0.3]
    assert model[0].weight.shape == (4, 2)


@pytest.mark.cpu_only
def test_a_loss_that_never_falls_has_no_suggestion(rng):
    x, y = line(rng)
    trainer = trainer_of(nn.Linear(2, 1), loss=lambda p, t: (p * 0).sum() + 1.0)
    found = find_lr(trainer, (x, y), steps=10)
    assert found.suggestion is None and len(found.rates) == 10 and "suggestion=None" in repr(found)
    broken = trainer_of(nn.Linear(2, 1), loss=lambda p, t: (p * np.nan).sum())
    nothing = find_lr(broken, (x, y))
    assert len(nothing.rates) == 0 and nothing.suggestion is None and repr(nothing)


@pytest.mark.cpu_only
def test_a_plot_shows_the_curve_and_the_suggestion(tmp_path):
    pytest.importorskip("matplotlib")
    rates = np.logspace(-6, 0, 50)
    found = RateSearch(rates.tolist(), (1 / (1 + 100 * rates)).tolist())
    ax = found.plot()
    assert ax.get_xscale() == "log" and len(ax.lines) == 3
    assert ax.lines[2].get_xdata()[0] == found.suggestion
    assert found.plot(ax) is ax
    ax.figure.savefig(tmp_path / "rates.png")
    assert (tmp_path / "rates.png").read_bytes()[:4] == b"\x89PNG"


@pytest.mark.cpu_only
def test_without_matplotlib_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r'pip install "cunet\[plot\]"'):
        RateSearch([1.0], [1.0]).plot()


@pytest.mark.cpu_only
def test_settings_are_checked(rng):
    data, trainer = line(rng), trainer_of(nn.Linear(2, 1))
    for options in ({"low": 0}, {"low": 1.0, "high": 0.1}, {"high": np.inf}):
        with pytest.raises(ValueError, match="find_lr: 0 < low < high is required"):
            find_lr(trainer, data, **options)
    with pytest.raises(ValueError, match="find_lr: steps must be at least 3, got 2"):
        find_lr(trainer, data, steps=2)
    with pytest.raises(ValueError, match="an optimizer is required"):
        find_lr(cunet.Trainer(nn.Linear(2, 1), F.mse_loss), data)
