"""Commands in processes of their own, to be interrupted and killed."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from signal import SIGKILL

ROOT = Path(__file__).resolve().parents[1]
START = """\
import sys
from sim.cli.command import main
if __name__ == "__main__":  # as in the command that is installed: workers read this file too
    sys.exit(main())
"""


def started(
    words: Sequence[str], folder: Path, *, first: str = "", **more: str
) -> subprocess.Popen[str]:
    """``wardround WORDS`` at work in ``folder``, as the first process of a group of its own.

    Its standard error is piped. ``first``: lines of Python that it executes before. ``more``:
    variables of its environment.
    """
    folder.mkdir(parents=True, exist_ok=True)
    script = folder / "wardround"
    script.write_text(first + START)
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", str(script), *words],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | more,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def gone(group: int, patience: float = 10.0) -> bool:
    """Whether no process of the group is left, or will be within ``patience`` seconds."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


def killed(process: subprocess.Popen[str]) -> None:
    """End the process and all of its group, as a power cut would."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, SIGKILL)
    process.wait()
