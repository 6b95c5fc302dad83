"""Call everything with anything, and see whether the routes agree: ``python tools/fuzz.py --seconds 60``.

A call is an op of `cunet.parity` or a layer of `cunet.nn` with other sizes (0 and 1 among them), options, dtypes and
memory layouts (strided, reversed, broadcast, unaligned, big-endian, read-only, ...), now and then with infinities, NaN
and zeros in it. It runs forward and backward as NumPy on plain arrays, as
NumPy, compiled, and on the simulated device where that is there. What is found: values or gradients that differ by
more than rounding does (inputs are shaken to see how much that is), other dtypes and shapes, changed inputs, an error
on one route alone, warnings, errors from inside (other than ValueError, TypeError and IndexError), and a process that
crashes or hangs. Each finding comes with the command that runs its call again. Exit status 1: something was found.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tools")]

from fuzzing.hunt import Hunt  # noqa: E402
from fuzzing.worker import serve  # noqa: E402

CPU = ["numpy, plain", "numpy", "native"]


def routes(choice: str) -> list[str]:
    """Return the routes to take: those of the CPU, and the simulated device if wanted and there."""
    if choice == "no":
        return CPU
    import sim

    reason = sim.unavailable_reason()
    if reason and choice == "yes":
        raise SystemExit(f"fuzz: no simulated device: {reason}")
    return CPU if reason else [*CPU, "sim"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seed", type=int, default=0, help="of all calls (default: 0)")
    parser.add_argument("--calls", type=int, default=10**9, metavar="N", help="stop after so many")
    parser.add_argument("--seconds", type=float, default=60, metavar="S", help="stop after so long (default: 60)")
    parser.add_argument("--start", type=int, default=0, metavar="K", help="number of the first call (default: 0)")
    parser.add_argument("--only", type=int, metavar="K", help="run this call alone")
    parser.add_argument("--timeout", type=float, default=120, metavar="S", help="a call that takes longer hangs")
    parser.add_argument("--sim", choices=("auto", "yes", "no"), default="auto", help="the simulated device too")
    parser.add_argument("--preload", metavar="FILE", help="Python to run first in each process: kernels of your own")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    taken = routes(options.sim)
    if options.worker:
        serve(options.seed, taken, options.preload)
        return 0
    command = [sys.executable, str(Path(__file__)), "--worker", "--seed", str(options.seed)]
    command += ["--sim", "yes" if "sim" in taken else "no"]
    command += ["--preload", options.preload] if options.preload else []
    numbers = [options.only] if options.only is not None else range(options.start, options.start + options.calls)
    end, done, found = time.monotonic() + options.seconds, 0, 0
    with Hunt(command, options.timeout) as hunt:
        for number in numbers:
            if time.monotonic() > end:
                break
            call, findings = hunt.run(number)
            done += 1
            found += bool(findings)
            if findings or options.only is not None:
                print(f"python tools/fuzz.py --seed {options.seed} --only {number}  # {call}")
                print(*(f"    {text}" for text in findings), sep="\n", flush=True)
    print(f"{done} calls by {', '.join(taken)}: {found or 'no'} finding{'s' * (found != 1)}")
    return int(found > 0)


if __name__ == "__main__":
    sys.exit(main())
