"""Change one operator, operand or constant of a kernel's CUDA text at a time, and see whether the tests notice.

    python tools/mutate_kernels.py                                    every kernel (an hour or two on 2 cores)
    python tools/mutate_kernels.py --kernels elu_forward elu_backward these kernels, and the preambles they use
    python tools/mutate_kernels.py --sample 100 --seed 1              100 mutants drawn from all
    python tools/mutate_kernels.py --kernels adam -- tests/optim        only the tests in that folder

Runs the tests once on the simulated device and notes which of them launch which kernel. Then each mutant (`mutations`
says what is changed) gets a process of its own, forked from that pytest: it runs the tests of its kernel, those first
that found most of the earlier mutants, until one fails. A mutant that crashes or does not come to an end is killed,
one that does not compile counts as none. Survivors that ``mutation_equivalents.toml`` lists compute the same, or
nothing that a test could tell; the others need a test. Exit status 1: fewer than ``--least`` percent were killed.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import dataclasses
import gc
import json
import os
import random
import select
import shutil
import signal
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import mutations
import pytest

ROOT = Path(__file__).resolve().parent.parent
EQUIVALENTS = Path(__file__).with_name("mutation_equivalents.toml")
FUSED = ("hard_tanh",)  # it uses both parameters
KILLED, SURVIVED, NOT_VIABLE = "killed", "survived", "not viable"


@dataclasses.dataclass
class Unit:
    """What is mutated together: the texts of one kernel, or one preamble with the kernels that use it.

    Attributes:
        tests: index of an item -> seconds it took, for the items that launch one of the kernels.
        kills: index of an item -> how many mutants it found.
    """

    name: str
    kernels: list[Any]
    mutants: list[mutations.Mutant]
    tests: dict[int, float] = dataclasses.field(default_factory=dict)
    kills: collections.Counter[int] = dataclasses.field(default_factory=collections.Counter)

    def order(self) -> list[int]:
        """Return the tests, the best hunters first, then the quickest."""
        return sorted(self.tests, key=lambda k: (-self.kills[k], self.tests[k], k))

    def key(self, mutant: mutations.Mutant) -> str:
        """Name a mutant as mutation_equivalents.toml does."""
        copy = f" #{mutant.copy}" if mutant.copy > 1 else ""
        return f"{self.kernels[0].name}.{mutant.part}: {mutant.line}{copy}"


class Template:
    """A text that RawKernels are made of, with the kernels that it serves: stands where a kernel does in a `Unit`."""

    def __init__(self, module: Any, attribute: str, kernels: Iterable[Any]) -> None:
        self.name = f"{module.__name__.rpartition('.')[2]}{attribute}"
        self.module, self.attribute = module, attribute
        self.served = {k.name: k for k in kernels}

    @property
    def text(self) -> str:
        """What the module has."""
        return str(getattr(self.module, self.attribute))

    @text.setter
    def text(self, text: str) -> None:
        setattr(self.module, self.attribute, text)


def served(kernel: Any) -> dict[str, Any]:
    """Return by name the kernels whose text changes with this one: itself, or those of a `Template`."""
    return kernel.served if isinstance(kernel, Template) else {kernel.name: kernel}


def templates(kernels: dict[str, Any]) -> list[Unit]:
    """Return what there is to mutate in texts that stand in no kernel."""
    from cunet.kernels.backends.cuda import common, reduction

    found = []
    for module, attribute in ((reduction, "_ROWS"), (reduction, "_COLUMNS"), (common, "_JOIN")):
        template = Template(module, attribute, kernels.values())
        mutants = mutations.template_mutants(template.text, formatted=module is reduction)
        found.append(Unit(template.name, [template], mutants))
    return found


def units(kernels: dict[str, Any]) -> list[Unit]:
    """Return what there is to mutate in cunet's kernels; of norms with an activation, made alike, those in `FUSED`."""
    from cunet.ops.norm import epilogue

    made, kept = f"{epilogue.__name__}.", tuple(f"{epilogue.__name__}.{name}" for name in FUSED)
    ours = [k for k in kernels.values() if k.__module__.startswith("cunet.")]
    ours = [k for k in ours if not k.__module__.startswith(made) or k.__module__ in kept]
    result = [Unit(k.name, [k], mutations.kernel_mutants(k)) for k in ours]
    sharing = collections.defaultdict(list)
    for k in ours:
        sharing[k.preamble].append(k)
    for text, users in sharing.items():
        found = mutations.preamble_mutants(text)
        if found:  # a plain struct has none
            result.append(Unit(f"{users[0].name} preamble", users, found))
    return result + templates(kernels)


class Hunt:
    """The pytest plugin that takes the place of the run: baseline first, then the mutants."""

    def __init__(self, options: argparse.Namespace, report: Any) -> None:
        self.options, self.report = options, report
        self.results: dict[str, Any] = {}
        self.failed: str | None = None
        self.seconds = 0.0

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Run the baseline and the mutants instead of the tests."""
        from cunet.kernels import KERNELS
        from cunet.ops.norm import epilogue

        for name in FUSED:  # made when somebody first asks for them
            epilogue.fused("mutate_kernels", name)
        chosen = units(KERNELS)
        if self.options.kernels:
            wanted = set(self.options.kernels)
            unknown = wanted - {k.name for u in chosen for k in u.kernels}
            if unknown:
                raise pytest.UsageError(f"no such kernels: {sorted(unknown)}")
            chosen = [u for u in chosen if wanted & {k.name for k in u.kernels}]
        self.items = session.items
        self.baseline(chosen)
        jobs = self.choose(chosen)
        self.results = {u.name: {KILLED: 0, SURVIVED: [], NOT_VIABLE: []} for u, _ in jobs}
        start = time.monotonic()
        self.control(jobs)
        self.hunt(jobs)
        self.seconds = time.monotonic() - start
        return True

    def choose(self, chosen: list[Unit]) -> list[tuple[Unit, mutations.Mutant]]:
        """Return the mutants to be run, as the options say."""
        draw, jobs = random.Random(self.options.seed), []
        for unit in chosen:
            mutants = [m for m in unit.mutants if m.rule.startswith(self.options.rule)]
            if self.options.each is not None:
                mutants = draw.sample(mutants, min(self.options.each, len(mutants)))
            jobs += [(unit, m) for m in mutants]
        if self.options.sample is not None:
            jobs = draw.sample(jobs, min(self.options.sample, len(jobs)))
        return jobs

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note the first failure of a test."""
        if report.failed and self.failed is None:
            crash = getattr(report.longrepr, "reprcrash", None)
            self.failed = str(crash.message if crash else report.longrepr).strip().split("\n")[0][:200]

    def run(self, k: int, following: int | None) -> str | None:
        """Run one item; return why it failed, or None."""
        self.failed = None
        item, nextitem = self.items[k], None if following is None else self.items[following]
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=nextitem)
        return self.failed

    def baseline(self, chosen: list[Unit]) -> None:
        """Run all tests unchanged and note which kernels each one launches."""
        from cunet import kernels

        launched: set[str] = set()
        original = kernels.Kernel._device

        def spy(kernel: Any, *args: Any) -> Any:
            launched.add(kernel.name)
            return original(kernel, *args)

        kernels.Kernel._device = spy  # type: ignore[method-assign]
        began = time.monotonic()
        for k in range(len(self.items)):
            launched.clear()
            start = time.monotonic()
            failed = self.run(k, k + 1 if k + 1 < len(self.items) else None)
            if failed:
                self.say(f"left out, it fails without a mutant: {self.items[k].nodeid}: {failed}")
                continue
            for unit in chosen:
                if any(launched & served(kernel).keys() for kernel in unit.kernels):
                    unit.tests[k] = time.monotonic() - start
        kernels.Kernel._device = original  # type: ignore[method-assign]
        self.say(f"{len(self.items)} tests without mutants: {time.monotonic() - began:.0f} s")

    def control(self, jobs: list[tuple[Unit, mutations.Mutant]]) -> None:
        """See that a text which only has one space more survives all its tests, as everything found depends on that."""
        unit, mutant = min(jobs, key=lambda job: (not job[0].tests, len(job[0].tests)))
        same = dataclasses.replace(mutant, text=getattr(unit.kernels[0], mutant.part) + " ", line="unchanged")
        before = collections.Counter(unit.kills)
        self.hunt([(unit, same)])
        survivors = self.results[unit.name][SURVIVED]
        if survivors != [unit.key(same)]:
            raise pytest.UsageError(f"the tests of {unit.name} fail in a process of their own without a mutant")
        survivors.clear()
        unit.kills = before

    def hunt(self, jobs: list[tuple[Unit, mutations.Mutant]]) -> None:
        """Run every mutant in a process of its own."""
        gc.collect()
        gc.freeze()  # what the garbage collector touches, a fork would copy
        queue, running, watch = collections.deque(jobs), {}, Watch()
        with tempfile.TemporaryDirectory() as folder:
            while queue or running:
                while queue and len(running) < self.options.jobs:
                    unit, mutant = queue.popleft()
                    pipe, child = self.fork(unit, mutant, Path(folder))
                    running[pipe] = (child, unit, mutant, time.monotonic())
                for child, *_ in running.values():
                    watch.look(child)
                for pipe in select.select(list(running), [], [], 1)[0]:
                    child, unit, mutant, began = running.pop(pipe)
                    with os.fdopen(pipe, "rb") as stream:
                        said = stream.read()
                    signalled = os.WTERMSIG(os.waitpid(child, 0)[1])
                    shutil.rmtree(Path(folder, str(child)), ignore_errors=True)
                    crash = {"status": KILLED, "why": signal.Signals(signalled).name} if signalled else {}
                    self.note(unit, mutant, json.loads(said) if said else crash, time.monotonic() - began)
                    done = len(jobs) - len(queue) - len(running)
                    if done % 100 == 0:
                        self.say(f"{done} of {len(jobs)} mutants")

    def note(self, unit: Unit, mutant: mutations.Mutant, result: dict[str, Any], seconds: float) -> None:
        """Add what became of a mutant to the results."""
        entry = self.results[unit.name]
        if "by" in result:
            unit.kills[result["by"]] += 1
        if result["status"] == KILLED:
            entry[KILLED] += 1
        else:
            entry[result["status"]].append(unit.key(mutant))
            if result["status"] == SURVIVED:
                self.say(f"survived {result['tests']} of {len(unit.tests)} tests, {seconds:.0f} s: {unit.key(mutant)}")
        if self.options.verbose:
            self.say(f"{result} {seconds:.1f} s {unit.key(mutant)}")

    def fork(self, unit: Unit, mutant: mutations.Mutant, folder: Path) -> tuple[int, int]:
        """Start the process of a mutant; return the pipe that it answers through and its number."""
        reading, writing = os.pipe()
        child = os.fork()
        if child:
            os.close(writing)
            return reading, child
        try:
            os.write(writing, json.dumps(self.attempt(unit, mutant, folder / str(os.getpid()))).encode())
        finally:
            os._exit(0)

    def attempt(self, unit: Unit, mutant: mutations.Mutant, folder: Path) -> dict[str, Any]:
        """Plant the mutant in this process and run its tests."""
        broken = plant(unit, mutant, folder)
        order = unit.order()
        for count, k in enumerate(order):
            if sum(os.times()[:4]) > self.options.limit:
                return {"status": SURVIVED, "tests": count}
            # Of the processor's time, so that a machine that is busy, or a pause, kills nobody. No handler: a loop in
            # C that has no end must stop all the same. `Watch` stops what waits for ever.
            signal.setitimer(signal.ITIMER_PROF, 5 + 20 * unit.tests[k])
            why = self.run(k, order[count + 1] if count + 1 < len(order) else None)
            if broken:
                return {"status": NOT_VIABLE}
            if why:
                return {"status": KILLED, "by": k, "why": why, "test": self.items[k].nodeid, "tests": count + 1}
        return {"status": SURVIVED, "tests": len(order)}

    def say(self, text: str) -> None:
        """Print progress where pytest does not capture it."""
        print(text, file=self.report, flush=True)


class Watch:
    """Ends mutants that wait for what never comes, which costs no processor time: a lock, another thread."""

    PATIENCE = 120  # times that `look` found it idle, a second apart; while this process is paused, none pass

    def __init__(self, proc: Path = Path("/proc")) -> None:
        self.proc = proc
        self.seen: dict[int, tuple[list[str], int]] = {}  # child -> its times, and how often they had not changed

    def look(self, child: int) -> None:
        """Look at a child once; kill it if it has been idle for long."""
        state, *rest = self.proc.joinpath(str(child), "stat").read_text().rpartition(")")[2].split()
        times = rest[10:14]  # its own and its children's, user and system
        waits_for_compiler = self.proc.joinpath(str(child), "task", str(child), "children").read_text().strip()
        before, idle = self.seen.get(child, (times, 0))
        idle = idle + 1 if times == before and state == "S" and not waits_for_compiler else 0
        self.seen[child] = times, idle
        if idle > self.PATIENCE:
            os.kill(child, signal.SIGKILL)


def plant(unit: Unit, mutant: mutations.Mutant, folder: Path) -> list[Any]:
    """Change the kernels, and let them be compiled in `folder`; return a list that will hold compiler errors."""
    from sim import build

    base, compile_one, broken = build._prepare(), build._compile, []
    folder.mkdir()
    for file in base.iterdir():
        if file.suffix in (".h", ".gch"):
            folder.joinpath(file.name).symlink_to(file)

    def attempt(*args: Any) -> None:
        try:
            compile_one(*args)
        except build.CompileException as error:
            broken.append(error)
            raise

    build._prepare, build._compile = lambda: folder, attempt
    for kernel in unit.kernels:
        setattr(kernel, mutant.part, mutant.text)
        for each in served(kernel).values():
            each._compiled.clear()
    return broken


def known_equivalents(file: Path = EQUIVALENTS) -> dict[str, str]:
    """Return the mutants that no test can tell from the original, with the reason."""
    groups = tomllib.loads(file.read_text())["equivalent"] if file.exists() else []
    return {mutant: group["reason"] for group in groups for mutant in group["mutants"]}


def summary(results: dict[str, Any], equivalents: dict[str, str]) -> tuple[str, float]:
    """Return a Markdown table of the results, and the percentage of mutants killed."""
    lines = [
        "| kernel | mutants | killed | equivalent | survived | not viable |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    total, left = [0] * 5, []
    for name, entry in sorted(results.items()):
        same = [m for m in entry[SURVIVED] if m in equivalents]
        left += [m for m in entry[SURVIVED] if m not in equivalents]
        numbers = [entry[KILLED] + len(entry[SURVIVED]), entry[KILLED], len(same), len(entry[SURVIVED]) - len(same)]
        numbers.append(len(entry[NOT_VIABLE]))
        total = [t + n for t, n in zip(total, numbers, strict=True)]
        lines.append(f"| {name} | " + " | ".join(map(str, numbers)) + " |")
    lines.append("| all | " + " | ".join(map(str, total)) + " |")
    share = 100 * total[1] / max(total[0] - total[2], 1)
    lines += ["", f"{share:.1f} % of those that are not equivalent were killed"]
    lines += [f", {100 * total[1] / max(total[0], 1):.1f} % of all that compile."]
    return "\n".join([*lines[:-2], lines[-2] + lines[-1], *(["", "Survivors:", ""] if left else []), *left]), share


def stale(results: dict[str, Any], equivalents: dict[str, str]) -> list[str]:
    """Return the mutants of these kernels that are listed as equivalent, and were killed or are no more."""
    survivors = {m for entry in results.values() for m in entry[SURVIVED]}
    parts = ("operation", "map", "reduce", "post", "identity", "preamble", "text")
    kernels = {
        f"{name.removesuffix(' preamble')}.{part}"
        for name in results
        for part in parts
        if (part == "preamble") == name.endswith(" preamble")
    }
    return [m for m in equivalents if m.split(":")[0] in kernels and m not in survivors]


def main() -> int:
    """Run the command line; return the exit status."""
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
    own, tests = sys.argv[1:], ["tests"]
    if "--" in own:
        own, tests = own[: own.index("--")], own[own.index("--") + 1 :]
    options = parser.parse_args(own)
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
