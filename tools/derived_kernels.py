"""Compile the CUDA texts of derivatives by NVIDIA's compiler: ``python tools/derived_kernels.py``.

Of each elementwise kernel of the library that has a derivative: the gradient of each input, of each of these that of
each input, and third ones, value and tangent in one, and the gradients of both; for data of float16, float32 and
float64. Nothing is run: that is what the tests of second and third derivatives do, on the simulated device (``pytest
--device sim tests/ops/rules``), with the texts that ops really use. Needs ``[sim]``, no GPU and no driver. The first
run takes minutes, a later one compiles what changed.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))


import cunet.parity  # noqa: E402, F401 (makes every kernel there is)
from cunet.kernels.calculus.duals import joined, joined_backward, pushed  # noqa: E402
from cunet.kernels.calculus.kernels import differentiable_inputs, formulas, gradient_kernel  # noqa: E402
from cunet.kernels.calculus.reading import Unreadable  # noqa: E402
from cunet.kernels.spec import KERNELS, Definition  # noqa: E402
from cunet.ops.activation.registry import ACTIVATIONS  # noqa: E402

DTYPES = ("float16", "float32", "float64")
TOGETHER = 60  # texts in one program


def readable() -> list[Definition]:
    """Return the kernels that have derivatives by their texts."""
    found = []
    for kernel in KERNELS.values():
        try:
            formulas(kernel)
        except Unreadable:
            continue
        found.append(kernel)
    return found


def derived(kernel: Definition, order: int) -> Iterator[Definition]:
    """Yield the kernels of derivatives up to an order, each once, and what makes value and tangent."""
    places = differentiable_inputs(kernel)
    if (dual := pushed(kernel, tuple(places))) is not None:
        yield dual
    for place in places:
        first = gradient_kernel(kernel, place)
        if first is None:
            continue
        yield first
        for second in differentiable_inputs(first) if order > 1 else ():
            again = gradient_kernel(first, second)
            if again is None:
                continue
            yield again
            third = gradient_kernel(again, place) if order > 2 else None
            if third is not None:
                yield third


def sources(kernels: Sequence[Definition], dtype: str) -> list[tuple[str, str]]:
    """Return the name and the source that CuPy would compile of each kernel, for data of a dtype."""
    from cunet.device import gpu

    noted: list[tuple[str, str]] = []
    with mock.patch("sim.launch._run", lambda source, name, *rest, **options: noted.append((name, source))):
        for kernel in kernels:
            kernel(*[_argument(gpu(), p.type, dtype) for p in kernel.spec.ins])
    return noted


def _argument(xp: Any, kind: str, dtype: str) -> Any:
    if kind == "A":
        return 0.5
    return xp.ones(4, dtype if kind == "T" else kind)


def programs(noted: Sequence[tuple[str, str]]) -> Iterator[str]:
    """Yield texts of many kernels each, every one in a namespace of its own."""
    for start in range(0, len(noted), TOGETHER):
        parts, includes = list[str](), dict[str, None]()
        for k, (name, source) in enumerate(noted[start : start + TOGETHER]):
            lines = source.replace(f"void {name}(", f"void {name}_{k}(").splitlines(keepends=True)
            includes |= dict.fromkeys(line for line in lines if line.lstrip().startswith("#include"))
            own = "".join(line for line in lines if not line.lstrip().startswith("#include"))
            # A preamble that overloads CUDA's function would hide it in here.
            parts.append(f"namespace n{k} {{\nusing ::normcdf;\n{own}\n}}\n")
        yield "".join([*includes, *parts])


def compile_texts(noted: Sequence[tuple[str, str]], arch: str) -> None:
    """Compile sources.

    Raises:
        cupy.cuda.compiler.CompileException: one was refused; it says which.
    """
    from sim import nvrtc
    from sim.state import options

    with mock.patch.object(options, "nvrtc", (arch,)):
        for text in programs(noted):  # one by one: the pipes to the compiler and back are short
            nvrtc.finish(nvrtc.start([nvrtc.job(text, "derived")]))


def activations() -> Iterator[tuple[str, Definition]]:
    """Yield what makes value and tangent by the texts of an activation's two kernels, and what makes their gradients.

    With each comes the name of the kernel forward.
    """
    texts = readable()
    for entry in ACTIVATIONS.values():
        for options in entry.settings():
            forward, backward, _ = entry.numbers(**options)
            made = [joined(forward, backward)]
            if backward in texts:
                made += [joined_backward(forward, backward, moves) for moves in (False, True)]
            yield from ((forward.name, kernel) for kernel in made if kernel is not None)


def compile_all(kernels: Sequence[Definition], order: int, arch: str, dtypes: Sequence[str] = DTYPES) -> int:
    """Compile the derivatives of kernels, and return how many texts there were."""
    made = [one for kernel in kernels for one in derived(kernel, order)] + [
        dual for name, dual in activations() if name in {kernel.name for kernel in kernels}
    ]
    for dtype in dtypes:
        compile_texts(sources(made, dtype), arch)
    return len(made) * len(dtypes)


def main() -> None:
    """Compile all, or the kernels that are named."""
    import sim

    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kernels", nargs="*", help="of these only")
    parser.add_argument("--order", type=int, default=3)
    parser.add_argument("--arch", default="90")
    given = parser.parse_args()
    reason = sim.unavailable_reason()
    if reason:
        raise SystemExit(f"derived_kernels: {reason}")
    sim.install()
    kernels = [k for k in readable() if not given.kernels or k.name in given.kernels]
    count = compile_all(kernels, given.order, given.arch)
    print(
        f"{count} texts of derivatives up to order {given.order} of {len(kernels)} kernels compile for sm_{given.arch}"
    )


if __name__ == "__main__":
    main()
