"""Progress on standard error: a bar on a terminal, elsewhere a line from time to time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from sim.cli.screen import Screen

EVERY: Final = 5.0  # seconds between two lines, at least


@contextmanager
def progress(doing: str, total: int, unit: str) -> Iterator[Callable[[], None]]:
    """Progress that is advanced by one with each call of the function that it yields.

    Where standard error is no terminal, what takes less than ``EVERY`` seconds is silent.
    """
    console = Screen(stderr=True)
    if not console.is_terminal:
        yield _lines(console, doing, total, unit)
        return
    columns = (
        TextColumn(doing, markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(unit, markup=False),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(doing, total=total)
        yield lambda: bar.advance(task)


def _lines(console: Screen, doing: str, total: int, unit: str) -> Callable[[], None]:
    """What prints a line if the last one is ``EVERY`` seconds ago, and one for the end after it."""
    start = time.monotonic()
    last = start
    n_done = 0

    def advance() -> None:
        nonlocal last, n_done
        n_done += 1
        now = time.monotonic()
        if now - last < EVERY and not (n_done == total and last > start):
            return
        last = now
        text = f"{doing}: {n_done} of {total} {unit}, {now - start:.0f} s"
        console.print(text, soft_wrap=True)

    return advance
