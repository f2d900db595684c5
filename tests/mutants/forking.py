"""One pytest after the other, forked from a process that has imported what the project builds on.

The imports of torch and its like take longer than most mutants live. A ``Forker`` starts this
module as a process of its own, which imports no module of the project: what it forks imports the
changed code.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import importlib.metadata
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NoReturn

import coverage
import pytest

from tests.mutants.imports import PACKAGES, imported, parsed

ALONE = ("polars",)  # starts threads when it is imported, and a fork has none of them


class Forker:
    """Runs pytest in a copy of the tree, which it may not outlive: to be closed."""

    def __init__(self, tree: Path, environment: Mapping[str, str]) -> None:
        self.tree = tree
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.mutants.forking"],
            cwd=tree,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, words: list[str], more: Mapping[str, str], output: Path) -> int:
        """Pytest's exit code for these words and variables of the environment, or less than 0: the
        signal that ended it. What it printed is in the file ``output``. Coverage measures it if its
        own variable is among them.
        """
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        asked = {"words": words, "more": more, "output": str(output)}
        print(json.dumps(asked), file=self.process.stdin, flush=True)
        answer = self.process.stdout.readline()
        if not answer:
            raise RuntimeError(f"the process that forks pytest ended: {self.process.wait()}")
        return int(answer)

    def close(self) -> None:
        """End the process, and a pytest that runs."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def serve() -> None:
    """Answer each line of standard input with a line: the exit code of the pytest it asks for."""
    for name in sorted(set(_others(Path.cwd()))):
        with contextlib.suppress(ImportError):  # of an extra that is not installed
            importlib.import_module(name)
    for plugin in importlib.metadata.entry_points(group="pytest11"):
        plugin.load()
    gc.freeze()  # what is there stays: no fork looks through it, and copies its pages so
    for line in sys.stdin:
        asked = json.loads(line)
        pid = os.fork()
        if pid == 0:
            _be_pytest(asked["words"], asked["more"], asked["output"])
        print(_ended(pid), flush=True)


def _others(root: Path) -> Iterator[str]:
    """What the modules of the project import, of others, when they are imported."""
    own = {path.name for path in root.iterdir() if path.is_dir()}
    for _, tree in parsed(root, (*PACKAGES, "tests")):
        for name in imported(tree.body):
            if name.partition(".")[0] not in (*own, *ALONE):
                yield name


def _be_pytest(words: list[str], more: Mapping[str, str], output: str) -> NoReturn:
    os.setsid()
    file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for old, new in ((nothing, 0), (file, 1), (file, 2)):
        os.dup2(old, new)
    os.environ.update(more)
    coverage.process_startup()
    code = pytest.main(words)
    sys.stdout.flush()
    os._exit(code)  # without taking apart what was imported


def _ended(pid: int) -> int:
    """The exit code of a process that leads its session, or less than 0: the signal that ended it.

    Raises ``SystemExit`` if nobody waits for it any more: standard input has ended.
    """
    file = os.pidfd_open(pid)
    ready, _, _ = select.select([file, sys.stdin], [], [])
    os.close(file)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)  # and what it left
    _, status = os.waitpid(pid, 0)
    if sys.stdin in ready:
        sys.exit()
    return os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    serve()
