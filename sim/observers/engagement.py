"""Proof that attack and defense did something: the same hospital trained twice, with and without the thing in question.

Both trainings draw from the same named streams, so they differ by nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from flwr.app import Message
from numpy.typing import NDArray

from sim import wire
from sim.batches import poisson
from sim.evidence import Engagement, outcome
from sim.experiment import Experiment, load
from sim.federation.adversary import ON_THE_WIRE
from sim.federation.conversation import TRAIN
from sim.federation.protocols.plain import protocol_of
from sim.federation.rounds import Answer, Ended, Findings, Round, Weights
from sim.federation.server import mean_of, relative_distance
from sim.observers.reconstruction import records_behind
from sim.types import Vector

IN_THE_HOSPITAL = ("poison", "training")  # kinds of attacks that change what is trained
NOT_FINITE = "an update that is compared is not finite"
LEAST = 1e-5  # relative distance below which nothing was done: a mean in float32 is right to less than that


@dataclass
class Moved:
    """How far things were moved.

    ``sent``: of each attack on what is sent, the distances of what was sent from what was given, a reply each. ``aggregates``: of
    each round with a view, the distance of the aggregate from the plain mean. ``n_rows``: rows of each aggregated view.
    ``n_attacked``: records behind the rows of the rounds whose views are inverted.
    """

    sent: dict[str, list[float]] = field(default_factory=dict)
    aggregates: list[float] = field(default_factory=list)
    n_rows: list[int] = field(default_factory=list)
    n_attacked: int = 0


class EngagementObserver:
    """Whether attack and defense do something in a run."""

    def __init__(self, experiment: Experiment) -> None:
        self.experiment = experiment
        self.state = Moved()

    def start(self, weights: Weights) -> None:
        """Nothing is moved before round 1."""

    def round(self, seen: Round) -> None:
        """Note how far replies and aggregate were moved in one round."""
        for name, distances in seen.moved.items():
            self.state.sent.setdefault(name, []).extend(distances)
        view, skipped = seen.aggregated.view, seen.aggregated.skipped
        if view is None:
            return
        for attack in self.experiment.of_kind("inversion").values():
            if getattr(attack, "round", 1) == seen.number:
                self.state.n_attacked += sum(records_behind(self.experiment, seen.number, view))
        if skipped is None and seen.aggregated.aggregate is not None:
            self.state.n_rows.append(len(view.rows))
            self.state.aggregates.append(relative_distance(seen.aggregated.aggregate, mean_of(view)))
        elif skipped is not None and skipped.cause != "not_finite":
            self.state.aggregates.append(1.0)  # no step is as far from the plain mean as that mean is long

    def findings(self, ended: Ended) -> Findings:
        """The engagement of attack and defense."""
        attack = _attack(self.experiment, ended.answer, ended.initial, self.state) if self.experiment.attacks else None
        defense = _defense(self.experiment, ended.initial, self.state)
        found = Engagement(
            attack_engaged=_engaged(attack),
            defense_engaged=_engaged(defense),
        )
        distances = {"attack_distance": attack, "defense_distance": defense}
        stated = [
            outcome(metric, _stated(distance), undefined=NOT_FINITE)
            for metric, distance in distances.items()
            if distance is not None
        ]
        return Findings(stated, {"engagement": found})


def moved(one: Vector, other: Vector) -> float:
    """``relative_distance`` where both updates are finite, infinity where one is, and NaN where none is: nothing can be told."""
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


def _attack(experiment: Experiment, answer: Answer, weights: Weights, state: Moved) -> float:
    """The least engagement among the attacks of the run: one that did nothing must not hide behind another."""
    sent = state.sent
    found = [float(np.mean(sent[name])) if sent.get(name) else 0.0 for kind in ON_THE_WIRE for name in experiment.of_kind(kind)]
    for kind in IN_THE_HOSPITAL:
        if attacks := experiment.of_kind(kind):
            others = [pair for pair in experiment.config["attack"] if pair[0] not in attacks]
            found += _differences(experiment, without(experiment, attack=others), answer, weights)
    if experiment.of_kind("inversion"):
        found.append(float(state.n_attacked))
    return _least(found)


def _defense(experiment: Experiment, weights: Weights, state: Moved) -> float | None:
    """The least engagement among rule and steps, secure aggregation and differential privacy; None if there is none of them."""
    found, n_hospitals = [], len(experiment.consortium)
    if experiment.settings.steps or experiment.settings.server_optimizer or not _is_plain_mean(experiment):
        found.append(float(np.mean(state.aggregates)) if state.aggregates else 0.0)
    if experiment.secagg.n_rows(n_hospitals) < n_hospitals:
        found.append(1 - max(state.n_rows, default=n_hospitals) / n_hospitals)
    if experiment.dp is not None:
        found.append(_noised(experiment, weights))
    return _least(found) if found else None


def _noised(experiment: Experiment, weights: NDArray[np.float32]) -> float:
    """How far clipping and noise move the first hospital's update of round 1, on the same Poisson batches."""
    site, training = experiment.truth.sites[0], experiment.plan.training
    batches = poisson(site.key, 1, len(site.records), training)
    updates = []
    for dp in (experiment.dp, experiment.dp.unprotected()):
        rng = site.key.stream("dp-noise", 1)
        trained, _ = dp.train(experiment.network, weights, site.records, batches, training, [], rng)
        updates.append(trained - weights)
    return moved(*updates)


def _is_plain_mean(experiment: Experiment) -> bool:
    node: dict[str, Any] = experiment.settings.aggregator
    return str(node["_target_"]).endswith(".Mean") and node.get("weighting", "uniform") == "uniform"


def without(experiment: Experiment, **changes: Any) -> Experiment:
    """The same experiment with some of its settings replaced."""
    config = {**experiment.config, **changes}
    del config["label"]
    return load(config, experiment.label)


def _differences(one: Experiment, other: Experiment, answer: Answer, weights: NDArray[np.float32]) -> list[float]:
    """How far each hostile hospital's update in ``one`` is from its update in ``other``; 0 where one of them fails."""
    wire.enter_process()
    round_, places = one.settings.adversary.first_round, [one.consortium.names.index(name) for name in one.hostile]
    sources = [run.source for run in (one, other) for _ in places]
    by_node = dict(enumerate(sources, 1))
    shown = wire.TRAIN if protocol_of(one.plan).is_clear else wire.CLEAR
    asked = list[Message]()
    for node, source in by_node.items():
        task = wire.settings(source.plan.digest)
        asked += wire.trip(shown, TRAIN, round_, weights, task, wire.NOTHING, {}, [node])
    contexts = [wire.context(node, place) for node, place in enumerate(2 * places, 1)]
    replies = answer(by_node, asked, contexts)
    updates = [_update(one, reply, len(weights)) for reply in replies]
    pairs = zip(updates[: len(places)], updates[len(places) :], strict=True)
    return [0.0 if a is None or b is None else moved(a, b) for a, b in pairs]


def _update(experiment: Experiment, reply: Message, n_params: int) -> NDArray[np.float32] | None:
    """The update in a reply; None where it is not usable."""
    with suppress(wire.UnusableError):
        return wire.read_report(reply, n_params, experiment.settings.server.max_records).update
    return None
