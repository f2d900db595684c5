"""An audit of private training: what a hospital sends shows, or does not, which canaries are in."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sim.design.plan import FederationPlan
from sim.design.site import PrivacyPolicy, Site
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


def moved(plan: FederationPlan, site: Site, key: Key, answer: Answer) -> Vector:
    """The move of each parameter (n_params,) where a hospital trains alone and unprotected.

    The auditor, who knows the records, puts canaries elsewhere. ``key``: of the aggregator.
    """
    unprotected = replace(plan, dp=None, update_dp=None)
    return _trained(unprotected, replace(site, policy=PrivacyPolicy()), key, answer)


def scores(
    plan: FederationPlan, site: Site, canaries: Canaries, key: Key, answer: Answer
) -> NDArray[np.float64]:
    """The scores of the canaries (m,) after all rounds, from the updates that the hospital sends.

    Raises ``RefusedError`` where an update is not usable.
    """
    return canaries.scores(_trained(*audited(plan, site, canaries), key, answer))


def _trained(plan: FederationPlan, site: Site, key: Key, answer: Answer) -> Vector:
    """How far the model moves (n_params,) by the updates that a hospital sends in all rounds.

    The aggregator sends the hospital its own model back, which differential privacy allows: what it
    sends may follow from all that it has received.
    """
    wire.enter_process()
    first = weights = plan.first_weights(key)
    context = wire.context(1, plan.places[site.name])
    shown = wire.TRAIN if protocol_of(plan).is_clear else wire.CLEAR
    for number in range(1, plan.training.rounds + 1):
        asked = wire.ask(number, weights, wire.settings(plan.digest), [1], type_=shown)
        (reply,) = answer({1: _One(plan, site)}, asked, [context])
        try:
            report = wire.read_report(reply, len(weights), plan.server.max_records)
        except wire.UnusableError as error:
            reason = f"{site.name} sent nothing usable in round {number}: {error}"
            raise RefusedError(reason) from error
        weights = weights + report.update
    return weights - first
