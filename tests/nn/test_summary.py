"""What a model is made of and what a batch costs, against counts by hand."""

import numpy as np
import pytest
from helpers import host

import cunet
from cunet import F, nn


def test_a_convolutional_net_by_hand(device, dev, rng):
    layers = [nn.Conv2d(3, 8, 3, padding=1, groups=1), nn.BatchNorm2d(8), F.relu, nn.Flatten(), nn.Linear(8 * 36, 10)]
    model = nn.Sequential(*layers).to(device)
    found = cunet.summary(model, (2, 3, 6, 6))
    assert [(r.name, r.kind) for r in found] == [
        ("0", "Conv2d"), ("1", "BatchNorm2d"), ("2", "relu"), ("3", "Flatten"), ("4", "Linear")
    ]  # fmt: skip
    assert [r.shape for r in found] == [(2, 8, 6, 6)] * 3 + [(2, 288), (2, 10)]
    assert [r.parameters for r in found] == [3 * 8 * 9 + 8, 16, 0, 0, 2890]
    assert [r.flops for r in found] == [2 * 2 * 8 * 36 * 27, 0, 0, 0, 2 * 2 * 288 * 10]
    map_bytes = 2 * 8 * 36 * 4
    assert [r.memory for r in found] == [map_bytes, map_bytes, map_bytes, 0, 80]  # Flatten is a view
    assert (found.parameters, found.flops, found.memory) == (3130, 2 * 2 * (8 * 36 * 27 + 2880), 3 * map_bytes + 80)


@pytest.mark.parametrize(
    "layer, shape, flops",
    [
        (lambda: nn.Conv2d(4, 6, (3, 2), stride=2, groups=2), (5, 4, 9, 9), 2 * 5 * 6 * 4 * 4 * (2 * 6)),
        (lambda: nn.Conv1d(4, 6, 1), (5, 4, 9), 2 * 5 * 6 * 9 * 4),  # a product inside a convolution counts once
        (lambda: nn.ConvTranspose2d(3, 4, 3, stride=2), (2, 3, 5, 5), 2 * 2 * 3 * 25 * 4 * 9),
        (lambda: nn.LSTM(3, 4, 2), (7, 2, 3), 2 * 14 * 16 * (3 + 4 + 4 + 4)),
        (lambda: nn.GRU(3, 4, bidirectional=True), (7, 2, 3), 2 * 2 * 14 * 12 * (3 + 4)),
        (lambda: nn.LayerNormLSTM(3, 4), (7, 2, 3), 2 * 14 * 16 * (3 + 4)),
        (lambda: nn.Linear(3, 5), (2, 7, 3), 2 * 14 * 3 * 5),
        (lambda: nn.Linear(3, 5), (0, 3), 0),
        (lambda: nn.TransformerEncoderLayer(8, 2, 16), (5, 2, 8), 2 * 10 * (4 * 64 + 2 * 128) + 4 * 4 * 25 * 4),
    ],
    ids=["strided", "pointwise", "transposed", "lstm", "gru", "layer norm lstm", "linear", "empty", "transformer"],
)  # fmt: skip
def test_flops_of_products_are_counted(layer, shape, flops, device):
    model = layer().to(device)
    found = cunet.summary(model, shape)
    assert found.flops == flops
    assert found.parameters == sum(r.parameters for r in found) == sum(p.size for p in model.parameters())


@pytest.mark.parametrize(
    "subscripts, shapes, flops",
    [
        ("bij,bjk->bik", [(2, 3, 4), (2, 4, 5)], 2 * 2 * 3 * 4 * 5),
        ("ij,jk,kl->il", [(3, 2), (2, 50), (50, 4)], 2 * (2 * 50 * 4 + 3 * 2 * 4)),  # the short way first
        ("i,j->ij", [(3,), (5,)], 3 * 5),  # nothing is added
        ("...i,oij,...j->...o", [(7, 3), (4, 3, 2), (7, 2)], None),
        ("ij->ji", [(3, 4)], 0),
        ("ij->i", [(3, 4)], 0),
        ("ij,jk->ik", [(3, 1), (4, 5)], 2 * 3 * 4 * 5),
        ("ij,jk->ik", [(3, 0), (0, 5)], 0),
    ],
)
def test_flops_of_einsum(subscripts, shapes, flops, device, dev):
    class Sum(nn.Module):
        def forward(self, *inputs):
            return cunet.einsum(subscripts, *inputs)

    found = cunet.summary(Sum(), tuple(dev(np.ones(shape, np.float32)) for shape in shapes))
    if flops is None:  # whichever of both ways
        assert found.flops in (
            2 * 7 * 4 * 3 * 2 + 2 * 7 * 4 * 2,
            7 * 3 * 2 + 2 * 7 * 4 * 3 * 2,
            2 * 7 * 4 * 3 * 2 + 2 * 7 * 4 * 3,
        )
    else:
        assert found.flops == flops


def test_nothing_is_changed_by_it(device):
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 2)).to(device)
    model[3].eval()
    before, stream = model.state_dict(), cunet.random.get_state()
    cunet.summary(model, (8, 3))
    assert model.training and not model[3].training and cunet.random.get_state() == stream
    assert all(p.grad is None for p in model.parameters())
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(host(value), host(before[name]))


def test_a_shared_layer_counts_its_parameters_once_and_its_work_twice(device):
    class Twice(nn.Module):
        def __init__(self):
            self.layer, self.unused = nn.Linear(3, 3, bias=False), nn.Linear(3, 1)
            self.scale = nn.Parameter(np.ones(3, np.float32))

        def forward(self, x):
            return self.layer(self.layer(x * self.scale)) @ self.layer.weight

    model = Twice().to(device)
    model.unused.requires_grad_(False)
    found = cunet.summary(model, (1, 3))
    assert [(r.name, r.parameters, r.flops) for r in found] == [
        ("layer", 9, 18), ("layer", 0, 18), ("", 3, 18), ("unused", 4, 0)
    ]  # fmt: skip
    assert found[-1].shape is None
    assert (found.parameters, found.trainable) == (16, 12)
    assert "16 parameters (4 frozen), 54 FLOPs" in str(found)


def test_several_inputs_integers_and_half_types(device, dev, rng):
    words = cunet.summary(nn.Sequential(nn.Embedding(10, 4), nn.Linear(4, 2)).to(device), dev(np.zeros((3, 5), int)))
    assert [r.shape for r in words] == [(3, 5, 4), (3, 5, 2)]

    class Both(nn.Module):
        def __init__(self):
            self.a, self.b = nn.Linear(2, 4), nn.Linear(3, 4)

        def forward(self, x, y):
            return {"sum": self.a(x) + self.b(y)}

    found = cunet.summary(Both().astype(np.float16).to(device), ((5, 2), (5, 3)))
    assert [r.memory for r in found] == [40, 40] and found.flops == 2 * 5 * 4 * 5
    lazy = nn.Linear(None, 2).to(device)
    assert cunet.summary(lazy, (4, 7)).parameters == 16
    assert lazy(dev(rng.standard_normal((4, 7)).astype(np.float32))).shape == (4, 2)


@pytest.mark.cpu_only
def test_tables_fit_80_columns_and_escape_what_they_show():
    inner = nn.ModuleDict({"a_long_name_for_a_part": nn.Sequential(nn.Linear(2000, 3000), lambda x: x)})

    class A_very_long_name_for_a_class_of_mine_that_says_too_much(nn.Module):  # noqa: N801
        def __init__(self):
            self.encoder_of_the_model = inner

        def forward(self, x):
            return self.encoder_of_the_model._items["a_long_name_for_a_part"](x)

    found = cunet.summary(A_very_long_name_for_a_class_of_mine_that_says_too_much(), (1, 2000))
    assert max(map(len, str(found).splitlines())) <= 80 and repr(found) == str(found)
    assert "&lt;lambda&gt;" in found._repr_html_() and "<lambda>" not in found._repr_html_()
    assert "12.0 M FLOPs" in str(found) and "11.7 KiB" in str(found)


@pytest.mark.cpu_only
def test_what_is_no_shape_is_refused():
    for wrong in ("28x28", None, 5, (3, "a")):
        with pytest.raises(TypeError, match="summary: input_shape must be a shape, an array, or a tuple of these, got"):
            cunet.summary(nn.Linear(2, 2), wrong)
