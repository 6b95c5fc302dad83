"""What a Trainer makes of data: arrays in the dtype of its model, converted once, and batches that make sense."""

import numpy as np
import pytest
from helpers import host
from trainer_helpers import line, regression, trainer_of

from cunet import F, Tensor, Trainer, nn, optim
from cunet.data import Loader
from cunet.train import Callback


class Noting(nn.Linear):
    """A layer that notes the dtypes of its inputs."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.seen = []

    def forward(self, x):
        self.seen.append(x.dtype)
        return super().forward(x)


def wide(rng, dev):
    x, y = line(rng, 24)
    return dev(x, np.float64), dev(y, np.float64)


class Pairs:
    """A dataset of float64 samples."""

    def __init__(self, x, y):
        self.x, self.y = x, y

    def __len__(self):
        return len(self.x)

    def __getitem__(self, i):
        return self.x[i], self.y[i]


FORMS = {
    "tuple": lambda x, y: (x, y),
    "loader": lambda x, y: Loader(x, y, batch_size=8),
    "dataset": lambda x, y: Loader(Pairs(x, y), batch_size=8, shuffle=True),
    "batches": lambda x, y: [(x[:16], y[:16]), (x[16:], y[16:])],
    "tensors": lambda x, y: [(Tensor(x[:16]), Tensor(y[:16])), (Tensor(x[16:]), Tensor(y[16:]))],
}


@pytest.mark.parametrize("form", FORMS)
def test_floating_data_takes_the_dtype_of_the_model(form, device, dev, rng):
    x, y = wide(rng, dev)
    for dtype in (np.float32, np.float64):
        model, targets = Noting(2, 1, dtype=dtype), []

        def loss(prediction, target, targets=targets):
            targets.append(target.dtype)
            return F.mse_loss(prediction, target)

        trainer = trainer_of(model, device, loss=loss)
        trainer.fit(FORMS[form](x, y), valid=FORMS[form](x, y))
        trainer.evaluate(FORMS[form](x, y))
        assert {*model.seen, *targets} == {np.dtype(dtype)}
        model.seen.clear()
        assert trainer.predict(x).dtype == trainer.predict(Loader(x, y)).dtype == dtype
        assert set(model.seen) == {np.dtype(dtype)}
    assert x.dtype == np.float64


def test_whole_arrays_are_converted_once_not_batch_by_batch(device, dev, rng, monkeypatch):
    x, y = wide(rng, dev)
    sizes = []
    cast = Loader._cast

    def counted(self, array):
        out = cast(self, array)
        sizes.extend([] if out is array else [len(array)])
        return out

    monkeypatch.setattr(Loader, "_cast", counted)
    trainer = regression(device)
    trainer.fit((x, y), epochs=3)
    trainer.fit(Loader(x, y, batch_size=4, shuffle=True), epochs=3)
    assert sizes == [24] * 4


def test_labels_stay_integers_and_a_model_without_weights_takes_all_as_it_is(device, dev, rng):
    x, _ = wide(rng, dev)
    trainer = trainer_of(nn.Linear(2, 2), device, loss=F.cross_entropy)
    trainer.fit((x, dev(np.arange(24) % 2)))
    trainer = trainer_of(nn.Sequential(nn.PositionalEncoding(2), nn.Linear(2, 1, dtype=np.float64)), device)
    assert trainer.predict(x).dtype == np.float64  # a table of its own says nothing about the data
    bare = Trainer(nn.ReLU(), F.mse_loss, device=device, progress=False)
    assert bare.predict(x).dtype == np.float64


def test_a_loader_keeps_its_arrays_and_its_position(device, dev, rng):
    x, y = wide(rng, dev)
    loader = Loader(x, y, batch_size=8, shuffle=True)
    positions = []

    class Note(Callback):
        def on_batch_end(self, trainer):
            positions.append(loader.state_dict()["next_batch"])

    trainer_of(nn.Linear(2, 1), device, callbacks=Note()).fit(loader)
    assert positions == [1, 2, None]
    assert next(iter(loader))[0].dtype == np.float64


@pytest.mark.cpu_only
def test_data_that_is_no_batches_says_what_to_do(rng):
    x, y = line(rng, 6)
    trainer = regression()
    for wrong in ({"x": x, "y": y}, "x", None, nn.ReLU()):
        got = type(wrong).__name__ if isinstance(wrong, (dict, nn.Module)) else repr(wrong)
        for method in (trainer.fit, trainer.evaluate, trainer.predict):
            with pytest.raises(TypeError, match=rf"^Trainer.{method.__name__}: data must be a Loader, .*, got {got}$"):
                method(wrong)
    with pytest.raises(
        TypeError, match=r"axis of samples, got shapes \(\(2,\), \(\)\); single samples go into a Loader"
    ):
        trainer.fit([(x[0], 1.0), (x[1], 0.0)])
    with pytest.raises(TypeError, match=r"Trainer.fit: data must .* \(x, target\), got ndarray"):
        trainer.fit(x, y)


def test_a_nan_loss_is_warned_of_once_with_its_batch(device, dev, rng):
    x, y = (host(a).astype(np.float32) for a in wide(rng, dev))
    y[9] = np.nan  # in the second batch of 8
    model = nn.Linear(2, 1)
    trainer = Trainer(model, F.mse_loss, optim.SGD(model.parameters(), lr=0.0), device=device, progress=False)
    batches = Loader(dev(x), dev(y), batch_size=8)
    with pytest.warns(UserWarning) as warned:
        trainer.fit(batches, epochs=3)
    (only,) = warned
    assert str(only.message) == (
        "Trainer: the loss is NaN from batch 2 of epoch 1 on (step 2); training goes on (see on_nan)"
    )
    assert only.filename == __file__
    assert np.isnan([logs["loss"] for logs in trainer.history]).all()
    with pytest.warns(UserWarning, match="from batch 1 of epoch 4 on"):  # by now the weights are NaN
        trainer.fit(batches)
