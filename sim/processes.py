"""The processes that share a comparison's runs, and the one that they are forked from. Imports no library."""

from __future__ import annotations

import multiprocessing
import os
from multiprocessing import forkserver

PROCESSES = multiprocessing.get_context("forkserver")
IMPORTED = ("sim.run", "clients.app")  # once, before the fork, for all of them


def n_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))


def warm_up() -> None:
    """Start the process that workers are forked from, unless it is there.

    It imports for seconds, best while its starter imports too.
    """
    PROCESSES.set_forkserver_preload(list(IMPORTED))
    forkserver.ensure_running()
