"""A round as a conversation: what the aggregator asks in each trip, and what it is left to see.

A protocol has two halves. The aggregator's half is a generator: it yields trips, is sent what
arrived, and returns the end of the round. The hospital's half answers one trip at a time. Neither
half knows on which engine, or beside which other runs, it is used.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from typing import NamedTuple, Protocol, TypeAlias, TypeVar

from flwr.app import Message

from sim.design.plan import FederationPlan
from sim.design.refusals import SENTENCES, Refusal
from sim.errors import RefusedError
from sim.federation import wire
from sim.federation.rounds import Weights
from sim.messages import EMPTY, Concluded, Trip
from sim.seeds import Key
from sim.types import SecureAggregation

T = TypeVar("T")
CLIPPED = "secagg-clipped"  # of what hospitals report: coordinates that quantization clipped


class Arrived:
    """The arrival of one hospital in one trip: a message, or the ``reason`` why there is none.

    Nobody has looked into the message yet.
    """

    def __init__(self, message: Message | None = None, reason: str = "no reply") -> None:
        self.message = message
        self.reason = reason
        self._report: wire.Report | None = None
        self._unusable: str | None = None

    def content(self, form: wire.Form) -> wire.Content:
        """The usable content, of an agreed form. Raises ``UnusableError`` for anything else."""
        return wire.read_content(self.there(), form)

    def report(self, n_params: int, max_records: int) -> wire.Report:
        """The usable update and record count, read once.

        Raises ``UnusableError`` for anything else.
        """
        if self._unusable is not None:
            raise wire.UnusableError(self._unusable)
        if self._report is None:
            try:
                self._report = wire.read_report(self.there(), n_params, max_records)
            except wire.UnusableError as error:
                self._unusable = str(error)  # the error itself would hold what was read
                raise
        return self._report

    def there(self) -> Message:
        """The message. Raises ``UnusableError`` where there is none."""
        if self.message is None:
            raise wire.UnusableError(self.reason)
        return self.message


Replies: TypeAlias = Mapping[str, Arrived]  # of each hospital asked, in order of their names


Conversation: TypeAlias = Generator[Trip, Replies, Concluded]


class TripRefusedError(RefusedError):
    """The refusal of a hospital's half to answer a trip: one of a fixed list, without own words."""

    def __init__(self, why: Refusal) -> None:
        self.why = why
        super().__init__(SENTENCES[why])


class Asked(NamedTuple):
    """One trip, as it reached a hospital.

    ``hospital``: its own name. ``number``: of the round. ``content``: what it was sent. ``held``:
    what its half held back in an earlier trip of this round. ``key``: its own secret, from which it
    draws. ``model`` (n_params,): what it was sent to train, empty where nothing is trained.
    ``remembered``: what its half remembers of earlier rounds.
    """

    kind: str
    hospital: str
    number: int
    plan: FederationPlan
    content: wire.Content
    held: wire.Content
    key: Key
    model: Weights
    remembered: Mapping[str, list[str]] = EMPTY


class Answer(NamedTuple):
    """The answer of a hospital in a trip, and the content held back for the round's next trips.

    ``remembered``: what it remembers in later rounds from now on; None: what it did before.
    """

    content: wire.Content
    held: wire.Content = wire.NOTHING
    remembered: Mapping[str, list[str]] | None = None


class HospitalHalf(Protocol):
    """The hospital's half of a protocol: ``answer`` gives its reply to one trip.

    ``update``: what the hospital trained for this trip, None where it trained nothing. Raises
    ``TripRefusedError`` for a trip that it refuses; at the aggregator any other error counts as a
    failure of the hospital.
    """

    def answer(self, asked: Asked, update: wire.Report | None) -> Answer: ...


class RoundProtocol(Protocol):
    """Both halves of a round's conversation.

    ``is_clear``: whether hospitals upload their updates as they are, in one trip. ``hospital``: the
    half that answers. ``round``: the aggregator's half in the round ``number`` of ``plan``, which
    sends out ``model`` (n_params,).
    """

    @property
    def is_clear(self) -> bool: ...

    @property
    def hospital(self) -> HospitalHalf: ...

    def round(self, plan: FederationPlan, number: int, model: Weights) -> Conversation: ...


class SecureAggregationProtocol(SecureAggregation, RoundProtocol, Protocol):
    """A secure aggregation in messages."""


def screened(replies: Replies, read: Callable[[Arrived], T]) -> tuple[dict[str, T], dict[str, str]]:
    """The value that ``read`` gives for each usable reply, and the reasons why others are unusable.

    Both are by hospital, in the order given.
    """
    usable = dict[str, T]()
    refused = dict[str, str]()
    for hospital, arrived in replies.items():
        try:
            usable[hospital] = read(arrived)
        except wire.UnusableError as error:
            refused[hospital] = str(error)
    return usable, refused
