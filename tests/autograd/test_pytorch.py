"""PyTorch's words: each is answered with the word to write, and nothing else notices them."""

import copy
import inspect
import json
import operator
import pickle
import pydoc
import re

import numpy as np
import pytest

import cunet
from cunet import F, Tensor, nn
from cunet.autograd.pytorch import MODULE, TENSOR, TOP, UTILS

X = Tensor(np.ones((2, 3), np.float32))


@pytest.mark.cpu_only
@pytest.mark.parametrize("name", TENSOR)
def test_an_attribute_of_pytorchs_names_what_to_write(name):
    for x in (X, nn.Parameter(np.ones(2))):
        with pytest.raises(AttributeError) as error:
            getattr(x, name)
        assert str(error.value).startswith(f"{type(x).__name__} has no {name!r}, PyTorch's word; write {TENSOR[name]}")
        assert error.value.name == name and error.value.obj is x
        assert not hasattr(x, name)


@pytest.mark.cpu_only
def test_every_word_is_one_of_pytorchs_and_none_of_numpys_that_there_is():
    torch = pytest.importorskip("torch")
    assert [name for name in TENSOR if not hasattr(torch.Tensor, name)] == []
    own = {name for cls in (Tensor, *Tensor.__mro__) for name, v in vars(cls).items() if callable(v)}
    assert not own & TENSOR.keys()


@pytest.mark.cpu_only
def test_what_it_says_to_write_is_there():
    """Each name of cunet, of F and of Tensor in the table."""
    for instead in (*TENSOR.values(), *TOP.values(), *UTILS.values()):
        for word in re.sub("[(),:]", " ", instead).split():
            if word.startswith("cunet."):
                operator.attrgetter(word.removeprefix("cunet."))(cunet)
            elif word.startswith("F."):
                assert hasattr(F, word.removeprefix("F.")), word
            elif word.startswith("np.") and "random" not in word:
                assert hasattr(np, word.removeprefix("np.")), word
            elif word.startswith("x.") and word[2:].isidentifier():
                assert hasattr(X, word[2:]), word


@pytest.mark.cpu_only
def test_a_size_that_is_called_names_the_shape_and_is_a_number_otherwise():
    for call, instead in ((lambda: X.size(), r"x\.shape$"), (lambda: X.size(-1), r"x\.shape\[-1\]$")):
        with pytest.raises(TypeError, match=f"size is a number here.*write {instead}"):
            call()
    assert X.size == 6
    assert f"{X.size:,} {X.size!r}" == "6 6"
    assert json.dumps([X.size]) == "[6]"
    assert pickle.loads(pickle.dumps(X.size)) == copy.deepcopy(X.size) == 6
    assert np.zeros(X.size).shape == (6,)
    assert (F.elu(X, X.size).data == X.data).all()


@pytest.mark.cpu_only
@pytest.mark.parametrize("name", TOP)
def test_a_name_of_pytorch_itself_names_what_to_write(name):
    torch = pytest.importorskip("torch")
    assert hasattr(torch, name)
    with pytest.raises(AttributeError) as error:
        getattr(cunet, name)
    assert str(error.value).endswith(f"has no attribute {name!r}; that is PyTorch's word, write {TOP[name]}")
    assert not hasattr(cunet, name) and name not in dir(cunet)


@pytest.mark.cpu_only
@pytest.mark.parametrize("name", UTILS)
def test_a_name_of_pytorchs_utils_names_what_to_write(name):
    assert hasattr(pytest.importorskip("torch").nn.utils, name)
    with pytest.raises(AttributeError) as error:
        getattr(nn.utils, name)
    assert str(error.value).endswith(f"{name!r}; that is PyTorch's word, write {UTILS[name]}")


@pytest.mark.cpu_only
def test_another_name_is_not_there_as_in_any_module():
    with pytest.raises(AttributeError, match="^module 'cunet' has no attribute 'nonsense'$"):
        cunet.nonsense  # noqa: B018
    assert not hasattr(cunet, "__wrapped__")


@pytest.mark.cpu_only
def test_nothing_else_notices_the_words():
    assert not TENSOR.keys() & {*dir(X)}
    assert {"sum", "data", "reshape", "__class__"} <= {*dir(X)}
    for other in (copy.copy(X), copy.deepcopy(X), pickle.loads(pickle.dumps(X))):
        np.testing.assert_array_equal(other.data, X.data)
    assert isinstance(np.asarray(X), np.ndarray) and np.result_type(X.data, 1.0) == np.float32
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        X.nonsense  # noqa: B018
    assert "__getattr__" not in {name for cls in Tensor.__mro__ for name in vars(cls)}, "it slows down all attributes"
    assert "write x.reshape(shape)" in pydoc.render_doc(Tensor)


@pytest.mark.cpu_only
@pytest.mark.parametrize("name", MODULE)
def test_a_module_asked_for_a_word_of_pytorchs_names_what_to_write(name):
    layer = nn.Linear(2, 2)
    with pytest.raises(AttributeError, match=f"^Linear has no '{name}', PyTorch's word; write "):
        getattr(layer, name)
    assert hasattr(pytest.importorskip("torch").nn.Module, name)
    assert not hasattr(layer, name) and layer.state_dict().keys() == {"weight", "bias"}
    setattr(layer, name, nn.Linear(2, 3))  # a layer of one's own of that name
    assert getattr(layer, name)(np.ones((1, 2), np.float32)).shape == (1, 3)


HAVE_AXIS = [
    name
    for name, f in vars(cunet).items()
    if name in cunet.__all__ and inspect.isfunction(f) and "axis" in inspect.signature(f).parameters
]
WITH_AXIS = ["sum", "mean", "var", "std", "max", "min", "prod", "cumsum", "logsumexp", "argmax", "argmin", "squeeze"]


@pytest.mark.parametrize("name", WITH_AXIS)
def test_a_method_given_dim_names_axis(name, dev):
    x = Tensor(dev(np.ones((2, 3))))
    with pytest.raises(TypeError, match=f"^{name}: dim= is not taken; write axis=$"):
        getattr(x, name)(dim=0)
    with pytest.raises(TypeError, match="keyword .*nonsense"):
        getattr(x, name)(nonsense=0)


@pytest.mark.cpu_only
@pytest.mark.parametrize("name", HAVE_AXIS)
def test_every_function_with_an_axis_says_so(name):
    function = getattr(cunet, name)
    parameters = inspect.signature(function).parameters
    first = [X, X] if next(iter(parameters)) in ("tensors", "arrays") else X
    more = {n: 2 for n, p in parameters.items() if p.default is p.empty and p.kind is not p.VAR_KEYWORD}
    more = {n: v for n, v in list(more.items())[1:] if n != "axis"}
    with pytest.raises(TypeError, match=f"^{name}: dim= is not taken; write axis="):
        function(first, **more, dim=0)


@pytest.mark.cpu_only
def test_functions_of_other_rooms_with_an_axis_say_so():
    for room in (cunet.linalg, cunet.fft):
        for name in room.__all__:
            parameters = inspect.signature(getattr(room, name)).parameters
            if word := next((w for w in ("axis", "axes") if w in parameters), None):
                with pytest.raises(TypeError, match=f"^{name}: dim= is not taken; write {word}="):
                    getattr(room, name)(np.ones((2, 2)), dim=0)


@pytest.mark.cpu_only
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: X.sum(0, keepdim=True), "sum: keepdim= is not taken; write keepdims="),
        (lambda: cunet.sum(X, axis=0, keepdim=True), "sum: keepdim= is not taken; write keepdims="),
        (lambda: X.var(unbiased=False), "var: unbiased= is not taken; write ddof=1 or ddof=0"),
        (lambda: X.std(correction=0), "std: correction= is not taken; write ddof="),
        (lambda: cunet.transpose(X, dims=(1, 0)), "transpose: dims= is not taken; write axes="),
        (
            lambda: F.mse_loss(X, X, size_average=True),
            'mse_loss: size_average= is not taken; write reduction="none", "me',
        ),
        (lambda: F.cross_entropy(X, [0, 1], reduce=False), "cross_entropy: reduce= is not taken; write reduction="),
        (lambda: nn.MSELoss(reduce=False), "MSELoss: reduce= is not taken; write reduction="),
        (lambda: nn.MSELoss(size_average=False), "MSELoss: size_average= is not taken; write reduction="),
        (lambda: cunet.sum(X, nonsense=1), "sum() got an unexpected keyword argument 'nonsense'"),
    ],
    ids=[*"abcdefghij"],
)
def test_a_keyword_of_pytorchs_names_ours(call, message):
    with pytest.raises(TypeError) as error:
        call()
    assert str(error.value).startswith(message)
