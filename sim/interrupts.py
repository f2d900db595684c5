"""Ctrl-C ends the command at once; only a file that is being written is finished first.

An exception raised in the middle of other code can be lost there: in a library's ``try: import``,
in a weak reference's callback, in C++. So none is raised: the handler itself ends the workers,
leaves one line, and leaves. Imports no library.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

EXIT = 130
CLEAR = b"\r\x1b[2K\x1b[?25h"  # a progress bar has hidden the cursor


@dataclass
class _State:
    """``busy``: files being written. ``asked``: an interrupt came. ``end``: the action on it."""

    busy: int = 0
    asked: bool = False
    end: Callable[[], None] | None = None


_STATE = _State()


def end_with(line: str, stop: Callable[[], str | None]) -> None:
    """SIGINT ends this process from now on, with ``line`` on standard error and exit code 130.

    Where SIGINT is ignored, it stays ignored. ``stop`` ends all other processes of the command and
    returns a folder of theirs to be removed, if there is one.
    """

    def end() -> None:
        left = stop()
        if left is not None:
            shutil.rmtree(left, ignore_errors=True)
        os.write(2, (CLEAR if os.isatty(2) else b"") + line.encode() + b"\n")
        os._exit(EXIT)

    if signal.getsignal(signal.SIGINT) != signal.SIG_IGN:
        _STATE.end = end
        signal.signal(signal.SIGINT, _handle)


def _handle(*_: Any) -> None:
    first = not _STATE.asked  # a second one waits for nothing
    _STATE.asked = True
    if first and not _STATE.busy and "ray" in sys.modules:
        raise KeyboardInterrupt  # Ray ends its processes when Python ends
    if not (first and _STATE.busy) and _STATE.end is not None:
        _STATE.end()


@contextmanager
def finishing() -> Iterator[None]:
    """The work inside this block is finished before an interrupt ends the process."""
    _STATE.busy += 1
    try:
        yield
    finally:
        _STATE.busy -= 1
        if not _STATE.busy and _STATE.asked and _STATE.end is not None:
            _STATE.end()
