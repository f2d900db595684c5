"""Rounds of SecAgg+ for tests: both halves talk in messages, without training and without an
engine, and everything that was sent can be read or changed on the way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
from flwr.app import Message, RecordDict
from numpy.typing import NDArray

from sim.design.plan import FederationPlan
from sim.design.refusals import REFUSED
from sim.federation import rounding, wire
from sim.federation.conversation import (
    Answer,
    Arrived,
    Asked,
    Concluded,
    Conversation,
    RoundProtocol,
    Trip,
    TripRefusedError,
)
from sim.federation.protocols.plain import protocol_of
from sim.federation.protocols.secagg.masks import to_ring
from sim.seeds import Key, key, stream
from tests.federation import experiment

KINDS = ("keys", "shares", "train", "agree", "unmask")
Change = Callable[
    [str, str, Message, Message], Any
]  # kind, hospital, asked, honest -> what arrives


@cache
def plan_of(*words: str, n: int = 12) -> FederationPlan:
    """The plan of a small consortium under the protocol."""
    drawn = ("consortium=synthetic", f"consortium.n_hospitals={n}", "model=logistic")
    return experiment(
        *drawn, "secagg=protocol", "training.rounds=9", "adversary.n_hostile=0", *words
    ).plan


@dataclass
class Rehearsal:
    """Hospitals of a plan, and what they sent. ``vanish``: of each hospital, from which kind of
    trip on nothing of it arrives. ``change``: makes of an honest reply what arrives. ``nonce``: of
    the execution, drawn by each hospital. ``is_steady``: whether they train alike in each round.
    """

    plan: FederationPlan
    seed: int = 0
    vanish: Mapping[str, str] = field(default_factory=dict)
    change: Change | None = None
    clip: float = 0.05
    nonce: bytes = b""
    is_steady: bool = False
    trips: list[Trip] = field(default_factory=list)
    asked: dict[tuple[str, str], Message] = field(default_factory=dict)
    replies: dict[tuple[str, str], Message] = field(default_factory=dict)
    states: dict[str, RecordDict] = field(default_factory=dict)

    def key(self, name: str) -> Key:
        """The key of a hospital, as the simulation derives it, or that of one execution."""
        own = key(self.seed, "hospital", name)
        return own.renewed(self.nonce) if self.nonce else own

    @property
    def n_params(self) -> int:
        return self.plan.network.n_params

    def update(self, name: str, number: int = 1) -> NDArray[np.float32]:
        """What a hospital trained in a round."""
        place = self.plan.places[name]
        number = 1 if self.is_steady else number
        drawn = stream(self.seed, "update", place, number).normal(size=self.n_params)
        return (self.clip * drawn).astype(np.float32)

    def steps(self, name: str, number: int = 1) -> NDArray[np.int64]:
        """The update of a hospital in whole steps."""
        protocol: Any = self.plan.secagg
        rng = rounding.generator(rounding.seed(self.key(name), number))
        found: NDArray[np.int64] = protocol.quantization.quantize(self.update(name, number), rng)[0]
        return found

    def total(self, names: Iterable[str], number: int = 1) -> NDArray[np.uint32]:
        """The sum of what these hospitals trained, in the ring."""
        return to_ring(np.sum([self.steps(name, number) for name in names], axis=0))

    def answer(self, message: Message, name: str, number: int = 1) -> Message:
        """What a hospital replies to a message."""
        wire.enter_process()
        task = wire.read_task(message)
        kind, content = wire.read_trip(message)
        state = self.states.setdefault(name, RecordDict())
        held = wire.held(state, task.round)
        own = self.key(name)
        past = wire.remembered(state)
        asked = Asked(kind, name, task.round, self.plan, content, held, own, task.weights, past)
        report = None
        if len(task.weights):
            report = wire.Report(self.update(name, task.round), 10, {})
        try:
            found: Answer = protocol_of(self.plan).hospital.answer(asked, report)
        except TripRefusedError as refused:
            return wire.refused(refused.why, message)
        wire.hold(state, task.round, found.held)
        if found.remembered is not None:
            wire.remember(state, found.remembered)
        return wire.holding(found.content, message)

    def messages(self, trip: Trip, number: int = 1) -> dict[str, Message]:
        """The messages of a trip, by hospital."""
        wire.enter_process()
        nodes = {name: self.plan.places[name] + 1 for name in trip.hospitals}
        each = {nodes[name]: content for name, content in trip.each.items() if name in nodes}
        type_ = wire.TRIP if trip.model is None else wire.TRAIN
        sent = wire.ask(
            number,
            trip.model,
            wire.settings(self.plan.digest),
            nodes.values(),
            type_=type_,
            kind=trip.kind,
            common=trip.common,
            each=each,
        )
        return dict(zip(nodes, sent, strict=True))

    def round(
        self, number: int = 1, talk: Conversation | None = None, of_model: int | None = None
    ) -> Concluded:
        """One round from its first trip to its end, each with another model.

        ``of_model``: the number of the round whose model it has instead.
        """
        protocol: RoundProtocol = protocol_of(self.plan)
        model = np.full(self.n_params, (of_model or number) - 1, np.float32)
        talk = protocol.round(self.plan, number, model) if talk is None else talk
        trip = next(talk)
        while True:
            self.trips.append(trip)
            arrived = dict[str, Arrived]()
            for name, message in self.messages(trip, number).items():
                arrived[name] = self._arrived(trip.kind, name, message, number)
            try:
                trip = talk.send(arrived)
            except StopIteration as end:
                found: Concluded = end.value
                return found

    def _arrived(self, kind: str, name: str, message: Message, number: int) -> Arrived:
        gone = self.vanish.get(name)
        if gone is not None and KINDS.index(kind) >= KINDS.index(gone):
            return Arrived()
        self.asked[kind, name] = message
        reply = self.answer(message, name, number)
        self.replies[kind, name] = reply
        if self.change is not None:
            reply = self.change(kind, name, message, reply)
        return reply if isinstance(reply, Arrived) else Arrived(reply)

    def sent(self, kind: str, name: str) -> wire.Content:
        """What a hospital was sent in a kind of trip."""
        return wire.read_trip(self.asked[kind, name])[1]

    def replied(self, kind: str, name: str) -> dict[str, Any]:
        """The arrays and values of what a hospital replied in a kind of trip."""
        records: Any = vars(self.replies[kind, name].content)["_data"]
        found = dict[str, Any]()
        for record in records.values():
            for entry, value in vars(record)["_data"].items():
                found[entry] = value.numpy() if hasattr(value, "numpy") else value
        return found


def lying(talk: Conversation, change: Callable[[Trip], Trip]) -> Conversation:
    """The aggregator's half where each trip is first changed."""
    trip = next(talk)
    while True:
        replies = yield change(trip)
        try:
            trip = talk.send(replies)
        except StopIteration as end:
            found: Concluded = end.value
            return found


def total_of(plan: FederationPlan, end: Concluded) -> NDArray[np.uint32]:
    """The sum in the ring that stands behind the view of a round."""
    assert end.view is not None
    protocol: Any = plan.secagg
    n = len(end.usable)
    steps = np.rint(end.view.rows[0] * n / protocol.quantization.step)
    return to_ring(steps.astype(np.int64))


def why(end: Concluded, name: str) -> str:
    """Why a hospital's reply was not used, without the beginning of a refusal."""
    return end.screened[name].replace(REFUSED, "")
