"""``python -m lab``: run groups, write the pages."""

from __future__ import annotations

import argparse
from pathlib import Path

from . import pages
from .group import NAMES, SIZES
from .runner import run


def main(argv: list[str] | None = None) -> None:
    """Run what the command line says."""
    parser = argparse.ArgumentParser(prog="python -m lab", description=__doc__)
    parser.add_argument("groups", nargs="*", metavar="group", help=f"which ({', '.join(NAMES)}; default: all)")
    parser.add_argument("--quick", action="store_true", help="small sizes, seeds 0 to 3; else 100 to 109")
    parser.add_argument("--seed", type=int, default=0, help="added to the seeds of the size (default: 0)")
    parser.add_argument("--jobs", type=int, help="pieces at a time (default: the number of cores)")
    parser.add_argument("--out", type=Path, help="folder of the results; no pages are written then")
    parser.add_argument("--pages", action="store_true", help="run nothing, write the pages from what is there")
    args = parser.parse_args(argv)
    wrong = [name for name in args.groups if name not in NAMES]
    if wrong:
        parser.error(f"no group {wrong[0]!r}; there are {', '.join(NAMES)}")
    if args.seed and not args.out:
        parser.error("another seed needs a folder of its own: --out")
    size = SIZES["quick" if args.quick else "full"]
    for name in () if args.pages else tuple(args.groups) or NAMES:
        run(name, size, args.out or pages.RESULTS / size.name, seed=args.seed, jobs=args.jobs)
        if not args.out:
            pages.write((name,))
    if args.pages:
        pages.write()


if __name__ == "__main__":
    main()
