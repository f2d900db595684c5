"""engine=local: hospitals in this process, behind Flower's Grid."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any

import numpy as np
from flwr.app import Context, Message, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid

from sim.federation import wire
from sim.federation.wire import Run
from sim.untrusted import described_error

Together = Callable[[Sequence[Message], Sequence[Context]], Sequence[Message]]


class LocalGrid(Grid):
    """Delivers messages in this process to the ``apps`` of nodes, each with a context of its own.

    ``partitions``: of each node, by its id. ``together`` answers many messages at once, instead of
    the apps one after the other. An exception in an app becomes the error reply that Flower's own
    runtimes send.
    """

    def __init__(
        self,
        apps: Mapping[int, ClientApp],
        partitions: Mapping[int, int],
        together: Together | None = None,
    ) -> None:
        self._apps = apps
        self._together = together
        self._run = wire.enter_process()
        self._sent = 0
        self._contexts = {
            node: wire.context(node, partition) for node, partition in partitions.items()
        }
        self._replies: dict[str, Message] = {}

    def set_run(self, run: Run) -> None:
        """Take ``run`` for this grid's run."""
        self._run = run

    @property
    def run(self) -> Run:
        """The run of this grid."""
        return self._run

    @property
    def contexts(self) -> Mapping[int, Context]:
        """The context of each node, which holds what its hospital remembers."""
        return self._contexts

    def create_message(
        self,
        content: RecordDict,
        message_type: str,
        dst_node_id: int,
        group_id: str,
        ttl: float | None = None,
    ) -> Message:
        """A message to one node."""
        return Message(content, dst_node_id, message_type, ttl=ttl, group_id=group_id)

    def get_node_ids(self) -> Iterable[int]:
        """Node ids, in order of the partitions."""
        return list(self._contexts)

    def push_messages(self, messages: Iterable[Message]) -> list[str]:
        """Deliver at once and keep the replies; returns message ids."""
        sent = list(messages)
        identities = [self._stamp(message) for message in sent]
        self._replies.update(zip(identities, self.answer(sent), strict=True))
        return identities

    def pull_messages(self, message_ids: Iterable[str]) -> list[Message]:
        """Replies to the given messages, each handed out once."""
        return [self._replies.pop(one) for one in message_ids if one in self._replies]

    def send_and_receive(
        self, messages: Iterable[Message], *, timeout: float | None = None
    ) -> list[Message]:
        """Replies in the order of the messages."""
        return self.pull_messages(self.push_messages(messages))

    def answer(self, messages: Sequence[Message]) -> list[Message]:
        """The reply of each message's hospital."""
        nodes = [wire.receiver(message) for message in messages]
        contexts = [self._contexts[node] for node in nodes]
        if self._together is not None:
            return list(self._together(messages, contexts))
        asked = zip(nodes, messages, contexts, strict=True)
        return [call(self._apps[node], message, context) for node, message, context in asked]

    def _stamp(self, message: Message) -> str:
        self._sent += 1
        identity = str(self._sent)
        wire.stamp(message, identity)
        return identity


def call(app: ClientApp, message: Message, context: Context) -> Message:
    """The reply of ``app`` to ``message``, or an error reply in its place.

    It is an error reply if the app raises anything, or gives back no answer in its own name. The
    app gets copies of ``message`` and ``context``, so that whatever it does to them, who answers
    what is read from the originals. Only what it keeps in the context's state lasts to its next
    call.
    """
    own = wire.lent(context)
    failure = None
    # an app may set how numpy treats overflow for itself only
    with interrupts() as stopped, np.errstate():
        try:
            reply: Any = app(wire.isolated(message), own)
        except BaseException as error:  # a hospital's failure is the hospital's, never the run's
            failure = described_error(error)
    if stopped:  # also where the app has caught it
        raise stopped[0]
    wire.take_back(own, context)
    return wire.received(reply, message) if failure is None else wire.failed(failure, message)


@contextmanager
def interrupts() -> Iterator[list[BaseException]]:
    """Tell a Ctrl-C from a ``KeyboardInterrupt`` that the code inside raises itself.

    The list holds what the earlier handler of Ctrl-C has raised: it is empty as long as nobody has
    pressed it.
    """
    stopped = list[BaseException]()
    before = signal.getsignal(signal.SIGINT)
    if not callable(before) or threading.current_thread() is not threading.main_thread():
        yield stopped  # no Ctrl-C raises anything here
        return

    def handle(number: int, frame: FrameType | None) -> None:
        try:
            before(number, frame)
        except BaseException as stop:
            stopped.append(stop)
            raise

    signal.signal(signal.SIGINT, handle)
    try:
        yield stopped
    finally:
        signal.signal(signal.SIGINT, before)
