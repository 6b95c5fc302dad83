"""Errors of rare paths say who, what was required and what came."""

import numpy as np
import pytest
from helpers import turn

import cunet
from cunet import F, data, diagnose, init, nn, optim, train
from cunet.ops.recurrent.layers import rnn_layer

pytestmark = pytest.mark.cpu_only

X = np.ones((3, 4), np.float32)
W = np.ones((4, 4), np.float32)
STEPS = np.ones((2, 3, 4), np.float32)


def leaf():
    return cunet.tensor([1.0, 2.0, 3.0], requires_grad=True)


def wrong_gradient():
    @cunet.op
    def halved(x):
        return x * 2, lambda gy: (gy[:1],)

    cunet.grad(lambda x: cunet.grad(lambda y: (halved(y) * y).sum(), create_graph=True)(x).sum())(np.ones(3))


def numbers_alone():
    @cunet.elementwise("T x, T z", "T y", "y = x * z")
    def joined(x, z):
        return x * z

    joined(1.0, 2.0)


def text_of_two_lines():
    @cunet.reduction("T x", "T y", map="x", reduce="a +\n b", post="y = a", identity="0")
    def added(x, axis, keepdims):
        return x.sum(axis=axis, keepdims=keepdims)


def own_optimizer():
    class Mine(optim.Optimizer):
        pass

    x = leaf()
    x.grad = np.ones(3, np.float32)
    Mine([x], {"lr": 0.1}).step()


def own_schedule():
    class Mine(optim.LRScheduler):
        pass

    Mine(optim.SGD([leaf()], lr=0.1))


def result_in_a_file():
    model = nn.Sequential(nn.ReLU())
    model[0].held = leaf() * 2
    cunet.save_predictor(model, "never.safetensors")


def whitened():
    scaler = data.PCAWhitening()
    return scaler.fit(np.random.default_rng(0).standard_normal((20, 3)).astype(np.float32))


kernel = cunet.elementwise("T x", "T y", "y = x")

#: What is said, and by which call.
SAID = {
    "retain_grad: this tensor does not require gradients": lambda: cunet.tensor(1.0).retain_grad(),
    "Generator: seed must be an int, got str": lambda: cunet.Generator("3"),
    "Generator: state must have the keys seed, stream, call; got ['seed']": lambda: cunet.Generator(1).load_state_dict(
        {"seed": 1}
    ),
    "bernoulli: p must be in [0, 1] everywhere, got -1.0 to 0.5": lambda: cunet.random.bernoulli(np.array([-1.0, 0.5])),
    "softshrink: lambd must be at least 0 and finite, got -1.0": lambda: F.softshrink(X, -1.0),
    "hardshrink: lambd must be at least 0, got -1.0": lambda: F.hardshrink(X, -1.0),
    "one_hot: num_classes must be at least 0, got -1": lambda: F.one_hot([0], -1),
    "sinusoidal_positions: length must be at least 0, got -1": lambda: F.sinusoidal_positions(-1, 4),
    "sinusoidal_positions: dim must be at least 1, got 0": lambda: F.sinusoidal_positions(3, 0),
    "linear: bias must have shape (4,), got (3,)": lambda: F.linear(X, W, X[:, 0]),
    "rfftn: axes must be at least one, got none": lambda: cunet.fft.rfftn(X, axes=()),
    "irfftn: axes must be at least one, got none": lambda: cunet.fft.irfftn(cunet.fft.rfft(X), axes=()),
    "np.pad would lose the gradient of a Tensor": lambda: np.pad(leaf(), 1, constant_values=(1, 2)),
    "ConvTranspose2d: padding must be numbers, got 'same'": lambda: nn.ConvTranspose2d(1, 1, 3, padding="same"),
    'ConvTranspose2d: padding_mode must be "zeros", got': lambda: nn.ConvTranspose2d(1, 1, 3, padding_mode="reflect"),
    "MultiheadAttention: add_bias_kv and": lambda: nn.MultiheadAttention(4, 2, add_bias_kv=True),
    "sparse: std must be >= 0, got -1.0": lambda: init.sparse(0.5, -1.0)((4, 4)),
    "Trainer: metrics must be names, functions or objects, got None": lambda: train.Trainer(
        nn.Linear(4, 2), "mse_loss", metrics=None
    ),
    "Trainer.predict: the data yields no batch": lambda: train.Trainer(nn.Linear(4, 2), "mse_loss").predict(iter([])),
    "ensemble_predict: the model must return one Tensor, got tuple": lambda: diagnose.ensemble_predict(
        [nn.LSTM(4, 2)], STEPS
    ),
    "PCAWhitening.inverse_transform: y must have shape (N, 3), got (2, 5)": lambda: whitened().inverse_transform(
        np.ones((2, 5), np.float32)
    ),
    "StandardScaler.fit: the data must have shape (N, ...) with axes (0, 2, 3), got (3, 4)": lambda: (
        data.StandardScaler(axis=(0, 2, 3)).fit(X)
    ),
    "added: map, reduce and post must be one line each": text_of_two_lines,
    "joined: one of x, z must be an array, got numbers alone": numbers_alone,
    "differentiable: a text needs inputs, outputs and an operation, three strings, got str": lambda: (
        cunet.differentiable("T x")
    ),
    "differentiable: a kernel has its outputs and its text": lambda: cunet.differentiable(kernel(lambda x: x), "T y"),
    "rnn_layer: x must have shape (T, N, input_size) with T at least 1, got (3, 4)": lambda: rnn_layer(X, None, W, W),
    'rnn_layer: nonlinearity must be "tanh" or "relu", got': lambda: rnn_layer(STEPS, None, W, W, nonlinearity="x"),
    "rnn_layer: weight_hh must have shape (4, 4), got (3, 4)": lambda: rnn_layer(STEPS, None, W, X),
    "rnn_layer: bias_ih and bias_hh must both be given or both be None, got bias_ih alone": lambda: rnn_layer(
        STEPS, None, W, W, W[0], None
    ),
    "halved: vjp gave a gradient of shape (1,) for an input of shape (3,)": wrong_gradient,
    "Mine must define kernel()": own_optimizer,
    "Mine must define lr_at()": own_schedule,
    "save_predictor: 0.held is a result of recorded ops; keep its detach()": result_in_a_file,
}


def test_who_what_was_required_and_what_came():
    for said, call in SAID.items():
        with turn(said):
            with pytest.raises((TypeError, ValueError, RuntimeError)) as caught:
                call()
            assert str(caught.value).startswith(said)


def test_a_state_of_complex_numbers_is_refused():
    layer = nn.Linear(2, 2, bias=False)
    before = layer.weight.data.copy()
    with pytest.raises(ValueError, match="weight: values must be real numbers, got dtype complex128"):
        layer.load_state_dict({"weight": np.ones((2, 2), complex)})
    np.testing.assert_array_equal(layer.weight.data, before)
