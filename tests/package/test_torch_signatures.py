"""What PyTorch has, and cunet under the same name, is called in the same way; the differences have reasons."""

import importlib
import inspect

import pytest
from torch_signatures import differences, kept, text_of

pytestmark = pytest.mark.cpu_only

SECTIONS = {
    "functional": "nn.functional",
    "nn": "nn",
    "init": "nn.init",
    "optim": "optim",
    "lr_scheduler": "optim.lr_scheduler",
}
VERSION, ROWS = kept()


def ours(section, name):
    place = {"functional": "functional", "init": "nn.init", "lr_scheduler": "optim.lr_scheduler"}.get(section, section)
    return getattr(importlib.import_module(f"cunet.{place}"), name)


RULES = ("Adadelta", "Adagrad", "Adam", "AdamW", "NAdam", "RMSprop", "SGD")
#: What is amiss, and why it stays: this list may only become shorter.
DIFFERENCES = {
    "functional.embedding": (
        {"max_norm lacks", "norm_type lacks", "scale_grad_by_freq lacks", "sparse lacks"},
        "the table would be written in a forward pass; gradients are dense",
    ),
    "functional.huber_loss": ({"weight lacks"}, 'multiply what reduction="none" returns'),
    "functional.l1_loss": ({"weight lacks"}, 'multiply what reduction="none" returns'),
    "functional.mse_loss": ({"weight lacks"}, 'multiply what reduction="none" returns'),
    "functional.interpolate": (
        {"recompute_scale_factor lacks", "antialias lacks"},
        "neither is offered",
    ),
    "functional.one_hot": ({"num_classes required"}, "to look for the largest would make the host wait for a GPU"),
    "functional.scaled_dot_product_attention": ({"enable_gqa lacks"}, "repeat keys and values: cunet.repeat"),
    "functional.tanh": ({"input lacks", "x required"}, "it is cunet.tanh, which has NumPy's name"),
    "functional.normalize": ({"out lacks"}, "results are new arrays"),
    "nn.Embedding": ({"scale_grad_by_freq lacks", "sparse lacks"}, "gradients are dense, and plain sums"),
    "nn.Parameter": ({"data required"}, "a parameter without values is none"),
    "nn.Upsample": ({"recompute_scale_factor lacks"}, "as F.interpolate"),
    **{f"optim.{name}": ({"maximize lacks"}, "negate the loss") for name in RULES},
}


@pytest.mark.parametrize(("section", "name", "arguments"), ROWS, ids=[f"{s}.{n}" for s, n, _ in ROWS])
def test_arguments_have_pytorchs_names_order_and_defaults(section, name, arguments):
    expected, _ = DIFFERENCES.get(f"{section}.{name}", (set(), ""))
    assert differences(ours(section, name), arguments) <= expected


def test_every_difference_is_of_a_row():
    assert DIFFERENCES.keys() <= {f"{s}.{n}" for s, n, _ in ROWS}


def test_the_file_holds_what_pytorch_has():
    """And all that both have. To write it anew: print what is expected here."""
    torch = pytest.importorskip("torch")
    if not torch.__version__.startswith(f"{VERSION}."):
        pytest.skip(f"the file is of PyTorch {VERSION}")
    expected = []
    for section, place in SECTIONS.items():
        theirs = importlib.import_module(f"torch.{place}")
        for name in importlib.import_module(ours(section, "__name__")).__all__:
            thing = getattr(theirs, name, None)
            if thing is not None and not inspect.ismodule(thing):
                text = text_of(thing)
                expected += [] if "args" in text else [(section, name, text)]
    assert expected == ROWS


@pytest.mark.parametrize("name", ["LSTM", "GRU"])
def test_recurrent_layers_have_pytorchs_arguments(name):
    """Those of its base class, but for the mode, and projections."""
    torch = pytest.importorskip("torch")
    theirs = text_of(torch.nn.RNNBase).removeprefix("mode, ")
    assert differences(ours("nn", name), theirs) <= {"proj_size lacks"}


def test_buffers_are_registered_with_the_same_arguments():
    torch = pytest.importorskip("torch")
    theirs = text_of(torch.nn.Module.register_buffer)
    assert not differences(ours("nn", "Module").register_buffer, theirs)
