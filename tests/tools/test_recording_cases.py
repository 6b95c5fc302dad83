"""tools/recording: that all cases run, on the simulated device, and that PyTorch is given the same to do."""

import os
from types import SimpleNamespace

import numpy as np
import pytest
from recording import rows
from recording.cases import CASES, chosen, ways
from recording.libraries import MODES, NETS, Cunet, Torch
from recording.parts import compiled, jit, kernels, sanitizer, training
from recording.plan import CHIEF, COMPILED, FORMS
from recording.rows import Rows, Skipped
from recording.setting import Setting

import sim
from cunet import F, Tensor

xp = sim.namespace_or_skip()

pytestmark = pytest.mark.usefixtures("simulated")

every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


@every_case
def test_every_case_runs_both_ways(case):
    for way, call, moved in ways(case, xp, 4096, np.float32):
        call()
        size = case.shape(4096)
        assert moved == (0 if case.passes is None else 4 * np.prod(size) * case.passes[way == "backward"])


def test_the_chief_cases_come_first_and_all_others_follow():
    names = [case.name for case in chosen()]
    assert names[: len(CHIEF)] == list(CHIEF) and sorted(names) == sorted(case.name for case in CASES)
    assert [case.name for case in chosen(("linear", "relu"))] == ["linear", "relu"]


def test_all_dtypes_sizes_and_for_products_tf32_are_measured():
    found = list(kernels.settings_of(FORMS["gpu"]))
    relu = [(dtype, mode, size) for case, dtype, mode, size in found if case.name == "relu"]
    sizes = (4 * 10**6, 4 * 10**8)
    assert relu == [(dtype, "ieee", n) for dtype in ("float32", "float16", "bfloat16") for n in sizes]
    conv = [(dtype, mode) for case, dtype, mode, size in found if case.name == "conv2d" and size == sizes[0]]
    assert conv == [("float32", "ieee"), ("float32", "tf32"), ("float16", "ieee"), ("bfloat16", "ieee")]


@every_case
def test_pytorch_computes_the_same(case, rng):
    """A comparison of speed is worth nothing if the two compute different things."""
    torch = pytest.importorskip("torch")
    shape = case.shape(4096)
    x, params = rng.standard_normal(shape).astype(np.float32), case.params(shape)
    theirs = [torch.from_numpy(a) for a in (x, *params)]
    theirs = [t.requires_grad_() if t.is_floating_point() else t for t in theirs]
    try:
        y = case.torch(torch, *theirs)
    except Skipped as reason:
        pytest.skip(str(reason))
    leaves = [Tensor(a, requires_grad=a.dtype.kind == "f") for a in (x, *params)]
    mine = case.call(F, *leaves)
    assert mine.shape == tuple(y.shape)
    if "dropout" not in case.name:
        np.testing.assert_allclose(mine.data, y.detach().numpy(), rtol=1e-3, atol=1e-5)
        g = rng.standard_normal(mine.shape).astype(np.float32)
        mine.backward(np.asarray(g))
        wanted = [t for t in theirs if t.requires_grad]
        grads = torch.autograd.grad(y, wanted, torch.from_numpy(np.asarray(g)))
        for a, b in zip([leaf.grad for leaf in leaves if leaf.requires_grad], grads, strict=True):
            np.testing.assert_allclose(a, b.numpy(), rtol=1e-3, atol=2e-3)
    for together in (False, True):
        for _, call, _ in Torch(torch, FORMS["sim"]).calls(case, 4096, "float32", together=together):
            call()


@pytest.mark.slow
@pytest.mark.parametrize("net", NETS)
def test_both_libraries_train_the_same_net(net, rng):
    torch = Torch(pytest.importorskip("torch"), FORMS["sim"])
    x, target = rng.standard_normal((16, 1, 8, 8)).astype(np.float32), np.arange(16) % 10
    sizes = []
    for library in (Cunet(xp, FORMS["sim"]), torch):
        model = library.net(net, 8)
        step, args = library.step(model), (library.array(x), library.array(target))
        losses = [float(step(*args).item()) for _ in range(4)]
        assert losses[-1] < losses[0] and library.predict(model, args[0]).shape == (16,)
        sizes.append(sorted(tuple(p.shape) for p in model.parameters()))
    assert sizes[0] == sizes[1]


def test_pytorch_computes_in_tf32_inside_the_mode_alone():
    torch = pytest.importorskip("torch")
    library, switches = Torch(torch, FORMS["sim"]), (torch.backends.cuda.matmul, torch.backends.cudnn)
    before = [switch.allow_tf32 for switch in switches]
    for mode in MODES:
        with library.mode(mode):
            assert [switch.allow_tf32 for switch in switches] == [mode == "tf32"] * 2
    assert [switch.allow_tf32 for switch in switches] == before


@pytest.mark.parametrize("mode", compiled.MODES)
def test_torch_compiles_for_the_shapes_at_hand(mode):
    library = Torch(SimpleNamespace(cuda=None, compile=lambda f: f), FORMS["gpu"])
    assert compiled._compiler(library, mode).keywords == {"dynamic": False, "mode": mode, "backend": "inductor"}


def test_images_have_one_channel_and_are_not_fetched(monkeypatch):
    pytest.importorskip("sklearn")
    monkeypatch.delenv("CUNET_DATA", raising=False)
    training.images.cache_clear()
    name, (x, t, test, labels) = training.images("mnist", 64)
    assert name == "digits" and x.shape == (64, 1, 8, 8) == test.shape and len(t) == len(labels) == 64


@pytest.mark.slow
@pytest.mark.parametrize("name", COMPILED)
def test_jax_computes_the_same(name, rng):
    jax = pytest.importorskip("jax")
    (case,) = chosen((name,))
    shape = case.shape(4096)
    args = [rng.standard_normal(shape).astype(np.float32), *case.params(shape)]
    mine = case.call(F, *[Tensor(a) for a in args]).data
    np.testing.assert_allclose(mine, np.asarray(jit.functions(jax)[name](*args)), rtol=1e-3, atol=1e-5)


@pytest.mark.slow
def test_jax_is_timed_both_ways(simulated, tmp_path):
    pytest.importorskip("jax")
    record = tmp_path / "r.jsonl"
    jit.run(Setting(FORMS["sim"], record, tmp_path), Rows(record, "jit"))
    (line,) = rows.compact(record)
    assert line["key"] == "relu 2e+04" and {"forward", "both"} <= line["value"].keys()


def test_compute_sanitizer_sees_each_array_s_end(monkeypatch):
    """In CuPy's pool an array lies inside a larger block, and writing behind it is no error to the tool."""
    order: list[str] = []
    monkeypatch.setattr(xp.cuda, "set_allocator", lambda allocator: order.append(f"allocator {allocator}"))
    monkeypatch.setattr(sanitizer, "ways", lambda case, *rest: order.append(case.name) or ())
    sanitizer.once(SimpleNamespace(xp=xp), ["relu"])  # a Setting would install the device once more
    assert order == ["allocator None", "relu"]


@pytest.mark.slow
@pytest.mark.parametrize("errors", [0, 3])
def test_what_compute_sanitizer_finds_is_read(errors, tmp_path, monkeypatch):
    """In a stand-in for it, which runs the program that it is given."""
    tool = tmp_path / "compute-sanitizer"
    run = '[ "$1 $2" = "--tool memcheck" ] && shift 2 && "$@"'
    tool.write_text(f'#!/bin/sh\n{run} && echo "= ERROR SUMMARY: {errors} errors"\n')
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    record = tmp_path / "r.jsonl"
    sanitizer.run(Setting(FORMS["sim"], record, tmp_path), Rows(record, "sanitizer"))
    (line,) = rows.compact(record)
    assert line["value"] == {"errors": errors}, line
