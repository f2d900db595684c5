"""Python programs in processes of their own, forked from one that has imported what they need.

Imports take longer than most of what such programs do. A program about imports, or one that starts
processes itself, needs a new interpreter instead.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

from tests import ROOT

IMPORTED = ("sim.study.forked", "sim.cli.tasks", "sim.cli.validate", "sim.study.search")


class Program:
    """A Python program at work in the project's folder, with what it writes to standard error.

    What it writes to standard output goes nowhere.
    """

    def __init__(self, code: str, words: Sequence[str], folder: Path) -> None:
        """``words``: its arguments. ``folder``: of the file of its standard error."""
        self._error = folder / "standard error"
        self._pid = int(_asked(start=code, words=[*words], error=str(self._error)))

    def poll(self) -> int | None:
        """The exit code, or less than 0: the signal that ended it; None while it runs."""
        found: int | None = _asked(poll=self._pid)
        return found

    def ended(self, by: signal.Signals) -> tuple[int, str]:
        """The exit code and standard error of the program, which gets a signal and ends."""
        os.kill(self._pid, by)
        return int(_asked(wait=self._pid)), self._error.read_text()


@cache
def _server() -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.forked"],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    atexit.register(process.communicate)  # the end of its standard input ends it
    return process


def _asked(**question: Any) -> Any:
    """The answer of the process that forks."""
    process = _server()
    assert process.stdin is not None
    assert process.stdout is not None
    print(json.dumps(question), file=process.stdin, flush=True)
    return json.loads(process.stdout.readline())


def serve() -> None:
    """Answer each line of standard input, until it ends."""
    for name in IMPORTED:
        import_module(name)
    codes = dict[int, int]()
    for line in sys.stdin:
        asked = json.loads(line)
        if "start" in asked:
            pid = os.fork()
            if pid == 0:
                _become(asked["start"], asked["words"], asked["error"])
            answer: int | None = pid
        else:
            pid, option = (asked["poll"], os.WNOHANG) if "poll" in asked else (asked["wait"], 0)
            if pid not in codes:
                over, status = os.waitpid(pid, option)
                if over:
                    codes[pid] = os.waitstatus_to_exitcode(status)
            answer = codes.get(pid)
        print(json.dumps(answer), flush=True)


def _become(code: str, words: list[str], error: str) -> NoReturn:
    """Run a program in this process, a fork, as if it were its only one."""
    nothing = os.open(os.devnull, os.O_RDWR)
    file = os.open(error, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    for old, new in ((nothing, 0), (nothing, 1), (file, 2)):
        os.dup2(old, new)
    sys.argv = ["-c", *words]
    gc.enable()
    status = 1
    try:
        exec(code, {"__name__": "__main__"})
        status = 0
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    serve()
