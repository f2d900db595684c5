"""Calls that this process shares with another one."""

from __future__ import annotations

import gc
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from threading import Condition, Thread
from typing import Any, Generic, ParamSpec, TypeAlias, TypeVar, cast

from sim.errors import RefusedError
from sim.interrupts import finishing
from sim.study.processes import PROCESSES, is_warm

P = ParamSpec("P")
T = TypeVar("T")
_Values: TypeAlias = tuple[tuple[object, ...], dict[str, object]]  # of a call, and its named ones
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
    with _there():
        ours.send((call, prepare))  # so that the other loads what it needs
    shared = Shared(call, ours)
    try:
        yield shared
    finally:
        process.kill()
        process.join()
        shared.end()
        ours.close()


class Shared(Generic[P, T]):
    """Calls that are asked for one after the other.

    The other process does them from the first one on while this one goes on; this one does from the
    last one on what is left when it asks for the answers.
    """

    def __init__(self, call: Callable[P, T], other: Connection | None = None) -> None:
        """``other``: the way to the other process, which does one call at a time."""
        self._call = call
        self._waiting = deque[_Values]()
        self._first = list[T]()  # what the other process has answered
        self._failure: Exception | None = None
        self._is_free = other is not None  # the other process, for the first call that waits
        self._is_complete = False
        self._changed = Condition()
        self._giver: Thread | None = None
        if other is not None:
            self._giver = Thread(target=self._give, args=(other,), daemon=True)
            self._giver.start()

    def ask(self, *values: P.args, **named: P.kwargs) -> None:
        """Ask for one call."""
        with self._changed:
            self._waiting.append((values, named))
            self._changed.notify()

    def answers(self) -> list[T]:
        """The result of each call, in the order in which the calls were made; none is made later.

        Raises what a call has raised, and ``RefusedError`` if the other process is gone.
        """
        last = deque[T]()
        while (asked := self._left()) is not None:
            values, named = cast(Any, asked)
            last.appendleft(self._call(*values, **named))
        self.end()
        if self._failure is not None:
            raise self._failure
        return [*self._first, *last]

    def end(self) -> None:
        """Give the other process no more calls, and wait for its answer to the last one."""
        with self._changed:
            self._is_complete = True
            self._changed.notify()
        if self._giver is not None:
            self._giver.join()

    def _give(self, other: Connection) -> None:
        """Give the other process one call after another as soon as it is free."""
        try:
            with _there():
                while (asked := self._to_give()) is not None:
                    other.send(asked)
                    answer, failure = other.recv()
                    if failure is not None:
                        raise failure
                    self._first.append(answer)
        except Exception as failure:
            self._failure = failure

    def _to_give(self) -> _Values | None:
        """The values of the first call, as soon as there is one; None once there will be none."""
        with self._changed:
            self._is_free = True
            self._changed.wait_for(lambda: self._waiting or self._is_complete)
            self._is_free = False
            return self._waiting.popleft() if self._waiting else None

    def _left(self) -> _Values | None:
        """The values of the last call that is left for this process; None if none is."""
        with self._changed:
            return self._waiting.pop() if len(self._waiting) > self._is_free else None


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
