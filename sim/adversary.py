"""What hostile hospitals know and send: a Grid around a Grid, on the wire between hospitals and aggregator.

The aggregator stays as it is when attacked, and the same adversary works on every engine.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from flwr.app import Message
from flwr.serverapp import Grid
from numpy.typing import NDArray

from sim import returned, wire
from sim.errors import RefusedError
from sim.experiment import Experiment
from sim.seeds import stream
from sim.server import Aggregator, relative_distance
from sim.states import State, advanced
from sim.types import LEVELS, Absence, Byzantine, Fault, Forged, Knowledge, Reply, Updates, Vector

ON_THE_WIRE = ("byzantine", "faults")  # kinds of attacks that change what is sent
Weights = NDArray[np.float32]
Reports = Mapping[str, wire.Report]


@dataclass(frozen=True)
class _Scene:
    """One round before the attack: usable reports by hospital, sorted by name, and which of them are hostile."""

    round: int
    model: Weights
    reports: Reports
    hostile: tuple[str, ...]

    @property
    def others(self) -> Updates:
        """Updates of the honest hospitals, (n, n_params)."""
        rows = [report.update for name, report in self.reports.items() if name not in self.hostile]
        return np.array(rows) if rows else np.empty((0, len(self.model)), np.float32)


class Adversary:
    """Replaces what the hostile hospitals of one run send: their updates by Byzantine attacks, then their replies by faults.

    Before that, what honest hospitals lose by absences is taken out: hostile ones do not see it either.

    ``aggregator`` is asked what it reads in a reply, and what an aggregate would be: only where an attack may know that.
    ``distances``: of each attack, how far what it sent was from what it was given, hospital by hospital and round by round.
    """

    def __init__(self, experiment: Experiment, aggregator: Aggregator) -> None:
        self.experiment, self.aggregator = experiment, aggregator
        self.enrolled = aggregator.enrolled
        self.attacks: dict[str, Byzantine] = experiment.of_kind("byzantine")
        on_replies = experiment.of_kind("faults")
        self.faults: dict[str, Fault] = {name: one for name, one in on_replies.items() if not isinstance(one, Absence)}
        self.absences: dict[str, Absence] = {name: one for name, one in on_replies.items() if isinstance(one, Absence)}
        self.distances = defaultdict[str, list[float]](list)
        self.states = dict[tuple[str, str], State]()  # of attacks and faults, by name and hospital (none where all act as one)

    def corrupt(self, round_: int, model: Weights, replies: Iterable[Message]) -> list[Message]:
        """The replies as they reach the aggregator, to the weights ``model`` that it sent out."""
        received = list(replies)
        for name, absence in self.absences.items():
            received = self._present(name, absence, round_, received)
        if not self.experiment.settings.adversary.attacks_in(round_):
            return received
        if self.attacks:
            received = self._byzantine(round_, model, received)
        for name, fault in self.faults.items():
            received = self._faulty(name, fault, round_, len(model), received)
        return received

    def _byzantine(self, round_: int, model: Weights, replies: list[Message]) -> list[Message]:
        reports = self._reports(replies)
        scene = _Scene(round_, model, reports, tuple(name for name in self.experiment.hostile if name in reports))
        if not scene.hostile or self._pointless(len(reports)):
            return replies
        sent: Updates = np.array([reports[name].update for name in scene.hostile])
        for name, attack in self.attacks.items():
            try:
                given, sent = sent, self._send(name, attack, scene, sent)
            except RefusedError:  # too few hostile hospitals are left in this round: they go on as they are
                continue
            moved = (relative_distance(new, old) for new, old in zip(_as_sent(sent), _as_sent(given), strict=True))
            self.distances[name] += [distance for distance in moved if math.isfinite(distance)]  # not so of what is screened
        by_name = dict(zip(scene.hostile, _as_sent(sent), strict=True))
        return [self._swap(reply, by_name) for reply in replies]

    def _pointless(self, n_reports: int) -> bool:
        """Whether the aggregator will skip the round in any case, for lack of replies."""
        return self.aggregator.quorum.refusal(n_reports) is not None

    def _present(self, name: str, absence: Absence, round_: int, replies: Sequence[Message]) -> list[Message]:
        """The replies of the hospitals that are not away in this round."""
        seed = self.experiment.settings.seed
        away = {
            hospital
            for hospital in self.experiment.absences[name]
            if absence.away(round_, stream(seed, "attack", name, round_, hospital))
        }
        arrived = [reply for reply in replies if self._hospital(reply) not in away]
        self.distances[name] += [1.0] * (len(replies) - len(arrived))
        return arrived

    def _reports(self, replies: Sequence[Message]) -> dict[str, wire.Report]:
        """Reports by hospital, sorted by name; replies that are not usable anyway are left alone."""
        found = dict[str, wire.Report]()
        for reply in replies:
            with suppress(wire.UnusableError):
                if hospital := self._hospital(reply):
                    found[hospital] = self.aggregator.read(reply)
        return dict(sorted(found.items()))

    def _swap(self, reply: Message, by_name: Mapping[str, Weights]) -> Message:
        with suppress(wire.UnusableError):
            if (hospital := self._hospital(reply)) in by_name and self.aggregator.read(reply):
                return wire.replaced(reply, by_name[hospital])
        return reply

    def _hospital(self, reply: Message) -> str:
        """The hospital that a reply is from; empty where it is from none of them."""
        return self.enrolled.get(wire.sender(wire.metadata(reply)), "")

    def _send(self, name: str, attack: Byzantine, scene: _Scene, own: Updates) -> Updates:
        """What ``attack`` sends, given no more than it declared and than ``adversary.knowledge`` allows."""
        level = min(LEVELS.index(self.experiment.settings.adversary.knowledge), LEVELS.index(attack.about.uses))
        seed = self.experiment.settings.seed

        def ask(rows: Updates, *identity: str) -> Updates:
            known = Knowledge(
                own=rows,
                n_hospitals=len(self.experiment.consortium),
                n_hostile=len(scene.hostile),
                others=scene.others if level >= LEVELS.index("updates") else None,
                defense=self._foreseen(name, scene) if level >= LEVELS.index("updates_and_rule") else None,
                model=scene.model,
                round=scene.round,
            )
            key = name, "".join(identity)
            draws = stream(seed, "attack", name, scene.round, *identity)
            found, self.states[key] = advanced(attack, known, self.states.get(key), draws)
            return returned.array(attack, found, rows.shape)

        if level == LEVELS.index("own"):
            return np.concatenate([ask(own[i : i + 1], hospital) for i, hospital in enumerate(scene.hostile)])
        return ask(own)

    def _foreseen(self, name: str, scene: _Scene) -> Callable[[Updates], Vector]:
        """What the aggregate would be if the hostile hospitals sent these rows; the same random draws at each call."""

        def foresee(rows: Updates) -> Vector:
            sent = zip(scene.hostile, _as_sent(rows), strict=True)
            would = {hospital: replace(scene.reports[hospital], update=row) for hospital, row in sent}
            rng = stream(self.experiment.settings.seed, "attack", name, scene.round, "foreseen")
            return self.aggregator.foresee({**scene.reports, **would}, rng)

        return foresee

    def _faulty(self, name: str, fault: Fault, round_: int, n_params: int, replies: Sequence[Message]) -> list[Message]:
        received = (self._forge(name, fault, round_, n_params, reply) for reply in replies)
        return [reply for reply in received if reply is not None]

    def _forge(self, name: str, fault: Fault, round_: int, n_params: int, reply: Message) -> Message | None:
        """What a hostile hospital sends in place of a usable reply; None for nothing. Others' replies stay as they are."""
        hospital, limit = self._hospital(reply), self.experiment.settings.server.max_records
        if hospital not in self.experiment.hostile:
            return reply
        with suppress(wire.UnusableError):
            report = self.aggregator.read(reply)
            given = Reply(report.update, report.count, round_)
            draws = stream(self.experiment.settings.seed, "attack", name, round_, hospital)
            found, self.states[name, hospital] = advanced(fault, given, self.states.get((name, hospital)), draws)
            sent = returned.instance(fault, found, Forged)
            forged = None if sent.update is None else wire.forged(reply, sent)
            change = _change(report, forged, n_params, limit)
            self.distances[name] += [change] if np.isfinite(change) else []
            return forged
        return reply


def _as_sent(rows: Updates) -> Updates:
    """Rows as they travel: float32, and never beyond its range, for then they would be screened."""
    most = np.finfo(np.float32).max
    return np.clip(rows, -most, most).astype(np.float32)


def _change(honest: wire.Report, forged: Message | None, n_params: int, max_records: int) -> float:
    """How far a reply was changed: 1 if nothing usable is left, else by how much its update or its record count."""
    with suppress(wire.UnusableError):
        if forged is not None:
            sent = wire.read_report(forged, n_params, max_records)
            return max(relative_distance(sent.update, honest.update), abs(sent.count - honest.count) / honest.count)
    return 1.0


class AdversarialGrid(Grid):
    """Passes everything on to ``inner``, and every reply through ``adversary``."""

    def __init__(self, inner: Grid, adversary: Adversary) -> None:
        self._inner, self._adversary = inner, adversary

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> Iterable[Message]:
        """Replies of ``inner``, those of hostile hospitals replaced."""
        messages = list(messages)
        replies = list(self._inner.send_and_receive(messages, timeout=timeout))
        if not messages:
            return replies
        task = wire.read_task(messages[0])
        return self._adversary.corrupt(task.round, task.weights, replies)

    def set_run(self, run: Any) -> None:
        """As ``inner``."""
        self._inner.set_run(run)

    @property
    def run(self) -> Any:
        """As ``inner``."""
        return self._inner.run

    def create_message(self, *arguments: Any, **named: Any) -> Message:
        """As ``inner``."""
        return self._inner.create_message(*arguments, **named)

    def get_node_ids(self) -> Iterable[int]:
        """As ``inner``."""
        return self._inner.get_node_ids()

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        """As ``inner``: only ``send_and_receive`` is attacked."""
        return self._inner.push_messages(messages)

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """As ``inner``: only ``send_and_receive`` is attacked."""
        return self._inner.pull_messages(message_ids)
