"""Proof that attack and defense did something: the same hospital trained with and without it.

Both trainings draw from the same named streams, so they differ by nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import islice

import numpy as np
from flwr.app import Message

from sim.design.attack import AttackPlan
from sim.design.batches import poisson
from sim.design.checks import ON_FINAL_MODEL
from sim.design.plan import FederationPlan
from sim.design.simulated import Simulated
from sim.evidence import Engagement, outcome
from sim.federation import wire
from sim.federation.adversary import NOTED
from sim.federation.observing import Answer, Ended, Findings, Round, Subject
from sim.federation.protocols.plain import protocol_of
from sim.federation.rounds import Weights
from sim.federation.server import mean_of, relative_distance
from sim.kinds import LocalPrivacy, UpdatePrivacy
from sim.observers.reconstruction import records_behind, simulated
from sim.types import AttackKind, Vector

IN_THE_HOSPITAL: tuple[AttackKind, ...] = ("poison", "training")  # kinds that change training
NOT_FINITE = "an update that is compared is not finite"
MOST_ROUNDS = 5  # attacked rounds in which it is looked for a difference
LEAST = 1e-5  # distance up to which nothing was done: a mean in float32 is right to less than that


@dataclass
class Moved:
    """The distances by which replies and aggregates were moved.

    ``sent``: of each attack on what is sent, the distances of what was sent from what was given, a
    reply each. ``aggregates``: of each round with a view, the distance of the aggregate from the
    plain mean. ``n_rows``: rows of each aggregated view, 0 where secure aggregation left none.
    ``n_attacked``: records behind the rows of the rounds whose views are inverted. ``n_learned``:
    rounds that gave a new model.
    """

    sent: dict[str, list[float]] = field(default_factory=dict)
    aggregates: list[float] = field(default_factory=list)
    n_rows: list[int] = field(default_factory=list)
    n_attacked: int = 0
    n_learned: int = 0


class EngagementObserver:
    """Whether attack and defense do something in a run."""

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self.hospitals = simulated(subject)
        self.state = Moved()

    def start(self, weights: Weights) -> None:
        """Nothing is moved before round 1."""

    def round(self, seen: Round) -> None:
        """Note how far replies and aggregate were moved in one round."""
        for name, distances in seen.moved.items():
            self.state.sent.setdefault(name, []).extend(distances)
        if (readable := seen.readable) is not None:
            for attack in self.subject.attack.of_kind("inversion").values():
                if getattr(attack, "round", 1) == seen.number:
                    behind = records_behind(self.hospitals, seen.number, readable)
                    self.state.n_attacked += sum(behind)
        view = seen.aggregated.view
        skipped = seen.aggregated.skipped
        if view is None:
            plan = self.subject.plan
            if (
                plan.is_hiding
                and skipped is not None
                and len(skipped.missing) < len(plan.hospitals)
            ):
                self.state.n_rows.append(0)  # secure aggregation showed nothing of what arrived
            return
        if skipped is None and seen.aggregated.aggregate is not None:
            self.state.n_rows.append(len(view.rows))
            self.state.n_learned += 1
            distance = relative_distance(seen.aggregated.aggregate, mean_of(view))
            self.state.aggregates.append(distance)
        elif skipped is not None and skipped.cause != "not_finite":
            # no step is as far from the plain mean as that mean is long
            self.state.aggregates.append(1.0)

    def findings(self, ended: Ended) -> Findings:
        """The engagement of attack and defense."""
        attack = None
        if self.subject.attack.attacks:
            attack = _attack(self.subject, ended.answer, ended.initial, self.state)
        defense = _defense(self.subject, ended, self.state)
        found = Engagement(attack_engaged=_engaged(attack), defense_engaged=_engaged(defense))
        distances = {"attack_distance": attack, "defense_distance": defense}
        stated = [
            outcome(metric, _stated(distance), undefined=NOT_FINITE)
            for metric, distance in distances.items()
            if distance is not None
        ]
        return Findings(stated, {"engagement": found})


def moved(one: Vector, other: Vector) -> float:
    """``relative_distance`` of finite updates; infinity where one is finite, NaN where none is."""
    finite = [bool(np.isfinite(update).all()) for update in (one, other)]
    if all(finite):
        return relative_distance(one, other)
    return math.inf if any(finite) else math.nan


def _least(distances: Sequence[float]) -> float:
    return math.nan if any(math.isnan(distance) for distance in distances) else min(distances)


def _engaged(distance: float | None) -> bool | None:
    return None if distance is None or math.isnan(distance) else distance > LEAST


def _stated(distance: float) -> float | None:
    """A distance as evidence states it: None where there is no figure for it."""
    return distance if math.isfinite(distance) else None


def _attack(subject: Subject, answer: Answer, weights: Weights, state: Moved) -> float:
    """The least engagement among the attacks of the run: none must hide behind another."""
    sent = state.sent
    found = [
        float(np.mean(sent[name])) if sent.get(name) else 0.0
        for kind in NOTED
        for name in subject.attack.of_kind(kind)
    ]
    for kind in IN_THE_HOSPITAL:
        if attacks := subject.attack.of_kind(kind):
            all_of_them = subject.attack.attacks.items()
            others = {name: one for name, one in all_of_them if name not in attacks}
            found += _differences(subject, replace(subject.attack, attacks=others), answer, weights)
    if subject.attack.of_kind("inversion"):
        found.append(float(state.n_attacked))
    # they work on test records of the final model, or on what all hospitals hold
    n_test = sum(len(hospital.test) for hospital in subject.truth.consortium.hospitals)
    found += [float(n_test) for kind in ON_FINAL_MODEL for _ in subject.attack.of_kind(kind)]
    if subject.attack.of_kind("inference"):
        found.append(float(state.n_learned))
    if subject.attack.of_kind("aggregator"):
        found.append(float(subject.attack.demanded(subject.plan).digest != subject.plan.digest))
    return _least(found)


def _defense(subject: Subject, ended: Ended, state: Moved) -> float | None:
    """The least engagement among the parts of the defense; None if there is none of them.

    The parts are rule and steps, secure aggregation, differential privacy of either kind, and
    hardening.
    """
    found = list[float]()
    plan = subject.plan
    n_hospitals = len(plan.hospitals)
    if plan.terms.steps or plan.terms.server_optimizer or not _is_plain_mean(plan):
        found.append(float(np.mean(state.aggregates)) if state.aggregates else 0.0)
    if plan.is_hiding:
        found.append(1 - max(state.n_rows, default=n_hospitals) / n_hospitals)
    if plan.dp is not None:
        found.append(_noised(subject, plan.dp, ended.initial))
    if plan.update_dp is not None:
        found.append(_shielded(subject, plan.update_dp, ended, state))
    if plan.hardening is not None:
        plain = replace(plan, update_dp=None)
        one, other = _first_updates(subject, [plain, replace(plain, hardening=None)], ended)
        found.append(0.0 if one is None or other is None else moved(one, other))
    return _least(found) if found else None


def _noised(subject: Subject, dp: LocalPrivacy, weights: Weights) -> float:
    """How far clipping and noise move the first hospital's update of round 1.

    Both updates are of the same Poisson batches.
    """
    site = subject.truth.sites[0]
    plan = subject.plan
    n = len(site.records)
    batches = poisson(site.key, 1, n, plan.training, dp.counted(n))
    updates = []
    for one in (dp, dp.unprotected()):
        rng = site.key.stream("dp-noise", 1)
        trained, _ = one.train(plan.network, weights, site.records, batches, plan.training, [], rng)
        updates.append(trained - weights)
    return moved(*updates)


def _shielded(subject: Subject, dp: UpdatePrivacy, ended: Ended, state: Moved) -> float:
    """How far privacy of whole updates moves aggregates, or the first hospital's first upload.

    It is the former where the aggregator adds the noise, the latter where hospitals do.
    """
    if dp.place == "server":
        return float(np.mean(state.aggregates)) if state.aggregates else 0.0
    (update,) = _first_updates(subject, [replace(subject.plan, update_dp=None)], ended)
    if update is None:
        return 0.0
    site = subject.truth.sites[0]
    averaging = subject.plan.averaging
    uploaded = dp.uploaded(update, averaging, site.key.stream("dp-update", 1))
    share = dp.share(averaging, site.key.stream("dp-share", 1)) * averaging.step
    return moved(uploaded + share, update)


def _first_updates(
    subject: Subject, plans: Sequence[FederationPlan], ended: Ended
) -> list[Weights | None]:
    """The first hospital's update of round 1 under each plan; None where it is not usable.

    The plans have one digest.
    """
    wire.enter_process()
    honest = replace(subject.attack, attacks={})
    sources = [Simulated(plan, subject.truth.sites, honest) for plan in plans]
    by_node = dict(enumerate(sources, 1))
    shown = wire.TRAIN if protocol_of(plans[0]).is_clear else wire.CLEAR
    settings = wire.settings(plans[0].digest)
    asked = wire.ask(1, ended.initial, settings, by_node, type_=shown)
    replies = ended.answer(by_node, asked, [wire.context(node, 0) for node in by_node])
    n_params = len(ended.initial)
    return [_update(plan, reply, n_params) for plan, reply in zip(plans, replies, strict=True)]


def _is_plain_mean(plan: FederationPlan) -> bool:
    node = plan.terms.aggregator
    return str(node["_target_"]).endswith(".Mean") and node.get("weighting", "uniform") == "uniform"


def _differences(
    subject: Subject, other: AttackPlan, answer: Answer, weights: Weights
) -> list[float]:
    """How far each hostile hospital's update is from its update under another attack plan.

    It is that of the first of ``MOST_ROUNDS`` attacked rounds in which they differ: a small batch
    may hold no poisoned record.
    """
    attacks_in = subject.attack.schedule.attacks_in
    rounds = filter(attacks_in, range(1, subject.plan.training.rounds + 1))
    found = _differences_in(next(rounds), subject, other, answer, weights)
    for number in islice(rounds, MOST_ROUNDS - 1):
        if not any(distance <= LEAST for distance in found):
            break
        later = _differences_in(number, subject, other, answer, weights)
        pairs = zip(found, later, strict=True)
        found = [new if old <= LEAST < new else old for old, new in pairs]
    return found


def _differences_in(
    number: int, subject: Subject, other: AttackPlan, answer: Answer, weights: Weights
) -> list[float]:
    """The same in one round. It is 0 where one of the updates fails."""
    wire.enter_process()
    plan = subject.plan
    sites = subject.truth.sites
    hostile = subject.attack.hostile
    places = [plan.hospitals.index(name) for name in hostile]
    sources = [Simulated(plan, sites, attack) for attack in (subject.attack, other)]
    by_node = dict(enumerate((source for source in sources for _ in places), 1))
    shown = wire.TRAIN if protocol_of(plan).is_clear else wire.CLEAR
    asked = wire.ask(number, weights, wire.settings(plan.digest), by_node, type_=shown)
    contexts = [wire.context(node, place) for node, place in enumerate(2 * places, 1)]
    replies = answer(by_node, asked, contexts)
    updates = [_update(plan, reply, len(weights)) for reply in replies]
    pairs = zip(updates[: len(places)], updates[len(places) :], strict=True)
    return [0.0 if a is None or b is None else moved(a, b) for a, b in pairs]


def _update(plan: FederationPlan, reply: Message, n_params: int) -> Weights | None:
    """The update in a reply; None where it is not usable."""
    with suppress(wire.UnusableError):
        return wire.read_report(reply, n_params, plan.server.max_records).update
    return None
