"""Runs the compiled code's tests under a sanitizer: ``python tools/sanitize.py [address] [undefined] [thread]``.

All that cunet compiles is compiled with the sanitizer, into a cache of its own, by the compiler of ``$CXX`` or g++
(Debian: g++ brings what it needs; clang++ wants libclang-rt-14-dev). What pytest is given comes after ``--``:

    python tools/sanitize.py address -- -q tests/ops -k softmax

It ends with 0 if no sanitizer found anything and all tests passed. Give ``-s``, or pytest keeps what was found to
itself. Python and NumPy are not instrumented.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NATIVE = "tests/kernels/backends/native"
#: Not those that limit memory or bring compilers of their own.
TESTS = [
    *("test_native.py", "test_native_math.py", "test_elementwise.py", "test_reduction.py", "test_functions_empty.py"),
    *("test_convolution.py", "test_convolution_layouts.py", "test_convolution_memory.py"),
    *("test_pooling.py", "test_pooling_kernels.py", "test_recurrence.py", "test_builtin.py"),
    *("test_native_tasks.py", "test_native_packed.py"),
]
#: Measures memory, of which a sanitizer's notes take a multiple.
MEASURED = f"{NATIVE}/test_convolution_memory.py::test_memory_does_not_grow_with_the_batch"
TOO_MUCH = "allocator_may_return_null=1"  # memory that nobody has is refused, as without a sanitizer
#: Extra options of the compiler, the library that must be there before Python starts, and what it is told.
SANITIZERS: dict[str, tuple[list[str], str, dict[str, str]]] = {
    # Leaks: Python keeps what it has until it ends.
    "address": (["-fsanitize=address"], "asan", {"ASAN_OPTIONS": f"detect_leaks=0:handle_segv=0:{TOO_MUCH}"}),
    "undefined": (
        ["-fsanitize=undefined", "-fno-sanitize-recover=undefined"],
        "ubsan",
        {"UBSAN_OPTIONS": "print_stacktrace=1"},
    ),
    # BLAS's threads wait for each other in ways that are not seen.
    "thread": (
        ["-fsanitize=thread"],
        "tsan",
        {"TSAN_OPTIONS": f"ignore_noninstrumented_modules=1:die_after_fork=0:exitcode=66:{TOO_MUCH}"},
    ),
}

#: In Python, because a shell may crash with the thread sanitizer's library in it.
WRAPPER = """#!{python}
import os, sys
del os.environ["LD_PRELOAD"]
os.execv("{compiler}", ["{compiler}", *sys.argv[1:], *{options}, "-g1", "-fno-omit-frame-pointer"])
"""


def library_of(compiler: str, name: str) -> str:
    """Return the path of a sanitizer's library.

    Raises:
        SystemExit: the compiler has none.
    """
    candidates = [f"lib{name}.so"]
    if "clang" in Path(compiler).name:
        machine = os.uname().machine
        name = {"ubsan": "ubsan_standalone"}.get(name, name)
        candidates = [f"libclang_rt.{name}-{machine}.so", f"libclang_rt.{name}.so"]
    for candidate in candidates:
        asked = subprocess.run([compiler, f"-print-file-name={candidate}"], capture_output=True, text=True, check=True)
        if os.path.isabs(found := asked.stdout.strip()):
            return found
    raise SystemExit(f"sanitize: {compiler} has no {' or '.join(candidates)}")


def run(name: str, compiler: str, arguments: Sequence[str]) -> int:
    """Run pytest under a sanitizer; return its exit status."""
    options, library, told = SANITIZERS[name]
    if "clang" in Path(compiler).name:
        options = [*options, "-shared-libsan"]
    with tempfile.TemporaryDirectory(prefix="cunet-sanitize-") as folder:
        wrapper = Path(folder, "c++")
        wrapper.write_text(WRAPPER.format(python=sys.executable, compiler=compiler, options=options))
        wrapper.chmod(0o755)
        env = {
            **os.environ, **told, "CXX": str(wrapper), "XDG_CACHE_HOME": folder, "CUNET_NATIVE": "1",
            "CUNET_NUM_THREADS": "4", "PYTHONPATH": str(ROOT), "LD_PRELOAD": library_of(compiler, library),
        }  # fmt: skip
        # Addresses that are drawn at random may lie where the thread sanitizer keeps its notes.
        fixed = ["setarch", os.uname().machine, "-R"] if shutil.which("setarch") else []
        return subprocess.run([*fixed, sys.executable, "-m", "pytest", *arguments], cwd=ROOT, env=env).returncode


def main(arguments: Sequence[str]) -> int:
    """Run what the command line asks for."""
    cut = arguments.index("--") if "--" in arguments else len(arguments)
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "sanitizers", nargs="*", metavar="SANITIZER", help=f"of {', '.join(SANITIZERS)}; all by default"
    )
    names = parser.parse_args(arguments[:cut]).sanitizers or list(SANITIZERS)
    if unknown := set(names) - SANITIZERS.keys():
        parser.error(f"there is no {', '.join(sorted(unknown))}")
    compiler = shutil.which(os.environ.get("CXX") or "g++")
    if compiler is None:
        raise SystemExit("sanitize: no C++ compiler; CXX can name one")
    given = list(arguments[cut + 1 :]) or [
        "-q",
        "-s",
        f"--deselect={MEASURED}",
        *(f"{NATIVE}/{test}" for test in TESTS),
    ]
    results = {name: run(name, compiler, given) for name in names}
    for name, status in results.items():
        print(f"{name}: {'clean' if status == 0 else f'exit status {status}'}")
    return max(results.values())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
