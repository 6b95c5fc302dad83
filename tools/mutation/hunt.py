"""The hunt: the tests run once unchanged, then against one mutant after the other, each in a process of its own."""

from __future__ import annotations

import argparse
import collections
import dataclasses
import gc
import json
import os
import random
import select
import shutil
import signal
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest

from .mutants import Mutant
from .report import KILLED, NOT_VIABLE, SURVIVED
from .units import FUSED, Unit, plant, served, text_of, units


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
            epilogue.activated("mutate_kernels", name)
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

    def choose(self, chosen: list[Unit]) -> list[tuple[Unit, Mutant]]:
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
        from cunet.kernels import listening

        launched: set[str] = set()

        def note(kernel: Any, args: Any, options: Any, proceed: Any) -> Any:
            launched.add(kernel.name)
            return proceed()

        began = time.monotonic()
        for k in range(len(self.items)):
            launched.clear()
            start = time.monotonic()
            with listening(note):
                failed = self.run(k, k + 1 if k + 1 < len(self.items) else None)
            if failed:
                self.say(f"left out, it fails without a mutant: {self.items[k].nodeid}: {failed}")
                continue
            for unit in chosen:
                if any(launched & served(kernel).keys() for kernel in unit.kernels):
                    unit.tests[k] = time.monotonic() - start
        self.say(f"{len(self.items)} tests without mutants: {time.monotonic() - began:.0f} s")

    def control(self, jobs: list[tuple[Unit, Mutant]]) -> None:
        """See that a text which only has one space more survives all its tests, as everything found depends on that."""
        unit, mutant = min(jobs, key=lambda job: (not job[0].tests, len(job[0].tests)))
        same = dataclasses.replace(mutant, text=text_of(unit.kernels[0], mutant.part) + " ", line="unchanged")
        before = collections.Counter(unit.kills)
        self.hunt([(unit, same)])
        survivors = self.results[unit.name][SURVIVED]
        if survivors != [unit.key(same)]:
            raise pytest.UsageError(f"the tests of {unit.name} fail in a process of their own without a mutant")
        survivors.clear()
        unit.kills = before

    def hunt(self, jobs: list[tuple[Unit, Mutant]]) -> None:
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

    def note(self, unit: Unit, mutant: Mutant, result: dict[str, Any], seconds: float) -> None:
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

    def fork(self, unit: Unit, mutant: Mutant, folder: Path) -> tuple[int, int]:
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

    def attempt(self, unit: Unit, mutant: Mutant, folder: Path) -> dict[str, Any]:
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
