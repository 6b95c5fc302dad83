"""The simulated device itself: its arrays refuse, count and behave as CuPy's do, whatever --device is under test."""

import copy
import operator
import pickle

import ml_dtypes
import numpy as np
import pytest

import cunet.device
import sim

cp = sim.namespace_or_skip()

import cupy  # noqa: E402 (its names are the measure; it needs no GPU for that)

from sim.state import stats  # noqa: E402

H = np.arange(12.0).reshape(3, 4)


@pytest.fixture
def x():
    return cp.asarray(H)


REFUSED = {
    "device + host": (TypeError, lambda x: x + H),
    "host + device": (TypeError, lambda x: H + x),
    "device * 0-d host": (TypeError, lambda x: x * np.array(2.0)),
    "in place, host on the right": (TypeError, lambda x: operator.iadd(x, H)),
    "in place, host on the left": (TypeError, lambda x: operator.iadd(H.copy(), x)),
    "device + list": (TypeError, lambda x: x + [1, 2, 3, 4]),
    "comparison with host": (TypeError, lambda x: x > H),
    "asarray": (TypeError, np.asarray),
    "a host array's item": (TypeError, lambda x: operator.setitem(H.copy(), slice(None), x)),
    "function of a host array": (TypeError, lambda x: cp.sum(H)),
    "function of both": (TypeError, lambda x: cp.maximum(x, H)),
    "list with a host array": (TypeError, lambda x: cp.concatenate([x, H])),
    "numpy function of both": (TypeError, lambda x: np.concatenate([x, H])),
    "where with a host array": (TypeError, lambda x: cp.where(x > 2, x, H)),
    "assignment of a host array": (ValueError, lambda x: operator.setitem(x, slice(None), H)),
    "assignment of a list": (TypeError, lambda x: operator.setitem(x, 0, [1, 2, 3, 4])),
    "a keyword CuPy has not": (TypeError, lambda x: cp.sum(x, where=x > 2)),
    "a method's keyword CuPy has not": (TypeError, lambda x: x.max(initial=3)),
    "a ufunc's where": (TypeError, lambda x: cp.exp(x, where=x > 2)),
    "a ufunc method CuPy has not": (NotImplementedError, lambda x: cp.maximum.reduce(x)),
    "a scatter type CuPy has not": (TypeError, lambda x: cp.maximum.at(x.astype("e"), 0, x.astype("e"))),
    "a name CuPy has not": (AttributeError, lambda x: cp.busday_count),
    "a method CuPy has not": (AttributeError, lambda x: x.newbyteorder),
    "a string": (ValueError, lambda x: cp.asarray(["a"])),
    "iteration over 0-d": (TypeError, lambda x: list(x.sum())),
    "hash": (TypeError, hash),
}


@pytest.mark.parametrize("name", REFUSED)
def test_is_refused(name, x):
    error, call = REFUSED[name]
    with pytest.raises(error):
        call(x)


ALLOWED = {
    "operators": lambda xp, x: (x + 1) * x - 2 / (x + 3) ** 2,
    "reflected": lambda xp, x: 2 ** (1 - x),
    "numpy scalar on the left": lambda xp, x: np.float64(2) * x,
    "integers": lambda xp, x: x.astype(np.int32) // 3 % 2 << 1,
    "negation": lambda xp, x: -abs(x - 5),
    "invert": lambda xp, x: ~(x > 5) | (x == 7) & (x != 8),
    "matmul": lambda xp, x: x @ x.T,
    "numpy's ufunc": lambda xp, x: np.exp(-x),
    "numpy's function": lambda xp, x: np.sum(x, axis=0),
    "sum": lambda xp, x: x.sum(axis=(0, 1), keepdims=True),
    "mean of all": lambda xp, x: x.mean(),
    "argmax": lambda xp, x: x.argmax(axis=1),
    "einsum": lambda xp, x: xp.einsum("ij,kj->ik", x, x),
    "tensordot": lambda xp, x: xp.tensordot(x, x, axes=((0, 1), (0, 1))),
    "where": lambda xp, x: xp.where(x > 4, x, 0.5),
    "clip": lambda xp, x: xp.clip(x, 2, 7),
    "take": lambda xp, x: xp.take(x, xp.asarray([2, 0]), axis=1),
    "take_along_axis": lambda xp, x: xp.take_along_axis(x, xp.asarray([[1], [2], [0]]), axis=1),
    "concatenate": lambda xp, x: xp.concatenate([x, x[::-1]], axis=1),
    "split": lambda xp, x: xp.split(x, 2, axis=1)[1],
    "pad": lambda xp, x: xp.pad(x, ((1, 0), (0, 2))),
    "basic index": lambda xp, x: x[1:, None, ::-2],
    "integer index": lambda xp, x: x[xp.asarray([0, 2, 2]), 1],
    "host integer index": lambda xp, x: x[np.array([0, 2]), 1:],
    "boolean index": lambda xp, x: x[x > 6],
    "strided": lambda xp, x: xp.lib.stride_tricks.as_strided(x, (2, 2), (8, 16)),
    "norm": lambda xp, x: xp.linalg.norm(x),
    "argsort": lambda xp, x: xp.argsort(-x, axis=1),
    "cumsum": lambda xp, x: x.cumsum(axis=0),
    "full_like": lambda xp, x: xp.full_like(x, 3, dtype=np.float32),
    "arange": lambda xp, x: xp.arange(3, dtype=np.float32) + x[:, :3].astype(np.float32),
    "no warning": lambda xp, x: xp.log(x - 5) / 0.0,
}


@pytest.mark.parametrize("name", ALLOWED)
@pytest.mark.filterwarnings("ignore:(divide|invalid)")  # NumPy's own; the device must give none, see the last case
def test_does_what_numpy_does(name, x):
    on_device, on_host = ALLOWED[name](cp, x), np.asarray(ALLOWED[name](np, H))
    assert type(on_device) is cp.ndarray
    assert on_device.dtype == on_host.dtype
    np.testing.assert_array_equal(on_device.get(), on_host)


def test_the_device_does_not_warn(x, recwarn):
    cp.log(x - 5) / cp.zeros_like(x)
    assert not recwarn.list


IN_PLACE = {
    "operator": lambda xp, x: operator.imul(x, 2),
    "out": lambda xp, x: xp.add(x, 1, out=x),
    "slice": lambda xp, x: operator.setitem(x, (slice(None), 1), -1),
    "index": lambda xp, x: operator.setitem(x, xp.asarray([0, 2]), -1.0),
    "mask": lambda xp, x: operator.setitem(x, x > 5, x[0, 1]),
    "fill": lambda xp, x: x.fill(4),
    "through a view": lambda xp, x: operator.setitem(x.T[1:], ..., 9),
    "through reshape": lambda xp, x: operator.setitem(x.reshape(-1)[::5], ..., 9),
    "repeated index": lambda xp, x: xp.add.at(x, xp.asarray([0, 0, 2]), x[:1] * 1.0),
    "copyto": lambda xp, x: xp.copyto(x, x[0] * 2),
}


@pytest.mark.parametrize("name", IN_PLACE)
def test_changes_what_numpy_changes(name, x):
    expected = H.copy()
    before = x
    IN_PLACE[name](np, expected)
    IN_PLACE[name](cp, x)
    assert x is before
    np.testing.assert_array_equal(x.get(), expected)


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
@pytest.mark.parametrize("call", [lambda x: x.sum(), lambda x: cp.mean(x) * 4096, lambda x: x @ cp.ones_like(x)])
def test_half_types_are_summed_in_float32(dtype, call):
    total = call(cp.full(4096, 0.125, dtype))
    assert total.dtype == dtype
    assert float(total) == 512


def test_a_view_shares_memory_and_a_copy_does_not(x):
    assert cp.may_share_memory(x, x[1:].T)
    assert not cp.may_share_memory(x, x.copy())
    assert x.astype(np.float64, copy=False) is x
    assert cp.asarray(x) is x
    for view in (x[1:], x[1, 2], x.reshape(-1), x.T[1:][..., 0]):
        assert view.base is x and not view.flags.owndata
        view[...] = 7
        assert (view.get() == 7).all()
    assert x[1, 2].item() == 7
    assert x[[1, 2]].base is None and (x + 1).flags.owndata


def test_new_memory_is_poisoned():
    assert np.isnan(cp.empty((2, 3), np.float32).get()).all()
    assert np.isnan(cp.empty_like(cp.zeros((2, 3), ml_dtypes.bfloat16)).get().astype(np.float32)).all()
    assert (cp.empty(3, np.int64).get() == -1).all()
    assert np.isnan(cp.ndarray((2,), np.float16).get()).all()


COSTS = {
    "launch": (lambda x: x + 1, {"ops": 1}),
    "reshape that copies": (lambda x: x.T.reshape(-1), {"ops": 1}),
    "views": (lambda x: x.reshape(2, 6)[:, ::2].swapaxes(0, 1), {}),
    "item": (lambda x: x.max().item(), {"ops": 1, "syncs": 1}),
    "float": (lambda x: float(x[0, 0]), {"syncs": 1}),
    "if": (lambda x: 1 if x[0, 0] else 2, {"syncs": 1}),
    "print": (lambda x: f"{x} {x[0, 0]:.2f}", {"syncs": 2}),
    "get": (lambda x: x.get(), {"syncs": 1}),
    "synchronize": (lambda x: cp.cuda.get_current_stream().synchronize(), {"syncs": 1}),
    "mask": (lambda x: x[cp.asarray(H > 3)], {"ops": 1, "syncs": 1, "uploads": 1}),
    "nonzero": (lambda x: cp.nonzero(x), {"ops": 1, "syncs": 1}),
    "upload": (lambda x: cp.asarray(H), {"uploads": 1}),
    "list as index": (lambda x: x[[0, 1]], {"ops": 1, "uploads": 1}),
    "scalar to indices": (lambda x: operator.setitem(x, cp.arange(2), 0.0), {"ops": 2, "uploads": 1}),
    "made on the device": (lambda x: cp.zeros((3, 4)), {"ops": 1}),
    "empty": (lambda x: cp.empty((3, 4)), {}),
}


@pytest.mark.parametrize("name", COSTS)
def test_is_counted(name, x):
    call, expected = COSTS[name]
    with stats.counting() as counted:
        call(x)
    assert {k: v for k, v in counted.items() if v} == expected


def test_a_wait_or_an_upload_can_be_forbidden(x):
    with stats.forbid():
        x += 1
        with pytest.raises(RuntimeError, match="float"):
            float(x[0, 0])
        with pytest.raises(RuntimeError, match="upload"):
            cp.asarray(H)
    with stats.forbid("syncs"):
        cp.asarray(H)
    float(x[0, 0])


def test_pickle_and_copy_stay_on_the_device(x):
    for y in (pickle.loads(pickle.dumps(x)), copy.deepcopy(x)):
        assert type(y) is cp.ndarray
        assert not cp.may_share_memory(x, y)


def test_every_name_of_the_namespace_is_one_of_cupy():
    import sim.cuda

    here = {n for n in vars(cp) if not n.startswith("_")} - {"annotations", "operators", "poisoned", "unwrap", "upload"}
    assert not {n for n in here - {"wrap", "Any"} if not hasattr(cupy, n)}
    own = {n for n, v in vars(sim.cuda).items() if getattr(v, "__module__", "sim.cuda") == "sim.cuda" and n[0] != "_"}
    own -= {"annotations", "default_pool", "default_pinned_pool", "stats", "np", "cupy", "contextlib", "time"}
    assert not {n for n in own if not hasattr(cupy.cuda, n)}
    for name in ("Stream", "Event", "Device", "MemoryPool"):
        ours, theirs = getattr(sim.cuda, name), getattr(cupy.cuda, name)
        assert not {n for n in vars(ours) if n[0] != "_" and not hasattr(theirs, n)}


def test_cunet_takes_it_for_its_gpu_and_gives_it_back():
    before = cunet.device._gpu
    sim.install()
    try:
        x = cunet.device.to_device(H, "gpu")
        assert type(x) is cp.ndarray
        assert cunet.device.is_gpu_array(x)
        assert cunet.device.array_module(x) is cp
        np.testing.assert_array_equal(cunet.device.asnumpy(x), H)
    finally:
        sim.uninstall()
    assert cunet.device._gpu is before
