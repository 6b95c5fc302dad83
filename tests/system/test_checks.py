"""Settings that are text or None, as YAML gives them, are named; NumPy's numbers are numbers."""

import functools
import inspect

import numpy as np
import pytest
from helpers import turn

import cunet
from cunet import data, diagnose, init, nn, optim, train
from cunet.system.checks import check_counts, check_numbers

pytestmark = pytest.mark.cpu_only

X, Y = np.ones((8, 3), np.float32), np.zeros(8, int)

#: What constructors must be given, by name.
GIVEN = {
    "in_features": 3, "out_features": 2, "in1_features": 3, "in2_features": 3, "in_channels": 2, "out_channels": 2,
    "kernel_size": 2, "num_features": 4, "num_channels": 4, "num_groups": 2, "normalized_shape": 4, "input_size": 3,
    "hidden_size": 4, "embed_dim": 4, "num_heads": 2, "num_embeddings": 5, "embedding_dim": 4, "d_model": 4, "nhead": 2,
    "padding": 1, "block_size": 2, "p": 0.5, "step_size": 3, "milestones": [2], "gamma": 0.5, "T_max": 3, "T_0": 3,
    "max_lr": 0.1, "total_steps": 9, "lr_lambda": float, "classes": 2, "mean": 0.0, "std": 1.0, "folder": "there",
    "path": "there.safetensors", "model": nn.Linear(3, 2), "max_norm": 1.0, "clip_value": 1.0, "sparsity": 0.5,
    "value": 1.0,
}  # fmt: skip

#: Bases, and what takes no numbers, or other layers first.
UNNAMED = ("Module", "RunningStatistics", "TransformerEncoder", "ModuleList", "ModuleDict", "Sequential")


#: Settings that are looked at when there are data.
LATE = ("last_epoch", "axis", "dim", "ignore_index")


def sgd(model=None):
    return optim.SGD((model or nn.Linear(3, 2)).parameters(), lr=0.1, momentum=0.9)


def fit(**settings):
    model = nn.Linear(3, 2)
    train.Trainer(model, "cross_entropy", sgd(model), progress=False).fit((X, Y), **settings)


def with_gradients(clip, **settings):
    layer = nn.Linear(3, 2)
    layer(X).sum().backward()
    clip(layer.parameters(), **settings)


def makers():
    """Yield the name, the signature and a call of whatever has settings that are numbers."""
    for name in nn.__all__:
        layer = getattr(nn, name)
        if inspect.isclass(layer) and issubclass(layer, nn.Module) and name not in UNNAMED:
            yield name, inspect.signature(layer), layer
    for name in optim.__all__:
        made = getattr(optim, name)
        if not inspect.isclass(made) or made in (optim.Optimizer, optim.LRScheduler, optim.SequentialLR):
            continue
        of_parameters = issubclass(made, optim.Optimizer)
        first = (lambda: [cunet.tensor(np.ones((2, 2)), requires_grad=True)]) if of_parameters else sgd
        signature = inspect.signature(made)
        yield name, signature.replace(parameters=[*signature.parameters.values()][1:]), first_of(made, first)
    for clip in (optim.clip_grad_norm_, optim.clip_grad_value_):
        yield clip.__name__, inspect.signature(clip), functools.partial(with_gradients, clip)
    for name in init.__all__:
        made = getattr(init, name)
        if inspect.isfunction(made) and name not in ("fans", "get", "calculate_gain", "dirac"):
            yield name, inspect.signature(made), made
    for room, names in (
        (train, "EarlyStopping EMA SWA TopK TensorBoard Checkpoint"),
        (data, "RandomCrop RandomErasing RandomFlip RandomAffine MixUp CutMix Normalize StandardScaler MinMaxScaler"),
        (data, "PCAWhitening ZCAWhitening CholeskyWhitening"),
        (diagnose, "Recorder"),
    ):
        for name in names.split():
            yield name, inspect.signature(getattr(room, name)), getattr(room, name)
    yield "Loader", inspect.signature(data.Loader), functools.partial(data.Loader, X, Y)
    yield "fit", inspect.signature(train.Trainer.fit), fit


def first_of(made, first):
    return lambda **settings: made(first(), **settings)


def numbers_among(signature):
    """Return what must be given, and the values of all settings that are numbers, or tuples of them."""
    parameters = signature.parameters.values()
    given = {p.name: GIVEN[p.name] for p in parameters if p.name in GIVEN and p.default in (p.empty, None)}
    values = {p.name: given.get(p.name, p.default) for p in parameters}
    return given, {
        name: value
        for name, value in values.items()
        if isinstance(value, (int, float)) and not isinstance(value, bool) and name not in LATE
    }


def test_settings_that_are_text_or_none_are_named():
    checked = set()
    for name, signature, make in makers():
        given, numbers = numbers_among(signature)
        for setting, value in numbers.items():
            for wrong in ("1e-3", None):
                with turn(name, setting, wrong):
                    if "None" in str(signature.parameters[setting].annotation) and wrong is None:
                        continue
                    try:
                        make(**{**given, setting: wrong})
                    except (TypeError, ValueError) as error:
                        who = str(error).partition(":")[0]
                        assert setting in str(error) and who.replace(".", "").isidentifier(), error
                        checked.add((name, setting))
                    else:
                        assert name in nn.__all__, value  # what is kept, and refused by the function
    assert len(checked) > 150


def test_what_is_kept_until_the_call_is_named_there():
    x = np.ones((2, 4, 4), np.float32)
    for layer, setting in (
        (nn.AvgPool1d("2"), "kernel_size"),
        (nn.MaxPool1d(2, padding="1"), "padding"),
        (nn.ELU("1"), "alpha"),
        (nn.LeakyReLU(None), "negative_slope"),
        (nn.Softmax("1"), "dim"),
        (nn.PixelShuffle("2"), "upscale_factor"),
        (nn.Hardtanh("1"), "min_val"),
        (nn.Softplus("1"), "beta"),
        (nn.Threshold("1", 0), "threshold"),
    ):
        with turn(type(layer).__name__), pytest.raises((TypeError, ValueError), match=setting):
            layer(x)
    for loss, setting in (
        (nn.HuberLoss(delta="1"), "delta"),
        (nn.SmoothL1Loss(beta=None), "beta"),
        (nn.GaussianNLLLoss(eps="1"), "eps"),
    ):
        with turn(type(loss).__name__), pytest.raises((TypeError, ValueError), match=setting):
            loss(X, X, *[X] * isinstance(loss, nn.GaussianNLLLoss))
    with pytest.raises(TypeError, match="cross_entropy: label_smoothing must be"):
        nn.CrossEntropyLoss(label_smoothing="0.1")(X, Y)


def test_numbers_of_numpys_are_taken():
    for name, signature, make in makers():
        given, numbers = numbers_among(signature)
        for setting, value in numbers.items():
            with turn(name, setting):
                make(**{**given, setting: np.int64(value) if isinstance(value, int) else np.float64(value)})


def test_who_required_what_and_what_came():
    with pytest.raises(TypeError, match="^StepLR: gamma must be a number, got '0.1'$"):
        check_numbers("StepLR", step_size=1, gamma="0.1")
    with pytest.raises(TypeError, match="^StepLR: step_size must be a whole number, got 1.5$"):
        check_counts("StepLR", step_size=1.5)
    with pytest.raises(ValueError, match="^StepLR: step_size must be at least 1, got 0$"):
        check_counts("StepLR", step_size=0)
    check_numbers("me", a=1, b=0.5, c=np.float32(2), d=np.array(1.0), e=cunet.tensor(1.0))
    check_counts("me", 0, a=np.int32(0))
    for wrong in (np.str_("1"), [1], np.ones(2), object()):
        with pytest.raises(TypeError, match="me: a must be a number, got"):
            check_numbers("me", a=wrong)
