"""The plain round: one trip, in which every hospital uploads its update as it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Final, cast

import numpy as np
from numpy.typing import NDArray

from sim.config.settings import Server
from sim.design.views import averages
from sim.errors import RefusedError
from sim.federation import rounding, wire
from sim.federation.conversation import (
    CLIPPED,
    Answer,
    Arrived,
    Asked,
    Conversation,
    Replies,
    RoundProtocol,
    screened,
)
from sim.messages import TRAIN, Concluded, Trip
from sim.types import Traffic, Updates, View

if TYPE_CHECKING:
    from sim.design.plan import FederationPlan
    from sim.federation.rounds import Weights


LEFT_OUT: Final = "too few of its group sent a usable update"
BYTES: Final = 4  # of a float32
NUMBER: Final = 8  # bytes of a number in a message
ROUNDING: Final = "rounding"  # the number of a reply that seeds the rounding of its update


@dataclass(frozen=True)
class PlainHospital:
    """The hospital's half: it answers with the update and the record count.

    Where updates are quantized, the seed of its rounding goes with them: whoever adds up rounds.
    """

    def answer(self, asked: Asked, update: wire.Report | None) -> Answer:
        """The trained update as it is.

        Raises ``ValueError`` for a trip in which nothing is trained.
        """
        if update is None:
            raise ValueError(f"trip {asked.kind}: expected {TRAIN}")
        if asked.plan.quantization is None:
            return Answer(wire.clear(update))
        return Answer(wire.clear(update, {ROUNDING: rounding.seed(asked.key, asked.number)}))


@dataclass(frozen=True)
class Plain:
    """The aggregator's half: it asks all hospitals to train.

    The plan's ``secagg`` decides what of the updates the aggregator is left to see. With secure
    aggregation this round gives what its protocol would leave, and hides nothing on the way.
    """

    is_clear: bool = True
    hospital: PlainHospital = PlainHospital()

    def round(self, plan: FederationPlan, number: int, model: Weights) -> Conversation:
        """One trip to all hospitals."""
        replies = yield Trip(TRAIN, plan.hospitals, model)
        return concluded(plan, number, len(model), replies)

    def traffic(self, plan: FederationPlan) -> Traffic:
        """The model; the update and the record count, and the seed of its rounding."""
        n_bytes = BYTES * plan.network.n_params
        numbers = 1 if plan.quantization is None else 2
        return Traffic(messages=2, sent=n_bytes + NUMBER * numbers, received=n_bytes)


def concluded(plan: FederationPlan, number: int, n_params: int, replies: Replies) -> Concluded:
    """The end of a round in which these replies hold updates as they are."""
    most = plan.server.max_records
    quantization = plan.quantization

    def read(arrived: Arrived) -> wire.Report:
        report = arrived.report(n_params, most)
        if quantization is not None:
            _ = seed_of(report)
        return report

    reports, refused = screened(replies, read)
    if not reports:
        return Concluded(None, (), refused)
    updates = np.array([report.update for report in reports.values()])
    reported: dict[str, Mapping[str, float]] = {
        name: report.numbers for name, report in reports.items()
    }
    if quantization is not None:
        draws = [rounding.noise(seed_of(report), n_params) for report in reports.values()]
        updates, n_clipped = quantization.rounded(updates, draws)
        for name, clipped in zip(reports, n_clipped.tolist(), strict=True):
            reported[name] = {**reported[name], CLIPPED: clipped}
    try:
        view = _view(plan, number, reports, updates)
    except RefusedError as error:
        return Concluded(None, tuple(reports), refused, reported, str(error))
    used = {name for group in view.members for name in group}
    alone = {name: LEFT_OUT for name in reports if name not in used}
    usable = tuple(name for name in reports if name in used)
    return Concluded(view, usable, {**refused, **alone}, reported)


def expected(plan: FederationPlan, number: int, reports: Mapping[str, wire.Report]) -> View:
    """The view that the aggregator would have of these reports, by hospital in order of names.

    Updates are rounded to the nearest step. Raises ``RefusedError`` where it would see nothing.
    """
    updates = np.array([report.update for report in reports.values()])
    if plan.quantization is not None:
        updates, _ = plan.quantization.rounded(updates, None)
    return _view(plan, number, reports, updates)


def _view(
    plan: FederationPlan, number: int, reports: Mapping[str, wire.Report], updates: Updates
) -> View:
    counts = capped([report.count for report in reports.values()], plan.server)
    groups = plan.groups(number)
    return averages(groups, plan.secagg.least, tuple(reports), updates, counts, plan.quantization)


def seed_of(report: wire.Report) -> int:
    """The seed of a report's rounding. Raises ``UnusableError`` where it states none."""
    seed = report.numbers.get(ROUNDING, -1)
    if 0 <= seed < 1 << rounding.BITS and seed == (found := int(seed)):
        return found
    raise wire.UnusableError(f"reports {ROUNDING}={seed:g}, expected the seed of its rounding")


def capped(counts: Sequence[int], server: Server) -> NDArray[np.float64]:
    """Record counts as weights: none above ``server.weight_cap`` times their median.

    So a lie gains no more than that.
    """
    return np.minimum(np.asarray(counts, dtype=np.float64), server.weight_cap * median(counts))


PLAIN: Final = Plain()


def protocol_of(plan: FederationPlan) -> RoundProtocol:
    """The protocol of a plan: its secure aggregation where this is one, else the plain round.

    With model agreement the plain round has a trip before hospitals upload.
    """
    if plan.has_protocol:
        return cast(RoundProtocol, plan.secagg)
    if plan.agrees:
        from sim.federation.protocols.agreed import AGREED  # and so cryptography

        return AGREED
    return PLAIN
