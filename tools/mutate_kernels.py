"""Change one operator, operand or constant of a kernel's CUDA text at a time, and see whether the tests notice.

    python tools/mutate_kernels.py                                    every kernel (an hour or two on 2 cores)
    python tools/mutate_kernels.py --kernels elu_forward elu_backward these kernels, and the preambles they use
    python tools/mutate_kernels.py --sample 100 --seed 1              100 mutants drawn from all
    python tools/mutate_kernels.py --kernels adam -- tests/optim      only the tests in that folder

Runs the tests once on the simulated device and notes which of them launch which kernel. Then each mutant
(`mutation.mutants` says what is changed) gets a process of its own, forked from that pytest: it runs the tests of its
kernel, those first that found most of the earlier mutants, until one fails. A mutant that crashes or does not come to
an end is killed, one that does not compile counts as none. Survivors that ``mutation_equivalents.toml`` lists compute
the same, or nothing that a test could tell; the others need a test. Exit status 1: fewer than ``--least`` percent were
killed.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
from pathlib import Path

import pytest
from mutation.hunt import Hunt
from mutation.report import known_equivalents, stale, summary

ROOT = Path(__file__).resolve().parent.parent


def options_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line, up to the ``--`` before pytest's own arguments."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kernels", nargs="+", metavar="NAME", help="mutate these only")
    parser.add_argument("--sample", type=int, metavar="N", help="draw that many mutants")
    parser.add_argument("--each", type=int, metavar="N", help="draw that many mutants of each kernel and preamble")
    parser.add_argument("--rule", default="", help="only changes of this kind, such as minus (added and dropped)")
    parser.add_argument("--seed", type=int, default=0, help="of the draw (default: 0)")
    parser.add_argument("--jobs", type=int, default=1, help="processes side by side (default: 1)")
    parser.add_argument(
        "--limit", type=float, default=60, help="seconds of processor time after which a mutant survives (default: 60)"
    )
    parser.add_argument("--least", type=float, default=95, help="percent to be killed (default: 95)")
    parser.add_argument("--json", type=Path, help="put the results of these kernels into this file")
    parser.add_argument(
        "--verbose", action="store_true", help="say what became of every mutant, and through which test"
    )
    return parser


def main() -> int:
    """Run the command line; return the exit status."""
    own, tests = sys.argv[1:], ["tests"]
    if "--" in own:
        own, tests = own[: own.index("--")], own[own.index("--") + 1 :]
    options = options_parser().parse_args(own)
    os.nice(10)
    # Blocks of 1 thread would never combine two states. The threads of BLAS do not survive a fork.
    for name, value in (("CUNET_SIM_BLOCK", "32"), ("OMP_NUM_THREADS", "1"), ("OPENBLAS_NUM_THREADS", "1")):
        os.environ.setdefault(name, value)
    report = os.fdopen(os.dup(2), "w")
    hunt = Hunt(options, report)
    sys.path.insert(0, str(ROOT))
    os.chdir(ROOT)
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        status = pytest.main(
            ["-q", "--device", "sim", "-p", "no:cacheprovider", "-p", "no:faulthandler", *tests], plugins=[hunt]
        )
    if status not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        return int(status)
    equivalents = known_equivalents()
    if options.json:
        kept = json.loads(options.json.read_text()) if options.json.exists() else {}
        options.json.write_text(json.dumps(dict(sorted((kept | hunt.results).items())), indent=1) + "\n")
    text, share = summary(hunt.results, equivalents)
    print(text)
    if options.sample is None and options.each is None and not options.rule:
        for mutant in stale(hunt.results, equivalents):
            print(f"listed as equivalent, but killed or no mutant any more: {mutant}")
    print(f"{hunt.seconds:.0f} s")
    return int(share < options.least)


if __name__ == "__main__":
    sys.exit(main())
