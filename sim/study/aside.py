"""Calls that this process shares with another one."""

from __future__ import annotations

import gc
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any, Generic, ParamSpec, TypeVar

from sim.errors import RefusedError
from sim.interrupts import finishing
from sim.study.processes import PROCESSES, is_warm

P = ParamSpec("P")
T = TypeVar("T")
ENDED = "a process was ended from outside, perhaps for lack of memory; finished runs are stored"


@contextmanager
def aside(
    call: Callable[P, T], prepare: Callable[[], None] | None = None
) -> Iterator[Shared[P, T]]:
    """Calls of ``call`` that another process shares with this one; it ends with this block.

    ``prepare``: called there before the first of them. All are done here if there is no process to
    fork that one from.
    """
    if not is_warm():
        yield Shared(call)
        return
    ours, theirs = PROCESSES.Pipe()
    process = PROCESSES.Process(target=_serve, args=(theirs,), daemon=True)
    with finishing():  # so that an interrupt finds it among the processes to end
        process.start()
    theirs.close()
    try:
        with _there():
            ours.send((call, prepare))  # so that the other loads what it needs
        yield Shared(call, ours)
    finally:
        process.kill()
        process.join()
        ours.close()


class Shared(Generic[P, T]):
    """Calls that are asked for one after the other.

    The other process does them from the first one on while this one goes on; this one does from the
    last one on what is left when it asks for the answers.
    """

    def __init__(self, call: Callable[P, T], other: Connection | None = None) -> None:
        """``other``: the way to the other process, which does one call at a time."""
        self._call = call
        self._other = other
        self._waiting = deque[tuple[Any, Any]]()  # the values of a call, and its named ones
        self._first = list[T]()
        self._is_busy = False

    def ask(self, *values: P.args, **named: P.kwargs) -> None:
        """Ask for one call. Raises as ``answers`` does, of earlier calls."""
        self._waiting.append((values, named))
        self._exchange()

    def answers(self) -> list[T]:
        """The result of each call, in the order in which the calls were made.

        Raises what a call has raised, and ``RefusedError`` if the other process is gone.
        """
        last = deque[T]()
        while self._waiting:
            values, named = self._waiting.pop()
            last.appendleft(self._call(*values, **named))
            self._exchange()
        if self._is_busy:
            self._take()
        return [*self._first, *last]

    def _exchange(self) -> None:
        """Take the other process's answer if it is there, and give it the next call."""
        if self._other is None:
            return
        if self._is_busy and self._other.poll():
            self._take()
        if self._waiting and not self._is_busy:
            with _there():
                self._other.send(self._waiting.popleft())
            self._is_busy = True

    def _take(self) -> None:
        assert self._other is not None
        with _there():
            answer, failure = self._other.recv()
        self._is_busy = False
        if failure is not None:
            raise failure
        self._first.append(answer)


@contextmanager
def _there() -> Iterator[None]:
    """Raises ``RefusedError`` if the other process is gone."""
    try:
        yield
    except (EOFError, ConnectionError):
        raise RefusedError(ENDED) from None


def _serve(pipe: Connection) -> None:
    """Do a function for the values that come, and send what it returns, or what it raises."""
    gc.disable()  # a search for cycles takes a sixth of the time, and this process ends soon
    try:
        call, prepare = pipe.recv()
        if prepare is not None:
            prepare()
        while True:
            pipe.send(_answer(call, *pipe.recv()))
    except (EOFError, ConnectionError):
        return  # who asked is gone


def _answer(
    call: Callable[..., Any], values: tuple[Any, ...], named: dict[str, Any]
) -> tuple[Any, Exception | None]:
    try:
        return call(*values, **named), None
    except Exception as error:
        return None, error
