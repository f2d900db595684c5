"""An audit of private training: what a hospital sends shows, or does not, which canaries are in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.design.batches import poisson
from sim.design.plan import FederationPlan
from sim.design.site import Site
from sim.devices import one_thread
from sim.errors import RefusedError
from sim.federation import wire
from sim.federation.observing import Answer
from sim.federation.protocols.plain import protocol_of
from sim.inference.canaries import Canaries, audited
from sim.seeds import Key
from sim.types import Vector


@dataclass(frozen=True)
class _One:
    """The source of a consortium of one hospital, as far as its app can tell."""

    plan: FederationPlan
    own: Site

    def site(self, partition: int, round_: int) -> Site:
        return self.own


@one_thread()
def moved(plan: FederationPlan, site: Site, key: Key, own: Key) -> Vector:
    """How far each parameter moves (n_params,) where a hospital trains alone and unprotected.

    ``key``: of the aggregator. ``own``: of the auditor, who knows the records and draws batches.
    """
    assert plan.dp is not None
    dp = plan.dp.unprotected()
    training = plan.training
    n = len(site.records)
    weights = first = plan.first_weights(key)
    for number in range(1, training.rounds + 1):
        batches = poisson(own, number, n, training, dp.counted(n))
        rng = own.stream("audit-noise", number)
        weights, _ = dp.train(plan.network, weights, site.records, batches, training, [], rng)
    return weights - first


def scores(
    plan: FederationPlan, site: Site, canaries: Canaries, key: Key, answer: Answer
) -> NDArray[np.float64]:
    """The scores of the canaries (m,) after all rounds, from the updates that the hospital sends.

    The aggregator sends the hospital its own model back, which differential privacy allows: what it
    sends may follow from all that it has received. ``key``: of the aggregator.

    Raises ``RefusedError`` where an update is not usable.
    """
    agreed, hospital = audited(plan, site, canaries)
    wire.enter_process()
    weights = agreed.first_weights(key)
    first = weights
    place = plan.places[site.name]
    context = wire.context(1, place)
    shown = wire.TRAIN if protocol_of(agreed).is_clear else wire.CLEAR
    for number in range(1, agreed.training.rounds + 1):
        asked = wire.ask(number, weights, wire.settings(agreed.digest), [1], type_=shown)
        (reply,) = answer({1: _One(agreed, hospital)}, asked, [context])
        try:
            report = wire.read_report(reply, len(weights), agreed.server.max_records)
        except wire.UnusableError as error:
            reason = f"{site.name} sent nothing usable in round {number}: {error}"
            raise RefusedError(reason) from error
        weights = weights + report.update
    return canaries.scores(weights - first)
