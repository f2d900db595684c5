"""The processes that share a comparison's runs, and the one that they are forked from.

Imports no library.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing import forkserver, resource_tracker
from typing import Any

from sim.errors import InputError
from sim.interrupts import finishing
from sim.names import PRELOADED

PROCESSES = multiprocessing.get_context("forkserver")


def n_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def warm_up() -> None:
    """Start the process that workers are forked from, unless it is there.

    It imports for seconds, best while its starter imports too. It and its workers never get SIGINT:
    their starter ends them.
    """
    PROCESSES.set_forkserver_preload(list(PRELOADED))
    with finishing():
        # else the fork server's start would start it, which unblocks SIGINT again
        resource_tracker.ensure_running()
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            forkserver.ensure_running()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def is_warm() -> bool:
    """Whether the process that workers are forked from is there."""
    server: Any = vars(forkserver)["_forkserver"]
    return server._forkserver_pid is not None


def stop() -> None:
    """End the process that workers are forked from, if it is there.

    By itself it would first finish its imports.
    """
    server: Any = vars(forkserver)["_forkserver"]
    if server._forkserver_pid is not None:
        os.kill(server._forkserver_pid, signal.SIGTERM)
        server._stop()


def check_main() -> None:
    """Refuse to run anything while a worker imports the main script of its starter."""
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        expected = 'expected the call below if __name__ == "__main__": in a script'
        raise InputError("workers", "a worker process that imports the script", expected)


@contextmanager
def lent() -> Iterator[None]:
    """The process that workers are forked from ends with this block, unless it was there before."""
    server: Any = vars(forkserver)["_forkserver"]
    is_ours = server._forkserver_pid is None
    preloaded = server._preload_modules
    try:
        yield
    finally:
        server._preload_modules = preloaded
        if is_ours:
            stop()


def kill() -> str | None:
    """End all processes that this one has started, at once.

    Returns the folder of their sockets, None if there is none.
    """
    server: Any = vars(forkserver)["_forkserver"]
    for process in multiprocessing.active_children():
        process.kill()
    if server._forkserver_pid is not None:
        with suppress(ProcessLookupError):
            os.kill(server._forkserver_pid, signal.SIGKILL)
    folder: str | None = vars(multiprocessing.current_process())["_config"].get("tempdir")
    return folder
