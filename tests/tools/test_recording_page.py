"""tools/recording/page.py: what the page of a record says, from lines made up here."""

import pytest
from recording import page
from recording.plan import PARTS

pytestmark = pytest.mark.cpu_only

GPU = {"name": "NVIDIA H200", "compute_capability": "9.0", "memory_total": 140 * 2**30, "memory_free": None}
MACHINE = {"gpus": [GPU], "cuda_runtime": "13.0", "cupy": ["cupy-cuda13x 14.2.0"], "numpy": "2.5.2", "python": "3.12.3"}
MACHINE |= {"cunet": "0.1.0", "commit": "abc", "cpu_count": 16, "others": {"torch": "2.11.0", "jax": None}}
MACHINE |= {"nvidia_smi": "NVIDIA H200, 580.1"}
COPY = {"bytes": 4e8, "device": 2e-4, "host": 1e-5}


def case(name, forward, backward, **more):
    ways = {"forward": {"bytes": 8e8, **forward}, "backward": {"bytes": 12e8, **backward}}
    return {"case": name, "dtype": "float32", "mode": "ieee", "size": 4e8} | ways | more


def step(library, device, **more):
    return {"net": "cnn", "library": library, "mode": "ieee", "batch": 128, "device": device, "host": 5e-4} | more


def line(part, key, value):
    return {"part": part, "key": key, "value": value}


KEY = "relu float32 ieee 4e+08"
EPOCHS = {"net": "cnn", "library": "cunet", "mode": "ieee", "data": "mnist", "batch": 128, "steps": 100}
EPOCHS |= {"seconds": [0.9, 0.2], "host_seconds": [0.1, 0.1], "accuracy": 0.9876}
OP = {"op": "exp", "dtype": "float16", "kind": "each", "bound": 2, "distance": 1.5, "relative": 1e-4, "holds": True}
FAR = OP | {"op": "log", "distance": 3.0, "holds": False}
JIT = {"case": "relu", "dtype": "float32", "mode": "jit", "size": 4e8, "forward": {"device": 5e-4}}
JIT |= {"both": {"device": 9e-4}}
LINES = [
    {"part": "record", "date": "2026-12-01 10:00 UTC"},
    line("environment", "machine", MACHINE),
    line("environment", "copy 4e+08", {"bytes": 4e8, "device": 2e-4, "host": 1e-5}),
    line("environment", "product float32 tf32", {"operations": 1e12, "device": 2.5e-3, "host": 1e-5}),
    line("first_step", "mlp", {"seconds": 8.5, "second": 1e-3, "compiled": 13, "compiling": 8, "longest": 1}),
    line("prewarm", "sources 0", {"sources": 10, "failed": ["f: no"], "seconds": 9.0}),
    line("parity", "exp float16", OP),
    line("kernels", "copy 4e+08", COPY),
    line("kernels", KEY, case("relu", {"device": 2e-4, "host": 3e-5}, {"device": 4e-4, "host": 6e-5})),
    line("kernels_torch", KEY, case("relu", {"device": 1e-4, "host": 3e-5}, {"device": 8e-4, "host": 6e-5})),
    line("compiled", "relu a", case("relu", {"device": 3e-4, "host": 0}, {"device": 4e-4, "host": 0}, mode="default")),
    line("jit", "relu", JIT),
    line("training", "epochs cnn, cunet ieee", EPOCHS),
    line("training", "step cnn, cunet ieee", step("cunet", 1e-3)),
    line("training", "step cnn, PyTorch ieee", step("PyTorch", 4e-4)),
    line("suite", "tests/a.py", {"passed": 9, "failed": 0, "skipped": 1, "seconds": 3, "failures": []}),
    line("sanitizer", "memcheck relu", {"errors": 0}),
    *({"part": part.name, "end": "whole", "status": 0, "seconds": 5.0} for part in PARTS),
]


def test_the_page_has_what_was_measured():
    text, name = page.page_of(LINES)
    assert name == "2026-12-01-nvidia-h200"
    for wanted in (
        "# GPU record: NVIDIA H200",
        "| GPU | NVIDIA H200 (140 GiB) |",
        "| jax | unknown |",
        "| Kernels | whole | 5 | 60 | 2 | 0 | 0 |",
        "| 4e+08 | 4000 |",
        "| float32 tf32 | 400.0 |",
        "| mlp | 8.50 | 13 | 8.00 | 1.00 | 1000.0 |",
        "10 kernels, in 9 s of all processes together.",
        "- f: no",
        "| float16 | exp | 1.50 | 2 |",
        "| relu | float32 | 4e+08 | forward | 200.0 | 30.0 | 100% | 0.50 |",
        "| relu | float32 | 4e+08 | backward | 400.0 | 60.0 | 75% | 2.00 |",
        "| relu | 4e+08 | torch.compile default | 300.0 | 400.0 |  | 200.0 | 400.0 |",
        "| relu | 4e+08 | jax.jit | 500.0 |  | 900.0 | 200.0 | 400.0 |",
        "| cnn, cunet ieee | mnist | 98.76% | 0.200 | 2000.0 | 1000.0 |",
        "| cnn | ieee | PyTorch | 128 | 400.0 | 500.0 |",
        "9 passed, 0 failed, 1 skipped, in 1 files.",
        "| memcheck relu | 0 |",
        "- relu float32 ieee 4e+08, backward: 75% of a copy",
        "- relu float32 ieee 4e+08, forward: 2.00 times PyTorch's time",
        "- step of cnn (ieee): 2.00 times PyTorch's time",
    ):
        assert wanted in text.splitlines(), wanted
    assert "Simulated" not in text and "missing" not in text
    assert page.verdict(LINES)


def test_what_is_missing_is_said_and_nothing_else_breaks():
    lines = [
        *LINES[2:-1],
        {"part": "kernels", "key": "elu", "begun": 3.0},
        {"part": "kernels", "key": "gelu", "error": "OutOfMemoryError: no"},
        {"part": "jit", "key": "all", "skipped": "JAX is not installed"},
        {"part": "sanitizer", "end": "failed: exit status 1", "status": 1, "seconds": 1.0, "log": "a\nKilled\n"},
    ]
    text, name = page.page_of(lines)
    assert name == "an-unknown-unknown-gpu"
    for wanted in (
        "- kernels, elu: begun, and ended by force",
        "- kernels, gelu: OutOfMemoryError: no",
        "- jit, all: JAX is not installed",
        "- sanitizer: failed: exit status 1: Killed",
    ):
        assert wanted in text.splitlines(), wanted
    assert "not asked for" in page.page_of(lines[:2])[0]
    assert page.page_of([])[0].startswith("# GPU record: unknown GPU")


@pytest.mark.parametrize(
    "extra",
    [
        {"part": "suite", "end": "out of time", "seconds": 1},
        {"part": "kernels", "key": "x", "error": "no"},
        line("suite", "tests/b.py", {"passed": 0, "failed": 1, "skipped": 0, "seconds": 1, "failures": ["x"]}),
        line("parity", "log float16", FAR),
    ],
    ids=["cut off", "error", "failed", "parity"],
)
def test_the_verdict_is_no_where_something_is_wrong(extra):
    assert not page.verdict([*LINES, extra])
    assert not page.verdict([])


def test_parity_out_of_bounds_is_named():
    text, _ = page.page_of([*LINES, line("parity", "log float16", FAR)])
    assert "2 comparisons, 1 within bounds" in text and "- log float16: 3 of 2" in text.splitlines()
    broken = {k: v for k, v in FAR.items() if k not in ("distance", "relative")} | {"error": "TypeError: 'E'"}
    assert "- log float16: TypeError: 'E'" in page.page_of([*LINES, line("parity", "log float16", broken)])[0]
