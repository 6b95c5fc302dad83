"""The project's tests on the device, file by file: what is recorded of a file stays, whatever the next one does."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from ..rows import Rows
from ..setting import ROOT, Setting

MOST = 20  # failures of a file that are told


class Files:
    """A plugin of pytest that writes a row when the tests of a file have run."""

    def __init__(self, rows: Rows) -> None:
        self.rows = rows
        self.file = ""
        self.found: dict[str, Any] = {}

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Note that a file is begun."""
        file = nodeid.partition("::")[0]
        if file != self.file:
            self.close()
            self.file, self.found = file, {"passed": 0, "failed": 0, "skipped": 0, "seconds": 0.0, "failures": []}
            self.rows.write(file, "begun", nodeid)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count a test."""
        self.found["seconds"] = round(self.found["seconds"] + report.duration, 3)
        if report.failed or report.when == "call" or report.skipped:
            self.found[report.outcome] += 1
        if report.failed and len(self.found["failures"]) < MOST:
            self.found["failures"].append(f"{report.nodeid}: {_reason(report)}")

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Write down a file that does not even import."""
        if report.failed:
            self.rows.write(report.nodeid, "error", _reason(report))

    def close(self) -> None:
        """Write the row of the file whose tests have run."""
        if self.file:
            self.rows.write(self.file, "value", self.found)
        self.file = ""


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    crash = getattr(report.longrepr, "reprcrash", None)
    return str(crash.message)[:300] if crash else str(report.longrepr)[-300:]


def files_of(places: Sequence[str]) -> list[str]:
    """Return the test files of files and folders, the largest first: those of one share then take about as long."""
    found = [file for place in places for file in ([ROOT / place] if place[-3:] == ".py" else _tests_in(ROOT / place))]
    return [file.relative_to(ROOT).as_posix() for file in sorted(found, key=lambda file: -file.stat().st_size)]


def _tests_in(folder: Path) -> list[Path]:
    return sorted(folder.rglob("test_*.py"))


def run(setting: Setting, rows: Rows) -> None:
    """Run this share's files in one process."""
    todo = rows.todo(files_of(setting.form.tests))
    if todo:
        os.chdir(ROOT)
        os.environ.pop("PYTEST_ADDOPTS", None)  # options for runs of the whole suite, such as xdist's
        plugin = Files(rows)
        flags = ["-q", "--tb=short", "--device", setting.form.device, "-p", "no:cacheprovider", "-p", "no:xdist"]
        pytest.main([*flags, *todo], plugins=[plugin])
        plugin.close()
