"""The one driver: it advances one run or many, trip by trip and round by round.

It works on any Flower grid, for any protocol.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import TypeVar

from flwr.app import Context, Message
from flwr.serverapp import Grid, ServerApp

from sim.design.attack import AttackPlan
from sim.design.plan import FederationPlan
from sim.design.views import present
from sim.federation import wire
from sim.federation.adversary import Adversary, Grant
from sim.federation.conversation import Arrived, Conversation, Replies, screened
from sim.federation.observing import Observer, Round, State
from sim.federation.rounds import Weights
from sim.federation.server import Aggregator
from sim.messages import TRAIN, Concluded, Trip
from sim.seeds import Key
from sim.types import Vector
from sim.untrusted import printable

T = TypeVar("T")
LONGEST_REASON = 300  # characters of why a hospital has no node
PATIENCE = 3600.0  # seconds in which the replies of a trip must be there


@dataclass(frozen=True)
class Roster:
    """The node of each hospital, in order of their names. ``absent``: why others have none."""

    nodes: Mapping[str, int]
    absent: Mapping[str, str]

    @classmethod
    def numbered(cls, hospitals: Sequence[str], first: int) -> Roster:
        """Every hospital at a node of its own, numbered from ``first``."""
        return cls({name: node for node, name in enumerate(hospitals, first)}, {})

    @classmethod
    def enrolled(
        cls, hospitals: Sequence[str], partitions: Mapping[int, int], refused: Sequence[str] = ()
    ) -> Roster:
        """The hospitals behind the nodes of ``partitions`` (node id -> place among the hospitals).

        A hospital without a node sends nothing in the whole run; ``refused`` states why nodes were
        not enrolled.
        """
        found = {hospitals[place]: node for node, place in partitions.items()}
        reasons = "; ".join(["no node was enrolled as this hospital", *refused])
        reason = printable(reasons, LONGEST_REASON)
        nodes = {name: found[name] for name in hospitals if name in found}
        return cls(nodes, {name: reason for name in hospitals if name not in found})


class Parties:
    """The parties of one run: aggregator, hospitals behind nodes, adversary and observers.

    ``weights`` (n_params,): the model. ``sent``: the one that an attack sends out in its place in
    this round, None where none does. ``number``: rounds done. ``uploads``: what each hospital
    uploaded, before its quantization, in a round in which an attack looks for single updates.
    ``seconds``: what its rounds took here, by the clock; no figure of a run depends on it.
    """

    def __init__(
        self,
        plan: FederationPlan,
        attack: AttackPlan,
        key: Key,
        initial: Weights,
        roster: Roster,
        observers: Sequence[Observer],
    ) -> None:
        """``key``: of the aggregator. ``initial``: the model before round 1."""
        asked = attack.demanded(plan)  # by which a malicious aggregator acts
        self.task = wire.settings(asked.digest)
        self.plan = plan
        self.attack = attack
        self.roster = roster
        self.observers = observers
        self.aggregator = Aggregator(asked, key)
        self.adversary = Adversary(attack, plan.server.max_records)
        self.initial = self.weights = initial
        self.sent: Weights | None = None
        self.number = 0
        self.seconds = 0.0
        self.uploads: Mapping[str, Vector] = {}

    @property
    def states(self) -> Mapping[str, State]:
        """The states that last from round to round beside the weights, by the part of the run."""
        observers = {f"{i} {type(one).__name__}": one.state for i, one in enumerate(self.observers)}
        return {"aggregator": self.aggregator.state, "adversary": self.adversary.state, **observers}

    def server_app(self, after_round: Callable[[int], None] | None = None) -> ServerApp:
        """The Flower ServerApp that makes all rounds of this run.

        ``after_round`` is called with the number of each.
        """
        server = ServerApp()

        @server.main()
        def main(grid: Grid, _: Context) -> None:
            drive([self], grid, after_round or (lambda _: None))

        return server

    @property
    def received(self) -> Weights:
        """The model that hospitals receive in the round, (n_params,)."""
        return self.weights if self.sent is None else self.sent

    def start(self) -> None:
        """Tell the observers of the model before round 1."""
        for observer in self.observers:
            observer.start(self.weights)

    def round(self, number: int) -> Conversation:
        """Begin a round: the aggregator's half of it."""
        self.adversary.start(number)
        self.uploads = {}
        self.sent = None
        if self.attack.crafting_in(number):
            stage = self.attack.stage(self.plan, number, self.weights)
            self.sent = self.adversary.crafted(stage)
        honest = self.aggregator.round(number, self.received)
        if not self.adversary.isolates_in(number):
            return honest
        return self.adversary.talk(honest, self.attack.stage(self.plan, number, self.received))

    def conclude(self, number: int, end: Concluded) -> None:
        """End a round: the next model, which the observers are given.

        After a model that an attack has made, the aggregator goes on with the one before.
        """
        before = self.weights
        received = self.received
        after, aggregated = self.aggregator.aggregate(number, received, end)
        self.weights = after if self.sent is None else before
        self.number = number
        isolated = end.isolated
        if isolated is None and end.view is not None and self.adversary.isolates_in(number):
            isolated = self.adversary.isolated(
                number, end.view, of_hostile(self.attack, self.uploads), self.plan
            )
        seen = Round(
            number=number,
            before=before,
            received=received,
            after=self.weights,
            aggregated=aggregated,
            moved=self.adversary.moved,
            uploads=self.uploads,
            isolated=isolated,
        )
        for observer in self.observers:
            observer.round(seen)

    def away(self, number: int, kind: str, replies: Replies) -> dict[str, Arrived]:
        """The arrivals of honest hospitals that vanish in a kind of trip: nothing."""
        return dict.fromkeys(self.adversary.absent(number, kind, replies), Arrived())

    def between(self, number: int, trained: Replies) -> dict[str, Arrived]:
        """The arrivals that the adversary changes between training and upload, by hospital.

        Nothing arrives of hospitals that are absent.
        """
        away = self.away(number, TRAIN, trained)
        if not self.attack.attacks_in(number):
            return away
        model = self.received
        most = self.plan.server.max_records
        there = {name: arrived for name, arrived in trained.items() if name not in away}
        reports, _ = screened(there, lambda arrived: arrived.report(len(model), most))
        grant = Grant(
            level=self.attack.schedule.knowledge,
            number=number,
            model=model,
            n_hospitals=len(self.plan.hospitals),
            hostile=self.attack.hostile,
            reports=reports,
            preview=lambda would, rng: self.aggregator.preview(number, model, would, rng),
            is_futile=self._is_futile(number, reports),
        )
        return {**away, **self.adversary.upload(of_hostile(self.attack, there), grant)}

    def _is_futile(self, number: int, hospitals: Iterable[str]) -> bool:
        """Whether a round with replies of these hospitals alone is skipped, whatever they are."""
        plan = self.plan
        groups = present(plan.groups(number), plan.secagg.least, hospitals)
        return plan.quorum.refusal(sum(map(len, groups)), len(groups)) is not None


def of_hostile(attack: AttackPlan, by_hospital: Mapping[str, T]) -> dict[str, T]:
    """The entries of hostile hospitals, in order of their names: no others reach the adversary."""
    return {name: by_hospital[name] for name in attack.hostile if name in by_hospital}


def drive(runs: Sequence[Parties], grid: Grid, after_round: Callable[[int], None]) -> None:
    """Advance all runs to their last rounds on one grid, trip by trip together.

    Runs that have begun go on. ``after_round`` is called with the number of each round that any run
    made.
    """
    for run in runs:
        if run.number == 0:
            run.start()
    for number in range(1, max(run.plan.training.rounds for run in runs) + 1):
        running = [run for run in runs if run.number < number <= run.plan.training.rounds]
        if running:
            _round(running, number, grid)
            after_round(number)


def _round(runs: Sequence[Parties], number: int, grid: Grid) -> None:
    """One round of runs that may need different numbers of trips."""
    talks = [run.round(number) for run in runs]
    asked = dict[int, Trip]()
    replies: Mapping[int, Replies | None] = dict.fromkeys(range(len(runs)))
    while replies:
        for i, arrived in replies.items():
            start = perf_counter()
            following = _resumed(talks[i], arrived)
            if isinstance(following, Trip):
                asked[i] = following
            else:
                runs[i].conclude(number, following)
            runs[i].seconds += perf_counter() - start
        trips = [(runs[i], trip) for i, trip in asked.items()]
        found = _exchange(trips, number, grid) if trips else []
        replies = dict(zip(asked, found, strict=True))
        asked = {}


def _resumed(talk: Conversation, replies: Replies | None) -> Trip | Concluded:
    """The next trip of the aggregator's half, or the end of the round.

    ``replies`` None: it has not asked anything yet.
    """
    try:
        return next(talk) if replies is None else talk.send(replies)
    except StopIteration as end:
        concluded: Concluded = end.value
        return concluded


def _exchange(trips: Sequence[tuple[Parties, Trip]], number: int, grid: Grid) -> list[Replies]:
    """What arrives of the hospitals that each trip asks.

    In simulation a trip in which the adversary acts has two steps: hospitals train and show the
    simulator their updates; then, where they do not upload these as they are, each is given back
    what it is to upload.
    """
    acting = [trip.model is not None and run.adversary.acts_in(number) for run, trip in trips]
    pairs = zip(trips, acting, strict=True)
    sent = [_messages(run, trip, number, acts) for (run, trip), acts in pairs]
    arrived: list[Replies] = _delivered(grid, trips, sent)
    again = [dict[str, Message]() for _ in trips]
    for i, (run, trip) in enumerate(trips):
        if trip.model is None:
            arrived[i] = {**arrived[i], **run.away(number, trip.kind, arrived[i])}
        elif acting[i]:
            changed = run.between(number, arrived[i])
            arrived[i] = {**arrived[i], **changed}
            if run.adversary.isolates_in(number):
                run.uploads = _uploaded(run, arrived[i])
            if not run.aggregator.protocol.is_clear:
                again[i] = _to_upload(run, sent[i], arrived[i], changed)
    if any(again):
        uploaded = zip(arrived, _delivered(grid, trips, again), strict=True)
        arrived = [{**before, **after} for before, after in uploaded]
    for i, (run, trip) in enumerate(trips):
        if not run.aggregator.protocol.is_clear:
            changed = run.adversary.answers(number, trip.kind, of_hostile(run.attack, arrived[i]))
            arrived[i] = {**arrived[i], **changed} if changed else arrived[i]
    by_trip = zip(trips, arrived, strict=True)
    return [_with_absent(run.roster, trip, found) for (run, trip), found in by_trip]


def _with_absent(roster: Roster, trip: Trip, found: Replies) -> Replies:
    """What arrived of each hospital of a trip, in its order, also of those without a node."""
    if not roster.absent:
        return found
    return {
        name: found[name] if name in found else Arrived(reason=roster.absent[name])
        for name in trip.hospitals
    }


def _messages(run: Parties, trip: Trip, number: int, acts: bool) -> dict[str, Message]:
    """The messages of a trip to the hospitals that have a node, by hospital."""
    type_ = wire.TRIP if trip.model is None else wire.TRAIN
    if acts and not run.aggregator.protocol.is_clear:
        type_ = wire.CLEAR
    nodes = {name: run.roster.nodes[name] for name in trip.hospitals if name in run.roster.nodes}
    each = {nodes[name]: content for name, content in trip.each.items() if name in nodes}
    models = {nodes[name]: model for name, model in trip.models.items() if name in nodes}
    sent = wire.ask(
        number,
        trip.model,
        run.task,
        nodes.values(),
        type_=type_,
        kind=trip.kind,
        common=trip.common,
        each=each,
        models=models,
    )
    return dict(zip(nodes, sent, strict=True))


def _uploaded(run: Parties, shown: Replies) -> dict[str, Vector]:
    """The update that each hospital uploads, as it showed it to the simulator."""
    n_params = len(run.weights)
    most = run.plan.server.max_records
    reports, _ = screened(shown, lambda arrived: arrived.report(n_params, most))
    return {name: report.update for name, report in reports.items()}


def _to_upload(
    run: Parties, sent: Mapping[str, Message], shown: Replies, changed: Mapping[str, Arrived]
) -> dict[str, Message]:
    """The messages that give hospitals back what they are to upload.

    There is none to a hospital of which nothing usable came.
    """
    n_params = len(run.weights)
    most = run.plan.server.max_records
    usable, _ = screened(shown, lambda arrived: arrived.report(n_params, most))
    upload = {name: shown[name].message for name in sent if name in usable or name in changed}
    return {
        name: wire.to_upload(sent[name], message)
        for name, message in upload.items()
        if message is not None
    }


def _delivered(
    grid: Grid, trips: Sequence[tuple[Parties, Trip]], sent: Sequence[Mapping[str, Message]]
) -> list[Replies]:
    """What arrived of each hospital, run by run, of the messages of these trips.

    Those of one kind are sent at once, and each message takes an equal part of the time.
    """
    found = list[Replies]([{} for _ in sent])
    kinds = defaultdict[str, list[int]](list)
    for i, (_, trip) in enumerate(trips):
        kinds[trip.kind].append(i)
    for members in kinds.values():
        start = perf_counter()
        n_messages = sum(len(sent[i]) for i in members)
        for i, arrived in zip(members, _exchanged(grid, [sent[i] for i in members]), strict=True):
            found[i] = arrived
        each = (perf_counter() - start) / max(1, n_messages)
        for i in members:
            trips[i][0].seconds += each * len(sent[i])
    return found


def _exchanged(grid: Grid, sent: Sequence[Mapping[str, Message]]) -> list[Replies]:
    """Send the messages of all runs at once; what arrived of each hospital, run by run.

    Who a reply is from, and to what, is in its metadata; a late reply to something else neither
    counts nor spoils the right one, and one of a node that was not asked counts for nobody.
    """
    asked = [
        (run, name, message)
        for run, messages in enumerate(sent)
        for name, message in messages.items()
    ]
    by_node: dict[int, list[tuple[Message, wire.Stated]]] = {
        wire.receiver(message): [] for *_, message in asked
    }
    for reply in grid.send_and_receive([message for *_, message in asked], timeout=PATIENCE):
        stated = wire.metadata(reply)
        node = wire.sender(stated)
        if node in by_node:
            by_node[node].append((reply, stated))
    found = [dict[str, Arrived]() for _ in sent]
    for (run, name, message), replies in zip(asked, by_node.values(), strict=True):
        found[run][name] = _answer(message, replies)
    return list(found)


def _answer(asked: Message, replies: Sequence[tuple[Message, wire.Stated]]) -> Arrived:
    """The one reply to what a node was asked, or why there is not exactly one."""
    fitting = list[Message]()
    wrong = list[str]()
    for reply, stated in replies:
        if (reason := wire.misdirected(stated, asked)) is None:
            fitting.append(reply)
        else:
            wrong.append(reason)
    if len(fitting) == 1:
        return Arrived(fitting[0])
    if fitting:
        return Arrived(reason="more than one reply")
    return Arrived(reason=wrong[0]) if wrong else Arrived()
