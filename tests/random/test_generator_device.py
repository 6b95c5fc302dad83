"""Call numbers in the memory of a GPU: the same masks, and new ones in each replay of a captured step."""

import numpy as np
import pytest
from helpers import host

import sim
from cunet import F, Generator, Tensor, device
from cunet.kernels.backends.cuda import grid
from cunet.ops.sampling import _add_gumbel_noise

xp = sim.namespace_or_skip()
pytestmark = pytest.mark.usefixtures("simulated")

BIG = (1 << 64) - 2  # the second draw after it is number 0


def drops(generator, x):
    leaf = Tensor(x, requires_grad=True)
    y = F.dropout(leaf, 0.5, generator=generator)
    return y, leaf


@pytest.mark.parametrize("call", [0, 7, BIG])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_masks_are_the_same_there_and_back(call, dtype):
    x = xp.ones((3, 700), dtype)
    plain, there = Generator(5, "s", call), Generator(5, "s", call)
    there.on_device()
    for k in range(4):
        (y, _), (z, leaf) = drops(plain, x), drops(there, x)
        if k == 1:
            assert there.commit() == 2
        z.sum().backward()  # also after the number there went on
        np.testing.assert_array_equal(host(z), host(y))
        np.testing.assert_array_equal(host(leaf.grad) != 0, host(y) != 0)
    assert there.state_dict() == plain.state_dict()


def test_noise_of_samples_is_the_same():
    x = xp.ones(70)
    plain, there = Generator(5, "s", 3), Generator(5, "s", 3)
    there.on_device()
    y, z = (_add_gumbel_noise(x, draw=g.next()) for g in (plain, there))
    np.testing.assert_array_equal(host(z), host(y))


def test_a_replayed_step_draws_anew(monkeypatch):
    """A replay calls the kernels of the step again, with the arguments they had."""
    generator, x = Generator(5, "s"), xp.ones(600, np.float32)
    generator.on_device()
    launches, plain = [], xp.ElementwiseKernel.__call__

    def spy(kernel, *args, **kw):
        launches.append((kernel, args, kw))
        return plain(kernel, *args, **kw)

    monkeypatch.setattr(xp.ElementwiseKernel, "__call__", spy)
    y, z = F.dropout(x, 0.5, generator=generator), F.dropout(x, 0.5, generator=generator)
    count = generator.commit()
    monkeypatch.undo()
    eager = Generator(5, "s")
    masks = []
    for step in range(3):
        if step:
            for kernel, args, kw in launches:
                kernel(*args, **kw)
            generator._counter.array += np.uint64(count)  # of the same graph
            generator.replayed(count)
        for of_step in (y, z):
            np.testing.assert_array_equal(host(of_step), host(F.dropout(x, 0.5, generator=eager)))
        masks.append(host(y).tobytes())
        assert generator.call == eager.call
    assert len(set(masks)) == 3
    np.testing.assert_array_equal(
        host(F.dropout(x, 0.5, generator=generator)), host(F.dropout(x, 0.5, generator=eager))
    )


def test_a_new_seed_or_state_is_followed():
    generator, x = Generator(5, "s"), xp.ones(600)
    generator.on_device()
    F.dropout(x, 0.5, generator=generator)
    generator.load_state_dict({"seed": 9, "stream": "t", "call": 70})
    y = F.dropout(x, 0.5, generator=generator)
    np.testing.assert_array_equal(host(y), host(F.dropout(x, 0.5, generator=Generator(9, "t", 70))))


def test_the_cpu_draws_as_before_and_nothing_waits():
    generator = Generator(5, "s", 2)
    generator.on_device()
    x = np.ones(600)
    np.testing.assert_array_equal(
        host(F.dropout(x, 0.5, generator=generator)), host(F.dropout(x, 0.5, generator=Generator(5, "s", 2)))
    )
    assert generator.next()[:] == (*Generator(5, "s", 3).next(),)
    F.dropout(xp.ones(5), 0.5, generator=generator)
    with xp._stats.forbid(), xp._stats.counting() as counted:
        F.dropout(xp.ones(5), 0.5, generator=generator)
        generator.commit()
    assert (counted["launches"], counted["ops"]) == (1, 2)  # ones, and the number


def test_what_is_not_there_is_said(monkeypatch):
    with pytest.raises(RuntimeError, match="on_device puts it there"):
        Generator().commit()
    monkeypatch.setattr(device, "_gpu", None)
    with pytest.raises(RuntimeError, match='device "gpu" was asked for'):
        Generator().on_device()


def test_only_numbers_that_lie_there_make_another_kernel(monkeypatch):
    monkeypatch.setattr(grid, "_reading", None)
    F.dropout(xp.ones(5), 0.5)
