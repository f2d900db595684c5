"""What pytest does besides running tests, in the two runs that ``python -m tests.mutants`` starts.

``MUTANTS_RECORD`` names a file for the seconds of each test that passes (its setup, and the rest),
while coverage notes which test runs which line. ``MUTANTS_TESTS`` names a file with the tests to
run, in its order, and after how many seconds each ends the process by SIGALRM; beside it, in a file
with the suffix of ``LAST``, is the one that began last.
"""

from __future__ import annotations

import json
import os
import resource
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

RECORD = "MUTANTS_RECORD"
TESTS = "MUTANTS_TESTS"
LAST = ".last"
CONTEXT = "MUTANTS_CONTEXT"  # of coverage in the processes that a test starts
MOST_MEMORY = 16 << 30  # bytes: a mutant may ask for an array without end


def pytest_configure(config: pytest.Config) -> None:
    if path := os.environ.get(RECORD):
        config.pluginmanager.register(Recorder(Path(path)))
    if path := os.environ.get(TESTS):
        resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
        config.pluginmanager.register(Selector(Path(path)))


class Recorder:
    """The record of which test runs which line, written whenever a file of tests is done."""

    def __init__(self, path: Path) -> None:
        import coverage  # the extra `mutants` has it

        self.path = path
        self.coverage = coverage.Coverage.current()
        self.seconds: dict[str, tuple[float, float]] = {}
        self.passed: dict[str, bool] = {}

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> Iterator[None]:
        """Keep the order of files: tests of one group are put first for more than one process."""
        place = {item.nodeid: i for i, item in enumerate(items)}
        try:
            return (yield)
        finally:
            items.sort(key=lambda item: place[item.nodeid])

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(
        self, item: pytest.Item, nextitem: pytest.Item | None
    ) -> Iterator[None]:
        self.coverage.switch_context(item.nodeid)
        os.environ[CONTEXT] = item.nodeid
        try:
            return (yield)
        finally:
            self.coverage.switch_context("")
            os.environ.pop(CONTEXT, None)
            if nextitem is None or nextitem.path != item.path:
                self.save()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        name = report.nodeid
        setup, rest = self.seconds.get(name, (0.0, 0.0))
        if report.when == "setup":
            setup += report.duration
        else:
            rest += report.duration
        self.seconds[name] = setup, rest
        if report.when == "call" or not report.passed:
            self.passed[name] = report.passed and self.passed.get(name, True)

    def save(self) -> None:
        self.coverage.save()
        tests = {name: self.seconds[name] for name, passed in self.passed.items() if passed}
        self.path.write_text(json.dumps(tests, indent=1))


class Selector:
    """The choice and order of tests."""

    def __init__(self, path: Path) -> None:
        self.limits: dict[str, float] = json.loads(path.read_text())
        self.place = {name: i for i, name in enumerate(self.limits)}
        self.last = path.with_suffix(LAST)
        signal.setitimer(signal.ITIMER_REAL, max(self.limits.values()))  # to find the tests

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = sorted(
            (item for item in items if item.nodeid in self.place),
            key=lambda item: self.place[item.nodeid],
        )

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self.last.write_text(nodeid)
        signal.setitimer(signal.ITIMER_REAL, self.limits[nodeid])
