"""Calls that another process does while this one goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import ParamSpec

from sim.errors import RefusedError
from sim.interrupts import finishing
from sim.study.processes import PROCESSES, is_warm

P = ParamSpec("P")
ENDED = "a process was ended from outside, perhaps for lack of memory; finished runs are stored"


@contextmanager
def aside(call: Callable[P, object]) -> Iterator[Callable[P, object]]:
    """``call`` as a process of its own does it, without an answer.

    All calls are done when this block ends, which raises what the first failed one has raised. The
    calls are done here if there is no process to fork that one from.
    """
    if not is_warm():
        yield call
        return
    ours, theirs = PROCESSES.Pipe()
    process = PROCESSES.Process(target=_serve, args=(theirs, call), daemon=True)
    with finishing():  # so that an interrupt finds it among the processes to end
        process.start()
    theirs.close()

    def send(*values: P.args, **named: P.kwargs) -> None:
        with _there():
            ours.send((values, named))

    try:
        yield send
        with _there():
            ours.send(None)
            failure: Exception | None = ours.recv()
    finally:
        process.kill()
        process.join()
        ours.close()
    if failure is not None:
        raise failure


@contextmanager
def _there() -> Iterator[None]:
    """Raises ``RefusedError`` if the other process is gone."""
    try:
        yield
    except (EOFError, ConnectionError):
        raise RefusedError(ENDED) from None


def _serve(pipe: Connection, call: Callable[..., object]) -> None:
    """Do each call that comes, up to one that fails; send its exception, or None, in the end."""
    failure = None
    try:
        while (given := pipe.recv()) is not None:
            if failure is None:
                try:
                    call(*given[0], **given[1])
                except Exception as error:
                    failure = error
        pipe.send(failure)
    except (EOFError, ConnectionError):
        return  # who asked is gone
