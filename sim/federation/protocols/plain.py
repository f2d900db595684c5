"""The plain round: one trip, in which every hospital uploads its update as it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Final, cast

import numpy as np
from numpy.typing import NDArray

from sim import returned
from sim.config.settings import Server
from sim.federation import wire
from sim.federation.conversation import (
    TRAIN,
    Answer,
    Asked,
    Conversation,
    RoundProtocol,
    screened,
)
from sim.messages import Concluded, Trip
from sim.types import View

if TYPE_CHECKING:
    from sim.design.plan import FederationPlan
    from sim.federation.rounds import Weights


@dataclass(frozen=True)
class PlainHospital:
    """The hospital's half: it answers with the update and the record count."""

    def answer(self, asked: Asked, update: wire.Report | None) -> Answer:
        """The trained update as it is.

        Raises ``ValueError`` for a trip in which nothing is trained.
        """
        if update is None:
            raise ValueError(f"trip {asked.kind}: expected {TRAIN}")
        return Answer(wire.clear(update))


@dataclass(frozen=True)
class Plain:
    """The aggregator's half: it asks all hospitals to train.

    The plan's ``secagg`` decides what of the updates the aggregator is left to see.
    """

    is_clear: bool = True
    hospital: PlainHospital = PlainHospital()

    def round(self, plan: FederationPlan, number: int, model: Weights) -> Conversation:
        """One trip to all hospitals."""
        replies = yield Trip(TRAIN, plan.hospitals, model)
        n_params = len(model)
        most = plan.server.max_records
        reports, refused = screened(replies, lambda arrived: arrived.report(n_params, most))
        view = functional(plan, reports) if reports else None
        reported = {name: report.numbers for name, report in reports.items()}
        return Concluded(view, tuple(reports), refused, reported)


def functional(plan: FederationPlan, reports: Mapping[str, wire.Report]) -> View:
    """What the aggregator is left to see of these reports, by hospital in order of their names."""
    rows = np.array([report.update for report in reports.values()])
    weights = capped([report.count for report in reports.values()], plan.server)
    return returned.view(plan.secagg, plan.secagg(rows, tuple(reports), weights), rows.shape[1])


def capped(counts: Sequence[int], server: Server) -> NDArray[np.float64]:
    """Record counts as weights: none above ``server.weight_cap`` times their median.

    So a lie gains no more than that.
    """
    return np.minimum(np.asarray(counts, dtype=np.float64), server.weight_cap * median(counts))


PLAIN: Final = Plain()


def protocol_of(plan: FederationPlan) -> RoundProtocol:
    """The protocol of a plan: its secure aggregation where this is one, else the plain round."""
    return cast(RoundProtocol, plan.secagg) if plan.has_protocol else PLAIN
