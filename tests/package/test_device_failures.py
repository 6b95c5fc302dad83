"""Failures of a device at work: out of memory, kernels that do not compile, arrays of two devices."""

import numpy as np
import pytest

import cunet
import sim
from cunet import F, Tensor, nn, optim
from cunet import device as backend
from cunet.data import Loader
from cunet.kernels.backends.native import native
from cunet.parity import cases
from sim.state import options

no_sim = sim.unavailable_reason()
on_sim = pytest.mark.skipif(bool(no_sim), reason=f"no simulated device: {no_sim}")


@pytest.fixture
def device():
    sim.install()
    yield backend.gpu()
    sim.uninstall()


def out_of_memory(*args, **kwargs):
    from cupy.cuda.memory import OutOfMemoryError

    raise OutOfMemoryError(4 << 30, 1 << 30)


def kernel_without_memory(monkeypatch, name):
    monkeypatch.setattr(cunet.kernels.KERNELS[name], "attached", {"cuda": out_of_memory})


@on_sim
def test_out_of_memory_forward_names_the_op_and_spoils_nothing(device, monkeypatch):
    x = Tensor(device.ones(3, "float32"), requires_grad=True)
    with monkeypatch.context() as patch, pytest.raises(MemoryError) as caught:
        kernel_without_memory(patch, "elu_forward")
        F.elu(x)
    assert str(caught.value).startswith("elu: the GPU is out of memory (Out of memory allocating 4,294,967,296 bytes")
    assert "use a smaller batch or model, or free arrays" in str(caught.value)
    F.elu(x).sum().backward()
    np.testing.assert_array_equal(x.grad.get(), np.ones(3))


@on_sim
def test_out_of_memory_backward_names_the_op_and_changes_no_gradient(device, monkeypatch):
    x = Tensor(device.ones(3, "float32"), requires_grad=True)
    y = F.elu(x).sum()
    with (
        monkeypatch.context() as patch,
        pytest.raises(MemoryError, match=r"^elu \(backward\): the GPU is out of memory"),
    ):
        kernel_without_memory(patch, "elu_backward")
        y.backward()
    assert x.grad is None


@on_sim
def test_out_of_memory_in_an_upload(device, monkeypatch):
    monkeypatch.setattr(device, "asarray", out_of_memory)
    with pytest.raises(MemoryError, match="^to_device: the GPU is out of memory"):
        backend.to_device(np.ones(3), "gpu")
    with pytest.raises(MemoryError, match="the GPU is out of memory"):
        nn.Linear(3, 2).to("gpu")


@on_sim
def test_training_goes_on_after_a_batch_that_was_too_large(device, monkeypatch):
    model = nn.Sequential(nn.Linear(4, 3), nn.ELU(), nn.Linear(3, 2)).to("gpu")
    optimizer = optim.Adam(model.parameters(), lr=0.1)
    x, target = device.ones((5, 4), "float32"), device.zeros(5, "int64")

    def step():
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), target)
        loss.backward()
        optimizer.step()
        return loss.item()

    first = step()
    with monkeypatch.context() as patch, pytest.raises(MemoryError):
        kernel_without_memory(patch, "elu_backward")
        step()
    step()
    assert step() < first


@on_sim
def test_a_kernel_that_does_not_compile_names_the_op(device, monkeypatch):
    monkeypatch.setattr(options, "nvrtc", ())  # which would complain first, in a way of its own
    monkeypatch.setattr(native, "active", False)  # which warns, see test_native

    @cunet.elementwise("T x", "T y", "y = no_such_function(x)")
    def half_forward(x):
        return x / 2

    @cunet.op
    def half(x):
        return half_forward(x), lambda gy: (gy / 2,)

    x = np.ones(3, np.float32)
    np.testing.assert_array_equal(half(x).data, [0.5] * 3)  # the CPU does not mind
    with pytest.raises(RuntimeError) as caught:
        half(backend.to_device(x, "gpu"))
    assert str(caught.value).startswith("half: its CUDA kernel does not compile on this machine")
    assert "no_such_function" in str(caught.value)


MIXABLE = [row for row in cases.ROWS if len(row.inputs(np.random.default_rng(0))) > 1]


@on_sim
@pytest.mark.parametrize("row", MIXABLE, ids=lambda row: row.name)
def test_arrays_of_two_devices_are_refused_in_one_way(row, device, rng):
    arrays = [a.astype(np.float32) if a.dtype.kind == "f" else a for a in row.inputs(rng)]
    for moved in range(len(arrays)):
        mixed = [Tensor(backend.to_device(a, "gpu") if i == moved else a) for i, a in enumerate(arrays)]
        with pytest.raises(TypeError) as caught:
            row.run(*mixed)
        text = str(caught.value)
        assert "all arrays must be on one device, got (" in text
        assert "cpu" in text and "gpu" in text
        assert text.endswith("move them with .to(device)")


@on_sim
def test_a_model_on_the_gpu_says_so_to_a_batch_on_the_cpu(device):
    model = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3)).to("gpu")
    with pytest.raises(TypeError, match=r"^linear: all arrays must be on one device, got \(cpu, gpu, gpu\)"):
        model(np.ones((5, 4), np.float32))


@on_sim
def test_the_trainer_moves_what_it_is_given(device):
    model = nn.Linear(4, 2)
    trainer = cunet.Trainer(model, F.cross_entropy, optim.SGD(model.parameters(), lr=0.1), device="gpu", progress=False)
    trainer.fit(Loader(np.ones((6, 4), np.float32), np.zeros(6, np.int64), batch_size=3))
    assert model.weight.device == "gpu"
    assert len(trainer.history) == 1


@pytest.mark.cpu_only
def test_other_errors_stay_what_they_are():
    assert backend.clearer_error("op", ValueError("wrong shape"), [np.ones(3), np.ones(4)]) is None
    with pytest.raises(ValueError, match="shapes|broadcast|mismatch"):
        cunet.add(np.ones(3), np.ones(4))
