"""Convolution beyond the rows in tests/cases: layers, odd shapes, memory, messages, and PyTorch as a second oracle."""

import math
import tracemalloc

import numpy as np
import pytest
from helpers import host, training_step
from hypothesis import given, settings
from hypothesis import strategies as st

import cunet
from cunet import F, nn
from cunet.autograd.tensor import Tensor
from cunet.kernels.backends.cuda import tuning as on_gpu
from cunet.kernels.backends.numpy import tuning

LAYERS = [nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d]
SHAPE = (6, 5, 4)


def leaves(dev, *arrays):
    return [Tensor(dev(a), requires_grad=True) for a in arrays]


def run(op, dev, arrays, gradient=None, **options):
    """Return the value and the gradients of all arrays, on the host; the gradient is random but for its shape."""
    tensors = leaves(dev, *arrays)
    y = op(*tensors, **options)
    seed = np.random.default_rng(7).standard_normal(y.shape) if gradient is None else gradient
    y.backward(dev(seed.astype(y.dtype)))
    return host(y), [host(t.grad) for t in tensors]


@pytest.mark.parametrize("options", [{}, {"padding": 1}, {"stride": 2}, {"groups": 2}], ids=str)
def test_a_batch_is_its_samples_one_by_one(options, rng, dev):
    x, w, b = (
        rng.standard_normal((5, 4, 6, 6)),
        rng.standard_normal((4, 4 // options.get("groups", 1), 3, 3)),
        np.ones(4),
    )
    seed = rng.standard_normal(F.conv2d(dev(x), dev(w), dev(b), **options).shape)
    y, (gx, gw, gb) = run(F.conv2d, dev, (x, w, b), seed, **options)
    parts = [run(F.conv2d, dev, (x[k : k + 1], w, b), seed[k : k + 1], **options) for k in range(5)]
    np.testing.assert_allclose(y, np.concatenate([p[0] for p in parts]), atol=1e-12)
    np.testing.assert_allclose(gx, np.concatenate([p[1][0] for p in parts]), atol=1e-12)
    np.testing.assert_allclose(gw, sum(p[1][1] for p in parts), atol=1e-12)
    np.testing.assert_allclose(gb, sum(p[1][2] for p in parts), atol=1e-12)


@pytest.mark.parametrize("budget", [1, 5000, 1 << 27])
@pytest.mark.parametrize("options", [{"padding": 1}, {"stride": 2}], ids=str)
def test_the_size_of_parts_changes_nothing(budget, options, rng, dev, monkeypatch):
    arrays = rng.standard_normal((5, 2, 6, 6)), rng.standard_normal((3, 2, 3, 3)), rng.standard_normal(3)
    expected = run(F.conv2d, dev, arrays, **options)
    monkeypatch.setattr(tuning, "tuning", tuning.Tuning(columns=budget))
    monkeypatch.setattr(on_gpu, "tuning", on_gpu.Tuning(columns=budget))
    y, grads = run(F.conv2d, dev, arrays, **options)
    np.testing.assert_allclose(y, expected[0], atol=1e-12)
    for g, e in zip(grads, expected[1], strict=True):
        np.testing.assert_allclose(g, e, atol=1e-12)


@pytest.mark.parametrize("options", [{}, {"stride": 2}, {"groups": 2}], ids=str)
def test_an_empty_batch_has_gradients_of_zero(options, dev):
    y, (gx, gw, gb) = run(
        F.conv2d, dev, (np.ones((0, 2, 4, 4)), np.ones((2, 2 // options.get("groups", 1), 3, 3)), np.ones(2)), **options
    )
    assert y.shape[:2] == (0, 2) and gx.shape == (0, 2, 4, 4)
    assert not gw.any() and not gb.any()
    y, (gx, gw) = run(F.conv_transpose2d, dev, (np.ones((0, 2, 4, 4)), np.ones((2, 3, 3, 3))))
    assert y.shape == (0, 3, 6, 6) and not gw.any()


@pytest.mark.parametrize("name", ["conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d"])
@pytest.mark.parametrize("stride", [1, 2])
def test_channels_last_is_the_same_numbers_in_another_order(name, stride, rng, dev):
    ndim = int(name[-2])
    x = rng.standard_normal((2, 4, *SHAPE[:ndim]))
    w = rng.standard_normal((4, 2, *(3,) * ndim))
    options = {"stride": stride, "padding": 1, "groups": 2}
    y, (gx, gw) = run(getattr(F, name), dev, (x, w), **options)
    last = np.moveaxis(x, 1, -1).copy()
    z, (gz, gv) = run(
        getattr(F, name),
        dev,
        (last, w),
        np.moveaxis(np.random.default_rng(7).standard_normal(y.shape), 1, -1),
        channels_last=True,
        **options,
    )
    np.testing.assert_allclose(np.moveaxis(z, -1, 1), y, atol=1e-12)
    np.testing.assert_allclose(np.moveaxis(gz, -1, 1), gx, atol=1e-12)
    np.testing.assert_allclose(gv, gw, atol=1e-12)


def test_transposed_is_the_gradient_of_convolution(rng, dev):
    x, w = rng.standard_normal((2, 3, 7, 8)), rng.standard_normal((4, 3, 3, 2))
    gy = rng.standard_normal((2, 4, 4, 4))
    _, (gx, _) = run(F.conv2d, dev, (x, w), gy, stride=2, padding=(1, 0))
    y = host(F.conv_transpose2d(dev(gy), dev(w), stride=2, padding=(1, 0)))
    np.testing.assert_allclose(y, gx, atol=1e-12)


def test_the_input_gradient_is_computed_only_where_it_is_needed(rng, dev, monkeypatch):
    def unexpected(*args):
        raise AssertionError("nobody asked for the input's gradient")

    monkeypatch.setattr("cunet.ops.conv.convolution.convolve_input_gradient", unexpected)
    w = Tensor(dev(rng.standard_normal((3, 2, 3, 3))), requires_grad=True)
    F.conv2d(dev(rng.standard_normal((2, 2, 5, 5))), w, padding=1).sum().backward()
    assert w.grad is not None


def test_a_bias_gets_its_gradient_with_a_weight_and_without(rng, dev):
    x, w, b = rng.standard_normal((3, 2, 5, 5)), rng.standard_normal((4, 2, 3, 3)), np.zeros(4)
    seed = rng.standard_normal((3, 4, 3, 3))
    _, (_, _, together) = run(F.conv2d, dev, (x, w, b), seed)
    bias = Tensor(dev(b), requires_grad=True)
    F.conv2d(dev(x), dev(w), bias).backward(dev(seed))
    for gb in together, host(bias.grad):
        np.testing.assert_allclose(gb, seed.sum((0, 2, 3)), atol=1e-12)


def test_float32_input_and_float64_weight_give_float64(dev):
    y, (gx, gw) = run(F.conv2d, dev, (np.ones((1, 1, 3, 3), np.float32), np.ones((1, 1, 2, 2))))
    assert y.dtype == gw.dtype == np.float64 and gx.dtype == np.float32


def test_infinity_stays_in_the_windows_that_hold_it(dev):
    x = np.zeros((1, 1, 4, 4), np.float32)
    x[0, 0, 0, 3] = np.inf
    y = host(F.conv2d(dev(x), dev(np.ones((1, 1, 3, 3), np.float32)), padding=1))[0, 0]
    np.testing.assert_array_equal(np.isinf(y), [[0, 0, 1, 1], [0, 0, 1, 1], [0, 0, 0, 0], [0, 0, 0, 0]])
    assert not np.isnan(y).any()


@pytest.mark.cpu_only
def test_memory_of_a_step_does_not_hold_the_columns_of_the_batch(rng):
    x = Tensor(rng.standard_normal((64, 16, 24, 24)).astype(np.float32), requires_grad=True)
    w = Tensor(rng.standard_normal((16, 16, 5, 5)).astype(np.float32), requires_grad=True)
    seed = np.ones((64, 16, 24, 24), np.float32)
    tracemalloc.start()
    F.conv2d(x, w, padding=2).backward(seed)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    columns = x.data.nbytes * 25
    assert peak < 2 * x.data.nbytes + (8 << 20) < columns / 4  # the output, the gradient, and a part's columns


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda x, w: F.conv2d(x, w(4, 2, 7, 3)),
            r"conv2d: the kernel reaches over 7 elements on spatial axis 0, but x",
        ),
        (lambda x, w: F.conv2d(x, w(4, 2, 3, 4), dilation=2), "reaches over 7 elements on spatial axis 1"),
        (lambda x, w: F.conv2d(x, w(4, 3, 3, 3)), r"weight must have shape .* with 2 for in_channels"),
        (lambda x, w: F.conv2d(x, w(4, 2, 3)), "conv2d: weight must have 4 axes"),
        (lambda x, w: F.conv1d(x, w(4, 2, 3)), r"conv1d: input must have 3 axes \(N, C, L\), or one sample, got shape"),
        (lambda x, w: F.conv2d(x, w(3, 1, 3, 3), groups=2), "groups must divide"),
        (lambda x, w: F.conv2d(x, w(4, 2, 3, 3), groups=0), "groups must divide"),
        (lambda x, w: F.conv2d(x, w(4, 2, 3, 3), w(3)), r"bias must have shape \(4,\), got \(3,\)"),
        (lambda x, w: F.conv2d(x, w(4, 2, 3, 3), stride=0), "stride must be an int of at least 1"),
        (lambda x, w: F.conv2d(x, w(4, 2, 3, 3), padding=(1, 2, 3)), "padding must be an int of at least 0, or 2"),
        (lambda x, w: F.conv2d(x, w(4, 2, 3, 3), padding="same", stride=2), 'padding="same" needs stride 1'),
        (lambda x, w: F.conv2d(x, w(4, 2, 3, 3), padding="full"), 'numbers, "same" or "valid"'),
        (
            lambda x, w: F.conv_transpose2d(x, w(2, 2, 3, 3), output_padding=1),
            "output_padding must be less than stride",
        ),
        (lambda x, w: F.conv_transpose2d(x, w(2, 2, 1, 1), padding=3), "leaves nothing of the output"),
        (lambda x, w: F.conv_transpose2d(x, w(3, 2, 3, 3)), "with 2 for in_channels"),
    ],
)
def test_messages(call, message, dev):
    with pytest.raises(ValueError, match=message):
        call(dev(np.ones((1, 2, 5, 5))), lambda *shape: dev(np.ones(shape)))


@pytest.mark.parametrize("layer", LAYERS)
def test_layers_have_pytorchs_layout_and_law(layer):
    made = layer(6, 4, 3, groups=2)
    ndim = int(layer.__name__[-2])
    transposed = "Transpose" in layer.__name__
    assert made.weight.shape == ((6, 2) if transposed else (4, 3)) + (3,) * ndim
    assert list(made.state_dict()) == ["weight", "bias"]
    bound = 1 / math.sqrt(math.prod(made.weight.shape[1:]))
    assert np.abs(made.weight.data).max() <= bound and np.abs(made.bias.data).max() <= bound
    assert np.abs(layer(32, 64, 3).weight.data).max() > 0.97 / math.sqrt((64 if transposed else 32) * 3**ndim)
    assert layer(2, 3, 2, bias=False).bias is None


@pytest.mark.parametrize(("layer", "fan_in"), [(nn.Conv2d, 50 * 9), (nn.ConvTranspose2d, 50 * 9)])
def test_initialisers_get_the_fans_of_the_layer(layer, fan_in):
    values = layer(100, 80, 3, groups=2, init="kaiming_normal").weight.data
    assert values.std() == pytest.approx(math.sqrt(2 / fan_in), rel=0.02)


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
def test_padding_modes_of_the_layer(mode, rng, device, dev):
    x = rng.standard_normal((2, 3, 5, 6))
    layer = nn.Conv2d(3, 2, 3, padding=(1, 2), padding_mode=mode, dtype=np.float64).to(device)
    names = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}
    wide = np.pad(x, [(0, 0), (0, 0), (1, 1), (2, 2)], names[mode])
    np.testing.assert_allclose(host(layer(dev(x))), host(F.conv2d(dev(wide), layer.weight, layer.bias)), atol=1e-12)


def test_a_layer_says_what_it_is():
    assert repr(nn.Conv2d(1, 2, 3)) == "Conv2d(1, 2, kernel_size=(3, 3), stride=(1, 1))"
    assert repr(nn.Conv1d(2, 2, 3, padding="same", groups=2, bias=False)) == (
        "Conv1d(2, 2, kernel_size=(3,), stride=(1,), padding='same', groups=2, bias=False)"
    )
    with pytest.raises(ValueError, match="Conv2d: groups must divide in_channels = 3"):
        nn.Conv2d(3, 4, 3, groups=2)
    with pytest.raises(ValueError, match="padding_mode must be one of"):
        nn.Conv2d(3, 4, 3, padding_mode="mirror")
    with pytest.raises(ValueError, match="Conv2d: kernel_size must be an int of at least 1, or 2 of them"):
        nn.Conv2d(3, 4, (3, 3, 3))


def test_a_small_network_learns_to_tell_lines_apart(device, dev):
    rng, labels = np.random.default_rng(0), np.arange(64) % 2
    images = rng.standard_normal((64, 1, 8, 8)).astype(np.float32) * 0.1
    for image, label in zip(images[:, 0], labels, strict=True):
        (image.T if label else image)[rng.integers(8)] += 1
    cunet.manual_seed(1)
    model = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), F.relu, nn.MaxPool2d(2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 2)
    ).to(device)
    optimizer = cunet.optim.Adam(model.parameters(), lr=0.05)

    @training_step
    def step(x, y):
        model.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()

    for _ in range(30):
        step(dev(images), dev(labels))
    assert (host(model(dev(images))).argmax(1) == labels).all()


@st.composite
def convolutions(draw):
    """Draw a convolution that exists, any number of axes, and whether it is transposed."""
    ndim = draw(st.integers(1, 3))
    groups = draw(st.sampled_from([1, 1, 2, 3]))
    several = {
        "stride": st.sampled_from([1, 1, 2, 3]),
        "padding": st.integers(0, 2),
        "dilation": st.integers(1, 2),
    }
    options = {k: tuple(draw(v) for _ in range(ndim)) for k, v in several.items()}
    options["groups"] = groups
    kernel = tuple(draw(st.integers(1, 3)) for _ in range(ndim))
    least = [max(1, (k - 1) * d + 1) for k, d in zip(kernel, options["dilation"], strict=True)]
    sizes = tuple(draw(st.integers(n, 6)) for n in least)
    channels = groups * draw(st.integers(1, 2))
    transposed = draw(st.booleans())
    if transposed:
        reach = zip(options["padding"], least, sizes, options["stride"], strict=True)
        options["padding"] = tuple(min(p, ((n - 1) * s + r - 1) // 2) for p, r, n, s in reach)
        both = zip(options["stride"], options["dilation"], strict=True)
        options["output_padding"] = tuple(draw(st.integers(0, max(pair) - 1)) for pair in both)
    out = groups * draw(st.integers(1, 2))
    weight = (channels, out // groups, *kernel) if transposed else (out, channels // groups, *kernel)
    name = f"conv{'_transpose' if transposed else ''}{ndim}d"
    return name, (draw(st.integers(1, 3)), channels, *sizes), weight, out, options


@settings(max_examples=30)
@given(convolutions())
def test_pytorch_agrees(case):
    torch = pytest.importorskip("torch")
    name, shape, weight, out, options = case
    rng = np.random.default_rng(0)
    arrays = rng.standard_normal(shape), rng.standard_normal(weight), rng.standard_normal(out)
    theirs = [torch.tensor(a, requires_grad=True) for a in arrays]
    expected = getattr(torch.nn.functional, name)(*theirs, **options)
    seed = rng.standard_normal(tuple(expected.shape))
    expected.backward(torch.tensor(seed))
    y, grads = run(getattr(F, name), np.asarray, arrays, seed, **options)
    np.testing.assert_allclose(y, expected.detach().numpy(), atol=1e-11)
    for g, t in zip(grads, theirs, strict=True):
        np.testing.assert_allclose(g, t.grad.numpy(), atol=1e-11)


@pytest.mark.parametrize("layer", LAYERS)
def test_pytorchs_state_loads(layer, rng, device, dev):
    torch = pytest.importorskip("torch")
    options = {"stride": 2, "padding": 1, "groups": 2}
    theirs = getattr(torch.nn, layer.__name__)(4, 6, 3, **options)
    ours = layer(4, 6, 3, **options)
    ours.load_state_dict(theirs.state_dict())
    x = rng.standard_normal((2, 4, *SHAPE[: ours.ndim])).astype(np.float32)
    with torch.no_grad():
        expected = theirs(torch.tensor(x)).numpy()
    np.testing.assert_allclose(host(ours.to(device)(dev(x))), expected, atol=1e-5)
