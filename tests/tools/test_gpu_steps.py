"""The tool that counts and samples a training step on the simulated device."""

import gpu_steps
import pytest

import sim
from cunet.kernels.backends.cuda import cublas

sim.namespace_or_skip()
pytestmark = [pytest.mark.cpu_only, pytest.mark.usefixtures("simulated")]


def test_a_step_is_counted_and_sampled():
    cost = gpu_steps.measure("MLP", 0.3)
    assert (cost.kernels, cost.others) == (8, 9)
    assert 0 < cost.python == pytest.approx(sum(cost.files.values()))
    assert all(file.startswith("/") and file.endswith(".py") for file in cost.files)


def test_bytecodes_are_counted_alike_and_of_cunet_alone():
    step = gpu_steps.make_step("MLP")
    step()
    step()
    with gpu_steps.idle():
        step()
        first, again = gpu_steps.bytecodes(step), gpu_steps.bytecodes(step)
    assert abs(first - again) < 100 and 4_000 < first < 16_000  # 10,400 on Python 3.11
    assert gpu_steps.bytecodes(lambda: sum(range(10))) == 0


def test_the_device_computes_again_afterwards():
    with gpu_steps.idle():
        pass
    xp = sim.namespace
    x = xp.ones((2, 2), "f")
    x[...] = 3
    assert (x + 1).sum().item() == 16
    assert cublas.library(xp) is not None


def test_only_frames_of_cunet_are_counted():
    sampler = gpu_steps.Sampler()
    sampler.look(0, None)
    assert (sampler.looks, dict(sampler.files)) == (1, {})
