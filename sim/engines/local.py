"""engine=local: hospitals in this process, behind Flower's Grid."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from flwr.app import Context, Message, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid

from sim import wire


class LocalGrid(Grid):
    """Delivers messages to ``app`` in this process, one hospital after the other, each with a context of its own.

    An exception in the app becomes the error reply that Flower's own runtimes send.
    """

    def __init__(self, app: ClientApp, n_hospitals: int) -> None:
        self._app, self._run, self._sent = app, wire.enter_process(), 0
        self._contexts = {node: wire.context(node, partition) for partition, node in enumerate(node_ids(n_hospitals))}
        self._replies: dict[str, Message] = {}

    def set_run(self, run: Any) -> None:
        """Take ``run`` for this grid's run."""
        self._run = run

    @property
    def run(self) -> Any:
        """The run of this grid."""
        return self._run

    def create_message(
        self, content: RecordDict, message_type: str, dst_node_id: int, group_id: str, ttl: float | None = None
    ) -> Message:
        """A message to one node."""
        return Message(content, dst_node_id, message_type, ttl=ttl, group_id=group_id)

    def get_node_ids(self) -> Iterable[int]:
        """Node ids, one for each hospital in order of the names."""
        return list(self._contexts)

    def push_messages(self, messages: Iterable[Message]) -> list[str]:
        """Deliver at once and keep the replies; returns message ids."""
        return [self._deliver(message) for message in messages]

    def pull_messages(self, message_ids: Iterable[str]) -> list[Message]:
        """Replies to the given messages, each handed out once."""
        return [self._replies.pop(identity) for identity in message_ids if identity in self._replies]

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> list[Message]:
        """Replies in the order of the messages."""
        return self.pull_messages(self.push_messages(messages))

    def _deliver(self, message: Message) -> str:
        self._sent += 1
        identity = str(self._sent)
        wire.stamp(message, identity)
        self._replies[identity] = call(self._app, message, self._contexts[message.metadata.dst_node_id])
        return identity


def call(app: ClientApp, message: Message, context: Context) -> Message:
    """The reply of ``app``, or the error reply if it raises."""
    try:
        return app(message, context)
    except Exception as error:  # a hospital's failure is the hospital's, never the run's
        return wire.failed(repr(error), message)


def node_ids(n_hospitals: int) -> range:
    """Node ids of this engine."""
    return range(1, n_hospitals + 1)
