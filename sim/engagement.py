"""Proof that attack and defense did something: the same hospital trained twice, with and without the thing in question.

Both trainings draw from the same named streams, so they differ by nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from flwr.app import Context, Message
from numpy.typing import NDArray

from sim import wire
from sim.adversary import ON_THE_WIRE
from sim.batches import poisson
from sim.evidence import Engagement
from sim.experiment import Experiment, load
from sim.reconstruction import Curious
from sim.seeds import stream
from sim.server import Log, relative_distance
from sim.types import Vector

Answer = Callable[[Sequence[Message], Sequence[Context]], Sequence[Message]]  # the replies of hospitals
Sent = Mapping[str, list[float]]
IN_THE_HOSPITAL = ("poison", "training")  # kinds of attacks that change what is trained
LEAST = 1e-5  # relative distance below which nothing was done: a mean in float32 is right to less than that


def engagement(
    experiment: Experiment, answer: Answer, weights: NDArray[np.float32], log: Log, sent: Sent, curious: Curious
) -> Engagement:
    """``sent``: distances recorded by the adversary, by attack; ``weights``: the initial model."""
    attack = _attack(experiment, answer, weights, sent, curious) if experiment.attacks else None
    defense = _defense(experiment, weights, log)
    return Engagement(
        attack_engaged=_engaged(attack),
        attack_distance=_stated(attack),
        defense_engaged=_engaged(defense),
        defense_distance=_stated(defense),
    )


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


def _stated(distance: float | None) -> float | None:
    """A distance as evidence states it: None where there is no figure for it."""
    return distance if distance is not None and math.isfinite(distance) else None


def _attack(experiment: Experiment, answer: Answer, weights: NDArray[np.float32], sent: Sent, curious: Curious) -> float:
    """The least engagement among the attacks of the run: one that did nothing must not hide behind another."""
    found = [float(np.mean(sent[name])) if sent.get(name) else 0.0 for kind in ON_THE_WIRE for name in experiment.of_kind(kind)]
    for kind in IN_THE_HOSPITAL:
        if attacks := experiment.of_kind(kind):
            others = [pair for pair in experiment.config["attack"] if pair[0] not in attacks]
            found += _differences(experiment, without(experiment, attack=others), answer, weights)
    if experiment.of_kind("inversion"):
        found.append(float(sum(result.n_attacked for result in curious.results.values())))
    return _least(found)


def _defense(experiment: Experiment, weights: NDArray[np.float32], log: Log) -> float | None:
    """The least engagement among rule and steps, secure aggregation and differential privacy; None if there is none of them."""
    found, n_hospitals = [], len(experiment.consortium)
    if experiment.settings.steps or experiment.settings.server_optimizer or not _is_plain_mean(experiment):
        found.append(float(np.mean(log.distances)) if log.distances else 0.0)
    if experiment.secagg.n_rows(n_hospitals) < n_hospitals:
        found.append(1 - max(log.rows, default=n_hospitals) / n_hospitals)
    if experiment.dp is not None:
        found.append(_noised(experiment, weights))
    return _least(found) if found else None


def _noised(experiment: Experiment, weights: NDArray[np.float32]) -> float:
    """How far clipping and noise move the first hospital's update of round 1, on the same Poisson batches."""
    hospital, settings = experiment.consortium.hospitals[0], experiment.settings
    batches = poisson(settings.seed, 1, hospital.name, len(hospital.train), settings.training)
    updates = []
    for dp in (experiment.dp, experiment.dp.unprotected()):
        rng = stream(settings.seed, "dp-noise", 1, hospital.name)
        trained, _ = dp.train(experiment.network, weights, hospital.train, batches, settings.training, [], rng)
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
    asked = [
        wire.ask(round_, wire.arrays(wire.WEIGHTS, weights), wire.settings(run.text), [place + 1])[0]
        for run in (one, other)
        for place in places
    ]
    replies = answer(asked, 2 * [wire.context(place + 1, place) for place in places])
    updates = [_update(one, reply, len(weights)) for reply in replies]
    pairs = zip(updates[: len(places)], updates[len(places) :], strict=True)
    return [0.0 if a is None or b is None else moved(a, b) for a, b in pairs]


def _update(experiment: Experiment, reply: Message, n_params: int) -> NDArray[np.float32] | None:
    """The update in a reply; None where it is not usable."""
    with suppress(wire.UnusableError):
        return wire.read_report(reply, n_params, experiment.settings.server.max_records).update
    return None
