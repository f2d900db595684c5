"""The adversary: it stands between the training and the upload of hostile hospitals."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import TypeAlias, TypeVar, cast

import numpy as np

from sim import returned
from sim.design.attack import AttackPlan
from sim.design.plan import FederationPlan
from sim.errors import RefusedError
from sim.federation import rounding, wire
from sim.federation.conversation import Arrived, Conversation, Replies
from sim.federation.rounds import Weights
from sim.federation.server import relative_distance, relative_distances
from sim.messages import Concluded, Content, ProtocolAttack, Stage, Talk, Trip
from sim.states import State, advanced
from sim.types import (
    LEVELS,
    Absence,
    AttackKind,
    Byzantine,
    Fault,
    Isolated,
    Knowledge,
    Level,
    Pooled,
    Reply,
    SentReply,
    Updates,
    Vector,
    View,
)

# kinds of which ``Adversary.moved`` tells what they did
NOTED: tuple[AttackKind, ...] = ("byzantine", "faults", "messages", "isolation", "protocol")
MOST = np.finfo(np.float32).max
Given = TypeVar("Given")
Result = TypeVar("Result")
Preview: TypeAlias = Callable[[Mapping[str, wire.Report], np.random.Generator], Vector]


@dataclass
class Lasting:
    """States of attacks, by name and by the hospital that it attacks from ("": all of them)."""

    states: dict[tuple[str, str], State] = field(default_factory=dict)


class Grant:
    """The adversary's knowledge in one round of a run: an attack's only way to the outside.

    ``hostile``: the hostile hospitals whose updates are usable, in order of names. ``model``
    (n_params,) and ``n_hospitals`` are public. ``is_futile``: whether the round will be skipped
    whatever they send, for lack of replies.
    """

    def __init__(
        self,
        level: Level,
        number: int,
        model: Weights,
        n_hospitals: int,
        hostile: Sequence[str],
        reports: Mapping[str, wire.Report],
        preview: Preview,
        is_futile: bool,
    ) -> None:
        """``reports``: the usable ones, in order of names. ``preview``: gives their aggregate."""
        self.number = number
        self.model = model
        self.n_hospitals = n_hospitals
        self.is_futile = is_futile
        self.hostile = tuple(name for name in hostile if name in reports)
        self._level = level
        self._reports = reports
        self._preview = preview

    @cached_property
    def own(self) -> Updates:
        """Updates of the hostile hospitals, (n_hostile, n_params)."""
        return np.array([self._reports[name].update for name in self.hostile])

    def knowledge(
        self, uses: Level, own: Updates, rng: Callable[[], np.random.Generator]
    ) -> Knowledge:
        """The knowledge of an attack that declares to use ``uses``, beside ``own``.

        ``rng``: the draws of a preview.
        """
        level = min(LEVELS.index(self._level), LEVELS.index(uses))
        return Knowledge(
            own=own,
            n_hospitals=self.n_hospitals,
            n_hostile=len(self.hostile),
            others=self._others if level >= LEVELS.index("updates") else None,
            defense=self._defense(rng) if level >= LEVELS.index("updates_and_rule") else None,
            model=self.model,
            round=self.number,
        )

    def is_alone(self, uses: Level) -> bool:
        """Whether each hostile hospital attacks by itself, without the others' updates."""
        return "own" in (self._level, uses)

    @cached_property
    def _others(self) -> Updates:
        """Updates of the honest hospitals, (n, n_params)."""
        rows = [report.update for name, report in self._reports.items() if name not in self.hostile]
        return np.array(rows) if rows else np.empty((0, len(self.model)), np.float32)

    def _defense(self, rng: Callable[[], np.random.Generator]) -> Callable[[Updates], Vector]:
        """A preview of the aggregate from rows of hostile hospitals; each call draws the same."""

        def preview(rows: Updates) -> Vector:
            sent = zip(self.hostile, as_sent(rows), strict=True)
            would = {name: replace(self._reports[name], update=row) for name, row in sent}
            return self._preview({**self._reports, **would}, rng())

        return preview


class Adversary:
    """Replaces what the hostile hospitals of one run upload.

    Their updates are replaced by Byzantine attacks, then their replies by faults. With a hostile
    aggregator it also changes what hospitals are asked, and works on the sums that are seen.
    ``moved``: of each attack, how far what it sent in the last round was from what it was given,
    hospital by hospital; of an attack on sums or on a protocol, 1 for a round in which it acted.
    """

    def __init__(self, plan: AttackPlan, max_records: int) -> None:
        """``max_records``: the most records that the aggregator believes, which is public."""
        self.plan = plan
        self.max_records = max_records
        self.attacks = plan.of_kind("byzantine")
        on_replies = plan.of_kind("faults")
        self.faults: dict[str, Fault] = {
            name: one for name, one in on_replies.items() if not isinstance(one, Absence)
        }
        self.absences: dict[str, Absence] = {
            name: one for name, one in on_replies.items() if isinstance(one, Absence)
        }
        self.on_messages = plan.of_kind("messages")
        self.on_sums = plan.of_kind("isolation")
        self.on_protocol = plan.of_kind("protocol")
        self.moved: dict[str, list[float]] = {}
        self.state = Lasting()

    def acts_in(self, number: int) -> bool:
        """Whether anything between training and upload may be changed in a round."""
        attacks = bool(self.attacks or self.faults) and self.plan.attacks_in(number)
        return attacks or bool(self.absences) or self.isolates_in(number)

    def isolates_in(self, number: int) -> bool:
        """Whether an attack looks for single updates in a round."""
        return bool(self.on_sums or self.on_protocol) and self.plan.attacks_in(number)

    def start(self, number: int) -> None:
        """Begin a round: nothing is moved in it yet."""
        self.moved = {}

    def absent(self, number: int, kind: str, replies: Replies) -> frozenset[str]:
        """The honest hospitals that vanish in a kind of trip; nothing even reaches the adversary.

        ``replies``: of those that were asked.
        """
        away = set[str]()
        vanishing = [item for item in self.absences.items() if item[1].phase == kind]
        for name, absence in vanishing:
            present = [
                hospital
                for hospital, arrived in replies.items()
                if arrived.message is not None and hospital not in away
            ]
            gone = [
                hospital
                for hospital in self.plan.absent[name]
                if absence.away(number, self.plan.key.stream("attack", name, number, hospital))
                and hospital in present
            ]
            away.update(gone)
            self._note(name, [1.0] * len(gone))
        return frozenset(away)

    def upload(self, trained: Replies, grant: Grant) -> dict[str, Arrived]:
        """The uploads of hostile hospitals that differ from what they trained.

        Others do as if honest.

        ``trained``: replies of hostile hospitals, in order of their names.
        """
        uploads = dict(trained)
        if self.attacks and grant.hostile and not grant.is_futile:
            uploads |= self._byzantine(uploads, grant)
        for name, fault in self.faults.items():
            uploads |= self._faulty(name, fault, uploads, grant)
        return {
            hospital: upload
            for hospital, upload in uploads.items()
            if upload is not trained[hospital]
        }

    def answers(self, number: int, kind: str, arrived: Replies) -> dict[str, Arrived]:
        """The answers of hostile hospitals in a kind of trip that differ from their honest ones.

        ``arrived``: their honest answers.
        """
        changed = dict[str, Arrived]()
        if not self.on_messages or not self.plan.attacks_in(number):
            return changed
        for hospital, answer in arrived.items():
            reply = answer.message
            if reply is None or (honest := wire.answered(reply)) is None:
                continue
            sent = honest
            for name, fault in self.on_messages.items():
                rng = self.plan.key.stream("attack", name, number, kind, hospital)
                given = sent
                sent = returned.instance(fault, fault(kind, given, rng), Content)
                self._note(name, [1.0] if sent is not given else [])
            if sent is not honest:
                changed[hospital] = Arrived(wire.answered_with(reply, sent))
        return changed

    def talk(self, honest: Conversation, stage: Stage) -> Conversation:
        """The aggregator's half of a round: the honest one, or what attacks make of it."""
        if self.plan.attacks_in(stage.number):
            for name, attack in self.on_protocol.items():
                honest = self._attacked(name, attack, honest, stage)
        return honest

    def crafted(self, stage: Stage) -> Weights:
        """The model that is sent out in a round: the round's, or what an attack makes of it."""
        model = stage.model
        for name, attack in self.plan.crafting_in(stage.number).items():
            rng = self.plan.key.stream("attack", name, stage.number, "crafted")
            made = returned.array(attack, attack.crafted(stage, rng), model.shape)
            model = returned.finite(attack, made).astype(np.float32)
        return model

    def isolated(
        self,
        number: int,
        view: View,
        uploads: Mapping[str, Vector],
        plan: FederationPlan,
    ) -> Isolated | None:
        """The rows that aggregator and hostile hospitals work out together of a round's view.

        ``uploads``: what each hostile hospital uploaded, before its quantization. ``plan``: what
        all know. None without such an attack, or where it refuses.
        """
        found = None
        own = {
            name: rounding.contributed(plan.quantization, key, number, uploads[name])
            for name, key in self.plan.keys.items()
            if name in uploads
        }
        for name, attack in self.on_sums.items():
            rng = self.plan.key.stream("attack", name, number)
            with suppress(RefusedError):  # no colluding hospital is left in this round
                pooled = Pooled(view, own, number, plan.public_steps)
                made = self._advance(name, "", attack, pooled, rng)
                found = returned.isolated(attack, made, view.rows.shape[1])
                self._note(name, [1.0])
        return found

    def _attacked(
        self, name: str, attack: ProtocolAttack, honest: Conversation, stage: Stage
    ) -> Conversation:
        """The half of a round that an attack leads, on the honest one."""
        asked = list[Trip]()
        rng = self.plan.key.stream("attack", name, stage.number)
        led = attack(cast(Talk, _noting(honest, asked)), stage, rng)
        changes = False
        try:
            trip = next(led)
            while True:
                changes = changes or all(trip is not one for one in asked)
                trip = led.send((yield trip))
        except StopIteration as end:
            ended = returned.instance(attack, end.value, Concluded)
            members = () if ended.view is None else ended.view.members
            is_open = bool(members) and all(len(group) == 1 for group in members)
            self._note(name, [float(changes or is_open)])  # where nothing is hidden, it is done
            if ended.isolated is not None:
                returned.isolated(attack, ended.isolated, len(stage.model))
            return ended

    def _byzantine(self, trained: Replies, grant: Grant) -> dict[str, Arrived]:
        sent = grant.own
        uploads = sent.copy()  # usable ones travel as they are; an attack may edit what it is given
        for name, attack in self.attacks.items():
            try:
                sent = self._send(name, attack, grant, sent)
            except RefusedError:
                continue  # too few hostile hospitals are left in this round: they do as if honest
            before = uploads
            uploads = as_sent(sent)
            self._note(name, relative_distances(uploads, before))
        by_name = zip(grant.hostile, uploads, strict=True)
        return {name: Arrived(wire.replaced(trained[name].there(), row)) for name, row in by_name}

    def _send(self, name: str, attack: Byzantine, grant: Grant, own: Updates) -> Updates:
        """What ``attack`` sends in place of ``own``."""
        key = self.plan.key
        number = grant.number
        uses = attack.about.uses

        def ask(rows: Updates, *identity: str) -> Updates:
            # the stream of a preview keeps its name, and so its draws
            preview = partial(key.stream, "attack", name, number, "foreseen")
            known = grant.knowledge(uses, rows, preview)
            rng = key.stream("attack", name, number, *identity)
            found = self._advance(name, "".join(identity), attack, known, rng)
            return returned.array(attack, found, rows.shape)

        if grant.is_alone(uses):
            rows = [ask(own[i : i + 1], hospital) for i, hospital in enumerate(grant.hostile)]
            return np.concatenate(rows)
        return ask(own)

    def _faulty(
        self, name: str, fault: Fault, uploads: Replies, grant: Grant
    ) -> dict[str, Arrived]:
        """What each hospital sends in place of a usable reply."""
        number = grant.number
        n_params = len(grant.model)
        found = dict[str, Arrived]()
        for hospital, arrived in uploads.items():
            with suppress(wire.UnusableError):
                report = arrived.report(n_params, self.max_records)
                given = Reply(report.update, report.count, number)
                rng = self.plan.key.stream("attack", name, number, hospital)
                made = self._advance(name, hospital, fault, given, rng)
                sent = returned.instance(fault, made, SentReply)
                is_sent = sent.update is not None
                found[hospital] = (
                    Arrived(wire.sent_reply(arrived.there(), sent)) if is_sent else Arrived()
                )
                self._note(name, [_change(report, found[hospital], n_params, self.max_records)])
        return found

    def _advance(
        self,
        name: str,
        hospital: str,
        attack: Callable[[Given, np.random.Generator], Result],
        given: Given,
        rng: np.random.Generator,
    ) -> Result:
        """What an attack makes of ``given``; its state at this hospital is the next one then."""
        found, state = advanced(attack, given, self.state.states.get((name, hospital)), rng)
        if state is not None:
            self.state.states[name, hospital] = state
        return found

    def _note(self, name: str, distances: Iterable[float]) -> None:
        """Keep how far replies were moved, but not those that will be screened."""
        self.moved.setdefault(name, []).extend(
            distance for distance in distances if math.isfinite(distance)
        )


def _noting(honest: Conversation, asked: list[Trip]) -> Conversation:
    """The same conversation, which notes what is asked in it."""
    try:
        trip = next(honest)
        while True:
            asked.append(trip)
            trip = honest.send((yield trip))
    except StopIteration as end:
        concluded: Concluded = end.value
        return concluded


def as_sent(rows: Updates) -> Updates:
    """Rows as they travel: float32, and never beyond its range, for then they would be screened."""
    return np.clip(rows, -MOST, MOST).astype(np.float32, copy=False)


def _change(honest: wire.Report, sent: Arrived, n_params: int, max_records: int) -> float:
    """How far a reply was changed: 1 if nothing usable is left, else the larger relative change.

    It is that of the update or that of the record count.
    """
    with suppress(wire.UnusableError):
        report = sent.report(n_params, max_records)
        of_count = abs(report.count - honest.count) / honest.count
        return max(relative_distance(report.update, honest.update), of_count)
    return 1.0
