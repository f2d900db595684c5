"""Clocks, memory and experiments for every benchmark."""

from __future__ import annotations

import os
import platform
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeAlias

import torch
from hydra import initialize_config_module

from sim.study import compose
from sim.study.experiment import Experiment

Row: TypeAlias = dict[str, Any]
Result: TypeAlias = dict[str, Any]  # "title", "rows" (a table), "ratios" (name -> number)


def best_seconds(sides: Mapping[str, Callable[[], object]], repetitions: int) -> dict[str, float]:
    """Least seconds that each side took in ``repetitions`` turns; the sides take turns."""
    best = dict.fromkeys(sides, float("inf"))
    for _ in range(repetitions):
        for name, side in sides.items():
            best[name] = min(best[name], clocked(side))
    return best


def clocked(side: Callable[[], object]) -> float:
    """Seconds that one call takes."""
    start = time.perf_counter()
    side()
    return time.perf_counter() - start


def experiments(
    words: Sequence[str],
    attacks: Sequence[Any] = (),
    n_seeds: int = 1,
    defenses: Sequence[str] = (),
) -> list[Experiment]:
    """The runs of ``wardround compare WORDS attacks=ATTACKS defenses=DEFENSES seeds=N_SEEDS``."""
    with initialize_config_module("conf", version_base="1.3"):
        return compose.experiments(list(words), compose.cells(attacks, defenses), range(n_seeds))


@contextmanager
def peak_memory(every: float = 0.02) -> Iterator[list[int]]:
    """A list of one entry, in the end the peak of bytes resident in this process and below it.

    Descendants count together with the process. Linux only.
    """
    peak = [_resident()]
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(every):
            peak[0] = max(peak[0], _resident())

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield peak
    finally:
        stop.set()
        thread.join()


def _resident() -> int:
    """Bytes resident in this process and its descendants; shared pages count for each."""
    parents: dict[int, int] = {}
    pages: dict[int, int] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # processes come and go
            stat = (folder / "stat").read_text(encoding="utf-8", errors="replace")
            memory = (folder / "statm").read_text(encoding="ascii")
            parents[int(folder.name)] = int(stat.rpartition(")")[2].split()[1])
            pages[int(folder.name)] = int(memory.split()[1])
    family = {os.getpid()}
    while more := {pid for pid, parent in parents.items() if parent in family} - family:
        family |= more
    return sum(pages[pid] for pid in family) * os.sysconf("SC_PAGE_SIZE")


def machine() -> dict[str, Any]:
    """The machine that this was measured on."""
    model = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        if "model name" in line
    ]
    return {
        "processor": model[0] if model else platform.processor(),
        "cores": len(os.sched_getaffinity(0)),
        "load": round(os.getloadavg()[0], 1),
        "torch": torch.__version__,
        "python": platform.python_version(),
    }
