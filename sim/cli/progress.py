"""One progress bar for everything that takes more than two seconds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from sim.cli.screen import Screen


@contextmanager
def progress(doing: str, total: int, unit: str) -> Iterator[Callable[[], None]]:
    """A bar on standard error, advanced by one with each call of the function that it yields.

    It is silent where standard error is no terminal.
    """
    console = Screen(stderr=True)
    columns = (
        TextColumn(doing, markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(unit, markup=False),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    disable = not console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=disable) as bar:
        task = bar.add_task(doing, total=total)
        yield lambda: bar.advance(task)
