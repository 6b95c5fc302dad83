"""Arrays that hold no plain numbers are refused by name at every door."""

import numpy as np
import pytest

import cunet
from cunet import F, Tensor, Trainer, grad, nn
from cunet.data import Loader, collate

pytestmark = pytest.mark.cpu_only  # CuPy has none of these arrays

X = np.ones((2, 3), np.float32)
WRONG = {
    "matrix": (lambda: X.view(np.matrix), r"a matrix, .*; pass np\.asarray\(x\)"),
    "masked": (lambda: np.ma.masked_array(X, X > 2), r"a masked array, .*; pass x\.filled\(\.\.\.\)"),
    "objects": (lambda: X.astype(object), r"an array of objects; pass x\.astype\(np\.float32\)"),
    "strings": (lambda: np.array([["a", "b", "c"]] * 2), "an array of strings"),
    "bytes": (lambda: np.array([[b"a", b"b", b"c"]] * 2), "an array of bytes"),
    "records": (lambda: np.zeros((2, 3), [("a", "f4")]), "an array of records; pass one field of them"),
    "dates": (lambda: np.zeros((2, 3), "M8[s]"), "an array of dates"),
    "spans": (lambda: np.zeros((2, 3), "m8[s]"), "an array of time spans"),
}


def set_data(x):
    Tensor(X.copy()).data = x


def set_grad(x):
    Tensor(X.copy()).grad = x


DOORS = {
    "Tensor": Tensor,
    "tensor": cunet.tensor,
    "Parameter": nn.Parameter,
    "data": set_data,
    "grad": set_grad,
    "backward": lambda x: Tensor(X, requires_grad=True).backward(x),
    "buffer": lambda x: nn.Identity().register_buffer("b", x),
    "one array": cunet.exp,
    "two arrays": lambda x: Tensor(X) + x,
    "the other way": lambda x: cunet.multiply(x, Tensor(X)),
    "reshape": lambda x: cunet.reshape(x, (-1,)),
    "concatenate": lambda x: cunet.concatenate([X, x]),
    "einsum": lambda x: cunet.einsum("ij->j", x),
    "linear": lambda x: F.linear(x, Tensor(np.ones((2, 3), np.float32))),
    "activation": F.relu,
    "layer": lambda x: nn.Linear(3, 2)(x),
    "mse target": lambda x: F.mse_loss(Tensor(X), x),
    "labels": lambda x: F.cross_entropy(Tensor(X), x),
    "logits": lambda x: F.cross_entropy(x, np.zeros(2, int)),
    "attention": lambda x: F.scaled_dot_product_attention(X, X, x),
    "grad of": lambda x: grad(lambda w: (w * w).sum())(x),
    "Loader": lambda x: Loader(X, x),
    "collate": lambda x: collate([x, x]),
    "predict": lambda x: Trainer(nn.Linear(3, 2), F.mse_loss, progress=False).predict(x),
    "batches": lambda x: Trainer(nn.Linear(3, 2), F.mse_loss, progress=False).evaluate([(x, X)]),
}


@pytest.mark.parametrize("kind", WRONG)
@pytest.mark.parametrize("door", DOORS)
def test_what_holds_no_numbers_is_refused_by_name(door, kind):
    make, message = WRONG[kind]
    with pytest.raises(TypeError, match=message):
        DOORS[door](make())


@pytest.mark.parametrize("kind", WRONG)
def test_a_state_of_no_numbers_is_refused_by_name(kind):
    make, message = WRONG[kind]
    with pytest.raises(ValueError, match=rf"weight: values must be real numbers, got {message}"):
        nn.Linear(3, 2, bias=False).load_state_dict({"weight": make()})


def test_scalars_of_no_numbers_are_refused_by_name():
    for make in (Tensor, cunet.exp, lambda x: Tensor(X) * x, lambda x: Tensor(X) + x):
        with pytest.raises(TypeError, match="got (an array of strings|str_)"):
            make(np.str_("a"))
        with pytest.raises(TypeError, match="got (an array of dates|datetime64)"):
            make(np.datetime64(0, "s"))


def test_complex_numbers_lose_no_part_silently():
    wave = X * 1j
    with pytest.raises(TypeError, match="mse_loss: an array of floating dtype is required, got float32 and complex64"):
        F.mse_loss(Tensor(X), wave)
    with pytest.raises(TypeError, match="backward: gradient must hold real numbers, got complex64"):
        Tensor(X, requires_grad=True).backward(wave)


def test_arrays_mapped_from_files_are_arrays(tmp_path):
    np.save(tmp_path / "x.npy", X)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    assert isinstance(mapped, np.memmap)
    assert (Tensor(mapped) + mapped).data.tolist() == (X + X).tolist()
    assert nn.Linear(3, 2)(mapped).shape == (2, 2)
