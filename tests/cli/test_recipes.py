"""Recipes by name, functions of others, and the nets that the examples share."""

import numpy as np
import pytest

from cunet import nn
from cunet.cli.nets import NORMS, OPTIMISERS
from cunet.cli.recipes import RECIPES, Job, MnistCNN, MnistMLP, Picture, find, job_of
from cunet.data import load_images

pytestmark = pytest.mark.cpu_only


def test_a_recipe_is_found_by_name_or_as_a_function(here):
    assert find("mnist-mlp") is MnistMLP and set(RECIPES) == {"mnist-mlp", "mnist-cnn"}
    assert find("mine:make").__name__ == "make"


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("mnist", "'mnist' is no recipe: it must be mnist-mlp, mnist-cnn, or MODULE:FUNCTION"),
        ("no_such:make", "there is no module 'no_such', here or installed"),
        ("mine:no", "the module 'mine' has no 'no'"),
        ("mine:nothing", "mine:nothing must be a function that returns a Trainer, got 3"),
        (":make", "is no recipe"),
    ],
)
def test_what_is_no_recipe_is_named(name, error, here):
    with pytest.raises(ValueError, match=error):
        find(name)


def test_a_module_that_lacks_another_says_which(here):
    (here / "lacking.py").write_text("import no_such_thing")
    with pytest.raises(ModuleNotFoundError, match="no_such_thing"):
        find("lacking:make")


def test_a_function_may_return_its_data(here):
    made = find("mine:make")
    trainer, train, valid, picture = job_of("mine:make", made())
    assert train is valid and picture is None and trainer.unit == "samples"
    assert job_of("mine:make", made(images=True)).picture == Picture(3, 0.5, 2.0, True)
    assert job_of("mine:blind", find("mine:blind")()).valid is None


def test_a_trainer_alone_is_trained_on_digits(here, monkeypatch):
    pytest.importorskip("sklearn")
    monkeypatch.setattr("cunet.cli.recipes.load_images", lambda name: load_images("digits"))
    job = job_of("mine:alone", find("mine:alone")())
    assert isinstance(job, Job)
    assert job.train[0].shape[1:] == job.valid[0].shape[1:] == job.picture.shape == (1, 8, 8)


@pytest.mark.parametrize("made", [3, (3,), (), None])
def test_what_is_no_trainer_is_refused(made):
    with pytest.raises(TypeError, match=r"x:y must return a Trainer, or \(trainer, train\)"):
        job_of("x:y", made)


@pytest.mark.parametrize("norm", NORMS)
def test_the_perceptron_has_the_layers_that_were_asked_for(norm, rng):
    net = MnistMLP(hidden=(6, 5), norm=norm, activation="elu").net(4)
    assert net(rng.normal(size=(3, 16)).astype(np.float32)).shape == (3, 10)
    assert len(net) == (7 if norm == "none" else 9)
    assert len(MnistMLP(hidden=()).net(4)) == 1


def test_the_convolutional_net_takes_images_of_any_side(rng):
    for side in (8, 28):
        net = MnistCNN(channels=(2, 3), hidden=4).net(side)
        assert net(rng.normal(size=(2, 1, side, side)).astype(np.float32)).shape == (2, 10)
        assert [type(layer) for layer in net][:3] == [nn.Conv2d, nn.BatchNorm2d, nn.MaxPool2d]


HIDDEN = {MnistMLP: (32,), MnistCNN: 16}


@pytest.mark.slow
@pytest.mark.parametrize("kind", HIDDEN)
def test_recipes_on_mnist_train_on_what_there_is(kind):
    pytest.importorskip("sklearn")
    job = kind(data="digits", epochs=2, device="cpu", optimizer="sgd", lr=0.125, hidden=HIDDEN[kind]).job()
    assert len(job.train) == 12 and len(job.valid) == 1
    assert job.picture == Picture(8, 0.3051, 0.3762, kind is MnistMLP)
    assert next(iter(job.valid))[0].shape[1:] == job.picture.shape
    (schedule,) = job.trainer.callbacks
    assert schedule.schedule.total_steps == 24
    assert type(job.trainer.optimizer) is OPTIMISERS["sgd"].func
    job.trainer.progress = False
    assert job.trainer.fit(job.train, job.valid, epochs=2)[-1]["valid_accuracy"] > 0.5
