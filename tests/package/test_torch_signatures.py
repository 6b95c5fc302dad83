"""What PyTorch has, and cunet under the same name, is called in the same way; the differences have reasons."""

import pytest
from torch_signatures import differences, kept, ours, text_of, there

pytestmark = pytest.mark.cpu_only

VERSION, ROWS = kept()


#: What is amiss, and why it stays: this list may only become shorter.
DIFFERENCES = {
    "functional.embedding": ({"scale_grad_by_freq lacks", "sparse lacks"}, "gradients are dense, and plain sums"),
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
    "optim.RMSprop": ({"maximize by name only"}, "in PyTorch it stands behind arguments that are left out"),
}


@pytest.mark.parametrize(("section", "name", "arguments"), ROWS, ids=[f"{s}.{n}" for s, n, _ in ROWS])
def test_arguments_have_pytorchs_names_order_and_defaults(section, name, arguments):
    expected, _ = DIFFERENCES.get(f"{section}.{name}", (set(), ""))
    assert differences(ours(section, name), arguments) <= expected


def test_every_difference_is_of_a_row():
    assert DIFFERENCES.keys() <= {f"{s}.{n}" for s, n, _ in ROWS}


def test_the_file_holds_what_pytorch_has():
    torch = pytest.importorskip("torch")
    if not torch.__version__.startswith(f"{VERSION}."):
        pytest.skip(f"the file is of PyTorch {VERSION}")
    assert there() == ROWS, "run python tests/torch_signatures.py"


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
