"""Wrong things given to a Trainer are named before anything runs."""

import numpy as np
import pytest

from cunet import F, Trainer, nn, optim
from cunet.train import Callback, EarlyStopping

pytestmark = pytest.mark.cpu_only

X, T = np.eye(4, 3, dtype=np.float32), np.zeros(4, np.int64)


def parts():
    model = nn.Linear(3, 2)
    return model, F.cross_entropy, optim.SGD(model.parameters(), lr=0.1)


def trainer(**options):
    return Trainer(*parts(), progress=False, **options)


@pytest.mark.parametrize(
    "call, error, message",
    [
        (lambda m, f, o: Trainer(m, o, f), TypeError, r"loss must be a function .*, got SGD; the order is Trainer\("),
        (lambda m, f, o: Trainer(f, m, o), TypeError, "model must be a Module, got function; the order is"),
        (lambda m, f, o: Trainer(nn.Linear, f, o), TypeError, "model must be a Module, got the class Linear"),
        (lambda m, f, o: Trainer(m, None, o), TypeError, r"loss must be a function .* got None"),
        (lambda m, f, o: Trainer(m, nn.CrossEntropyLoss, o), TypeError, "got the class CrossEntropyLoss"),
        (lambda m, f, o: Trainer(m, "crossentropy", o), ValueError, "its name in cunet.functional, got 'crossentropy'"),
        (lambda m, f, o: Trainer(m, f, m), TypeError, "optimizer must be one of cunet.optim, .* got Linear"),
        (lambda m, f, o: Trainer(m, f, optim.SGD), TypeError, "got the class SGD"),
        (lambda m, f, o: Trainer(m, f, "sdg"), ValueError, "no optimizer is called 'sdg'; known by name: adadelta, "),
        (lambda m, f, o: Trainer(m, f, o, callbacks=[print]), TypeError, r"callbacks\[0\] must be a Callback"),
        (lambda m, f, o: Trainer(m, f, o, callbacks=[EarlyStopping]), TypeError, "got the class EarlyStopping"),
        (
            lambda m, f, o: Trainer(m, f, o, callbacks=[optim.StepLR(o, 1)]),
            TypeError,
            r"got StepLR; wrap a schedule: Schedule\(",
        ),
        (
            lambda m, f, o: trainer().fit(X, T),
            TypeError,
            r"Trainer.fit: data must be a Loader, .*\(x, target\), got nd",
        ),
        (lambda m, f, o: trainer().fit((X, T), T), TypeError, "Trainer.fit: data must be a Loader"),
        (lambda m, f, o: trainer().fit(None), TypeError, "got None"),
        (lambda m, f, o: trainer().fit((X, T), epochs=0.5), TypeError, "epochs must be a whole number, got 0.5"),
        (lambda m, f, o: trainer().fit((X, T), epochs="2"), TypeError, "epochs must be a whole number, got '2'"),
        (lambda m, f, o: trainer().evaluate(X), TypeError, "Trainer.evaluate: data must be a Loader"),
    ],
    ids=[*"abcdefghijklmnopqr"],
)
def test_what_is_wrong_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call(*parts())


def test_a_loss_by_name_a_callback_alone_and_a_numpy_number_of_epochs():
    class Seen(Callback):
        epochs = 0

        def on_epoch_end(self, trainer, logs):
            self.epochs += 1

    model, _, _ = parts()
    seen = Seen()
    by_name = Trainer(model, "cross_entropy", "sgd", progress=False, callbacks=seen)
    by_name.fit((X, T), epochs=np.int64(2))
    assert by_name.loss is F.cross_entropy and type(by_name.optimizer) is optim.SGD
    assert type(Trainer(model, F.cross_entropy, "AdamW").optimizer) is optim.AdamW
    assert list(map(id, by_name.optimizer.param_groups[0]["params"])) == list(map(id, model.parameters()))
    assert seen.epochs == 2


def test_an_optimiser_of_another_model_is_warned_of():
    strangers = Trainer(nn.Linear(3, 2), F.cross_entropy, parts()[2], progress=False)
    with pytest.warns(UserWarning, match="the optimizer holds no parameter of this model"):
        strangers.fit((X, T))
